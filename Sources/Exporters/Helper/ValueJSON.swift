import OTLP
package import Telemetry

/// Attribute values as natural JSON: `{"key": "value", "list": [1, 2]}`, not the tagged form of OTLP/JSON. Bytes become
/// base64, NaN and infinities words in quotes.
package enum ValueJSON {
    /// Levels of arrays and maps; deeper ones are written as null. Readers refuse them before.
    static let depthMax = 100

    /// One value of a batch.
    package static func append(_ value: AttributeValue, of batch: borrowing RecordBatch, to output: inout ByteColumn) {
        switch value {
        case .empty, .other: output.append("null")
        case .string(let text): JSONText.append(batch.text(text), to: &output)
        case .bool(let flag): output.append(flag ? "true" : "false")
        case .int(let number): JSONText.append(number, to: &output)
        case .double(let number): JSONText.append(number, to: &output)
        case .array(let content): appendArray(batch.text(content), depth: 1, to: &output)
        case .map(let content): appendMap(batch.text(content), depth: 1, to: &output)
        case .bytes(let content): appendBase64(batch.text(content), to: &output)
        }
    }

    /// The attributes of a set as an object. `isLeftOut` gets the index in `batch.attributes`. Of attributes with the
    /// same key each is written; readers of JSON take the last or the first.
    static func appendObject(
        _ set: SetIndex, of batch: borrowing RecordBatch, to output: inout ByteColumn,
        leavingOut isLeftOut: (Int) -> Bool = { _ in false }
    ) {
        output.append(UInt8(ascii: "{"))
        var isFirst = true
        for index in batch.range(of: set) where !isLeftOut(index) {
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
            JSONText.append(batch.text(batch.attributes[index].key), to: &output)
            output.append(UInt8(ascii: ":"))
            append(batch.attributes[index].value, of: batch, to: &output)
        }
        output.append(UInt8(ascii: "}"))
    }

    /// The content of an ArrayValue message.
    static func appendArray(_ content: Text, depth: Int, to output: inout ByteColumn) {
        guard depth <= depthMax else { return output.append("null") }
        output.append(UInt8(ascii: "["))
        var isFirst = true
        var walker = WireWalker(content)
        while let field = walker.next() {
            guard field.tag == 0x0A else { continue }
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
            appendAny(field.content, depth: depth, to: &output)
        }
        output.append(UInt8(ascii: "]"))
    }

    /// The content of a KeyValueList message.
    static func appendMap(_ content: Text, depth: Int, to output: inout ByteColumn) {
        guard depth <= depthMax else { return output.append("null") }
        output.append(UInt8(ascii: "{"))
        var isFirst = true
        var walker = WireWalker(content)
        while let field = walker.next() {
            guard field.tag == 0x0A else { continue }
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
            var key = Text.empty
            var value = Text.empty
            var values = 0
            var pair = WireWalker(field.content)
            while let part = pair.next() {
                if part.tag == 0x0A { key = part.content }
                if part.tag == valueTag {
                    value = part.content
                    values += 1
                }
            }
            JSONText.append(key, to: &output)
            output.append(UInt8(ascii: ":"))
            if values > 1 {
                let whole = joined(field.content, tag: valueTag) { $0 == valueTag }
                appendAny(whole.text, depth: depth, to: &output)
            } else {
                appendAny(value, depth: depth, to: &output)
            }
        }
        output.append(UInt8(ascii: "}"))
    }

    /// Of a KeyValue.
    private static let valueTag: UInt32 = 0x12

    /// One AnyValue message; the last member counts, which may be a list or map in pieces. What no schema knows is
    /// passed over.
    private static func appendAny(_ message: Text, depth: Int, to output: inout ByteColumn) {
        var last: WireWalker.Field?
        var isInPieces = false
        var walker = WireWalker(message)
        while let field = walker.next() {
            guard OTLPWriter.isMember(field.tag) else { continue }
            isInPieces = field.tag == last?.tag && (field.tag == 0x2A || field.tag == 0x32)
            last = field
        }
        if isInPieces, let tag = last?.tag {
            let content = joined(message, tag: tag, OTLPWriter.isMember)
            if tag == 0x2A {
                appendArray(content.text, depth: depth + 1, to: &output)
            } else {
                appendMap(content.text, depth: depth + 1, to: &output)
            }
            return
        }
        switch last?.tag {
        case 0x0A: JSONText.append(last?.content ?? .empty, to: &output)
        case 0x10: output.append(last?.number == 0 ? "false" : "true")
        case 0x18: JSONText.append(Int64(bitPattern: last?.number ?? 0), to: &output)
        case 0x21: JSONText.append(Double(bitPattern: last?.number ?? 0), to: &output)
        case 0x2A: appendArray(last?.content ?? .empty, depth: depth + 1, to: &output)
        case 0x32: appendMap(last?.content ?? .empty, depth: depth + 1, to: &output)
        case 0x3A: appendBase64(last?.content ?? .empty, to: &output)
        default: output.append("null")
        }
    }

    /// The last fields of a message with this tag as one: merging messages is concatenating them. Those with another
    /// tag count as far as `counts` says.
    private static func joined(_ message: Text, tag: UInt32, _ counts: (UInt32) -> Bool) -> ByteColumn {
        var content = ByteColumn()
        var walker = WireWalker(message)
        while let field = walker.next() {
            if field.tag == tag {
                content.append(field.content)
            } else if counts(field.tag) {
                content.removeAll()
            }
        }
        return content
    }

    private static func appendBase64(_ bytes: Text, to output: inout ByteColumn) {
        func digit(_ value: Int) -> UInt8 {
            switch value {
            case 0...25: UInt8(65 + value)
            case 26...51: UInt8(71 + value)
            case 52...61: UInt8(value - 4)
            case 62: UInt8(ascii: "+")
            default: UInt8(ascii: "/")
            }
        }
        output.append(UInt8(ascii: "\""))
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group = 0
            for offset in 0..<3 { group = group << 8 | (offset < count ? Int(bytes[start + offset]) : 0) }
            output.append(digit(group >> 18 & 63))
            output.append(digit(group >> 12 & 63))
            output.append(count > 1 ? digit(group >> 6 & 63) : UInt8(ascii: "="))
            output.append(count > 2 ? digit(group & 63) : UInt8(ascii: "="))
        }
        output.append(UInt8(ascii: "\""))
    }
}

extension Text {
    /// The bytes as lower-case hexadecimal digits, the usual form of trace and span ids.
    var hex: String {
        String(unsafeUninitializedCapacity: count * 2) { buffer in
            for index in 0..<count {
                let byte = self[index]
                buffer[index * 2] = Self.hexDigit(byte >> 4)
                buffer[index * 2 + 1] = Self.hexDigit(byte & 15)
            }
            return count * 2
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }
}
