import CSupport
package import Telemetry

/// Turns an OTLP/JSON request into the protobuf bytes of the same request: one pass, no tree.
///
/// The rules are those of the OTLP specification's JSON mapping: ids in hex of either case, enums as integers, 64-bit
/// integers as strings or numbers, unknown names skipped, `null` as absent. Of a name that comes twice the last one
/// counts, as in the Collector. The field `@unknown` (base64) carries protobuf fields that the schema does not know;
/// `OTLPJSONWriter` writes it, so that a way through JSON loses nothing.
package struct OTLPJSONReader {
    /// Levels of messages, and of objects and arrays in values that are skipped: as many as the deepest value has that
    /// `OTLPReader` takes. The value of an exemplar's attribute is the ninth level; each of 64 maps in it
    /// (`ReadLimits.depth`) takes three more, for the map, its member and the member's value.
    static let depthMax = 9 + 3 * 64

    /// Protobuf may take so many times the bytes of its JSON, and some more: numbers of one digit in lists have eight
    /// bytes there. Usual requests get smaller.
    private static let growthMax = 2
    private static let growthLeast = 4 << 20

    let json: Text
    let signal: Signal
    /// Most bytes of the output.
    var outputMax = Int.max
    var at = 0
    /// What a sender should know though the request is taken.
    var warning = ""
    let schema = Schema.shared
    var order = KeyOrder()
    var attributes = AttributeOrder()
    /// Place of the next attribute in its list.
    var attribute = 0

    /// Appends the protobuf form of `json` to `output`. Lists of numbers that would make it twice as large, and 4 MiB
    /// more, are too many elements.
    package static func transcode(
        _ json: Text, signal: Signal, into output: inout ByteColumn
    ) throws(DecodeFailure) {
        var warning = ""
        try transcode(json, signal: signal, into: &output, warning: &warning)
    }

    /// The same, and what the sender should be told though the request is taken.
    package static func transcode(
        _ json: Text, signal: Signal, into output: inout ByteColumn, warning: inout String
    ) throws(DecodeFailure) {
        guard json.isValidUTF8 else { throw DecodeFailure(.invalidUTF8, at: Self.validFront(of: json)) }
        var reader = OTLPJSONReader(json: json, signal: signal)
        output.reserve(json.count)
        reader.outputMax = output.count + json.count * growthMax + growthLeast
        reader.skipSpace()
        guard reader.peek() == UInt8(ascii: "{") else {
            throw DecodeFailure(.syntax, at: reader.at, "the body must be one JSON object")
        }
        try reader.object(Schema.shared.request(signal), depth: 1, &output)
        reader.skipSpace()
        guard reader.at == json.count else { throw DecodeFailure(.trailingBytes, at: reader.at) }
        warning = reader.warning
    }

    /// How many bytes from the front are valid UTF-8; slow, for a message.
    private static func validFront(of text: Text) -> Int {
        var parser = Unicode.UTF8.ForwardParser()
        var bytes = UnsafeRawBufferPointer(start: text.start, count: text.count).makeIterator()
        var count = 0
        while case .valid(let scalar) = parser.parseScalar(from: &bytes) { count += scalar.count }
        return count
    }

    // MARK: Messages

    /// An object as the fields of a message. `seen` has the fields that may have come before it.
    mutating func object(
        _ message: Int, depth: Int, seen: UInt64 = 0, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        guard depth <= OTLPJSONReader.depthMax else { throw DecodeFailure(.tooDeep, at: at) }
        try expectValue(UInt8(ascii: "{"), "an object is expected")
        var place = MemberPlace(hint: order.start(of: message), seen: seen)
        skipSpace()
        if take(UInt8(ascii: "}")) { return }
        while true {
            try member(message, depth: depth, &place, &output)
            skipSpace()
            if take(UInt8(ascii: ",")) {
                skipSpace()
                continue
            }
            try expect(UInt8(ascii: "}"), "a comma or } is expected")
            return
        }
    }

    @inline(__always)
    private mutating func member(
        _ message: Int, depth: Int, _ place: inout MemberPlace, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        if let index = order.next(after: place.hint), hasWord(schema.token(schema.fields[index]), at) {
            at &+= schema.fields[index].token.count
            place.hint = index
            skipSpace()
            guard place.isFirst(index) else {
                return try repeatedMember(schema.fields[index], of: message, depth: depth, &output)
            }
            if peek() == UInt8(ascii: "n") { return try literal("null") }
            return try value(schema.fields[index], depth: depth, &output)
        }
        try unexpectedMember(message, depth: depth, &place, &output)
    }

    /// A member whose key is not the one that came at this place before.
    @inline(never)
    private mutating func unexpectedMember(
        _ message: Int, depth: Int, _ place: inout MemberPlace, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        try expect(UInt8(ascii: "\""), "a quoted key is expected")
        let nameStart = at
        let isPlain = try skipString()
        let name = json[nameStart..<at - 1]
        skipSpace()
        try expect(UInt8(ascii: ":"), "a colon is expected")
        skipSpace()
        let last = place.hint
        let found =
            isPlain
            ? schema.find(name, in: message, hint: &place.hint)
            : try findEscaped(nameStart, in: message, hint: &place.hint)
        guard let index = found else {
            if name == "@unknown" { return try unknownFields(of: message, depth: depth, &output) }
            return try skipValue(depth: depth)
        }
        order.learn(index, after: last)
        guard place.isFirst(index) else {
            return try repeatedMember(schema.fields[index], of: message, depth: depth, &output)
        }
        if peek() == UInt8(ascii: "n") { return try literal("null") }
        try value(schema.fields[index], depth: depth, &output)
    }

    /// A member whose name came before, in this object or in an earlier one that this one is merged with. As in the
    /// Collector the last one counts: a scalar's default is written out to replace what came before, and so is `null`
    /// where it means the default. Lists are joined and messages merged; a list or map replaces an earlier value.
    @inline(never)
    private mutating func repeatedMember(
        _ field: SchemaField, of message: Int, depth: Int, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        if peek() == UInt8(ascii: "n") {
            try literal("null")
            let isPlain = !field.isRepeated && !field.hasPresence && field.form != .message
            if isPlain { writeDefault(of: field, &output) }
        } else if field.isRepeated {
            try repeated(field, depth: depth, &output)
        } else if field.form == .message {
            // Lists or maps of one value are its pieces unless another kind of value stands between them.
            if message == schema.anyValue { output.appendField(tag: 0x0A, .empty) }
            try nested(field, depth: depth, seen: .max, &output)
        } else {
            try single(field, keepsDefault: true, depth: depth, &output)
        }
    }

    private func writeDefault(of field: SchemaField, _ output: inout ByteColumn) {
        output.appendVarint(UInt64(field.number << 3 | field.form.wireType))
        switch field.form.wireType {
        case 1: output.append(littleEndian: 0 as UInt64)
        case 5: output.append(littleEndian: 0 as UInt32)
        default: output.append(0 as UInt8)
        }
    }

    @inline(__always)
    private mutating func value(
        _ field: SchemaField, depth: Int, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        if field.isRepeated {
            try repeated(field, depth: depth, &output)
        } else {
            try single(field, keepsDefault: field.hasPresence, depth: depth, &output)
        }
    }

    /// The field of a key that is written with escapes, which senders may do and hardly ever do.
    private mutating func findEscaped(
        _ start: Int, in message: Int, hint: inout Int
    ) throws(DecodeFailure) -> Int? {
        let end = at
        at = start
        var name = ByteColumn()
        try unescape(&name)
        at = end
        return schema.find(name.text, in: message, hint: &hint)
    }

    private mutating func repeated(
        _ field: SchemaField, depth: Int, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        try expectValue(UInt8(ascii: "["), "an array is expected")
        let isPacked = field.form.wireType != 2
        let areAttributes =
            field.form == .message && field.message == schema.keyValue && depth + 2 <= OTLPJSONReader.depthMax
        let outer = attribute
        attribute = 0
        defer { attribute = outer }
        let open = isPacked ? output.beginMessage(tag: field.number << 3 | 2, guess: 100) : nil
        skipSpace()
        if !take(UInt8(ascii: "]")) {
            while true {
                skipSpace()
                if isPacked {
                    try packedValue(field, &output)
                    guard output.count <= outputMax else { throw DecodeFailure(.tooManyElements, at: at) }
                } else if !(areAttributes && usualAttribute(tag: field.number << 3 | 2, &output)) {
                    try element(field, depth: depth, &output)
                }
                skipSpace()
                if take(UInt8(ascii: ",")) { continue }
                try expect(UInt8(ascii: "]"), "a comma or ] is expected")
                break
            }
        }
        guard let open else { return }
        if output.count == open.start + open.width {
            output.abandonMessage(open, tag: field.number << 3 | 2)
        } else {
            output.endMessage(open)
        }
    }

    /// An element of a repeated field is written even when empty: its place counts.
    private mutating func element(
        _ field: SchemaField, depth: Int, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        if peek() == UInt8(ascii: "n") {
            try literal("null")
            output.appendField(tag: field.number << 3 | 2, .empty)
        } else if field.form == .message {
            try nested(field, depth: depth, &output)
        } else {
            try text(field, keepsEmpty: true, &output)
        }
    }

    private mutating func single(
        _ field: SchemaField, keepsDefault: Bool, depth: Int, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        switch field.form {
        case .message: try nested(field, depth: depth, &output)
        case .string, .identifier, .bytes: try text(field, keepsEmpty: keepsDefault, &output)
        default:
            let start = output.count
            output.appendVarint(UInt64(field.number << 3 | field.form.wireType))
            let valueStart = output.count
            try packedValue(field, &output)
            if !keepsDefault && isZero(output, from: valueStart) { output.truncate(to: start) }
        }
    }

    private mutating func nested(
        _ field: SchemaField, depth: Int, seen: UInt64 = 0, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        // What is left of the text bounds what is left of the message, more or less.
        let guess = min(field.usualLength, (json.count - at) / 2)
        let open = output.beginMessage(tag: field.number << 3 | 2, guess: guess)
        try object(field.message, depth: depth + 1, seen: seen, &output)
        output.endMessage(open)
    }

    private func isZero(_ output: borrowing ByteColumn, from start: Int) -> Bool {
        for index in start..<output.count where output[index] != 0 { return false }
        return true
    }
}

