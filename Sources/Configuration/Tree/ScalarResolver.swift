/// Gives plain scalars their type by the YAML 1.2 core schema (YAML 1.2.2, 10.3.2), and where the Collector's reader
/// (go-yaml v3) goes further, as it does: `0b1`, groups of digits, and octal digits behind a zero as in YAML 1.1.
package enum ScalarResolver {
    /// The type and value of a plain scalar. `yes`, `no`, `on` and `off` are strings; integers beyond 64 bits are
    /// floating point numbers.
    package static func resolve(_ text: String) -> ResolvedScalar {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .bool(true)
        case "false", "False", "FALSE": return .bool(false)
        case ".nan", ".NaN", ".NAN": return .double(.nan)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .double(.infinity)
        case "-.inf", "-.Inf", "-.INF": return .double(-.infinity)
        default: break
        }
        let bytes = Array(text.utf8.prefix(257))
        guard bytes.count <= 256, let first = bytes.first, "+-.0123456789".utf8.contains(first) else { return .string }
        if let number = prefixed(text, bytes) { return .int(number) }
        // The Collector's YAML reader takes digits in groups, `100_000`, as YAML 1.1 did.
        if let number = grouped(text, bytes) { return .int(number) }
        return decimal(text, bytes)
    }

    /// An integer whose digits are parted by single underscores.
    private static func grouped(_ text: String, _ bytes: [UInt8]) -> Int? {
        guard bytes.contains(UInt8(ascii: "_")) else { return nil }
        let start = bytes[0] == UInt8(ascii: "+") || bytes[0] == UInt8(ascii: "-") ? 1 : 0
        let groups = bytes[start...].split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
        guard groups.allSatisfy({ !$0.isEmpty && $0.allSatisfy { isDigit($0, radix: 10) } }) else { return nil }
        return Int(text.filter { $0 != "_" })
    }

    /// An integer with a prefix that says its base. `08` is none: it is the number 8 of another rule.
    private static func prefixed(_ text: String, _ bytes: [UInt8]) -> Int? {
        let isSigned = bytes[0] == UInt8(ascii: "+") || bytes[0] == UInt8(ascii: "-")
        let digits = text.utf8.dropFirst(isSigned ? 1 : 0)
        guard digits.count > 1, digits.first == UInt8(ascii: "0") else { return nil }
        let (radix, length) =
            switch digits.dropFirst().first.map({ $0 | 0x20 }) {
            case UInt8(ascii: "x"): (16, 2)
            case UInt8(ascii: "o"): (8, 2)
            case UInt8(ascii: "b"): (2, 2)
            default: (8, 1)
            }
        let rest = digits.dropFirst(length)
        // `Int` itself would take a sign here.
        guard rest.allSatisfy({ isDigit($0, radix: radix) }) else { return nil }
        return Int((bytes[0] == UInt8(ascii: "-") ? "-" : "") + String(decoding: rest, as: UTF8.self), radix: radix)
    }

    private static func isDigit(_ byte: UInt8, radix: Int) -> Bool {
        switch byte {
        case UInt8(ascii: "0"), UInt8(ascii: "1"): true
        case UInt8(ascii: "2")...UInt8(ascii: "7"): radix >= 8
        case UInt8(ascii: "8"), UInt8(ascii: "9"): radix >= 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): radix == 16
        default: false
        }
    }

    /// `[-+]?[0-9]+` is an integer; `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?` is a float.
    private static func decimal(_ text: String, _ bytes: [UInt8]) -> ResolvedScalar {
        var index = bytes[0] == UInt8(ascii: "+") || bytes[0] == UInt8(ascii: "-") ? 1 : 0
        func digits() -> Int {
            let start = index
            while index < bytes.count, isDigit(bytes[index], radix: 10) { index += 1 }
            return index - start
        }
        let whole = digits()
        if index == bytes.count { return whole > 0 ? integer(text, bytes) : .string }
        var fraction = 0
        if bytes[index] == UInt8(ascii: ".") {
            index += 1
            fraction = digits()
        }
        guard whole + fraction > 0 else { return .string }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            if index < bytes.count, bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") {
                index += 1
            }
            guard digits() > 0 else { return .string }
        }
        guard index == bytes.count else { return .string }
        return Double(text.hasSuffix(".") ? text + "0" : text.replacingPoint()).map(ResolvedScalar.double) ?? .string
    }

    /// An integer; beyond 64 bits, or with a zero in front and a digit that is not octal, it is a float.
    private static func integer(_ text: String, _ bytes: [UInt8]) -> ResolvedScalar {
        let digits = bytes.drop { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }
        let isOctal = digits.count > 1 && digits.first == UInt8(ascii: "0")
        if !isOctal, let number = Int(text) { return .int(number) }
        return Double(text).map(ResolvedScalar.double) ?? .string
    }
}

extension String {
    /// The text with `.e` written as `.0e`, which the standard library's parser wants.
    fileprivate func replacingPoint() -> String {
        var result = ""
        var previous: Character = " "
        for character in self {
            if previous == ".", character == "e" || character == "E" { result += "0" }
            result.append(character)
            previous = character
        }
        return result
    }
}
