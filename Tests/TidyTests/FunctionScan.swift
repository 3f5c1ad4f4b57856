/// Finds functions and their length in blanked Swift text by words and braces.
struct FunctionScan {
    struct Function: Equatable {
        /// First line, counted from 1.
        var line: Int
        /// Lines from the declaration to the closing brace, both included.
        var length: Int
    }

    private let code: SourceText
    private let bytes: [UInt8]

    init(code: SourceText) {
        self.code = code
        bytes = code.bytes
    }

    /// Functions, initialisers, subscripts and computed properties that have a body, in order.
    func functions() -> [Function] {
        let declarations = ["func", "init", "deinit", "subscript", "var"].flatMap { keyword in
            code.places(of: keyword).filter { $0 == 0 || bytes[$0 - 1] != UInt8(ascii: ".") }
                .map { (start: $0, end: $0 + keyword.utf8.count) }
        }
        return declarations.sorted { $0.start < $1.start }.compactMap { declaration in
            guard let open = body(after: declaration.end), let close = closing(of: open) else { return nil }
            let line = code.line(of: declaration.start)
            return Function(line: line, length: code.line(of: close) - line + 1)
        }
    }

    /// The brace that opens the body of the declaration at `place`; nil for a requirement or a stored property.
    private func body(after place: Int) -> Int? {
        var depth = 0
        var at = place
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "("), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: "{") where depth == 0: return at
            case UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: "=") where depth == 0 && at + 1 < bytes.count && bytes[at + 1] == UInt8(ascii: " "):
                return nil
            case UInt8(ascii: ";") where depth == 0: return nil
            case UInt8(ascii: "\n") where depth == 0 && !continues(behind: at): return nil
            default: break
            }
            if depth < 0 { return nil }
            at += 1
        }
        return nil
    }

    /// Whether the line behind a newline goes on with the declaration in front of it.
    private func continues(behind newline: Int) -> Bool {
        var at = newline
        while at < bytes.count, bytes[at] == UInt8(ascii: " ") || bytes[at] == UInt8(ascii: "\n") { at += 1 }
        return ["{", "where ", "->", "throws", "async", "rethrows", ":"].contains { word in
            bytes[at...].starts(with: word.utf8)
        }
    }

    private func closing(of open: Int) -> Int? {
        var depth = 0
        for at in open..<bytes.count {
            if bytes[at] == UInt8(ascii: "{") { depth += 1 }
            if bytes[at] == UInt8(ascii: "}") { depth -= 1 }
            if depth == 0 { return at }
        }
        return nil
    }
}
