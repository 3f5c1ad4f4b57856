import Telemetry

extension TraceAnalyzer {
    /// Argument values that look wrong in themselves: a hint, and the probable cause of an empty result.
    mutating func checkArgumentShapes(_ batch: borrowing RecordBatch) {
        guard calls.count > 0 else { return }
        var seen = SeenIdentifiers()
        if turns.count > 0 { collectRequest(0, batch, &seen) }
        for index in calls.indices {
            guard calls[index].state == .object else {
                note(.argumentAnomaly, isAssessable: false)
                if calls[index].state == .other { checkBare(index) }
                collectResult(index, &seen)
                continue
            }
            note(.argumentAnomaly, isAssessable: true)
            checkMembers(of: calls[index].arguments, index, seen, 0)
            collectResult(index, &seen)
        }
    }

    /// The value of a single parameter whose name was dropped.
    private mutating func checkBare(_ index: Int) {
        let text = calls[index].argumentsText
        guard text.count > 0, text.count <= 128 else { return }
        // The text was trimmed when it was read; the untrimmed one stands in the wrapper.
        let only = tree.first(calls[index].arguments)
        let value = tree.isString(only) ? tree.string(only) : text
        if value.isMask { return }
        let oddity = TraceAnalyzer.oddity(value, name: .empty)
        if !oddity.isEmpty { mark(index, Text("input"), oddity, value) }
    }

    private mutating func checkMembers(of ref: JSONRef, _ index: Int, _ seen: borrowing SeenIdentifiers, _ depth: Int) {
        guard depth < 6 else { return }
        var child = tree.first(ref)
        while child.exists {
            if tree.isString(child) {
                let value = tree.string(child)
                var oddity = TraceAnalyzer.oddity(value, name: tree[child].key)
                if seen.hasOtherShape(value) { oddity.insert(.otherShape) }
                if !oddity.isEmpty, !value.isMask { return mark(index, tree[child].key, oddity, value) }
            } else if tree.isObject(child) || tree.isArray(child) {
                checkMembers(of: child, index, seen, depth + 1)
                if !calls[index].oddity.isEmpty { return }
            }
            child = tree.next(child)
        }
    }

    private mutating func mark(_ index: Int, _ name: Text, _ oddity: ArgumentOddity, _ value: Text) {
        calls[index].oddArgument = name
        calls[index].oddity = oddity
        let call = calls[index]
        let names = oddity.names.joined(separator: ",")
        let words = names.replacing("_", with: " ").replacing(",", with: ", ")
        var evidence =
            "tool=\(call.name.string) argument=\(name.string) oddity=\(names) "
            + "value_hash=\(ContentHash.of(value).hexDigits)"
        if options.evidenceContent { evidence += " value=\(quoted(value))" }
        report(
            Finding(
                .argumentAnomaly, .argumentShape, .hint, span: span(of: call), cause: cause(of: call), call: index,
                evidence: evidence,
                "Argument \(name.string) of \(call.name.string) has \(words)."))
    }

    // MARK: One value

    /// Names of arguments that hold prose, code or queries, where spaces and quotes mean something.
    private static func isFreeText(_ name: Text) -> Bool {
        for word: StaticString in [
            "text", "content", "body", "message", "code", "query", "question", "prompt", "command", "cmd", "script",
            "pattern", "regex", "sql", "string", "str", "comment", "description", "title", "subject", "note", "reason",
            "answer", "task", "request", "input", "instruction", "search", "keyword", "expression", "html", "markdown",
            "thought", "summary", "template", "value", "patch", "diff", "q", "delimiter", "separator", "quote",
        ] where name.holds(word) {
            return true
        }
        return false
    }

    static func oddity(_ value: Text, name: Text) -> ArgumentOddity {
        guard value.count > 0, value.count <= 128 else { return [] }
        var oddity = ArgumentOddity()
        let text = value.trimmed
        if text.isEmpty { return [] }
        if !isFreeText(name), value.firstIndex(of: 0x0A) == nil || text.firstIndex(of: 0x0A) == nil {
            if JSONCursor.isSpace(value[0]) { oddity.insert(.leadingSpace) }
            if JSONCursor.isSpace(value[value.count - 1]) { oddity.insert(.trailingSpace) }
            if isQuoted(text) { oddity.insert(.quotes) }
        }
        if isPlaceholder(text) { oddity.insert(.placeholder) }
        return oddity
    }

