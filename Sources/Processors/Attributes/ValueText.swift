import OTLP
import Telemetry

/// The text of a value as the Collector's `AsString` writes it: numbers in decimal, bytes in base64, arrays and maps as
/// JSON.
enum ValueText {
    static func append(_ value: AttributeValue, _ batch: borrowing RecordBatch, to output: inout ByteColumn) {
        switch value {
        case .empty, .other: break
        case .string(let reference): output.append(batch.text(reference))
        case .bool(let flag): output.append(flag ? "true" : "false")
        case .int(let number): output.appendDecimal(number)
        case .double(let number): append(number, to: &output)
        case .bytes(let reference): appendBase64(batch.text(reference), to: &output)
        case .array(let reference): appendList(batch.text(reference), isMap: false, TextLimits.values, to: &output)
        case .map(let reference): appendList(batch.text(reference), isMap: true, TextLimits.values, to: &output)
        }
    }

    /// Plain decimals without a needless fraction, exponents only for very small and very large numbers.
    static func append(_ number: Double, to output: inout ByteColumn) {
        if let whole = Int64(exactly: number), whole.magnitude < 1 << 53 {
            output.appendDecimal(whole)
        } else {
            output.append(string: number.description)
        }
    }

    /// Items of an ArrayValue or members of a KeyValueList as JSON. Too deep or unreadable parts become null.
    private static func appendList(_ content: Text, isMap: Bool, _ budget: Int, to output: inout ByteColumn) {
        guard budget > 0 else {
            output.append("null")
            return
        }
        output.append(isMap ? "{" : "[")
        var fields = NestedFields(content)
        var isFirst = true
        while let field = fields.next() {
            guard field.tag == 0x0A else { continue }
            if !isFirst { output.append(0x2C as UInt8) }
            isFirst = false
            if isMap {
                appendMember(content[field.content], budget - 1, to: &output)
            } else {
                appendValue(content[field.content], budget - 1, to: &output)
            }
        }
        output.append(isMap ? "}" : "]")
    }

    private static func appendMember(_ content: Text, _ budget: Int, to output: inout ByteColumn) {
        var key = Text.empty
        var value = Text.empty
        var fields = NestedFields(content)
        while let field = fields.next() {
            if field.tag == 0x0A { key = content[field.content] }
            if field.tag == 0x12 { value = content[field.content] }
        }
        JSONText.append(key, to: &output)
        output.append(0x3A as UInt8)
        appendValue(value, budget, to: &output)
    }

    private static func appendValue(_ content: Text, _ budget: Int, to output: inout ByteColumn) {
        var last: NestedFields.Field?
        var fields = NestedFields(content)
        while let field = fields.next() { last = field }
        guard let last else {
            output.append("null")
            return
        }
        let inner = content[last.content]
        switch last.tag {
        case 0x0A: JSONText.append(inner, to: &output)
        case 0x10: output.append(last.number == 0 ? "false" : "true")
        case 0x18: output.appendDecimal(Int64(bitPattern: last.number))
        case 0x21: append(Double(bitPattern: last.number), to: &output)
        case 0x2A: appendList(inner, isMap: false, budget, to: &output)
        case 0x32: appendList(inner, isMap: true, budget, to: &output)
        case 0x3A:
            output.append(0x22 as UInt8)
            appendBase64(inner, to: &output)
            output.append(0x22 as UInt8)
        default: output.append("null")
        }
    }

    /// Standard base64 with padding (RFC 4648, section 4).
    static func appendBase64(_ text: Text, to output: inout ByteColumn) {
        let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        let bytes = ByteCursor(text)
        var index = 0
        while index < text.count {
            let triple = UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
            for place in 0..<4 {
                let isPadding = index + place > text.count
                let digit = Int(triple >> UInt32(18 - 6 * place)) & 63
                output.append(isPadding ? 0x3D : alphabet.utf8Start[digit])
            }
            index += 3
        }
    }
}
