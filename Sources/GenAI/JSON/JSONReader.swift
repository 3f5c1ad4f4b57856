package import Telemetry

/// Why a document could not be read.
package enum JSONFailure: UInt8, Error {
    case invalid
    /// The text ends inside a value: an SDK's length limit cut it.
    case truncated
    case tooLarge
    case tooDeep
}

/// Result of reading a document.
package enum JSONResult {
    case value(JSONRef)
    case failure(JSONFailure)
}

extension JSONTree {
    /// Reads one RFC 8259 document. Iterative, one pass; containers keep their raw slice. On failure the nodes that
    /// were made are given back.
    package mutating func parse(_ text: Text) -> JSONResult {
        guard text.count <= limits.bytes else { return .failure(.tooLarge) }
        let mark = nodes.count
        var cursor = JSONCursor(text: text)
        do {
            return .value(try document(&cursor))
        } catch {
            nodes.truncate(to: mark)
            stack.removeAll()
            return .failure(error)
        }
    }

    /// Reads a document when the text looks like an object or array; none otherwise or when it is broken.
    package mutating func parseContainer(_ text: Text) -> JSONRef {
        var index = 0
        while index < text.count, JSONCursor.isSpace(text[index]) { index += 1 }
        guard index < text.count, text[index] == UInt8(ascii: "{") || text[index] == UInt8(ascii: "[") else {
            return .none
        }
        if case .value(let ref) = parse(text) { return ref }
        return .none
    }

    private mutating func document(_ cursor: inout JSONCursor) throws(JSONFailure) -> JSONRef {
        stack.removeAll()
        var root = JSONRef.none
        var parent = JSONRef.none
        var last = JSONRef.none
        while true {
            var key = Text.empty
            if parent.exists && self[parent].kind == .object { key = try memberName(&cursor) }
            guard hasRoom else { throw .tooLarge }
            let start = try cursor.skipToValue()
            let ref = try scalarOrOpen(&cursor)
            nodes[Int(ref.index)].key = key
            if parent.exists { link(ref, to: parent, after: last) } else { root = ref }
            last = ref
            if self[ref].kind.rawValue >= JSONKind.array.rawValue {
                // The slice's start is remembered in the text until the container closes.
                nodes[Int(ref.index)].text = Text(start: cursor.text.start + start, count: 0)
                if try !cursor.closesAtOnce(self[ref].kind) {
                    guard stack.count < limits.depth else { throw .tooDeep }
                    stack.append(ref.index)
                    parent = ref
                    last = .none
                    continue
                }
                seal(ref, cursor)
            }
            // Close every container that ends here.
            while parent.exists {
                if try cursor.continues(in: self[parent].kind) { break }
                seal(parent, cursor)
                last = parent
                stack.truncate(to: stack.count - 1)
                parent = stack.count > 0 ? JSONRef(stack[stack.count - 1]) : .none
            }
            if !parent.exists { break }
        }
        try cursor.finish()
        return root
    }

    private mutating func seal(_ ref: JSONRef, _ cursor: JSONCursor) {
        let start = self[ref].text.start
        nodes[Int(ref.index)].text = Text(start: start, count: cursor.text.start + cursor.index - start)
    }

    private mutating func memberName(_ cursor: inout JSONCursor) throws(JSONFailure) -> Text {
        _ = try cursor.skipToValue()
        guard cursor.take(UInt8(ascii: "\"")) else { throw .invalid }
        let (name, escaped) = try cursor.string()
        try cursor.expect(UInt8(ascii: ":"))
        return escaped ? JSONText.unescape(name, &arena) : name
    }

