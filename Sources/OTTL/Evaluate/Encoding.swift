import OTLP
package import Telemetry

/// Reads the elements of an encoded list.
struct ListReader {
    /// An element: what it says, and the field of the list that holds it.
    struct Item: BitwiseCopyable {
        var value: Value
        var field: Text
        /// Whether the value may be the last of several pieces.
        var isInPieces: Bool

        var nested: Nested { Nested(value, isInPieces: isInPieces, owner: field, tag: 0x0A) }
    }

    private var cursor: WireCursor
    /// The rest of a list in pieces.
    private var pieces: PieceReader?

    init(_ content: Text) { cursor = WireCursor(content) }

    /// Reads all pieces of the list in a list or map whose last one is `content`.
    init(_ content: Text, of nested: Nested) {
        cursor = WireCursor(nested.isInPieces ? .empty : content)
        if nested.isInPieces { pieces = PieceReader(nested, kind: 0x2A) }
    }

    /// The next element, for lists of texts and numbers: of a list or map in pieces it is the last.
    mutating func next() -> Value? { nextItem()?.value }

    mutating func nextItem() -> Item? {
        while true {
            while let field = cursor.nextField() {
                guard field.tag == 0x0A else { continue }
                var item = Item(value: .none, field: cursor.bytes[field.whole], isInPieces: false)
                item.isInPieces = item.value.merge(cursor.bytes[field.content])
                return item
            }
            guard let piece = pieces?.next() else { return nil }
            cursor = WireCursor(piece)
        }
    }
}

/// Reads the members of an encoded map.
struct MapReader {
    /// A member: what it says, and the field of the map that holds it.
    struct Member: BitwiseCopyable {
        var key: Text
        var value: Value
        var field: Text
        /// Whether the value may be the last of several pieces.
        var isInPieces: Bool

        var nested: Nested {
            guard isInPieces else { return Nested(value) }
            return Nested(value, isInPieces: true, owner: MapReader.content(of: field), tag: 0x12)
        }
    }

    private var cursor: WireCursor
    /// The rest of a map in pieces.
    private var pieces: PieceReader?

    init(_ content: Text) { cursor = WireCursor(content) }

    /// Reads all pieces of the map in a list or map whose last one is `content`.
    init(_ content: Text, of nested: Nested) {
        cursor = WireCursor(nested.isInPieces ? .empty : content)
        if nested.isInPieces { pieces = PieceReader(nested, kind: 0x32) }
    }

    mutating func next() -> Member? {
        while true {
            while let field = cursor.nextField() {
                if field.tag == 0x0A { return member(field) }
            }
            guard let piece = pieces?.next() else { return nil }
            cursor = WireCursor(piece)
        }
    }

    private func member(_ field: WireField) -> Member {
        var member = Member(key: .empty, value: .none, field: cursor.bytes[field.whole], isInPieces: false)
        var inner = WireCursor(cursor.bytes[field.content])
        while let part = inner.nextField() {
            if part.tag == 0x0A { member.key = inner.bytes[part.content] }
            if part.tag == 0x12, member.value.merge(inner.bytes[part.content]) { member.isInPieces = true }
        }
        return member
    }

    /// The KeyValue in the field of a member.
    static func content(of field: Text) -> Text {
        var cursor = WireCursor(field)
        guard let whole = cursor.nextField() else { return .empty }
        return field[whole.content]
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
    /// An AnyValue message.
    init(encoded content: Text) {
        self = .none
        _ = merge(content)
    }

    /// Takes in an AnyValue message. The last member wins; what cannot be read is `none`. The result says whether this
    /// may be the last of several pieces of a list or map.
    mutating func merge(_ content: Text) -> Bool {
        var isInPieces = false
        var cursor = WireCursor(content)
        do throws(DecodeFailure) {
            while !cursor.isAtEnd {
                let tag = try cursor.tag()
                switch tag {
                case 0x0A: self = .string(content[try cursor.length()])
                case 0x10: self = .bool(try cursor.varint() != 0)
                case 0x18: self = .int(Int64(bitPattern: try cursor.varint()))
                case 0x21: self = .double(Double(bitPattern: try cursor.fixed64()))
                case 0x2A:
                    if case .list = self { isInPieces = true }
                    self = .list(content[try cursor.length()])
                case 0x32:
                    if case .map = self { isInPieces = true }
                    self = .map(content[try cursor.length()])
                case 0x3A: self = .bytes(content[try cursor.length()])
                case 0x40:
                    // A string of another table: known, but not to be read.
                    _ = try cursor.varint()
                    self = .none
                default: try cursor.skip(tag)
                }
            }
        } catch {
            self = .none
        }
        return isInPieces
    }

    /// About how many bytes the AnyValue message takes.
    fileprivate var guess: Int {
        switch self {
        case .none, .time, .duration: 0
        case .bool: 2
        case .int, .double: 10
        case .set: 256
        case .string(let text), .bytes(let text), .identifier(let text), .list(let text), .map(let text):
            text.count + 4
        }
    }
}

extension ByteColumn {
    /// An AnyValue as a field. Times and durations have no place in OTLP values.
    mutating func appendValue(
        tag: UInt32, _ value: Value, _ batch: borrowing RecordBatch
    ) throws(EvaluationFailure) {
        let open = beginMessage(tag: tag, guess: value.guess)
        try appendContent(of: value, batch)
        endMessage(open)
    }

