#if canImport(Glibc)
    import Glibc
#endif
package import Telemetry

/// Numbers in text.
package enum Number {
    /// A decimal int64 without fraction; nil for anything else or when it does not fit.
    package static func integer(_ text: Text) -> Int64? {
        guard text.count > 0, text.count <= 20 else { return nil }
        var index = 0
        let negative = text[0] == UInt8(ascii: "-")
        if negative || text[0] == UInt8(ascii: "+") { index = 1 }
        guard index < text.count else { return nil }
        var value: Int64 = 0
        while index < text.count {
            let byte = text[index]
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            let (scaled, first) = value.multipliedReportingOverflow(by: 10)
            let digit = Int64(byte - 0x30)
            let (next, second) =
                negative
                ? scaled.subtractingReportingOverflow(digit) : scaled.addingReportingOverflow(digit)
            guard !first, !second else { return nil }
            value = next
            index += 1
        }
        return value
    }

    /// A finite decimal number; nil for anything else, hexadecimal and names included.
    package static func double(_ text: Text) -> Double? {
        guard text.count > 0, text.count <= 64 else { return nil }
        for index in 0..<text.count {
            switch text[index] {
            case 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"),
                UInt8(ascii: "E"):
                continue
            default: return nil
            }
        }
        return withUnsafeTemporaryAllocation(byteCount: text.count + 1, alignment: 1) { buffer in
            guard let base = buffer.baseAddress else { return nil }
            base.copyMemory(from: text.start, byteCount: text.count)
            base.storeBytes(of: 0, toByteOffset: text.count, as: UInt8.self)
            let start = base.assumingMemoryBound(to: CChar.self)
            var end: UnsafeMutablePointer<CChar>?
            let value = strtod(start, &end)
            guard let end, end - start == text.count, value.isFinite else { return nil }
            return value
        }
    }

    /// An integer that a finite double stands for exactly.
    package static func integer(_ value: Double) -> Int64? { Int64(exactly: value) }

    /// Appends a decimal integer.
    package static func append(_ value: Int64, into out: inout ByteColumn) {
        if value < 0 { out.append(UInt8(ascii: "-")) }
        append(value.magnitude, into: &out)
    }

    package static func append(_ value: UInt64, into out: inout ByteColumn) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            out.append(UInt8(truncatingIfNeeded: 0x30 + value / divisor % 10))
            divisor /= 10
        }
    }

    /// Appends a double in the shortest form that reads back; `null` when JSON has none (not finite).
    package static func append(_ value: Double, into out: inout ByteColumn) {
        guard value.isFinite else { return out.append("null") }
        if let whole = Int64(exactly: value), abs(value) < 1e15 { return append(whole, into: &out) }
        out.append(string: value.description)
    }
}
