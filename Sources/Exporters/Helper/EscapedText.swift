/// Text from outside made fit for a log line or a terminal: cut to a length, control characters escaped.
package enum EscapedText {
    /// At most `limit` characters of `text`; C0, DEL and C1 controls and the marks of direction and of ends of lines
    /// become `\u{…}`.
    package static func make(_ text: some StringProtocol, limit: Int = .max) -> String {
        var result = ""
        var count = 0
        for scalar in text.unicodeScalars {
            if count == limit {
                result += "…"
                break
            }
            append(scalar, to: &result)
            count += 1
        }
        return result
    }

    /// The same for bytes that should be UTF-8.
    package static func make(utf8 bytes: some Collection<UInt8>, limit: Int) -> String {
        // Four bytes a character and one more, so that a longer text is still seen as longer.
        make(String(decoding: bytes.prefix((limit + 1) * 4), as: UTF8.self), limit: limit)
    }

    private static func append(_ scalar: Unicode.Scalar, to result: inout String) {
        switch scalar.value {
        case 0x0A: result += "\\n"
        case 0x0D: result += "\\r"
        case 0x09: result += "\\t"
        case 0...0x1F, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2028, 0x2029, 0x2066...0x2069:
            result += "\\u{" + String(scalar.value, radix: 16) + "}"
        default: result.unicodeScalars.append(scalar)
        }
    }
}
