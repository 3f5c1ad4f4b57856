extension Settings {
    /// Reads a flag: `true` or `false`.
    package mutating func bool(_ key: String, default value: Bool, _ sentence: String) -> Bool {
        declare(
            OptionDescription(
                key: key, path: "", type: "boolean", defaultText: String(value), sentence: sentence))
        guard let node = node(key) else { return value }
        if case .bool(let flag)? = node.scalar?.value { return flag }
        reportType(key, node, expected: "a boolean", fix: "write `\(key): true` or `\(key): false`, without quotes")
        return value
    }

    /// Reads an integer within a range.
    package mutating func int(
        _ key: String, default value: Int, in range: ClosedRange<Int>, unit: String = "", _ sentence: String
    ) -> Int {
        let bounds = RangeText.ints(range)
        declare(
            OptionDescription(
                key: key, path: "", type: "integer", defaultText: String(value), range: bounds,
                unit: unit.isEmpty ? nil : unit, sentence: sentence))
        guard let node = node(key) else { return value }
        guard let number = node.scalar?.value.wholeNumber else {
            reportType(key, node, expected: "an integer", fix: "write e.g. `\(key): \(value)`")
            return value
        }
        guard range.contains(number) else {
            reportRange(key, node, bounds: bounds, unit: unit)
            return value
        }
        return number
    }

    /// Reads a number within a range; an integer will do.
    package mutating func double(
        _ key: String, default value: Double, in range: ClosedRange<Double>, unit: String = "", _ sentence: String
    ) -> Double {
        let bounds = RangeText.doubles(range)
        declare(
            OptionDescription(
                key: key, path: "", type: "number", defaultText: RangeText.number(value), range: bounds,
                unit: unit.isEmpty ? nil : unit, sentence: sentence))
        guard let node = node(key) else { return value }
        let number: Double
        switch node.scalar?.value {
        case .int(let integer): number = Double(integer)
        case .double(let double): number = double
        default:
            reportType(key, node, expected: "a number", fix: "write e.g. `\(key): \(RangeText.number(value))`")
            return value
        }
        guard range.contains(number) else {
            reportRange(key, node, bounds: bounds, unit: unit)
            return value
        }
        return number
    }

    /// Reads a duration in Go's form within a range.
    package mutating func duration(
        _ key: String, default value: Duration, in range: ClosedRange<Duration>, _ sentence: String
    ) -> Duration {
        let bounds = RangeText.durations(range)
        declare(
            OptionDescription(
                key: key, path: "", type: "duration", defaultText: DurationText.format(value), range: bounds,
                sentence: sentence))
        return readDuration(key, in: range, bounds: bounds, example: value) ?? value
    }

    /// Reads a duration in Go's form within a range, or nil when it is absent.
    package mutating func optionalDuration(
        _ key: String, in range: ClosedRange<Duration>, _ sentence: String
    ) -> Duration? {
        let bounds = RangeText.durations(range)
        declare(OptionDescription(key: key, path: "", type: "duration", range: bounds, sentence: sentence))
        let example = range.contains(.seconds(30)) ? Duration.seconds(30) : range.lowerBound
        return readDuration(key, in: range, bounds: bounds, example: example)
    }

    /// Reads a byte count within a range; a bare integer counts bytes.
    package mutating func bytes(
        _ key: String, default value: Int, in range: ClosedRange<Int>, _ sentence: String
    ) -> Int {
        let bounds = RangeText.sizes(range)
        declare(
            OptionDescription(
                key: key, path: "", type: "size", defaultText: ByteSizeText.format(value), range: bounds,
                sentence: sentence))
        guard let node = node(key) else { return value }
        let size: Int?
        switch node.scalar?.value {
        case .int, .double: size = node.scalar?.value.wholeNumber
        case .string: size = node.scalar.flatMap { ByteSizeText.parse($0.text) }
        default: size = nil
        }
        guard let size else {
            let fix = "write bytes or a number with a unit (KB, KiB, MB, MiB, GB, GiB), e.g. `\(key): 64MiB`"
            reportType(key, node, expected: "a size", fix: fix)
            return value
        }
        guard range.contains(size) else {
            reportRange(key, node, bounds: bounds, unit: "")
            return value
        }
        return size
    }

    private mutating func readDuration(
        _ key: String, in range: ClosedRange<Duration>, bounds: String?, example: Duration
    ) -> Duration? {
        guard let node = node(key) else { return nil }
        let own = Self.withUnit(node, in: range) ?? DurationText.format(example)
        let fix = "write e.g. `\(key): \(own)` (units: ns, us, ms, s, m, h)"
        let duration: Duration?
        switch node.scalar?.value {
        case .int(let number) where number == 0 || range.contains(.nanoseconds(Int64(number))):
            if number != 0 { warning("has no unit and counts nanoseconds, as in the Collector", fix: fix, at: key) }
            duration = .nanoseconds(Int64(number))
        case .int, .double:
            report("is a duration without a unit", fix: fix, key, at: node)
            return nil
        case .string: duration = node.scalar.flatMap { DurationText.parse($0.text) }
        default: duration = nil
        }
        guard let duration else {
            reportType(key, node, expected: "a duration", fix: fix)
            return nil
        }
        guard range.contains(duration) else {
            reportRange(key, node, bounds: bounds, unit: "")
            return nil
        }
        return duration
    }

    /// A number of the file in seconds or else milliseconds, as far as the range has them.
    private static func withUnit(_ node: ConfigNode, in range: ClosedRange<Duration>) -> String? {
        guard !node.isExpanded, let number = node.scalar?.value.wholeNumber, number > 0 else { return nil }
        if range.contains(.seconds(number)) { return "\(number)s" }
        return range.contains(.milliseconds(number)) ? "\(number)ms" : nil
    }

    private mutating func reportRange(_ key: String, _ node: ConfigNode, bounds: String?, unit: String) {
        let value = node.scalar.map { node.isExpanded ? "the value" : $0.text } ?? "the value"
        let suffix = unit.isEmpty ? "" : " (unit: \(unit))"
        report("\(value) is out of range", fix: "give \(bounds ?? "another value")\(suffix)", key, at: node)
    }
}

