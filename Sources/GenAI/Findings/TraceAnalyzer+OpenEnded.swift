import Telemetry

/// Tools that do whatever their arguments say: shells, interpreters, databases, browsers. Their names tell nothing of
/// what a call changes.
extension TraceAnalyzer {
    private static let openParts: [StaticString] = [
        "bash", "shell", "terminal", "python", "jupyter", "sql", "browser", "playwright", "puppeteer", "run_code",
        "runcode", "execute_code", "executecode", "code_exec", "code_interpreter", "run_command", "runcommand",
        "execute_command", "executecommand", "run_query", "execute_query", "query_db", "query_database", "db_query",
        "str_replace", "scroll", "screenshot",
    ]
    private static let openWords: [StaticString] = [
        "exec", "command", "cmd", "sh", "zsh", "repl", "notebook", "interpreter", "click", "computer",
    ]

    static func isOpenEnded(_ name: Text) -> Bool {
        if openParts.contains(where: { name.holds($0) }) { return true }
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            if isOneOf(name[range], openWords) { return true }
        }
        return false
    }

    /// Whether an empty result is what such a tool gives when all is well: `mkdir` and `import` have nothing to say.
    static func isQuiet(_ call: ToolCall) -> Bool {
        call.emptiness == .null || (call.emptiness == .phrase && call.resultText.holds("output"))
    }

    // MARK: Moves

    private static let moves: [StaticString] = ["scroll", "wait", "key", "screenshot", "mouse_move", "page_down"]

    /// Whether a call moves on in a page or waits for it, which takes as many equal calls as there is page.
    mutating func isMove(_ call: ToolCall) -> Bool {
        guard call.isOpenEnded else { return false }
        if call.name.holds("scroll") || call.name.holds("press_key") { return true }
        let action = tree.member(call.arguments, "action")
        guard tree.isString(action) else { return false }
        let text = tree.string(action)
        return TraceAnalyzer.moves.contains { text.beginsWith($0) }
    }

    // MARK: Progress

    /// Whether one of the calls in front of the window's last one is progress for that: a change, or another answer
    /// to the same question. What tools that do anything did before, with the same result, is none, or two commands in
    /// turn would be no loop.
    func isProgress(_ place: Int, in window: [Int]) -> Bool {
        guard let last = window.last else { return false }
        let (other, call) = (calls[window[place]], calls[last])
        let changes = isChange(other, for: call)
        if !other.isOpenEnded, changes || !call.isOpenEnded { return changes }
        if isFailing(other) || isEqual(other, call) { return false }
        var isAnswered = false
        for index in window[..<place] where isEqual(calls[index], other) {
            let earlier = calls[index]
            if !isFailing(earlier), earlier.resultHash == other.resultHash { return false }
            isAnswered = true
        }
        if changes { return other.name == call.name || !holdsCalls(other, window) }
        return call.isOpenEnded && isAnswered
    }

    private func isEqual(_ left: ToolCall, _ right: ToolCall) -> Bool {
        left.signature != 0 && left.signature == right.signature && left.name == right.name
    }

    /// Whether a call ran others of the window inside of it, as code does that calls tools: it did not come between.
    private func holdsCalls(_ other: ToolCall, _ window: [Int]) -> Bool {
        guard other.step >= 0 else { return false }
        return window.contains { index in
            let step = Int(calls[index].step)
            return step >= 0 && trace.isBelow(step, Int(other.step))
        }
    }
}
