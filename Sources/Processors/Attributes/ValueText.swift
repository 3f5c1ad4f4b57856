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
        var isFirst = true
        appendItems(content, isMap: isMap, budget, &isFirst, to: &output)
        output.append(isMap ? "}" : "]")
    }

    /// The same for a list or map whose pieces are what is left of `pieces`.
    private static func appendList(
        _ pieces: ValueMembers, isMap: Bool, _ budget: Int, to output: inout ByteColumn
    ) {
        guard budget > 0 else {
            output.append("null")
            return
        }
        output.append(isMap ? "{" : "[")
        var isFirst = true
        var pieces = pieces
        while let piece = pieces.next() {
            appendItems(piece.content, isMap: isMap, budget, &isFirst, to: &output)
        }
        output.append(isMap ? "}" : "]")
    }

    private static func appendItems(
        _ content: Text, isMap: Bool, _ budget: Int, _ isFirst: inout Bool, to output: inout ByteColumn
    ) {
        var fields = NestedFields(content)
        while let field = fields.next() {
            guard field.tag == 0x0A else { continue }
            if !isFirst { output.append(0x2C as UInt8) }
            isFirst = false
            if isMap {
                appendMember(content[field.content], budget - 1, to: &output)
            } else {
                appendValue(of: content[field.start..<field.end], tag: 0x0A, budget - 1, to: &output)
            }
        }
    }

    private static func appendMember(_ content: Text, _ budget: Int, to output: inout ByteColumn) {
        var key = Text.empty
        var fields = NestedFields(content)
        while let field = fields.next() { if field.tag == 0x0A { key = content[field.content] } }
        JSONText.append(key, to: &output)
        output.append(0x3A as UInt8)
        appendValue(of: content, tag: 0x12, budget, to: &output)
    }

    /// The value that the fields of a message with this tag are. The last member counts; pieces of one list or map that
    /// follow each other are one.
    private static func appendValue(of owner: Text, tag: UInt32, _ budget: Int, to output: inout ByteColumn) {
        var members = ValueMembers(of: owner, tag: tag)
        // From the first of the last members that are of one kind.
        var pieces = members
        var kind: UInt32 = 0
        var number: UInt64 = 0
        var content = Text.empty
        while true {
            let before = members
            guard let member = members.next() else { break }
            if member.field.tag != kind { pieces = before }
            kind = member.field.tag
            number = member.field.number
            content = member.content
        }
        switch kind {
        case 0x0A: JSONText.append(content, to: &output)
        case 0x10: output.append(number == 0 ? "false" : "true")
        case 0x18: output.appendDecimal(Int64(bitPattern: number))
        case 0x21: append(Double(bitPattern: number), to: &output)
        case 0x2A: appendList(pieces, isMap: false, budget, to: &output)
        case 0x32: appendList(pieces, isMap: true, budget, to: &output)
        case 0x3A:
            output.append(0x22 as UInt8)
            appendBase64(content, to: &output)
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

/// Reads the members of the AnyValues that a message has in its fields with one tag; these are merged into one value.
/// Fields that no schema knows are passed over.
private struct ValueMembers {
    private let owner: Text
    private let tag: UInt32
    private var outer: NestedFields
    /// The AnyValue in hand.
    private var value = Text.empty
    private var inner = NestedFields(.empty)

    init(of owner: Text, tag: UInt32) {
        self.owner = owner
        self.tag = tag
        outer = NestedFields(owner)
    }

    mutating func next() -> (field: NestedFields.Field, content: Text)? {
        while true {
            while let field = inner.next() {
                if OTLPWriter.isMember(field.tag) { return (field, value[field.content]) }
            }
            guard let part = outer.next() else { return nil }
            guard part.tag == tag else { continue }
            value = owner[part.content]
            inner = NestedFields(value)
        }
    }
}
