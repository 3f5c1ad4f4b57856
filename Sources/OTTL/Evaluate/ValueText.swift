import OTLP
import Telemetry

/// Values as text, as the Collector writes them: numbers in decimal, bytes in base64, ids in hexadecimal, lists and
/// maps as JSON.
enum ValueText {
    /// Lists and maps inside each other that are written; what is deeper becomes null.
    static let depthMax = 64

    static func append(_ value: Value, _ batch: borrowing RecordBatch, to output: inout ByteColumn) {
        switch value {
        case .none: break
        case .bool(let flag): output.append(flag ? "true" : "false")
        case .int(let number), .duration(let number): JSONText.append(number, to: &output)
        case .double(let number): append(number, to: &output)
        case .string(let text): output.append(text)
        case .bytes(let text): Base64.append(text, to: &output)
        case .identifier(let text): appendHex(text, to: &output)
        case .time(let time): CalendarTime(nanoseconds: time).append(format: "%Y-%m-%dT%H:%M:%S%z", to: &output)
        case .list, .map, .set: appendJSON(Nested(value), batch, to: &output)
        }
    }

    /// The same for a value inside of a list or map, which may come in pieces.
    static func append(_ nested: Nested, _ batch: borrowing RecordBatch, to output: inout ByteColumn) {
        switch nested.value {
        case .list, .map: appendJSON(nested, batch, to: &output)
        default: append(nested.value, batch, to: &output)
        }
    }

    /// Shortest decimal form as Go's JSON has it: whole numbers without a fraction, an exponent only below 1e-6 and
    /// from 1e21 on.
    static func append(_ number: Double, to output: inout ByteColumn) {
        if let whole = Int64(exactly: number), whole.magnitude < 1 << 53 {
            JSONText.append(whole, to: &output)
        } else {
            output.append(string: decimal(number))
        }
    }

    private static func decimal(_ number: Double) -> String {
        let parts = number.description.split(separator: "e", maxSplits: 1)
        let mantissa = parts[0].hasSuffix(".0") ? parts[0].dropLast(2) : parts[0]
        guard parts.count == 2, let exponent = Int(parts[1]) else { return String(mantissa) }
        guard number.magnitude >= 1e-6, number.magnitude < 1e21 else {
            return "\(mantissa)e\(exponent < 0 ? "-" : "+")\(exponent.magnitude)"
        }
        let sign = number < 0 ? "-" : ""
        let digits = mantissa.filter { $0 != "-" && $0 != "." }
        // Swift's mantissa has one digit before its point.
        let point = 1 + exponent
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
        if point >= digits.count { return sign + digits + String(repeating: "0", count: point - digits.count) }
        return sign + digits.prefix(point) + "." + digits.dropFirst(point)
    }

    static func appendHex(_ text: Text, to output: inout ByteColumn) {
        for byte in text.bytes { appendHex(byte, to: &output) }
    }

    static func appendHex(_ byte: UInt8, to output: inout ByteColumn) {
        output.append(digit(byte >> 4))
        output.append(digit(byte & 15))
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 &+ value : 0x57 &+ value }

    private static func appendJSON(
        _ nested: Nested, _ batch: borrowing RecordBatch, depth: Int = 0, to output: inout ByteColumn
    ) {
        if depth > depthMax { return output.append("null") }
        switch nested.value {
        case .none: output.append("null")
        case .string(let text): appendString(text, to: &output)
        case .bytes, .identifier, .time:
            output.append(0x22 as UInt8)
            append(nested.value, batch, to: &output)
            output.append(0x22 as UInt8)
        case .double(let number) where !number.isFinite: JSONText.append(number, to: &output)
        case .bool, .int, .double, .duration: append(nested.value, batch, to: &output)
        case .list(let content):
            output.append("[")
            var reader = ListReader(content, of: nested)
            var isFirst = true
            while let item = reader.nextItem() {
                if !isFirst { output.append(",") }
                isFirst = false
                appendJSON(item.nested, batch, depth: depth + 1, to: &output)
            }
            output.append("]")
        case .map, .set: appendObject(nested, batch, depth, to: &output)
        }
    }

    /// Members in the order of their keys' bytes; of several with one key the last.
    private static func appendObject(
        _ map: Nested, _ batch: borrowing RecordBatch, _ depth: Int, to output: inout ByteColumn
    ) {
        var members = Members.all(of: map, batch) ?? []
        // Sorting is stable.
        members.sort { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }
        output.append("{")
        var isFirst = true
        for (index, member) in members.enumerated() {
            if index + 1 < members.count, members[index + 1].key == member.key { continue }
            if !isFirst { output.append(",") }
            isFirst = false
            appendString(member.key, to: &output)
            output.append(":")
            appendJSON(member.value, batch, depth: depth + 1, to: &output)
        }
        output.append("}")
    }

    /// A string of JSON as Go writes it, which is fit for HTML: `<`, `>` and `&` are escaped.
    private static func appendString(_ text: Text, to output: inout ByteColumn) {
        let mark = output.count
        JSONText.append(text, to: &output)
        guard output.text[mark..<output.count].bytes.contains(where: { $0 == 0x3C || $0 == 0x3E || $0 == 0x26 }) else {
            return
        }
        let plain = [UInt8](output.text[mark..<output.count].bytes)
        output.truncate(to: mark)
        for byte in plain {
            switch byte {
            case 0x3C: output.append("\\u003c")
            case 0x3E: output.append("\\u003e")
            case 0x26: output.append("\\u0026")
            default: output.append(byte)
            }
        }
    }
}

/// Base64 of RFC 4648 in its two alphabets, with and without padding.
enum Base64 {
    private static let standard: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    private static let url: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    static func append(_ text: Text, isURL: Bool = false, isPadded: Bool = true, to output: inout ByteColumn) {
        let alphabet = isURL ? url : standard
        var index = 0
        while index < text.count {
            let left = min(3, text.count - index)
            var triple = UInt32(text[index]) << 16
            if left > 1 { triple |= UInt32(text[index + 1]) << 8 }
            if left > 2 { triple |= UInt32(text[index + 2]) }
            for place in 0..<4 {
                if place <= left {
                    output.append(alphabet.utf8Start[Int(triple >> UInt32(18 - 6 * place)) & 63])
                } else if isPadded {
                    output.append(0x3D)
                }
            }
            index += 3
        }
    }

    /// False when the text is not base64 of that form.
    static func decode(_ text: Text, isURL: Bool = false, isPadded: Bool = true, to output: inout ByteColumn) -> Bool {
        var length = text.count
        if isPadded {
            guard length % 4 == 0 else { return false }
            while length > 0, text.count - length < 2, text[length - 1] == 0x3D { length -= 1 }
        }
        if length % 4 == 1 { return false }
        var bits: UInt32 = 0
        var count = 0
        for index in 0..<length {
            guard let digit = value(text[index], isURL: isURL) else { return false }
            bits = bits << 6 | digit
            count += 6
            if count >= 8 {
                count -= 8
                output.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return true
    }

    private static func value(_ byte: UInt8, isURL: Bool) -> UInt32? {
        switch byte {
        case 0x41...0x5A: UInt32(byte - 0x41)
        case 0x61...0x7A: UInt32(byte - 0x61) + 26
        case 0x30...0x39: UInt32(byte - 0x30) + 52
        case 0x2B: isURL ? nil : 62
        case 0x2F: isURL ? nil : 63
        case 0x2D: isURL ? 62 : nil
        case 0x5F: isURL ? 63 : nil
        default: nil
        }
    }
}
