import CSupport
package import Telemetry

/// Turns the protobuf bytes of an OTLP request into OTLP/JSON text, on one line and in the order of the fields.
///
/// Ids are hex, 64-bit integers strings, enums integers, other bytes base64. Fields that the schema does not know stand
/// as base64 under `@unknown`: receivers must ignore names they do not know, and `OTLPJSONReader` takes them back.
package struct OTLPJSONWriter {
    let bytes: Text
    let schema = Schema.shared

    /// Levels of messages; deeper ones are written as `{}`. A reader of ours never lets them in.
    static let depthMax = OTLPJSONReader.depthMax

    /// Appends one JSON object. `protobuf` should have been read by `OTLPReader` before; on bytes that are no message
    /// the output is cut short but stays valid JSON.
    package static func write(_ protobuf: Text, signal: Signal, into output: inout ByteColumn) {
        output.reserve(protobuf.count + protobuf.count / 2)
        let writer = OTLPJSONWriter(bytes: protobuf)
        writer.message(Schema.shared.request(signal), 0..<protobuf.count, depth: 1, &output)
    }

    /// One message as an object.
    func message(_ message: Int, _ range: Range<Int>, depth: Int, _ output: inout ByteColumn) {
        output.append(UInt8(ascii: "{"))
        defer { output.append(UInt8(ascii: "}")) }
        guard depth <= OTLPJSONWriter.depthMax else { return }
        let found = look(message, range)
        var written: UInt64 = 0
        var cursor = WireCursor(bytes, range)
        var hint = found.first
        while let field = cursor.nextField() {
            guard let index = schema.find(tag: field.tag, in: message, hint: &hint) else { continue }
            let bit = found.bit(index)
            if written & bit != 0 { continue }
            if schema.fields[index].isMember, field.whole.lowerBound < found.valueStart { continue }
            if written != 0 { output.append(UInt8(ascii: ",")) }
            written |= bit
            name(schema.fields[index], &output)
            let rest = field.whole.lowerBound..<range.upperBound
            if schema.fields[index].isRepeated {
                array(schema.fields[index], rest, depth, &output)
            } else if found.repeats & bit != 0 {
                merged(schema.fields[index], rest, depth, &output)
            } else {
                value(schema.fields[index], field, depth, &output)
            }
        }
        if found.hasUnknown { unknownFields(message, range, isFirst: written == 0, &output) }
    }

    /// What a message holds, before it is written.
    private struct Contents {
        /// Place of the message's first field in the schema.
        let first: Int
        /// Bit per field of the message: met at all, met twice. No OTLP message has more than 32 fields.
        var met: UInt64 = 0
        var repeats: UInt64 = 0
        var hasUnknown = false
        /// Where the value of the oneof begins: behind all that another member replaced (protobuf encoding, "Last One
        /// Wins"); occurrences of one member without another between them are merged like any field.
        var valueStart = 0
        var member = -1

        init(first: Int) { self.first = first }

        @inline(__always)
        func bit(_ index: Int) -> UInt64 { UInt64(1) << UInt64((index &- first) & 63) }
    }

    @inline(__always)
    private func look(_ message: Int, _ range: Range<Int>) -> Contents {
        var found = Contents(first: schema.messages[message].fields.lowerBound)
        var hint = found.first
        var scan = WireCursor(bytes, range)
        while let field = scan.nextField() {
            guard let index = schema.find(tag: field.tag, in: message, hint: &hint) else {
                found.hasUnknown = true
                continue
            }
            let bit = found.bit(index)
            if schema.fields[index].isMember, found.member != index {
                found.member = index
                found.valueStart = field.whole.lowerBound
                found.repeats &= ~bit
            } else if found.met & bit != 0 {
                found.repeats |= bit
            }
            found.met |= bit
        }
        return found
    }

    @inline(__always)
    private func name(_ field: SchemaField, _ output: inout ByteColumn) {
        output.append(schema.token(field))
    }

    /// All occurrences of a repeated field in `range`.
    private func array(_ known: SchemaField, _ range: Range<Int>, _ depth: Int, _ output: inout ByteColumn) {
        output.append(UInt8(ascii: "["))
        var isFirst = true
        var cursor = WireCursor(bytes, range)
        while let field = cursor.nextField() {
            guard field.tag >> 3 == known.number else { continue }
            if known.form.wireType == 2 || field.tag & 7 != 2 {
                guard field.tag & 7 == known.form.wireType else { continue }
                if !isFirst { output.append(UInt8(ascii: ",")) }
                isFirst = false
                value(known, field, depth, &output)
            } else {
                packed(known, field.content, &isFirst, &output)
            }
        }
        output.append(UInt8(ascii: "]"))
    }

    private func packed(
        _ known: SchemaField, _ range: Range<Int>, _ isFirst: inout Bool, _ output: inout ByteColumn
    ) {
        var cursor = WireCursor(bytes, range)
        while !cursor.isAtEnd {
            guard let raw = scalar(&cursor, known.form.wireType) else { return }
            if !isFirst { output.append(UInt8(ascii: ",")) }
            isFirst = false
            number(known.form, raw, &output)
        }
    }

    private func scalar(_ cursor: inout WireCursor, _ wire: UInt32) -> UInt64? {
        switch wire {
        case 0: try? cursor.varint()
        case 1: try? cursor.fixed64()
        case 5: (try? cursor.fixed32()).map { UInt64($0) }
        default: nil
        }
    }

    /// A singular field that occurs more than once: scalars take the last, messages are merged, and merging protobuf
    /// messages is concatenating them.
    private func merged(_ known: SchemaField, _ range: Range<Int>, _ depth: Int, _ output: inout ByteColumn) {
        var joined = ByteColumn()
        var last: WireField?
        var cursor = WireCursor(bytes, range)
        while let field = cursor.nextField() {
            guard field.tag == known.number << 3 | known.form.wireType else { continue }
            last = field
            if known.form == .message { joined.append(bytes[field.content]) }
        }
        if known.form == .message {
            let writer = OTLPJSONWriter(bytes: joined.text)
            writer.message(known.message, 0..<joined.count, depth: depth + 1, &output)
        } else if let last {
            value(known, last, depth, &output)
        }
    }

    private func value(_ known: SchemaField, _ field: WireField, _ depth: Int, _ output: inout ByteColumn) {
        switch known.form {
        case .message: message(known.message, field.content, depth: depth + 1, &output)
        case .string: JSONText.append(bytes[field.content], to: &output)
        case .identifier:
            output.append(UInt8(ascii: "\""))
            for byte in bytes[field.content].bytes {
                output.append(Hex.digit(byte >> 4))
                output.append(Hex.digit(byte & 15))
            }
            output.append(UInt8(ascii: "\""))
        case .bytes:
            output.append(UInt8(ascii: "\""))
            Base64.append(bytes[field.content], to: &output)
            output.append(UInt8(ascii: "\""))
        default:
            var cursor = WireCursor(bytes, field.whole)
            _ = try? cursor.tag()
            number(known.form, scalar(&cursor, known.form.wireType) ?? 0, &output)
        }
    }

    private func number(_ form: FieldForm, _ raw: UInt64, _ output: inout ByteColumn) {
        switch form {
        case .bool: output.append(raw == 0 ? "false" : "true")
        case .double: JSONText.append(Double(bitPattern: raw), to: &output)
        case .int32, .enumeration: JSONText.append(Int64(Int32(truncatingIfNeeded: raw)), to: &output)
        case .sint32:
            let bits = UInt32(truncatingIfNeeded: raw)
            JSONText.append(Int64(Int32(bitPattern: bits >> 1) ^ -Int32(bitPattern: bits & 1)), to: &output)
        case .uint32, .fixed32: JSONText.append(Int64(UInt32(truncatingIfNeeded: raw)), to: &output)
        case .int64, .sfixed64:
            output.append(UInt8(ascii: "\""))
            JSONText.append(Int64(bitPattern: raw), to: &output)
            output.append(UInt8(ascii: "\""))
        case .uint64, .fixed64:
            output.append(UInt8(ascii: "\""))
            JSONText.append(raw, to: &output)
            output.append(UInt8(ascii: "\""))
        case .message, .string, .identifier, .bytes: output.append("null")
        }
    }

    private func unknownFields(_ message: Int, _ range: Range<Int>, isFirst: Bool, _ output: inout ByteColumn) {
        var kept = ByteColumn()
        var hint = schema.messages[message].fields.lowerBound
        var cursor = WireCursor(bytes, range)
        while let field = cursor.nextField() {
            if schema.find(tag: field.tag, in: message, hint: &hint) == nil { kept.append(bytes[field.whole]) }
        }
        output.append(isFirst ? "\"@unknown\":\"" : ",\"@unknown\":\"")
        Base64.append(kept.text, to: &output)
        output.append(UInt8(ascii: "\""))
    }
}
