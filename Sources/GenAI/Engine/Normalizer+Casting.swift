import Telemetry

extension Normalizer {
    /// The value in the type of a target; nil when it cannot be had.
    mutating func cast(_ source: SourceValue, to type: TargetType) -> MadeValue? {
        switch type {
        case .string:
            let text = text(source)
            if source.kind == .other, source.ref.exists, text.isEmpty { return jsonText(source) }
            return text.isEmpty ? nil : .string(text)
        case .int: return integer(source).map { .int($0) }
        case .double: return double(source).map { .double($0) }
        case .bool: return bool(source).map { .bool($0) }
        case .strings: return strings(source, map: nil, splits: false, strip: .empty)
        case .json, .inputMessages, .outputMessages, .instructions, .tools, .documents, .arguments, .result:
            return jsonText(source)
        }
    }

    mutating func integer(_ source: SourceValue) -> Int64? {
        switch source.kind {
        case .int: return Int64(bitPattern: source.bits)
        case .double: return Number.integer(Double(bitPattern: source.bits))
        case .string, .other:
            let text = unquoted(text(source))
            return Number.integer(text) ?? Number.double(text).flatMap { Number.integer($0) }
        default: return nil
        }
    }

    mutating func double(_ source: SourceValue) -> Double? {
        switch source.kind {
        case .int: return Double(Int64(bitPattern: source.bits))
        case .double:
            let value = Double(bitPattern: source.bits)
            return value.isFinite ? value : nil
        case .string, .other: return Number.double(unquoted(text(source)))
        default: return nil
        }
    }

    mutating func bool(_ source: SourceValue) -> Bool? {
        if source.kind == .bool { return source.bits != 0 }
        let text = unquoted(text(source))
        if ASCII.equalsFolded(text, Text("true")) { return true }
        return ASCII.equalsFolded(text, Text("false")) ? false : nil
    }

    /// Text without one level of JSON quotes and without white space around it.
    mutating func unquoted(_ text: Text) -> Text {
        var start = 0
        var end = text.count
        while start < end, JSONCursor.isSpace(text[start]) { start += 1 }
        while end > start, JSONCursor.isSpace(text[end - 1]) { end -= 1 }
        let trimmed = text[start..<end]
        guard trimmed.count >= 2, trimmed[0] == UInt8(ascii: "\""), case .value(let ref) = reader.tree.parse(trimmed)
        else {
            return trimmed
        }
        return reader.tree.string(ref)
    }

    /// The value as JSON text. Text goes through as it is, never encoded twice.
    mutating func jsonText(_ source: SourceValue) -> MadeValue? {
        switch source.kind {
        case .string: return source.text.isEmpty ? nil : .string(source.text)
        case .array, .map:
            let ref = document(source)
            return ref.exists ? json(ref) : nil
        case .other:
            let node = reader.tree[source.ref]
            if node.kind == .null { return nil }
            return node.kind == .string ? .string(reader.tree.string(source.ref)) : json(source.ref)
        case .bool, .int, .double: return .string(text(source))
        case .empty, .bytes: return nil
        }
    }

    /// A part of a document as JSON text. A raw slice is not copied.
    mutating func json(_ ref: JSONRef) -> MadeValue {
        let node = reader.tree[ref]
        if node.isRaw, node.kind == .object || node.kind == .array { return .string(node.text) }
        let start = output.count
        reader.tree.write(ref, into: &output)
        return .output(.string, from: start, to: output.count)
    }

    /// A JSON object with one member, for values whose schema wants an object.
    mutating func wrapped(_ name: StaticString, _ source: SourceValue) -> MadeValue {
        let start = output.count
        output.append("{\"")
        output.append(name)
        output.append("\":")
        switch source.kind {
        case .other: reader.tree.write(source.ref, into: &output)
        case .bool, .int, .double: output.append(text(source))
        case .empty: output.append("null")
        default:
            output.append(UInt8(ascii: "\""))
            JSONText.escape(text(source), into: &output)
            output.append(UInt8(ascii: "\""))
        }
        output.append(UInt8(ascii: "}"))
        return .output(.string, from: start, to: output.count)
    }

    // MARK: Lists of strings

    /// A list of strings from an array, a JSON list, a comma list or one word.
    mutating func strings(_ source: SourceValue, map: Int?, splits: Bool, strip: Text) -> MadeValue? {
        let start = output.count
        let list = document(source)
        if reader.tree.isArray(list) {
            var child = reader.tree.first(list)
            while child.exists {
                let word = named(child)
                let text = reader.tree.string(word)
                if !text.isEmpty, reader.tree.kind(child) != .null {
                    appendElement(text, map, strip)
                    reader.tree.use(word)
                }
                child = reader.tree.next(child)
            }
        } else {
            let whole = unquoted(text(source))
            var begin = 0
            while begin < whole.count {
                let end = splits ? whole.firstIndex(of: UInt8(ascii: ","), from: begin) ?? whole.count : whole.count
                let item = trimmed(whole[begin..<end])
                if !item.isEmpty { appendElement(item, map, strip) }
                begin = end + 1
            }
        }
        return output.count > start ? .output(.array, from: start, to: output.count) : nil
    }

    /// What names an element of a list: SGLang's reasons are objects with a type and what matched.
    private func named(_ element: JSONRef) -> JSONRef {
        let type = reader.tree.member(element, "type")
        guard reader.tree.isString(type) else { return element }
        let isReason =
            reader.tree.member(element, "matched").exists || reader.tree.member(element, "length").exists
        return reader.tree.count(element) == (isReason ? 2 : 1) ? type : element
    }

    private func trimmed(_ text: Text) -> Text {
        var start = 0
        var end = text.count
        while start < end, JSONCursor.isSpace(text[start]) { start += 1 }
        while end > start, JSONCursor.isSpace(text[end - 1]) { end -= 1 }
        return text[start..<end]
    }

    mutating func appendElement(_ word: Text, _ map: Int?, _ strip: Text) {
        var text = word
        if !strip.isEmpty, text.hasPrefix(strip) { text = text[strip.count..<text.count] }
        if let map, let mapped = tables.layout.maps[map].lookup(text).text { text = mapped }
        appendElement(text)
    }

    /// Appends one string to an ArrayValue message in the output buffer.
    mutating func appendElement(_ text: Text) {
        let inner = 1 + Normalizer.varintSize(text.count) + text.count
        output.append(0x0A)
        Normalizer.appendVarint(inner, &output)
        output.append(0x0A)
        Normalizer.appendVarint(text.count, &output)
        output.append(text)
    }

    private static func varintSize(_ value: Int) -> Int {
        var size = 1
        var left = value >> 7
        while left > 0 {
            size += 1
            left >>= 7
        }
        return size
    }

    private static func appendVarint(_ value: Int, _ out: inout ByteColumn) {
        var left = UInt64(value)
        while left >= 0x80 {
            out.append(UInt8(truncatingIfNeeded: left) | 0x80)
            left >>= 7
        }
        out.append(UInt8(truncatingIfNeeded: left))
    }
}
