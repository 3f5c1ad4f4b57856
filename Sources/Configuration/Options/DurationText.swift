/// Durations in the form of Go's `time.ParseDuration`: `200ms`, `1.5s`, `1m30s`, `-1h`, and a bare `0`.
package enum DurationText {
    private static let unitsByName: [(name: String, nanoseconds: Int64)] = [
        ("ns", 1), ("us", 1_000), ("µs", 1_000), ("μs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// The duration, or nil when the text is none or exceeds 2^63 nanoseconds, which is about 292 years.
    package static func parse(_ text: String) -> Duration? {
        var rest = Substring(text)
        var isNegative = false
        if let sign = rest.utf8.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest.removeFirst()
        }
        if rest == "0" { return .zero }
        guard !rest.isEmpty else { return nil }
        var total: Int64 = 0
        while !rest.isEmpty {
            guard let number = DecimalText.take(from: &rest) else { return nil }
            let name = rest.prefix { !("0"..."9").contains($0) && $0 != "." }
            guard let unit = unitsByName.first(where: { $0.name == name }) else { return nil }
            rest = rest[name.endIndex...]
            guard let part = number.scaled(by: unit.nanoseconds) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(part)
            if overflow { return nil }
            total = sum
        }
        return .nanoseconds(isNegative ? -total : total)
    }

    /// The shortest text of the same form; below a nanosecond is cut off.
    package static func format(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        if seconds == 0, attoseconds / 1_000_000_000 == 0 { return "0s" }
        let sign = seconds < 0 || attoseconds < 0 ? "-" : ""
        let wholeSeconds = seconds.magnitude
        let nanoseconds = attoseconds.magnitude / 1_000_000_000
        if wholeSeconds == 0 { return sign + formatSmall(nanoseconds) }
        var text = sign
        if wholeSeconds >= 3600 { text += "\(wholeSeconds / 3600)h" }
        if wholeSeconds / 60 % 60 > 0 { text += "\(wholeSeconds / 60 % 60)m" }
        if nanoseconds > 0 {
            text += "\(wholeSeconds % 60)\(fraction(nanoseconds, digits: 9))s"
        } else if wholeSeconds % 60 > 0 {
            text += "\(wholeSeconds % 60)s"
        }
        return text
    }

    private static func formatSmall(_ nanoseconds: UInt64) -> String {
        if nanoseconds < 1_000 { return "\(nanoseconds)ns" }
        if nanoseconds < 1_000_000 { return "\(nanoseconds / 1_000)\(fraction(nanoseconds % 1_000, digits: 3))us" }
        return "\(nanoseconds / 1_000_000)\(fraction(nanoseconds % 1_000_000, digits: 6))ms"
    }

    private static func fraction(_ value: UInt64, digits: Int) -> String {
        if value == 0 { return "" }
        var text = String(value)
        text = "." + String(repeating: "0", count: max(0, digits - text.count)) + text
        while text.hasSuffix("0") { text.removeLast() }
        return text
    }
}

/// An unsigned decimal number with an optional fraction, kept as integers so that scaling can be checked.
struct DecimalText {
    private var whole: Int64
    private var fraction: Int64
    private var fractionScale: Int64

    /// Takes digits with an optional fraction off the front; nil when there is no digit or the whole part overflows.
    static func take(from text: inout Substring) -> DecimalText? {
        var number = DecimalText(whole: 0, fraction: 0, fractionScale: 1)
        var digits = 0
        var hasPoint = false
        var index = text.utf8.startIndex
        while index < text.utf8.endIndex {
            let byte = text.utf8[index]
            if byte == UInt8(ascii: "."), !hasPoint {
                hasPoint = true
            } else if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                digits += 1
                guard number.append(Int64(byte - UInt8(ascii: "0")), afterPoint: hasPoint) else { return nil }
            } else {
                break
            }
            index = text.utf8.index(after: index)
        }
        guard digits > 0 else { return nil }
        text = text[index...]
        return number
    }

    private mutating func append(_ digit: Int64, afterPoint: Bool) -> Bool {
        if afterPoint {
            // Digits past the 15th are below every unit's resolution.
            guard fractionScale < 1_000_000_000_000_000 else { return true }
            fraction = fraction * 10 + digit
            fractionScale *= 10
            return true
        }
        let (shifted, overflowShift) = whole.multipliedReportingOverflow(by: 10)
        let (sum, overflowSum) = shifted.addingReportingOverflow(digit)
        whole = sum
        return !overflowShift && !overflowSum
    }

    /// The number times a unit, rounded to the nearest integer, or nil on overflow.
    func scaled(by unit: Int64) -> Int64? {
        let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
        if overflow { return nil }
        let part = (Double(fraction) * (Double(unit) / Double(fractionScale))).rounded()
        guard let addend = Int64(exactly: part) else { return nil }
        let (sum, overflowSum) = product.addingReportingOverflow(addend)
        return overflowSum ? nil : sum
    }
}
