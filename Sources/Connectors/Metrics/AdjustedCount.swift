import Telemetry

/// How many spans a sampled one stands for, by the threshold `th` that samplers leave in its `tracestate`.
enum AdjustedCount {
    /// One more than the largest random value; those below a threshold are rejected.
    private static let range: UInt64 = 1 << 56
    /// Hexadecimal digits of a whole threshold; missing ones are zeros.
    private static let digits = 14

    /// Nil where no sampler says. What is no whole number is rounded up for as many spans as its fraction says, by
    /// the span's id, which is random: so sums come out right, and a batch that comes again counts the same.
    static func of(_ traceState: Text, spanID: Text) -> UInt64? {
        guard let member = value(of: "ot=", in: traceState, separator: 0x2C),
            let digits = value(of: "th:", in: member, separator: 0x3B), let rejected = threshold(digits)
        else { return nil }
        let kept = range - rejected
        let (whole, rest) = range.quotientAndRemainder(dividingBy: kept)
        guard rest > 0 else { return whole }
        var random: UInt64 = 0
        for byte in spanID.bytes { random = random << 8 | UInt64(byte) }
        return random % kept < rest ? whole + 1 : whole
    }

    private static func value(of key: StaticString, in list: Text, separator: UInt8) -> Text? {
        var start = 0
        while start < list.count {
            let end = list.firstIndex(of: separator, from: start) ?? list.count
            var element = list[start..<end]
            while let first = element.bytes.first, isBlank(first) { element = element[1..<element.count] }
            while let last = element.bytes.last, isBlank(last) { element = element[0..<element.count - 1] }
            if element.hasPrefix(key) { return element[key.utf8CodeUnitCount..<element.count] }
            start = end + 1
        }
        return nil
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func threshold(_ text: Text) -> UInt64? {
        guard (1...digits).contains(text.count) else { return nil }
        var value: UInt64 = 0
        for byte in text.bytes {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(byte - 0x57)
            default: return nil
            }
        }
        return value << UInt64(4 * (digits - text.count))
    }
}
