package import Telemetry

/// Reads the protobuf bytes of OTLP's ArrayValue, KeyValueList and AnyValue. Total: broken bytes end the value.
struct ProtoFields {
    let text: Text
    var index = 0

    init(_ text: Text) { self.text = text }

    /// As deep as readers let groups nest.
    private static let groupsMax = 64

    /// The next field that is no group: its number and, for length-delimited and fixed ones, its content. Nil at the
    /// end or when broken.
    mutating func next() -> (number: UInt64, wire: UInt64, value: UInt64, content: Text)? {
        var groups: [UInt64] = []
        while index < text.count, let tag = varint() {
            switch tag & 7 {
            case 3:
                guard groups.count < Self.groupsMax else { return nil }
                groups.append(tag >> 3)
            case 4: guard groups.popLast() == tag >> 3 else { return nil }
            default:
                guard let field = field(tag) else { return nil }
                if groups.isEmpty { return field }
            }
        }
        return nil
    }

    private mutating func field(_ tag: UInt64) -> (number: UInt64, wire: UInt64, value: UInt64, content: Text)? {
        switch tag & 7 {
        case 0:
            guard let value = varint() else { return nil }
            return (tag >> 3, 0, value, .empty)
        case 1:
            guard text.count - index >= 8 else { return nil }
            let value = text.start.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            index += 8
            return (tag >> 3, 1, UInt64(littleEndian: value), .empty)
        case 2:
            guard let length = varint(), length <= UInt64(text.count - index) else { return nil }
            let content = text[index..<index + Int(length)]
            index += Int(length)
            return (tag >> 3, 2, 0, content)
        case 5:
            guard text.count - index >= 4 else { return nil }
            index += 4
            return (tag >> 3, 5, 0, .empty)
        default: return nil
        }
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while index < text.count && shift < 64 {
            let byte = text[index]
            index += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}

extension JSONTree {
    /// The tree form of an attribute's array or map, given the bytes of its ArrayValue or KeyValueList.
    package mutating func read(_ content: Text, isMap: Bool) -> JSONRef {
        guard content.count <= limits.bytes else { return .none }
        let mark = nodes.count
        guard let ref = container(content, isMap: isMap, depth: 0) else {
            nodes.truncate(to: mark)
            return .none
        }
        return ref
    }

    private mutating func container(_ content: Text, isMap: Bool, depth: Int) -> JSONRef? {
        guard depth < limits.depth, hasRoom else { return nil }
        let parent = add(JSONNode(isMap ? .object : .array))
        var last = JSONRef.none
        var fields = ProtoFields(content)
        while let field = fields.next() {
            guard field.number == 1, field.wire == 2 else { continue }
            guard let child = isMap ? pair(field.content, depth + 1) : any(field.content, depth + 1) else { return nil }
            link(child, to: parent, after: last)
            last = child
        }
        return parent
    }

    /// A KeyValue message.
    private mutating func pair(_ content: Text, _ depth: Int) -> JSONRef? {
        var key = Text.empty
        var value = Text.empty
        var fields = ProtoFields(content)
        while let field = fields.next() {
            if field.wire == 2, field.number == 1 { key = field.content }
            if field.wire == 2, field.number == 2 { value = field.content }
        }
        guard let child = any(value, depth) else { return nil }
        nodes[Int(child.index)].key = key
        return child
    }

    /// An AnyValue message.
    private mutating func any(_ content: Text, _ depth: Int) -> JSONRef? {
        guard hasRoom else { return nil }
        var fields = ProtoFields(content)
        var result: JSONRef?
        while let field = fields.next() {
            switch (field.number, field.wire) {
            case (1, 2): result = add(JSONNode(.string, field.content))
            case (2, 0): result = add(JSONNode(field.value != 0 ? .yes : .no))
            case (3, 0): result = number(Int64(bitPattern: field.value))
            case (4, 1): result = number(Double(bitPattern: field.value))
            case (5, 2): result = container(field.content, isMap: false, depth: depth)
            case (6, 2): result = container(field.content, isMap: true, depth: depth)
            case (7, 2): result = add(JSONNode(.string, base64(field.content)))
            default: continue
            }
            if result == nil { return nil }
        }
        return result ?? add(JSONNode(.null))
    }

    /// Adds a number; its digits lie in the arena.
    package mutating func number(_ value: Int64) -> JSONRef {
        let out = arena.allocate(20)
        var digits = value.magnitude
        var at = 20
        repeat {
            at -= 1
            out.storeBytes(of: UInt8(truncatingIfNeeded: 0x30 + digits % 10), toByteOffset: at, as: UInt8.self)
            digits /= 10
        } while digits > 0
        if value < 0 {
            at -= 1
            out.storeBytes(of: UInt8(ascii: "-"), toByteOffset: at, as: UInt8.self)
        }
        return add(JSONNode(.number, Text(start: UnsafeRawPointer(out + at), count: 20 - at)))
    }

    /// Adds a number, without a fraction when it is whole; null for what JSON has no number for.
    package mutating func number(_ value: Double) -> JSONRef {
        guard value.isFinite else { return add(JSONNode(.null)) }
        if let whole = Int64(exactly: value), abs(value) < 1e15 { return number(whole) }
        var description = value.description
        let text = description.withUTF8 { arena.copy(Text(UnsafeRawBufferPointer($0))) }
        return add(JSONNode(.number, text))
    }

    private mutating func base64(_ content: Text) -> Text {
        let table = Text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        let length = (content.count + 2) / 3 * 4
        let out = arena.allocate(max(length, 1))
        var index = 0
        var at = 0
        while index < content.count {
            let left = content.count - index
            var group = UInt32(content[index]) << 16
            if left > 1 { group |= UInt32(content[index + 1]) << 8 }
            if left > 2 { group |= UInt32(content[index + 2]) }
            for digit in 0..<4 {
                let value = Int(group >> UInt32(18 - 6 * digit) & 63)
                let byte = digit <= left ? table[value] : UInt8(ascii: "=")
                out.storeBytes(of: byte, toByteOffset: at + digit, as: UInt8.self)
            }
            index += 3
            at += 4
        }
        return Text(start: UnsafeRawPointer(out), count: length)
    }
}

extension JSONTree {
    /// Appends a value as JSON. Raw slices are copied as they are.
    package func write(_ ref: JSONRef, into out: inout ByteColumn) {
        guard ref.exists else { return out.append("null") }
        let node = self[ref]
        switch node.kind {
        case .null: out.append("null")
        case .no: out.append("false")
        case .yes: out.append("true")
        case .number: out.append(node.text)
        case .string: writeString(node, into: &out)
        case .array, .object:
            if node.isRaw { return out.append(node.text) }
            writeContainer(node, into: &out)
        }
    }

    /// Appends a value as JSON without spaces between its tokens, whatever its source has.
    func writePlain(_ ref: JSONRef, into out: inout ByteColumn) {
        guard ref.exists else { return out.append("null") }
        let node = self[ref]
        switch node.kind {
        case .array, .object: writeContainer(node, isPlain: true, into: &out)
        default: write(ref, into: &out)
        }
    }

    /// Appends a string with its quotes.
    func writeString(_ node: JSONNode, into out: inout ByteColumn) {
        out.append(UInt8(ascii: "\""))
        if node.isRaw { out.append(node.text) } else { JSONText.escape(node.text, into: &out) }
        out.append(UInt8(ascii: "\""))
    }

    // Recursion is bounded by the depth limit of the readers.
    private func writeContainer(_ node: JSONNode, isPlain: Bool = false, into out: inout ByteColumn) {
        let isObject = node.kind == .object
        out.append(isObject ? UInt8(ascii: "{") : UInt8(ascii: "["))
        var child = JSONRef(node.first)
        var isFirst = true
        while child.exists {
            if !isFirst { out.append(UInt8(ascii: ",")) }
            isFirst = false
            if isObject {
                out.append(UInt8(ascii: "\""))
                JSONText.escape(self[child].key, into: &out)
                out.append("\":")
            }
            if isPlain { writePlain(child, into: &out) } else { write(child, into: &out) }
            child = next(child)
        }
        out.append(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"))
    }
}
