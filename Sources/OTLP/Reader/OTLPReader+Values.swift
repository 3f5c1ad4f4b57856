import CSupport
import Telemetry

extension OTLPReader {
    /// One KeyValue, appended to the attribute column.
    @inline(__always)
    mutating func readAttribute(_ body: Text, _ range: Range<Int>, _ batch: inout RecordBatch) throws(DecodeFailure) {
        try charge(AttributeRecord.self, hasSet: false, at: range.lowerBound)
        if let attribute = usualAttribute(body, range.lowerBound, range.count, batch) {
            batch.attributes.append(attribute)
        } else {
            try readAnyAttribute(body, range, &batch)
        }
    }

    /// Attributes that stand side by side, each a field of less than 128 bytes, as nearly all of them are. A loop of
    /// its own, so that what is the same for all of them is looked up once.
    @inline(never)
    mutating func readAttributes(
        _ body: Text, tag: UInt8, _ cursor: inout WireCursor, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        var ahead = cursor
        while let (from, count) = ahead.shortField(tag) {
            try charge(AttributeRecord.self, hasSet: false, at: from)
            if let attribute = usualAttribute(body, from, count, batch) {
                batch.attributes.append(attribute)
            } else {
                try readAnyAttribute(body, from..<from + count, &batch)
            }
        }
        cursor = ahead
    }

    /// A KeyValue as every sender writes it: a key of less than 128 bytes, then one scalar or string, and nothing else.
    /// Nil for all others, valid or not.
    @inline(__always)
    private func usualAttribute(
        _ body: Text, _ from: Int, _ count: Int, _ batch: borrowing RecordBatch
    ) -> AttributeRecord? {
        // Every read below is inside of the `count` bytes at `from`, which are inside of `body`.
        let base = body.start + from
        guard count >= 6, base.load(as: UInt8.self) == 0x0A else { return nil }
        let keyCount = Int(base.load(fromByteOffset: 1, as: UInt8.self))
        guard keyCount < 0x80, keyCount &+ 6 <= count else { return nil }
        guard base.load(fromByteOffset: keyCount &+ 2, as: UInt8.self) == 0x12 else { return nil }
        var at = keyCount &+ 3
        guard let value = shortLength(base, &at, count), at &+ value == count, value >= 2 else { return nil }
        let member = base.load(fromByteOffset: at, as: UInt8.self)
        at &+= 1
        var payload: UInt64
        let kind: ValueKind
        switch member {
        case 0x0A:
            guard let length = shortLength(base, &at, count), at &+ length == count else { return nil }
            guard sluice_is_short_utf8((base + at).assumingMemoryBound(to: UInt8.self), length) else { return nil }
            payload = AttributeRecord.pack(WireCursor.reference(from &+ at, length))
            kind = .string
        case 0x18:
            payload = UInt64(base.load(fromByteOffset: at, as: UInt8.self))
            if payload >= 0x80 {
                guard count &- at == 2 else { return nil }
                let high = UInt64(base.load(fromByteOffset: at &+ 1, as: UInt8.self))
                guard high < 0x80 else { return nil }
                payload = payload & 0x7F | high &<< 7
            } else if count &- at != 1 {
                return nil
            }
            kind = .int
        case 0x10:
            guard count &- at == 1 else { return nil }
            payload = UInt64(base.load(fromByteOffset: at, as: UInt8.self))
            guard payload < 0x80 else { return nil }
            payload = payload == 0 ? 0 : 1
            kind = .bool
        case 0x21:
            guard count &- at == 8 else { return nil }
            payload = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
            kind = .double
        default: return nil
        }
        guard let id = keyID(of: Text(start: base + 2, count: keyCount), body, batch) else { return nil }
        return AttributeRecord(
            key: WireCursor.reference(from &+ 2, keyCount), keyID: id, kind: kind, payload: payload,
            raw: WireCursor.reference(from, count), flags: [])
    }

