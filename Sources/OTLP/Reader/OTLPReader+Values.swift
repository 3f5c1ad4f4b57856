import Telemetry

extension OTLPReader {
    /// One KeyValue, appended to the attribute column.
    @inline(__always)
    mutating func readAttribute(_ body: Text, _ range: Range<Int>, _ batch: inout RecordBatch) throws(DecodeFailure) {
        try count(at: range.lowerBound)
        var key = TextRef.empty
        var kind = ValueKind.empty
        var payload: UInt64 = 0
        var flags: AttributeFlags = []
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A: key = try readText(body, &cursor)
            case 0x12: try readValue(body, try cursor.length(), &kind, &payload, &flags)
            default:
                try cursor.skip(tag)
                flags.insert(.hasUnknownFields)
            }
        }
        let name = Text(start: body.start + Int(key.offset), count: Int(key.length))
        batch.attributes.append(
            AttributeRecord(
                key: key, keyID: batch.keys.id(of: name), kind: kind, payload: payload,
                raw: WireCursor.reference(range), flags: flags))
    }

    /// One AnyValue. The last member wins; an empty message is `empty`.
    @inline(__always)
    func readValue(
        _ body: Text, _ range: Range<Int>, _ kind: inout ValueKind, _ payload: inout UInt64,
        _ flags: inout AttributeFlags
    ) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A:
                payload = AttributeRecord.pack(try readText(body, &cursor))
                kind = .string
            case 0x10:
                payload = try cursor.varint() == 0 ? 0 : 1
                kind = .bool
            case 0x18:
                payload = try cursor.varint()
                kind = .int
            case 0x21:
                payload = try cursor.fixed64()
                kind = .double
            case 0x2A:
                let content = try cursor.length()
                try checkList(body, content, isMap: false, depth: 1)
                payload = AttributeRecord.pack(WireCursor.reference(content))
                kind = .array
            case 0x32:
                let content = try cursor.length()
                try checkList(body, content, isMap: true, depth: 1)
                payload = AttributeRecord.pack(WireCursor.reference(content))
                kind = .map
            case 0x3A:
                payload = AttributeRecord.pack(WireCursor.reference(try cursor.length()))
                kind = .bytes
            case 0x40:
                _ = try cursor.varint()
                kind = .other
            default:
                try cursor.skip(tag)
                flags.insert(.hasUnknownFields)
            }
        }
    }

    /// Checks the members of an ArrayValue or KeyValueList: well-formed, valid UTF-8, not too deep. The recursion is
    /// bounded by `limits.depth`.
    private func checkList(_ body: Text, _ range: Range<Int>, isMap: Bool, depth: Int) throws(DecodeFailure) {
        guard depth <= limits.depth else { throw DecodeFailure(.tooDeep, at: range.lowerBound) }
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            guard tag == 0x0A else {
                try cursor.skip(tag)
                continue
            }
            let member = try cursor.length()
            if isMap {
                try checkKeyValue(body, member, depth: depth)
            } else {
                try checkValue(body, member, depth: depth)
            }
        }
    }

    private func checkKeyValue(_ body: Text, _ range: Range<Int>, depth: Int) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A: _ = try readText(body, &cursor)
            case 0x12: try checkValue(body, try cursor.length(), depth: depth)
            default: try cursor.skip(tag)
            }
        }
    }

    private func checkValue(_ body: Text, _ range: Range<Int>, depth: Int) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A: _ = try readText(body, &cursor)
            case 0x2A: try checkList(body, try cursor.length(), isMap: false, depth: depth + 1)
            case 0x32: try checkList(body, try cursor.length(), isMap: true, depth: depth + 1)
            default: try cursor.skip(tag)
            }
        }
    }
}