    /// One word in quotes, or a word with a quote on one side only.
    private static func isQuoted(_ text: Text) -> Bool {
        let first = Text.isQuote(text[0])
        let last = text.count > 1 && Text.isQuote(text[text.count - 1])
        if first && last { return true }
        // `5'` and `6"` are measures.
        return (first || (last && !Text.isDigit(text[text.count - 2]))) && text.firstIndex(of: 0x20) == nil
    }

    private static func isPlaceholder(_ text: Text) -> Bool {
        guard text.count <= 64 else { return false }
        for word: StaticString in [
            "null", "none", "n/a", "undefined", "tbd", "todo", "placeholder", "xxx", "unknown_id", "your_id", "<id>",
            "nan", "example_id", "customer_id", "order_id", "user_id", "id_here", "insert_here", "unspecified",
        ] where text.count == Text(word).count && text.beginsWith(word) {
            return true
        }
        let last = text[text.count - 1]
        if text.count >= 3, text[0] == UInt8(ascii: "<"), last == UInt8(ascii: ">"), text.firstIndex(of: 0x20) == nil,
            text.firstIndex(of: UInt8(ascii: "/")) == nil, text.firstIndex(of: UInt8(ascii: "@")) == nil
        {
            return true
        }
        if text.count >= 5, text.hasPrefix("{{"), text.hasSuffix(Text("}}")) { return true }
        if text.count >= 4, text.hasPrefix("${"), last == UInt8(ascii: "}") { return true }
        if text.beginsWith("your_") || text.beginsWith("insert_") || text.beginsWith("[your ") { return true }
        return false
    }

    // MARK: Identifiers seen before

    private mutating func collectRequest(_ turn: Int, _ batch: borrowing RecordBatch, _ seen: inout SeenIdentifiers) {
        let list = input(ofTurn: turn, batch)
        var message = tree.first(list)
        while message.exists {
            if tree.string(tree.member(message, "role")) == "user" {
                var part = tree.first(tree.member(message, "parts"))
                while part.exists {
                    let content = tree.member(part, "content")
                    if tree.isString(content) { seen.collect(tree.string(content).capped(16 << 10)) }
                    part = tree.next(part)
                }
            }
            message = tree.next(message)
        }
    }

    private mutating func collectResult(_ index: Int, _ seen: inout SeenIdentifiers) {
        let call = calls[index]
        guard call.hasResult, !isFailing(call) else { return }
        if call.result.exists {
            seen.collect(call.result, &tree, 0)
        } else {
            seen.collect(call.resultText.capped(16 << 10))
        }
    }
}

/// Ids that the trace showed so far, for recognizing one that comes back in another spelling. Bounded.
struct SeenIdentifiers: ~Copyable {
    /// Loose and exact hash of each.
    private var exact: [UInt64: UInt64] = [:]
    private static let limit = 1_024

    mutating func collect(_ text: Text) {
        var words = WordCursor(text)
        // Only ids of letters and digits have a shape that can be lost.
        while exact.count < SeenIdentifiers.limit, let range = words.nextWithDigit() { add(text[range]) }
    }

    mutating func collect(_ ref: JSONRef, _ tree: inout JSONTree, _ depth: Int) {
        guard depth < 8, exact.count < SeenIdentifiers.limit else { return }
        if tree.isString(ref) { return collect(tree.string(ref).capped(4 << 10)) }
        var child = tree.first(ref)
        while child.exists {
            collect(child, &tree, depth + 1)
            child = tree.next(child)
        }
    }

    private mutating func add(_ word: Text) {
        guard word.isMixedIdentifier else { return }
        let loose = word.looseHash
        if exact[loose] == nil { exact[loose] = ContentHash.of(word) }
    }

    /// Whether the value is an id that was seen, in another spelling.
    borrowing func hasOtherShape(_ value: Text) -> Bool {
        let text = value.trimmed
        guard text.count <= 64, text.isIdentifier, text.hasLetter, text.firstIndex(of: 0x20) == nil else {
            return false
        }
        var end = text.count
        var start = 0
        while start < end, !WordCursor.isWord(text[start]) { start += 1 }
        while end > start, !WordCursor.isWord(text[end - 1]) { end -= 1 }
        guard end > start, let known = exact[text.looseHash] else { return false }
        return known != ContentHash.of(text[start..<end])
    }
}
