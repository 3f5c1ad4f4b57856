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
        if openParts.contains(where: { name.holds($0) }) || isKeyOrPage(name) { return true }
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            if isOneOf(name[range], openWords) { return true }
        }
        return false
    }

    // MARK: Code

    private static let codeWords: [StaticString] = [
        "pytest", "unittest", "jest", "vitest", "tsc", "mypy", "lint", "linter", "eslint", "compiler", "typecheck",
        "runtest", "runtests", "runscript", "runbuild", "evaluatescript", "buildproject",
    ]
    /// Verbs and what they run, in one name: `run_tests`, `build_project`. Most of them alone tell nothing.
    private static let codeVerbs: [StaticString] = [
        "run", "execute", "evaluate", "eval", "build", "test", "launch", "compile",
    ]
    private static let codeThings: [StaticString] = [
        "test", "tests", "suite", "script", "scripts", "build", "project", "program", "app", "module",
    ]
    private static let codeNames: [StaticString] = ["build", "test", "tests", "eval", "make", "compile"]
    /// First words of tools that keep or tell of such things and run none: `create_notebook`, `get_computer_specs`.
    private static let keepers: [StaticString] = [
        "get", "list", "find", "describe", "create", "update", "delete", "rename",
    ]

    /// Whether a tool runs code that somebody else wrote, so that its errors are that code's: shells and interpreters,
    /// test runners, compilers.
    static func runsCode(_ name: Text) -> Bool {
        var first = WordCursor(name, joins: false)
        if let range = first.next(), isOneOf(name[range], keepers) { return false }
        if isOpenEnded(name) || isOneOf(name, codeNames) { return true }
        var (hasVerb, hasThing) = (false, false)
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            let word = name[range]
            if isOneOf(word, codeWords) { return true }
            if !hasVerb, isOneOf(word, codeVerbs) {
                hasVerb = true
            } else if isOneOf(word, codeThings) {
                hasThing = true
            }
        }
        return hasVerb && hasThing
    }

    /// Whether an empty result is what such a tool gives when all is well: `mkdir` and `import` have nothing to say.
    static func isQuiet(_ call: ToolCall) -> Bool {
        call.emptiness == .null || (call.emptiness == .phrase && call.resultText.holds("output"))
    }

    // MARK: Moves

    /// Beginnings of what such a tool is told to do.
    private static let moves: [StaticString] = [
        "scroll", "wait", "key", "press", "hotkey", "screenshot", "mouse_move", "page_down", "page_up", "swipe",
    ]
    /// Names of tools that press keys and turn pages: words, pairs of words in a row, and whole ones that would tell
    /// nothing inside of others, as in `search_press_releases`.
    private static let moveWords: [StaticString] = [
        "keypress", "presskey", "presskeys", "sendkeys", "hotkey", "pagedown", "pageup", "mousemove", "swipe",
    ]
    private static let movePairs: [(StaticString, StaticString)] = [
        ("press", "key"), ("press", "keys"), ("key", "press"), ("send", "keys"), ("keyboard", "press"),
        ("page", "down"), ("page", "up"), ("mouse", "move"), ("mouse", "wheel"),
    ]
    private static let moveNames: [StaticString] = ["press", "keyboard"]

    private static func isKeyOrPage(_ name: Text) -> Bool {
        if isOneOf(name, moveNames) { return true }
        var before = Text.empty
        var words = WordCursor(name, joins: false)
        while let range = words.next() {
            let word = name[range]
            if isOneOf(word, moveWords) { return true }
            if movePairs.contains(where: { isWord(before, $0.0) && isWord(word, $0.1) }) { return true }
            before = word
        }
        return false
    }

    /// Whether a call moves on in a page, presses a key or waits, which takes as many equal calls as there is page.
    mutating func isMove(_ call: ToolCall) -> Bool {
        guard call.isOpenEnded else {
            return TraceAnalyzer.isAction(call.name) && TraceAnalyzer.hasWord(call.name, "wait")
        }
        if call.name.holds("scroll") || TraceAnalyzer.isKeyOrPage(call.name) || turnsPage(call) { return true }
        if sleeps(call) { return true }
        let action = tree.member(call.arguments, "action")
        guard tree.isString(action) else { return false }
        let text = tree.string(action)
        return TraceAnalyzer.moves.contains { text.beginsWith($0) }
    }

    /// Whether a command begins with a pause: `sleep 30 && kubectl get pods`.
    private mutating func sleeps(_ call: ToolCall) -> Bool {
        for name: StaticString in ["command", "cmd"] {
            let command = tree.member(call.arguments, name)
            if tree.isString(command), tree.string(command).trimmed.beginsWith("sleep ") { return true }
        }
        return false
    }

    /// Whether a call of the same agent only let time pass, so that looking again behind it is waiting.
    func isPause(_ call: ToolCall, of other: ToolCall) -> Bool {
        guard !isFailing(call), !call.isHandoff, TraceAnalyzer.isAction(call.name) else { return false }
        guard TraceAnalyzer.hasWord(call.name, "sleep") || TraceAnalyzer.hasWord(call.name, "wait") else {
            return false
        }
        return isSameAgent(call, other)
    }

    /// Whether a click says of its place that it leads on: `Next`, `Load more`.
    private mutating func turnsPage(_ call: ToolCall) -> Bool {
        guard TraceAnalyzer.hasWord(call.name, "click"), tree.isObject(call.arguments),
            tree.count(call.arguments) <= TraceAnalyzer.membersMax
        else { return false }
        var member = tree.first(call.arguments)
        while member.exists {
            if tree.isString(member), TraceAnalyzer.leadsOn(tree.string(member).capped(64)) { return true }
            member = tree.next(member)
        }
        return false
    }

    private static func leadsOn(_ place: Text) -> Bool {
        if hasWord(place, "next") { return true }
        return hasWord(place, "more") && (hasWord(place, "load") || hasWord(place, "show"))
    }

    /// Equal moves in a row, with the same result, that no page is long enough for.
    private static let movesMax = 20

    /// Agents whose moves are followed at the same time.
    private static let runsMax = 32

    /// Moves that go on for so long that they are a loop all the same. What other agents do does not come between.
    mutating func endlessMoves(_ order: [Int]) -> [Repeat] {
        var found: [Repeat] = []
        var runs: [(last: Int, first: Int, count: Int)] = []
        for index in order {
            if let place = runs.firstIndex(where: { isSameAgent(calls[index], calls[$0.last]) }) {
                let last = runs[place].last
                if isEqual(calls[index], calls[last]), isSameOutcome(calls[index], calls[last]) {
                    runs[place].last = index
                    runs[place].count += 1
                    continue
                }
                found += TraceAnalyzer.endless(runs.remove(at: place))
            }
            let call = calls[index]
            if runs.count < Self.runsMax, call.signature != 0, !call.isHandoff, !isFailing(call), isMove(call),
                !isAllowed(call)
            {
                runs.append((index, index, 1))
            }
        }
        return found + runs.flatMap(TraceAnalyzer.endless)
    }

    private static func endless(_ run: (last: Int, first: Int, count: Int)) -> [Repeat] {
        guard run.count >= movesMax else { return [] }
        return [Repeat(rule: .repeatedCall, count: run.count, tier: .tag, last: run.last, first: run.first)]
    }

    private func isSameOutcome(_ left: ToolCall, _ right: ToolCall) -> Bool {
        isFailing(left) == isFailing(right) && isSameResult(left, right)
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
    func holdsCalls(_ other: ToolCall, _ window: [Int]) -> Bool {
        guard other.step >= 0 else { return false }
        return window.contains { index in
            let step = Int(calls[index].step)
            return step >= 0 && trace.isBelow(step, Int(other.step))
        }
    }
}
