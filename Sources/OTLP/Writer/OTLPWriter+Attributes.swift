import Telemetry

extension OTLPWriter {
    /// All attributes of a set as repeated KeyValue fields. Neighbours that are unchanged lie side by side in the
    /// request as a rule, tags and lengths included, and are copied together.
    func writeAttributes(_ batch: borrowing RecordBatch, _ set: SetIndex, tag: UInt32, _ output: inout ByteColumn) {
        var run = 0..<0
        for index in batch.range(of: set) {
            let attribute = batch.attributes[index]
            if attribute.flags.contains(.edited) {
                if !run.isEmpty { output.append(body[run]) }
                run = 0..<0
                writeEdited(batch, attribute, tag: tag, &output)
                continue
            }
            let content = range(attribute.raw)
            // Where the field begins if its length has the shortest form. With a longer form this is a byte of the
            // length that has more to come, at least 0x80, and so never the tag.
            let start = content.lowerBound &- 1 &- WireSize.varint(UInt64(content.count))
            if start == run.upperBound && UInt32(body[start]) == tag {
                run = run.lowerBound..<content.upperBound
                continue
            }
            if !run.isEmpty { output.append(body[run]) }
            if start > 0 && UInt32(body[start]) == tag {
                run = start..<content.upperBound
            } else {
                run = 0..<0
                output.appendField(tag: tag, body[content])
            }
        }
        if !run.isEmpty { output.append(body[run]) }
    }

    private func writeEdited(
        _ batch: borrowing RecordBatch, _ attribute: AttributeRecord, tag: UInt32, _ output: inout ByteColumn
    ) {
        let key = batch.text(attribute.key)
        let open = output.beginMessage(tag: tag, guess: key.count + 8 + OTLPWriter.contentLength(attribute))
        if !key.isEmpty { output.appendField(tag: 0x0A, key) }
        if !attribute.flags.contains(.hasNewValue) {
            // Only the key is new: the value stays as it came, with whatever it holds.
            copyFields(of: attribute.raw, where: { $0 != 0x0A }, &output)
        } else {
            if attribute.flags.contains(.hasUnknownFields) {
                writeValue(
                    batch, tag: 0x12, attribute.kind, attribute.payload, keepingUnknownOf: attribute.raw, &output)
                copyFields(of: attribute.raw, where: { $0 != 0x0A && $0 != 0x12 }, &output)
            } else if attribute.kind != .empty {
                writeValue(batch, tag: 0x12, attribute.kind, attribute.payload, &output)
            }
        }
        output.endMessage(open)
    }

    private func copyFields(of raw: TextRef, where isWanted: (UInt32) -> Bool, _ output: inout ByteColumn) {
        var cursor = WireCursor(body, range(raw))
        while let field = cursor.nextField() {
            if isWanted(field.tag) { output.append(body[field.whole]) }
        }
    }

    /// An AnyValue field in place of those with this tag in `raw`, with the fields of theirs that no schema knows.
    func writeValue(
        _ batch: borrowing RecordBatch, tag: UInt32, _ kind: ValueKind, _ payload: UInt64,
        keepingUnknownOf raw: TextRef, _ output: inout ByteColumn
    ) {
        let start = output.count
        let open = output.beginMessage(tag: tag, guess: Int(raw.length))
        var cursor = WireCursor(body, range(raw))
        while let occurrence = cursor.nextField() {
            guard occurrence.tag == tag else { continue }
            var inner = WireCursor(body, occurrence.content)
            // Before the value: where one of them is a member of a later schema, the new value must replace it.
            while let field = inner.nextField() {
                if !OTLPWriter.isMember(field.tag) { output.append(body[field.whole]) }
            }
        }
        let hasUnknown = output.count > open.start + open.width
        guard hasUnknown else {
            output.truncate(to: start)
            if kind != .empty { writeValue(batch, tag: tag, kind, payload, &output) }
            return
        }
        writeMember(batch, kind, payload, &output)
        output.endMessage(open)
    }

    private func writeMember(
        _ batch: borrowing RecordBatch, _ kind: ValueKind, _ payload: UInt64, _ output: inout ByteColumn
    ) {
        switch kind {
        case .empty: return
        case .other: output.appendScalar(tag: 0x40, payload)
        case .bool:
            output.append(0x10)
            output.append(payload == 0 ? 0 : 1)
        case .int:
            output.append(0x18)
            output.appendVarint(payload)
        case .double:
            output.append(0x21)
            output.append(littleEndian: payload)
        case .string, .array, .map, .bytes:
            let reference = TextRef(
                offset: UInt32(truncatingIfNeeded: payload), length: UInt32(truncatingIfNeeded: payload >> 32))
            output.appendField(tag: OTLPWriter.memberTag(kind), batch.text(reference))
        }
    }

    /// Whether a field of an AnyValue is one of its kinds of value.
    package static func isMember(_ tag: UInt32) -> Bool {
        switch tag {
        case 0x0A, 0x10, 0x18, 0x21, 0x2A, 0x32, 0x3A, 0x40: true
        default: false
        }
    }

    /// An AnyValue field.
    func writeValue(
        _ batch: borrowing RecordBatch, tag: UInt32, _ kind: ValueKind, _ payload: UInt64, _ output: inout ByteColumn
    ) {
        let reference = TextRef(
            offset: UInt32(truncatingIfNeeded: payload), length: UInt32(truncatingIfNeeded: payload >> 32))
        output.appendVarint(UInt64(tag))
        switch kind {
        case .empty: output.appendVarint(0)
        case .other:
            // As it came; of one that was set nothing is known.
            output.appendVarint(payload == 0 ? 0 : UInt64(1 + WireSize.varint(payload)))
            output.appendScalar(tag: 0x40, payload)
        case .bool:
            output.appendVarint(2)
            output.append(0x10)
            output.append(payload == 0 ? 0 : 1)
        case .int:
            output.appendVarint(UInt64(1 + WireSize.varint(payload)))
            output.append(0x18)
            output.appendVarint(payload)
        case .double:
            output.appendVarint(9)
            output.append(0x21)
            output.append(littleEndian: payload)
        case .string, .array, .map, .bytes:
            let content = batch.text(reference)
            output.appendVarint(UInt64(WireSize.field(content.count)))
            output.appendField(tag: OTLPWriter.memberTag(kind), content)
        }
    }

    static func memberTag(_ kind: ValueKind) -> UInt32 {
        switch kind {
        case .array: 0x2A
        case .map: 0x32
        case .bytes: 0x3A
        default: 0x0A
        }
    }

    private static func contentLength(_ attribute: AttributeRecord) -> Int {
        switch attribute.kind {
        case .string, .array, .map, .bytes: Int(attribute.text.length) + 4
        default: 8
        }
    }
}
