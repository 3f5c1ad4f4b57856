import Telemetry

/// A hash of long runs of bytes at some twenty gigabytes a second, where `SipHash128` has five: tells inserts apart.
///
/// Four lanes of folded multiplications, as wyhash has them, whose states go through SipHash with the length. Two texts
/// that differ get one hash with a chance of 2^-64; who knows the key can make such texts, of his own content only.
enum InsertHash {
    /// Bytes that all lanes take together.
    private static let blockBytes = 64

    static func hash(_ text: Text, key: BlockKey) -> (UInt64, UInt64) {
        var lanes: (UInt64, UInt64, UInt64, UInt64) = (key.key0, key.key1, ~key.key0, ~key.key1)
        let blocks = text.count / blockBytes
        for block in 0..<blocks {
            let at = text.start + block * blockBytes
            lanes.0 = fold(lanes.0, at, 0x9e37_79b9_7f4a_7c15)
            lanes.1 = fold(lanes.1, at + 16, 0xbf58_476d_1ce4_e5b9)
            lanes.2 = fold(lanes.2, at + 32, 0x94d0_49bb_1331_11eb)
            lanes.3 = fold(lanes.3, at + 48, 0xd6e8_feb8_6659_fd93)
        }
        var state: [UInt64] = [lanes.0, lanes.1, lanes.2, lanes.3, UInt64(text.count)].map(\.littleEndian)
        let rest = SipHash128.hash(text[blocks * blockBytes..<text.count], key: (key.key0, key.key1))
        state += [rest.0.littleEndian, rest.1.littleEndian]
        return state.withUnsafeBytes { SipHash128.hash(Text($0), key: (key.key0, key.key1)) }
    }

    /// Takes 16 bytes into a lane.
    @inline(__always)
    private static func fold(_ lane: UInt64, _ at: UnsafeRawPointer, _ secret: UInt64) -> UInt64 {
        let first = UInt64(littleEndian: at.loadUnaligned(as: UInt64.self))
        let second = UInt64(littleEndian: at.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        let product = (first ^ secret).multipliedFullWidth(by: second ^ lane)
        return product.high ^ product.low
    }
}