/// How far the members of an object are read.
private struct MemberPlace {
    /// The field of the key before, or what stands for none.
    var hint: Int
    /// A bit for each field that came before. Those of a message are in a row, and none has more than 64.
    var seen: UInt64

    /// Whether the field has not come before; from now on it has.
    @inline(__always)
    mutating func isFirst(_ field: Int) -> Bool {
        let bit = (1 as UInt64) &<< UInt64(truncatingIfNeeded: field)
        defer { seen |= bit }
        return seen & bit == 0
    }
}

/// Which key followed which in the objects so far. A sender writes the keys of all its objects in one order, so the
/// next one is compared with a single name instead of being looked up.
struct KeyOrder {
    /// By the field before, or by message for the first key; 0 where nothing is known, else the field's index + 1.
    private var following = InlineArray<256, UInt8>(repeating: 0)

    /// What stands for the place before the first key of a message.
    @inline(__always)
    func start(of message: Int) -> Int { 255 &- message }

    @inline(__always)
    func next(after place: Int) -> Int? {
        let field = Int(following[place])
        return field == 0 ? nil : field &- 1
    }

    @inline(__always)
    mutating func learn(_ field: Int, after place: Int) { following[place] = UInt8(field + 1) }

    /// Whether all fields and messages of a schema have a place.
    static func holds(fields: Int, messages: Int) -> Bool { fields + messages <= 255 }
}
