import Telemetry

/// SipHash-1-3 with a result of 128 bits (Aumasson and Bernstein, with the reference code's 128-bit ending): recognizes
/// blocks of records that were delivered before. The key keeps senders from making two blocks collide.
struct SipHash128 {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64

    private init(key: (UInt64, UInt64)) {
        v0 = key.0 ^ 0x736f_6d65_7073_6575
        v1 = key.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
        v2 = key.0 ^ 0x6c79_6765_6e65_7261
        v3 = key.1 ^ 0x7465_6462_7974_6573
    }

    /// Hash of `text` under `key`.
    static func hash(_ text: Text, key: (UInt64, UInt64)) -> (UInt64, UInt64) {
        var state = SipHash128(key: key)
        let words = text.count / 8
        for word in 0..<words {
            state.absorb(UInt64(littleEndian: text.start.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self)))
        }
        let tail = load(text, at: words * 8, count: text.count - words * 8)
        state.absorb(tail | UInt64(truncatingIfNeeded: text.count) << 56)
        state.v2 ^= 0xee
        let first = state.finish()
        state.v1 ^= 0xdd
        return (first, state.finish())
    }

    private static func load(_ text: Text, at offset: Int, count: Int) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(text[offset + index]) << UInt64(8 * index) }
        return value
    }

    private mutating func absorb(_ word: UInt64) {
        v3 ^= word
        round()
        v0 ^= word
    }

    private mutating func finish() -> UInt64 {
        for _ in 0..<3 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }

    @inline(__always)
    private mutating func round() {
        v0 = v0 &+ v1
        v1 = (v1 << 13 | v1 >> 51) ^ v0
        v0 = v0 << 32 | v0 >> 32
        v2 = v2 &+ v3
        v3 = (v3 << 16 | v3 >> 48) ^ v2
        v0 = v0 &+ v3
        v3 = (v3 << 21 | v3 >> 43) ^ v0
        v2 = v2 &+ v1
        v1 = (v1 << 17 | v1 >> 47) ^ v2
        v2 = v2 << 32 | v2 >> 32
    }
}
