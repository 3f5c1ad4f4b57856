import CSupport
import Testing

@Suite struct ChecksumTests {
    @Test func `gives the check value of CRC-32C for the nine digits`() {
        #expect(sluice_crc32c(0, "123456789", 9) == 0xE306_9283)
        #expect(sluice_crc32c_table(0, "123456789", 9) == 0xE306_9283)
        // RFC 3720, B.4: 32 bytes of zeros.
        #expect(sluice_crc32c(0, [UInt8](repeating: 0, count: 32), 32) == 0x8A91_36AA)
        #expect(sluice_crc32c(0, nil, 0) == 0)
    }

    @Test func `gives the same by instruction and by table, whole and in two parts`() {
        var random = SplitMix(state: 7)
        let lengths = [
            1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 767, 768, 769, 1000, 1279, 1280, 4099, 12_287, 12_288, 12_297,
            40_003,
        ]
        for length in lengths {
            let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let whole = sluice_crc32c(0, bytes, length)
            #expect(whole == sluice_crc32c_table(0, bytes, length))
            let cut = length / 3
            let front = sluice_crc32c(0, bytes, cut)
            #expect(sluice_crc32c(front, Array(bytes[cut...]), length - cut) == whole)
            #expect(sluice_crc32c_table(front, Array(bytes[cut...]), length - cut) == whole)
            var copy = [UInt8](repeating: 0xEE, count: length + 7)
            let sum = copy.withUnsafeMutableBytes { room in
                bytes.withUnsafeBytes { sluice_crc32c_copy(0, room.baseAddress.map { $0 + 3 }, $0.baseAddress, length) }
            }
            #expect(sum == whole && copy == [0xEE, 0xEE, 0xEE] + bytes + [0xEE, 0xEE, 0xEE, 0xEE], "\(length)")
        }
        #expect(sluice_crc32c_copy(5, nil, nil, 0) == 5)
    }
}
