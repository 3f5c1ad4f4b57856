import OTLP
package import Telemetry

/// Reads the elements of an encoded list.
struct ListReader {
    private var cursor: WireCursor

    init(_ content: Text) { cursor = WireCursor(content) }

    mutating func next() -> Value? {
        while let field = cursor.nextField() {
            if field.tag == 0x0A { return Value(encoded: cursor.bytes[field.content]) }
        }
        return nil
    }
}

/// Reads the members of an encoded map.
struct MapReader {
    private var cursor: WireCursor

    init(_ content: Text) { cursor = WireCursor(content) }

    mutating func next() -> (key: Text, value: Value)? {
        while let field = cursor.nextField() {
            guard field.tag == 0x0A else { continue }
            var key = Text.empty
            var value = Value.none
            var inner = WireCursor(cursor.bytes[field.content])
            while let part = inner.nextField() {
                if part.tag == 0x0A { key = inner.bytes[part.content] }
                if part.tag == 0x12 { value = Value(encoded: inner.bytes[part.content]) }
            }
            return (key, value)
        }
        return nil
    }
}

/// Texts in encoded lists.
package enum ListText {
    /// Whether a text is an element of an encoded ArrayValue.
    package static func contains(_ content: Text, _ wanted: Text) -> Bool {
        var reader = ListReader(content)
        while let item = reader.next() { if case .string(let text) = item, text == wanted { return true } }
        return false
    }
}

extension Value {
    /// An AnyValue message. The last member wins; what cannot be read is `none`.
    init(encoded content: Text) {
        self = .none
        var cursor = WireCursor(content)
        do throws(DecodeFailure) {
            while !cursor.isAtEnd {
                let tag = try cursor.tag()
                switch tag {
                case 0x0A: self = .string(content[try cursor.length()])
                case 0x10: self = .bool(try cursor.varint() != 0)
                case 0x18: self = .int(Int64(bitPattern: try cursor.varint()))
                case 0x21: self = .double(Double(bitPattern: try cursor.fixed64()))
                case 0x2A: self = .list(content[try cursor.length()])
                case 0x32: self = .map(content[try cursor.length()])
                case 0x3A: self = .bytes(content[try cursor.length()])
                default: try cursor.skip(tag)
                }
            }
        } catch {
            self = .none
        }
    }
}

extension ByteColumn {
    /// An AnyValue as a field. Times and durations have no place in OTLP values.
    mutating func appendValue(
        tag: UInt32, _ value: Value, _ batch: borrowing RecordBatch
    ) throws(EvaluationFailure) {
        switch value {
        case .none:
            appendVarint(UInt64(tag))
            appendVarint(0)
        case .bool(let flag):
            appendVarint(UInt64(tag))
            appendVarint(2)
            append(0x10)
            append(flag ? 1 : 0)
        case .int(let number):
            let open = beginMessage(tag: tag, guess: 10)
            append(0x18)
            appendVarint(UInt64(bitPattern: number))
            endMessage(open)
        case .double(let number):
            appendVarint(UInt64(tag))
            appendVarint(9)
            append(0x21)
            append(littleEndian: number.bitPattern)
        case .string(let text): appendText(tag, 0x0A, text)
        case .bytes(let text), .identifier(let text): appendText(tag, 0x3A, text)
        case .list(let text): appendText(tag, 0x2A, text)
        case .map(let text): appendText(tag, 0x32, text)
        case .set(let set):
            let open = beginMessage(tag: tag, guess: 256)
            let inner = beginMessage(tag: 0x32, guess: 256)
            try appendMembers(of: set, batch)
            endMessage(inner)
            endMessage(open)
        case .time, .duration: throw EvaluationFailure(.notStorable)
        }
    }

    private mutating func appendText(_ tag: UInt32, _ member: UInt32, _ text: Text) {
        let open = beginMessage(tag: tag, guess: text.count + 4)
        appendField(tag: member, text)
        endMessage(open)
    }

    /// One member of a map.
    mutating func appendMember(
        _ key: Text, _ value: Value, _ batch: borrowing RecordBatch
    ) throws(EvaluationFailure) {
        let open = beginMessage(tag: 0x0A, guess: key.count + 32)
        if key.count > 0 { appendField(tag: 0x0A, key) }
        if !value.isNone { try appendValue(tag: 0x12, value, batch) }
        endMessage(open)
    }

    /// The attributes of an owner as members of a map.
    mutating func appendMembers(of set: SetIndex, _ batch: borrowing RecordBatch) throws(EvaluationFailure) {
        for index in batch.range(of: set) {
            let attribute = batch.attributes[index]
            try appendMember(
                batch.text(attribute.key), Value(attribute.kind, attribute.payload, batch), batch)
        }
    }
}
