import CSupport
package import Telemetry

/// Writing JSON scalars into a byte column: the one place that knows JSON's escapes and number forms.
package enum JSONText {
    /// A quoted string. Bytes that are not UTF-8 are replaced, so that the output is always valid JSON.
    package static func append(_ text: Text, to output: inout ByteColumn) {
        output.append(UInt8(ascii: "\""))
        if text.isValidUTF8 {
            escape(text, to: &output)
        } else {
            var repaired = ByteColumn()
            repaired.append(string: text.string)
            escape(repaired.text, to: &output)
        }
        output.append(UInt8(ascii: "\""))
    }

    /// The inside of a string: quotes, backslashes and control characters escaped, the rest as it is.
    package static func escape(_ text: Text, to output: inout ByteColumn) {
        let start = text.start.assumingMemoryBound(to: UInt8.self)
        var at = 0
        while true {
            let end = sluice_json_plain_end(start, at, text.count)
            output.append(text[at..<end])
            guard end < text.count else { return }
            let byte = text[end]
            switch byte {
            case UInt8(ascii: "\""): output.append("\\\"")
            case UInt8(ascii: "\\"): output.append("\\\\")
            case 0x0A: output.append("\\n")
            case 0x0D: output.append("\\r")
            case 0x09: output.append("\\t")
            default:
                output.append("\\u00")
                output.append(Hex.digit(byte >> 4))
                output.append(Hex.digit(byte & 15))
            }
            at = end + 1
        }
    }

    /// Appends the decimal digits.
    package static func append(_ value: UInt64, to output: inout ByteColumn) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            output.append(UInt8(truncatingIfNeeded: value / divisor % 10) + 0x30)
            divisor /= 10
        }
    }

    /// The same with a sign.
    package static func append(_ value: Int64, to output: inout ByteColumn) {
        if value < 0 { output.append(UInt8(ascii: "-")) }
        append(value.magnitude, to: &output)
    }

    /// The shortest form that reads back as the same double; NaN and infinities as OTLP/JSON's words in quotes.
    package static func append(_ value: Double, to output: inout ByteColumn) {
        if value.isNaN {
            output.append("\"NaN\"")
        } else if value.isInfinite {
            output.append(value < 0 ? "\"-Infinity\"" : "\"Infinity\"")
        } else {
            output.append(string: value.description)
        }
    }
}
