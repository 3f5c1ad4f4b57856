#if canImport(Glibc)
    import Glibc
#endif
import Telemetry

/// Numbers in text, as the Collector reads them (Go's `strconv`), without allocation.
enum NumberText {
    /// A decimal 64-bit number with an optional sign, nil for anything else.
    static func int(_ text: Text) -> Int64? {
        let bytes = ByteCursor(text)
        var index = bytes[0] == 0x2D || bytes[0] == 0x2B ? 1 : 0
        guard index < text.count, text.count <= 40 else { return nil }
        let isNegative = bytes[0] == 0x2D
        var value: Int64 = 0
        while index < text.count {
            guard bytes.isDigit(index) else { return nil }
            let digit = Int64(bytes[index] &- 0x30)
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let (next, carry) =
                isNegative ? tens.subtractingReportingOverflow(digit) : tens.addingReportingOverflow(digit)
            guard !overflow, !carry else { return nil }
            value = next
            index += 1
        }
        return value
    }

    /// A floating-point number of at most 63 characters, nil for anything else. Names of infinity and NaN count.
    static func double(_ text: Text) -> Double? {
        guard text.count > 0, text.count < 64, !ByteClass.isSpace(text[0]) else { return nil }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer -> Double? in
            for index in 0..<text.count {
                // Bytes that strtod would take but no number of ours holds end the reading here.
                guard text[index] != 0, text[index] < 0x80 else { return nil }
                buffer[index] = CChar(bitPattern: text[index])
            }
            buffer[text.count] = 0
            guard let start = buffer.baseAddress else { return nil }
            var end: UnsafeMutablePointer<CChar>?
            let value = strtod(start, &end)
            return end == start + text.count ? value : nil
        }
    }
}