    private mutating func scalarOrOpen(_ cursor: inout JSONCursor) throws(JSONFailure) -> JSONRef {
        switch cursor.peek {
        case UInt8(ascii: "{"):
            cursor.index += 1
            return add(JSONNode(.object, isRaw: true))
        case UInt8(ascii: "["):
            cursor.index += 1
            return add(JSONNode(.array, isRaw: true))
        case UInt8(ascii: "\""):
            cursor.index += 1
            let (content, escaped) = try cursor.string()
            return add(JSONNode(.string, content, isRaw: escaped))
        case UInt8(ascii: "t"):
            try cursor.word("true")
            return add(JSONNode(.yes))
        case UInt8(ascii: "f"):
            try cursor.word("false")
            return add(JSONNode(.no))
        case UInt8(ascii: "n"):
            try cursor.word("null")
            return add(JSONNode(.null))
        default:
            return add(JSONNode(.number, try cursor.number()))
        }
    }
}

/// A place in a JSON text.
struct JSONCursor {
    let text: Text
    var index = 0

    init(text: Text) { self.text = text }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    /// The byte here; `skipToValue` made sure that there is one.
    var peek: UInt8 { text[index] }

    /// Moves to the next token and returns its place.
    @inline(__always)
    mutating func skipToValue() throws(JSONFailure) -> Int {
        while index < text.count {
            if !JSONCursor.isSpace(text[index]) { return index }
            index &+= 1
        }
        throw .truncated
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard index < text.count, text[index] == byte else { return false }
        index += 1
        return true
    }

    mutating func expect(_ byte: UInt8) throws(JSONFailure) {
        _ = try skipToValue()
        guard take(byte) else { throw .invalid }
    }

    /// Whether the container that was just opened is empty.
    mutating func closesAtOnce(_ kind: JSONKind) throws(JSONFailure) -> Bool {
        _ = try skipToValue()
        return take(kind == .object ? UInt8(ascii: "}") : UInt8(ascii: "]"))
    }

    /// After a value: true behind a comma, false behind the closing bracket.
    mutating func continues(in kind: JSONKind) throws(JSONFailure) -> Bool {
        _ = try skipToValue()
        if take(UInt8(ascii: ",")) { return true }
        guard take(kind == .object ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { throw .invalid }
        return false
    }

    /// Only white space may follow.
    mutating func finish() throws(JSONFailure) {
        while index < text.count {
            guard JSONCursor.isSpace(text[index]) else { throw .invalid }
            index += 1
        }
    }

    mutating func word(_ word: StaticString) throws(JSONFailure) {
        let expected = Text(word)
        let length = min(expected.count, text.count - index)
        guard text[index..<index + length] == expected[0..<length] else { throw .invalid }
        guard length == expected.count else { throw .truncated }
        index += length
    }

    /// Reads behind the opening quote to behind the closing one.
    @inline(__always)
    mutating func string() throws(JSONFailure) -> (Text, escaped: Bool) {
        let start = index
        var escaped = false
        while true {
            let stop = JSONText.special(text, from: index)
            guard stop < text.count else { throw .truncated }
            let byte = text[stop]
            if byte == UInt8(ascii: "\"") {
                index = stop + 1
                return (text[start..<stop], escaped)
            }
            guard byte == UInt8(ascii: "\\") else { throw .invalid }
            escaped = true
            index = try escapeEnd(stop)
        }
    }

    private func escapeEnd(_ at: Int) throws(JSONFailure) -> Int {
        guard at + 1 < text.count else { throw .truncated }
        switch text[at + 1] {
        case UInt8(ascii: "u"):
            guard at + 6 <= text.count else { throw .truncated }
            guard JSONText.hex(text, at + 2, digits: 4) != nil else { throw .invalid }
            return at + 6
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            return at + 2
        default: throw .invalid
        }
    }

    mutating func number() throws(JSONFailure) -> Text {
        let start = index
        _ = take(UInt8(ascii: "-"))
        guard index < text.count else { throw .truncated }
        if !take(UInt8(ascii: "0")) { try digits() }
        if take(UInt8(ascii: ".")) { try digits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        return text[start..<index]
    }

    private mutating func digits() throws(JSONFailure) {
        guard index < text.count else { throw .truncated }
        let start = index
        while index < text.count, text[index] >= 0x30, text[index] <= 0x39 { index += 1 }
        guard index > start else { throw .invalid }
    }
}