    /// The number of a key; nil when it is not UTF-8, which those of the table and of the record before are.
    @inline(__always)
    private func keyID(of key: Text, _ body: Text, _ batch: borrowing RecordBatch) -> KeyID? {
        let place = batch.attributes.count &- distance
        if UInt(bitPattern: place) < UInt(bitPattern: batch.attributes.count) {
            let other = batch.attributes[place]
            if Int(other.key.length) == key.count,
                sluice_equal_key(body.start + Int(other.key.offset), key.start, key.count)
            {
                return other.keyID
            }
        }
        let id = batch.keys.id(of: key)
        return id != .unknown || key.isValidUTF8 ? id : nil
    }

    /// A length of one or two bytes at `at`, nil for longer ones and at the end.
    @inline(__always)
    private func shortLength(_ base: UnsafeRawPointer, _ at: inout Int, _ count: Int) -> Int? {
        guard at < count else { return nil }
        let low = Int(base.load(fromByteOffset: at, as: UInt8.self))
        at &+= 1
        if low < 0x80 { return low }
        guard at < count else { return nil }
        let high = Int(base.load(fromByteOffset: at, as: UInt8.self))
        at &+= 1
        return high < 0x80 ? low & 0x7F | high &<< 7 : nil
    }

    @inline(never)
    private mutating func readAnyAttribute(
        _ body: Text, _ range: Range<Int>, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        var key = TextRef.empty
        var kind = ValueKind.empty
        var payload: UInt64 = 0
        var flags: AttributeFlags = []
        var keys = 0
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A:
                key = try readText(body, &cursor)
                keys &+= 1
            case 0x12: try readValue(body, try cursor.length(), &kind, &payload, &flags)
            default:
                try cursor.skip(tag)
                flags.insert(.hasUnknownFields)
            }
        }
        if flags.contains(.hasHiddenValues), kind == .array || kind == .map {
            payload = joined(kind, of: range, tag: 0x12, body, &batch)
        }
        if keys > 1 { flags.insert(.hasHiddenKeys) }
        let name = Text(start: body.start + Int(key.offset), count: Int(key.length))
        batch.attributes.append(
            AttributeRecord(
                key: key, keyID: batch.keys.id(of: name), kind: kind, payload: payload,
                raw: WireCursor.reference(range), flags: flags))
    }

    /// One AnyValue. The last member wins, and earlier ones are flagged; an empty message is `empty`.
    func readValue(
        _ body: Text, _ range: Range<Int>, _ kind: inout ValueKind, _ payload: inout UInt64,
        _ flags: inout AttributeFlags
    ) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            if kind != .empty, OTLPWriter.isMember(tag) { flags.insert(.hasHiddenValues) }
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
                payload = try cursor.varint()
                kind = .other
            default:
                try cursor.skip(tag)
                flags.insert(.hasUnknownFields)
            }
        }
    }

    /// The content of the list or map that is the last of several members of a value, and may come in pieces: merging
    /// messages is concatenating them. `owner` is the message around the AnyValues, which have this tag there.
    func joined(
        _ kind: ValueKind, of owner: Range<Int>, tag: UInt32, _ body: Text, _ batch: inout RecordBatch
    ) -> UInt64 {
        let member = OTLPWriter.memberTag(kind)
        let content = batch.buildText { output in
            let start = output.count
            var outer = WireCursor(body, owner)
            while let value = outer.nextField() {
                guard value.tag == tag else { continue }
                var inner = WireCursor(body, value.content)
                while let field = inner.nextField() {
                    if field.tag == member {
                        output.append(body[field.content])
                    } else if OTLPWriter.isMember(field.tag) {
                        output.truncate(to: start)
                    }
                }
            }
        }
        return AttributeRecord.pack(content)
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

    func checkKeyValue(_ body: Text, _ range: Range<Int>, depth: Int) throws(DecodeFailure) {
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
