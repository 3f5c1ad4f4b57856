package import Telemetry

extension JSONTree {
    /// Reads the repr of a Python dict, list or tuple made of strings, numbers, True, False and None.
    ///
    /// Restricted on purpose: object reprs (`Name(...)`), sets, byte strings and expressions are no literals and give
    /// none, so such text stays text. Strings come out decoded.
    package mutating func parsePython(_ text: Text) -> JSONRef {
        guard text.count <= limits.bytes else { return .none }
        let mark = nodes.count
        var cursor = JSONCursor(text: text)
        guard let root = pythonValue(&cursor, depth: 0), self[root].kind.rawValue >= JSONKind.array.rawValue,
            (try? cursor.finish()) != nil
        else {
            nodes.truncate(to: mark)
            return .none
        }
        return root
    }

    /// The quoted string that begins at `index`, decoded; nil when none does.
    mutating func pythonString(in text: Text, at index: Int) -> Text? {
        guard index < text.count, text[index] == UInt8(ascii: "'") || text[index] == UInt8(ascii: "\"") else {
            return nil
        }
        var cursor = JSONCursor(text: text)
        cursor.index = index
        return pythonString(&cursor)
    }

    private mutating func pythonValue(_ cursor: inout JSONCursor, depth: Int) -> JSONRef? {
        guard depth <= limits.depth, hasRoom, (try? cursor.skipToValue()) != nil else { return nil }
        switch cursor.peek {
        case UInt8(ascii: "{"): return pythonDict(&cursor, depth)
        case UInt8(ascii: "["): return pythonList(&cursor, UInt8(ascii: "]"), depth)
        case UInt8(ascii: "("): return pythonList(&cursor, UInt8(ascii: ")"), depth)
        case UInt8(ascii: "'"), UInt8(ascii: "\""):
            return pythonString(&cursor).map { add(JSONNode(.string, $0)) }
        case UInt8(ascii: "T"): return pythonWord(&cursor, "True", .yes)
        case UInt8(ascii: "F"): return pythonWord(&cursor, "False", .no)
        case UInt8(ascii: "N"): return pythonWord(&cursor, "None", .null)
        default: return (try? cursor.number()).map { add(JSONNode(.number, $0)) }
        }
    }

    private mutating func pythonWord(_ cursor: inout JSONCursor, _ word: StaticString, _ kind: JSONKind) -> JSONRef? {
        (try? cursor.word(word)).map { add(JSONNode(kind)) }
    }

    private mutating func pythonDict(_ cursor: inout JSONCursor, _ depth: Int) -> JSONRef? {
        cursor.index += 1
        let dict = add(JSONNode(.object))
        var last = JSONRef.none
        while true {
            guard (try? cursor.skipToValue()) != nil else { return nil }
            if cursor.take(UInt8(ascii: "}")) { return dict }
            if last.exists {
                guard cursor.take(UInt8(ascii: ",")), (try? cursor.skipToValue()) != nil else { return nil }
                if cursor.take(UInt8(ascii: "}")) { return dict }
            }
            let key: Text
            switch cursor.peek {
            case UInt8(ascii: "'"), UInt8(ascii: "\""):
                guard let text = pythonString(&cursor) else { return nil }
                key = text
            default:
                guard let text = try? cursor.number() else { return nil }
                key = text
            }
            guard (try? cursor.expect(UInt8(ascii: ":"))) != nil,
                let value = pythonValue(&cursor, depth: depth + 1)
            else { return nil }
            nodes[Int(value.index)].key = key
            link(value, to: dict, after: last)
            last = value
        }
    }

    private mutating func pythonList(_ cursor: inout JSONCursor, _ close: UInt8, _ depth: Int) -> JSONRef? {
        cursor.index += 1
        let list = add(JSONNode(.array))
        var last = JSONRef.none
        while true {
            guard (try? cursor.skipToValue()) != nil else { return nil }
            if cursor.take(close) { return list }
            if last.exists {
                guard cursor.take(UInt8(ascii: ",")), (try? cursor.skipToValue()) != nil else { return nil }
                if cursor.take(close) { return list }
            }
            guard let value = pythonValue(&cursor, depth: depth + 1) else { return nil }
            link(value, to: list, after: last)
            last = value
        }
    }

    /// Reads a quoted string and decodes it.
    private mutating func pythonString(_ cursor: inout JSONCursor) -> Text? {
        let quote = cursor.peek
        let start = cursor.index + 1
        var index = start
        var escaped = false
        while index < cursor.text.count, cursor.text[index] != quote {
            if cursor.text[index] == UInt8(ascii: "\\") {
                escaped = true
                index += 1
            }
            index += 1
        }
        guard index < cursor.text.count else { return nil }
        cursor.index = index + 1
        let content = cursor.text[start..<index]
        return escaped ? pythonUnescape(content) : content
    }

    private mutating func pythonUnescape(_ text: Text) -> Text? {
        // Every escape is at least as long as what it stands for: \xNN gives at most two bytes, \UNNNNNNNN four.
        let reserved = max(text.count, 1)
        let out = arena.allocate(reserved)
        var written = 0
        var index = 0
        while index < text.count {
            let byte = text[index]
            guard byte == UInt8(ascii: "\\"), index + 1 < text.count else {
                out.storeBytes(of: byte, toByteOffset: written, as: UInt8.self)
                written += 1
                index += 1
                continue
            }
            let escape = text[index + 1]
            index += 2
            let digits = escape == UInt8(ascii: "x") ? 2 : escape == UInt8(ascii: "U") ? 8 : 0
            if escape == UInt8(ascii: "u") {
                written += JSONText.utf8(JSONText.unicode(text, &index), out + written)
            } else if digits > 0 {
                guard let scalar = JSONText.hex(text, index, digits: digits) else { return nil }
                index += digits
                let isScalar = scalar <= 0x10FFFF && scalar & 0xFFFF_F800 != 0xD800
                written += JSONText.utf8(isScalar ? scalar : 0xFFFD, out + written)
            } else {
                out.storeBytes(of: JSONText.simple(escape), toByteOffset: written, as: UInt8.self)
                written += 1
            }
        }
        arena.shrinkLast(from: reserved, to: written)
        return Text(start: UnsafeRawPointer(out), count: written)
    }
}