    /// An AnyValue in place of those that are the fields of `owner` with this tag. Fields of theirs that no schema
    /// knows stay.
    mutating func appendValue(
        tag: UInt32, _ value: Value, replacingThoseOf owner: Text, _ batch: borrowing RecordBatch
    ) throws(EvaluationFailure) {
        let open = beginMessage(tag: tag, guess: value.guess)
        var outer = WireCursor(owner)
        while let part = outer.nextField() {
            guard part.tag == tag else { continue }
            var inner = WireCursor(owner[part.content])
            // Before the value: where one of them is a member of a later schema, the new value must replace it.
            while let field = inner.nextField() {
                if !OTLPWriter.isMember(field.tag) { append(inner.bytes[field.whole]) }
            }
        }
        try appendContent(of: value, batch)
        endMessage(open)
    }

    /// The fields of an AnyValue.
    private mutating func appendContent(
        of value: Value, _ batch: borrowing RecordBatch
    ) throws(EvaluationFailure) {
        switch value {
        case .none: return
        case .bool(let flag):
            append(0x10)
            append(flag ? 1 : 0)
        case .int(let number):
            append(0x18)
            appendVarint(UInt64(bitPattern: number))
        case .double(let number):
            append(0x21)
            append(littleEndian: number.bitPattern)
        case .string(let text): appendField(tag: 0x0A, text)
        case .bytes(let text), .identifier(let text): appendField(tag: 0x3A, text)
        case .list(let text): appendField(tag: 0x2A, text)
        case .map(let text): appendField(tag: 0x32, text)
        case .set(let set):
            let open = beginMessage(tag: 0x32, guess: 256)
            try appendMembers(of: set, batch)
            endMessage(open)
        case .time, .duration: throw EvaluationFailure(.notStorable)
        }
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

    /// A member in place of the one that a field of the map holds. Without a new value the old one stays as it came,
    /// and so do fields that no schema knows.
    mutating func appendMember(
        _ key: Text, _ value: Value?, replacing field: Text, _ batch: borrowing RecordBatch
    ) throws(EvaluationFailure) {
        let old = MapReader.content(of: field)
        let open = beginMessage(tag: 0x0A, guess: old.count)
        if key.count > 0 { appendField(tag: 0x0A, key) }
        if let value { try appendValue(tag: 0x12, value, replacingThoseOf: old, batch) }
        var cursor = WireCursor(old)
        while let part = cursor.nextField() {
            if part.tag == 0x0A || part.tag == 0x12 && value != nil { continue }
            append(old[part.whole])
        }
        endMessage(open)
    }

    /// The fields of an encoded list or map that are neither elements nor members.
    mutating func appendOthers(of container: Text) {
        var cursor = WireCursor(container)
        while let field = cursor.nextField() {
            if field.tag != 0x0A { append(container[field.whole]) }
        }
    }

    private static let notAsItCame: AttributeFlags = [.edited, .hasHiddenValues, .hasHiddenKeys]

    /// The attributes of an owner as members of a map. Those that nobody edited are as they came, unless they hold
    /// several keys or values, of which the batch has the ones that count.
    mutating func appendMembers(of set: SetIndex, _ batch: borrowing RecordBatch) throws(EvaluationFailure) {
        for index in batch.range(of: set) {
            let attribute = batch.attributes[index]
            if !attribute.flags.isDisjoint(with: Self.notAsItCame) {
                let value = Value(attribute.kind, attribute.payload, batch)
                try appendMember(batch.text(attribute.key), value, batch)
            } else {
                appendField(tag: 0x0A, batch.text(attribute.raw))
            }
        }
    }
}
