/// Names and labels of OpenTelemetry as Prometheus has them, by the OpenTelemetry specification's "Prometheus and
/// OpenMetrics Compatibility".
package struct PrometheusNames: Sendable, Equatable {
    /// What all names begin with, in characters that Prometheus knows; empty for nothing.
    package let namespace: String
    package let addsSuffixes: Bool

    package init(namespace: String, addsSuffixes: Bool) {
        self.namespace = Self.replaced(namespace)
        self.addsSuffixes = addsSuffixes
    }

    /// Name of a family, without `_total`-less forms of other formats: `http.server.duration`, `s` becomes
    /// `http_server_duration_seconds`.
    func family(_ name: String, unit: String, isCounter: Bool, isGauge: Bool) -> String {
        guard addsSuffixes else { return prefixed(Self.replaced(name)) }
        var words = Self.words(name)
        for word in Self.unitWords(unit) where !words.contains(word) { words.append(word) }
        if unit == "1" && isGauge { Self.move("ratio", toEndOf: &words) }
        if isCounter { Self.move("total", toEndOf: &words) }
        return prefixed(words.joined(separator: "_"))
    }

    /// A name without further ado behind the namespace.
    func prefixed(_ name: String) -> String {
        guard !namespace.isEmpty else { return Self.headed(name) }
        return Self.headed(name.isEmpty ? namespace : namespace + "_" + name)
    }

    /// Name of a label: other characters are underscores, and it begins with a letter. `__name__` is the name
    /// of the series.
    static func label(_ key: String) -> String {
        let name = replaced(key, allowing: [])
        guard let first = name.utf8.first else { return "key_" }
        if isDigit(first) { return "key_" + name }
        let isOther = first == UInt8(ascii: "_") && !name.hasPrefix("__")
        return isOther || name == "__name__" ? "key" + name : name
    }

    private static func move(_ word: String, toEndOf words: inout [String]) {
        words.removeAll { $0 == word }
        words.append(word)
    }

    /// Runs of letters, digits and colons.
    private static func words(_ name: String) -> [String] {
        name.utf8.split { !isWord($0, allowing: [UInt8(ascii: ":")]) }.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func replaced(_ text: String, allowing others: [UInt8] = [UInt8(ascii: ":")]) -> String {
        String(
            decoding: text.unicodeScalars.map { scalar -> UInt8 in
                guard scalar.isASCII else { return UInt8(ascii: "_") }
                let byte = UInt8(truncatingIfNeeded: scalar.value)
                return isWord(byte, allowing: others) ? byte : UInt8(ascii: "_")
            }, as: UTF8.self)
    }

    private static func headed(_ name: String) -> String {
        guard let first = name.utf8.first else { return "_" }
        return isDigit(first) ? "_" + name : name
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func isWord(_ byte: UInt8, allowing others: [UInt8]) -> Bool {
        let isLetter = (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
        return isLetter || isDigit(byte) || others.contains(byte)
    }

    // MARK: Units

    /// `By/s` becomes `bytes`, `per_second`; units in braces say nothing.
    private static func unitWords(_ unit: String) -> [String] {
        let sides = unit.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        var words: [String] = []
        if let side = sides.first, let word = unitWord(side, from: units) { words.append(word) }
        if sides.count == 2, let word = unitWord(sides[1], from: rates) { words.append("per_" + word) }
        return words
    }

    private static func unitWord(_ side: Substring, from table: [String: String]) -> String? {
        let name = side.trimmed
        guard !name.isEmpty, name != "1", !name.contains("{"), !name.contains("}") else { return nil }
        let word = words(table[name] ?? name).joined(separator: "_")
        return word.isEmpty ? nil : word
    }

    private static let units: [String: String] = [
        "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
        "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
        "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
        "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
        "Hz": "hertz", "%": "percent",
    ]

    private static let rates: [String: String] = [
        "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
    ]
}

extension Substring {
    fileprivate var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
