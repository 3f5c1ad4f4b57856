import Telemetry
import Testing

@Suite struct `FNV-1a` {
    /// Test vectors of draft-eastlake-fnv, appendix C.
    @Test func `is the published one in 32 and 64 bits`() {
        #expect(FNV.hash([UInt8]()) == 0xCBF2_9CE4_8422_2325)
        #expect(FNV.hash("a".utf8) == 0xAF63_DC4C_8601_EC8C)
        #expect(FNV.hash("foobar".utf8) == 0x8594_4171_F739_67E8)
        #expect(FNV.hash32([UInt8]()) == 0x811C_9DC5)
        #expect(FNV.hash32("a".utf8) == 0xE40C_292C)
        #expect(FNV.hash32("foobar".utf8) == 0xBF9C_F968)
    }

    @Test func `hashes parts as it does the whole`() {
        #expect(FNV.hash("bar".utf8, after: FNV.hash("foo".utf8)) == FNV.hash("foobar".utf8))
        #expect(FNV.hash32("bar".utf8, after: FNV.hash32("foo".utf8)) == FNV.hash32("foobar".utf8))
    }
}
