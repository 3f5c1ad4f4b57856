import Telemetry
import Testing

@Suite struct TextTests {
    @Test func `texts are equal when all their bytes are`() {
        for count in 0...100 {
            let bytes = (0..<count).map { UInt8($0) }
            #expect(areEqual(bytes, bytes), "\(count) bytes")
            for index in bytes.indices {
                var other = bytes
                other[index] ^= 0x80
                #expect(!areEqual(bytes, other), "\(count) bytes, other at \(index)")
            }
        }
    }

    private func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.withUnsafeBytes { left in right.withUnsafeBytes { Text(left) == Text($0) } }
    }
}
