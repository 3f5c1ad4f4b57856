@testable import Exporters
import Telemetry
import Testing

@Suite struct SipHash128Tests {
    private func hash(_ bytes: [UInt8], key: (UInt64, UInt64) = (1, 2)) -> [UInt64] {
        bytes.withUnsafeBytes {
            let result = SipHash128.hash(Text($0), key: key)
            return [result.0, result.1]
        }
    }

    @Test func `differs for every length, byte and key`() {
        var seen: Set<[UInt64]> = []
        for length in 0..<64 { seen.insert(hash([UInt8](repeating: 0, count: length))) }
        #expect(seen.count == 64)
        for position in 0..<63 {
            var bytes = [UInt8](repeating: 0, count: 63)
            bytes[position] = 1
            seen.insert(hash(bytes))
        }
        #expect(seen.count == 127)
        #expect(hash([1, 2, 3], key: (1, 3)) != hash([1, 2, 3]))
        #expect(hash([1, 2, 3]) == hash([1, 2, 3]))
    }
}

@Suite struct InsertHashTests {
    private func hash(_ bytes: [UInt8], key: BlockKey = BlockKey(key0: 1, key1: 2)) -> [UInt64] {
        bytes.withUnsafeBytes {
            let result = InsertHash.hash(Text($0), key: key)
            return [result.0, result.1]
        }
    }

    @Test func `differs for every length, bit, place and key`() {
        var seen: Set<[UInt64]> = []
        for length in 0..<300 { seen.insert(hash([UInt8](repeating: 0, count: length))) }
        #expect(seen.count == 300)
        var bytes = (0..<200).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        seen.insert(hash(bytes))
        for position in bytes.indices {
            for bit in 0..<8 {
                bytes[position] ^= 1 << bit
                seen.insert(hash(bytes))
                bytes[position] ^= 1 << bit
            }
        }
        #expect(seen.count == 300 + 1 + 200 * 8)
        // Blocks that change places, which lanes that only add would not see.
        var swapped = bytes
        for index in 0..<64 { swapped.swapAt(index, 64 + index) }
        #expect(hash(swapped) != hash(bytes))
        #expect(hash(bytes, key: BlockKey(key0: 1, key1: 3)) != hash(bytes))
        #expect(hash(bytes) == hash(bytes))
    }
}
