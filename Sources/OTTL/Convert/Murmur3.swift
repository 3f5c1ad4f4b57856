import Telemetry

/// Austin Appleby's MurmurHash3 with seed 0.
enum Murmur3 {
    /// The variant of 32 bits.
    static func hash32(_ text: Text) -> UInt32 {
        var hash: UInt32 = 0
        let blocks = text.count / 4
        func mixed(_ block: UInt32) -> UInt32 { rotated(block &* 0xCC9E_2D51, 15) &* 0x1B87_3593 }
        for block in 0..<blocks {
            hash ^= mixed(text.start.loadUnaligned(fromByteOffset: block * 4, as: UInt32.self).littleEndian)
            hash = rotated(hash, 13) &* 5 &+ 0xE654_6B64
        }
        var tail: UInt32 = 0
        for index in (blocks * 4..<text.count).reversed() { tail = tail << 8 | UInt32(text[index]) }
        if text.count % 4 > 0 { hash ^= mixed(tail) }
        hash ^= UInt32(truncatingIfNeeded: text.count)
        hash = (hash ^ hash >> 16) &* 0x85EB_CA6B
        hash = (hash ^ hash >> 13) &* 0xC2B2_AE35
        return hash ^ hash >> 16
    }

    private static let first: UInt64 = 0x87C3_7B91_1142_53D5
    private static let second: UInt64 = 0x4CF5_AD43_2745_937F

    /// The variant of 128 bits for 64-bit machines.
    static func hash128(_ text: Text) -> (UInt64, UInt64) {
        var (one, two) = (0 as UInt64, 0 as UInt64)
        let blocks = text.count / 16
        for block in 0..<blocks {
            let low = text.start.loadUnaligned(fromByteOffset: block * 16, as: UInt64.self).littleEndian
            let high = text.start.loadUnaligned(fromByteOffset: block * 16 + 8, as: UInt64.self).littleEndian
            one ^= rotated(low &* first, 31) &* second
            one = (rotated(one, 27) &+ two) &* 5 &+ 0x52DC_E729
            two ^= rotated(high &* second, 33) &* first
            two = (rotated(two, 31) &+ one) &* 5 &+ 0x3849_5AB5
        }
        var (low, high) = (0 as UInt64, 0 as UInt64)
        for index in (blocks * 16..<text.count).reversed() {
            if index - blocks * 16 < 8 {
                low = low << 8 | UInt64(text[index])
            } else {
                high = high << 8 | UInt64(text[index])
            }
        }
        two ^= rotated(high &* second, 33) &* first
        one ^= rotated(low &* first, 31) &* second
        one ^= UInt64(text.count)
        two ^= UInt64(text.count)
        one &+= two
        two &+= one
        one = finished(one)
        two = finished(two)
        one &+= two
        two &+= one
        return (one, two)
    }

    private static func rotated(_ value: UInt32, _ count: UInt32) -> UInt32 { value << count | value >> (32 - count) }
    private static func rotated(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 - count) }

    private static func finished(_ value: UInt64) -> UInt64 {
        var value = (value ^ value >> 33) &* 0xFF51_AFD7_ED55_8CCD
        value = (value ^ value >> 33) &* 0xC4CE_B9FE_1A85_EC53
        return value ^ value >> 33
    }
}