/// Writes ranges in words; a bound at the end of its type is left out.
enum RangeText {
    static func ints(_ range: ClosedRange<Int>) -> String? {
        words(
            range.lowerBound == .min ? nil : String(range.lowerBound),
            range.upperBound == .max ? nil : String(range.upperBound))
    }

    static func doubles(_ range: ClosedRange<Double>) -> String? {
        let least = -Double.greatestFiniteMagnitude
        return words(
            range.lowerBound <= least ? nil : number(range.lowerBound),
            range.upperBound >= -least ? nil : number(range.upperBound))
    }

    static func durations(_ range: ClosedRange<Duration>) -> String? {
        let longest = Duration.nanoseconds(Int64.max)
        return words(
            range.lowerBound <= .zero - longest ? nil : DurationText.format(range.lowerBound),
            range.upperBound >= longest ? nil : DurationText.format(range.upperBound))
    }

    static func sizes(_ range: ClosedRange<Int>) -> String? {
        words(
            range.lowerBound == .min ? nil : ByteSizeText.format(range.lowerBound),
            range.upperBound == .max ? nil : ByteSizeText.format(range.upperBound))
    }

    /// A number without a superfluous `.0`.
    static func number(_ value: Double) -> String {
        let text = String(value)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private static func words(_ least: String?, _ most: String?) -> String? {
        switch (least, most) {
        case (nil, nil): nil
        case (let least?, nil): "at least \(least)"
        case (nil, let most?): "at most \(most)"
        case (let least?, let most?): least == most ? least : "\(least) to \(most)"
        }
    }
}
