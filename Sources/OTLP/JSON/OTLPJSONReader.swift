import CSupport
package import Telemetry

/// Turns an OTLP/JSON request into the protobuf bytes of the same request: one pass, no tree.
///
/// The rules are those of the OTLP specification's JSON mapping: ids in hex of either case, enums as integers, 64-bit
/// integers as strings or numbers, unknown names skipped, `null` as absent. The field `@unknown` (base64) carries
/// protobuf fields that the schema does not know; `OTLPJSONWriter` writes it, so that a way through JSON loses nothing.
package struct OTLPJSONReader {
    /// Levels of objects and arrays, including values that are skipped.
    static let depthMax = 160

    let json: Text
    var at = 0
    let schema = Schema.shared

    /// Appends the protobuf form of `json` to `output`.
    package static func transcode(
        _ json: Text, signal: Signal, into output: inout ByteColumn
    ) throws(DecodeFailure) {
        guard json.isValidUTF8 else { throw DecodeFailure(.invalidUTF8, at: 0) }
        var reader = OTLPJSONReader(json: json)
        output.reserve(json.count)
        reader.skipSpace()
        guard reader.peek() == UInt8(ascii: "{") else {
            throw DecodeFailure(.syntax, at: reader.at, "the body must be one JSON object")
        }
        try reader.object(Schema.shared.request(signal), depth: 1, &output)
        reader.skipSpace()
        guard reader.at == json.count else { throw DecodeFailure(.trailingBytes, at: reader.at) }
    }

    // MARK: Messages

    /// An object as the fields of a message.
    mutating func object(_ message: Int, depth: Int, _ output: inout ByteColumn) throws(DecodeFailure) {
        guard depth <= OTLPJSONReader.depthMax else { throw DecodeFailure(.tooDeep, at: at) }
        try expect(UInt8(ascii: "{"), "an object is expected")
        var hint = schema.messages[message].fields.upperBound - 1
        skipSpace()
        if take(UInt8(ascii: "}")) { return }
        while true {
            try member(message, depth: depth, &hint, &output)
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
        _ message: Int, depth: Int, _ hint: inout Int, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        let name = try key()
        skipSpace()
        try expect(UInt8(ascii: ":"), "a colon is expected")
        skipSpace()
        if peek() == UInt8(ascii: "n") { return try literal("null") }
        guard let index = schema.find(name, in: message, hint: &hint) else {
            if name == "@unknown" { return try unknownFields(&output) }
            return try skipValue(depth: depth)
        }
        let field = schema.fields[index]
        if field.isRepeated {
            try repeated(field, depth: depth, &output)
        } else {
            try single(field, depth: depth, &output)
        }
    }

    private mutating func repeated(
        _ field: SchemaField, depth: Int, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        try expect(UInt8(ascii: "["), "an array is expected")
        let isPacked = field.form.wireType != 2
        let open = isPacked ? output.beginMessage(tag: field.number << 3 | 2, guess: 100) : nil
        skipSpace()
        if !take(UInt8(ascii: "]")) {
            while true {
                skipSpace()
                if isPacked {
                    try packedValue(field, &output)
                } else {
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
        _ field: SchemaField, depth: Int, _ output: inout ByteColumn
    ) throws(DecodeFailure) {
        switch field.form {
        case .message: try nested(field, depth: depth, &output)
        case .string, .identifier, .bytes: try text(field, keepsEmpty: field.hasPresence, &output)
        default:
            let start = output.count
            output.appendVarint(UInt64(field.number << 3 | field.form.wireType))
            let valueStart = output.count
            try packedValue(field, &output)
            if !field.hasPresence && isZero(output, from: valueStart) { output.truncate(to: start) }
        }
    }

    private mutating func nested(_ field: SchemaField, depth: Int, _ output: inout ByteColumn) throws(DecodeFailure) {
        let open = output.beginMessage(tag: field.number << 3 | 2, guess: depth <= 6 ? 2_000 : 40)
        try object(field.message, depth: depth + 1, &output)
        output.endMessage(open)
    }

    private func isZero(_ output: borrowing ByteColumn, from start: Int) -> Bool {
        for index in start..<output.count where output[index] != 0 { return false }
        return true
    }

    // MARK: Lexical parts

    @inline(__always)
    func peek() -> UInt8 { at < json.count ? json[at] : 0 }

    @inline(__always)
    mutating func take(_ byte: UInt8) -> Bool {
        guard at < json.count, json[at] == byte else { return false }
        at &+= 1
        return true
    }

    @inline(__always)
    mutating func expect(_ byte: UInt8, _ what: String) throws(DecodeFailure) {
        guard take(byte) else { throw DecodeFailure(at < json.count ? .syntax : .truncated, at: at, what) }
    }

    @inline(__always)
    mutating func skipSpace() {
        while at < json.count {
            let byte = json[at]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            at &+= 1
        }
    }

    mutating func literal(_ word: StaticString) throws(DecodeFailure) {
        guard json[at..<json.count].hasPrefix(word) else { throw DecodeFailure(.syntax, at: at) }
        at += word.utf8CodeUnitCount
    }

    /// The bytes between the quotes of an object key. Keys with escapes are never names of the schema, but must be
    /// read over correctly.
    @inline(__always)
    mutating func key() throws(DecodeFailure) -> Text {
        try expect(UInt8(ascii: "\""), "a quoted key is expected")
        let start = at
        try skipString()
        return json[start..<at - 1]
    }

    /// Moves behind the closing quote of a string whose opening quote was read.
    @inline(__always)
    mutating func skipString() throws(DecodeFailure) {
        while true {
            at = sluice_json_plain_end(json.start.assumingMemoryBound(to: UInt8.self), at, json.count)
            guard at < json.count else { throw DecodeFailure(.truncated, at: at, "a string is not closed") }
            switch json[at] {
            case UInt8(ascii: "\""):
                at &+= 1
                return
            case UInt8(ascii: "\\"):
                guard at + 1 < json.count else { throw DecodeFailure(.truncated, at: at) }
                at &+= 2
            default: throw DecodeFailure(.syntax, at: at, "control characters must be escaped in strings")
            }
        }
    }

    /// Steps over a value of any type, checking its structure without recursion.
    mutating func skipValue(depth: Int) throws(DecodeFailure) {
        var open = 0
        while true {
            skipSpace()
            switch peek() {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                at += 1
                open += 1
                if depth + open > OTLPJSONReader.depthMax { throw DecodeFailure(.tooDeep, at: at) }
                continue
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard open > 0 else { throw DecodeFailure(.syntax, at: at) }
                at += 1
                open -= 1
            case UInt8(ascii: "\""):
                at += 1
                try skipString()
                skipSpace()
                if open > 0 && take(UInt8(ascii: ":")) { continue }
            case UInt8(ascii: "t"): try literal("true")
            case UInt8(ascii: "f"): try literal("false")
            case UInt8(ascii: "n"): try literal("null")
            default: _ = try number()
            }
            if open == 0 { return }
            skipSpace()
            _ = take(UInt8(ascii: ","))
        }
    }
}
