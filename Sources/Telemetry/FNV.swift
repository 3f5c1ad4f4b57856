/// FNV-1a (draft-eastlake-fnv, section 3): a hash byte by byte, the same in every process and version. For tables, sums
/// and the Collector's decisions, not where somebody may choose the bytes to make them collide.
public enum FNV {
    /// The 64-bit hash; `start` is that of the bytes before, so that parts hash as the whole does.
    @inlinable
    public static func hash(_ bytes: some Sequence<UInt8>, after start: UInt64 = 0xCBF2_9CE4_8422_2325) -> UInt64 {
        var hash = start
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    /// The 32-bit hash, in parts as the other.
    @inlinable
    public static func hash32(_ bytes: some Sequence<UInt8>, after start: UInt32 = 2_166_136_261) -> UInt32 {
        var hash = start
        for byte in bytes { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return hash
    }
}
