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
        }
    }

    @Test func `copies what it sums, to wherever the room begins`() {
        var random = SplitMix(state: 8)
        for length in [1, 31, 511, 512, 542, 543, 544, 799, 1000, 4099, 40_003] {
            let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let sum = sluice_crc32c_table(9, bytes, length)
            for start in 0..<66 {
                var room = [UInt8](repeating: 0xEE, count: start + length + 66)
                let copied = room.withUnsafeMutableBytes { room in
                    sluice_crc32c_copy(9, room.baseAddress.map { $0 + start }, bytes, length)
                }
                let around = [UInt8](repeating: 0xEE, count: start) + bytes + [UInt8](repeating: 0xEE, count: 66)
                #expect(copied == sum && room == around, "\(length) bytes behind \(start)")
            }
        }
        #expect(sluice_crc32c_copy(5, nil, nil, 0) == 5)
    }
}
