/// Comparisons of header text, which is ASCII by rule and anything in fact.
enum ASCII {
    /// True when `text` equals `lower` but for letter case. `lower` must be lowercase ASCII.
    @inline(__always)
    static func equal(_ text: some Collection<UInt8>, _ lower: String) -> Bool {
        let other = lower.utf8
        guard text.count == other.count else { return false }
        return zip(text, other).allSatisfy { lowercased($0) == $1 }
    }

    /// True when `text` equals `lower` but for letter case. `lower` must be lowercase ASCII.
    @inline(__always)
    static func equal(_ text: String, _ lower: String) -> Bool {
        guard text.utf8.count == lower.utf8.count else { return false }
        // As bytes in place: going over the views of two strings cost a microsecond per request.
        var (text, lower) = (text, lower)
        return text.withUTF8 { text in
            lower.withUTF8 { lower in
                for index in text.indices where lowercased(text[index]) != lower[index] { return false }
                return true
            }
        }
    }

    static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    static func lowercased(_ text: String) -> String {
        String(decoding: text.utf8.map { lowercased($0) }, as: UTF8.self)
    }

    /// Without spaces and tabs at both ends, which are no part of a header's value (RFC 9110, 5.5).
    static func trimmed(_ text: String) -> String { String(Substring(trimmed(Substring(text).utf8))) }

    /// Without spaces and tabs at both ends.
    static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
        var text = text
        while let byte = text.first, isBlank(byte) { text = text.dropFirst() }
        while let byte = text.last, isBlank(byte) { text = text.dropLast() }
        return text
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// True when the text begins or ends with a space or a tab.
    static func hasOuterBlank(_ text: String) -> Bool {
        text.utf8.first.map(isBlank) == true || text.utf8.last.map(isBlank) == true
    }

    /// True when a comma-separated list holds `lower` as an element.
    static func list(_ text: String, contains lower: String) -> Bool {
        text.utf8.split(separator: UInt8(ascii: ",")).contains { equal(trimmed($0), lower) }
    }

    /// True for a header name or method: one or more token characters (RFC 9110, 5.6.2).
    static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// True for a host with or without a port (RFC 3986, 3.2.2 and 3.2.3); an empty one is allowed, and so is an empty
    /// port.
    static func isAuthority(_ text: Substring.UTF8View) -> Bool {
        let colon = UInt8(ascii: ":")
        var rest = text
        if rest.first == UInt8(ascii: "[") {
            guard let end = rest.firstIndex(of: UInt8(ascii: "]")),
                rest[..<end].dropFirst().allSatisfy({ $0 == colon || isHostByte($0) })
            else { return false }
            rest = rest[end...].dropFirst()
        } else {
            rest = rest.drop(while: isHostByte)
        }
        guard let next = rest.first else { return true }
        return next == colon && rest.dropFirst().allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~%!$&'()*+,;=".utf8.contains(byte)
        }
    }

    /// True for a header value without control characters, which could end a header or a line of a log.
    static func isFieldValue(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { text in
            for byte in text where (byte < 0x20 && byte != UInt8(ascii: "\t")) || byte == 0x7F { return false }
            return true
        }
    }
}

/// Text of a client that is quoted in an answer or a log line.
enum PlainText {
    /// Characters shown at most.
    static let shownMax = 120

    /// The text with control and non-ASCII characters replaced and its length capped.
    static func shown(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(shownMax) {
            result.unicodeScalars.append(scalar.value >= 0x20 && scalar.value < 0x7F ? scalar : "?")
        }
        return text.unicodeScalars.dropFirst(shownMax).isEmpty ? result : result + "…"
    }
}
