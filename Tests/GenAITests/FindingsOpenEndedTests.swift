import Telemetry
import Testing

@testable import GenAI

/// Shells, interpreters, databases and browsers, whose one name stands for all that an agent does.
@Suite struct FindingsOpenEndedTests {
    private typealias Call = (tool: String, arguments: String, result: String?)

    /// What calls that came one after the other are found to be; nil for a result is a failure.
    private func look(_ calls: [Call]) throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("coder")
        for call in calls {
            trace.tool(
                call.tool, in: agent, arguments: call.arguments, result: call.result,
                error: call.result == nil ? "command failed with exit code 1" : nil)
        }
        trace.model(in: agent, text: "That is all there is to it.")
        return try findings(trace).filter { $0.tier > .hint }
    }

    private func bash(_ command: String, _ result: String?) -> Call {
        ("bash", #"{"command":\#(TestTrace.quoted(command))}"#, result)
    }

    private func sql(_ query: String, _ result: String) -> Call {
        ("execute_sql", #"{"query":\#(TestTrace.quoted(query))}"#, result)
    }

    private func click(_ page: Int) -> [Call] {
        [("browser_snapshot", "{}", "page \(page)"), ("browser_click", #"{"ref":"next"}"#, "Clicked")]
    }

    // MARK: Progress

    @Test func `another command in between is progress`() throws {
        let edits: [Call] = (0..<4).flatMap {
            [bash("sed -i s/a/b\($0)/ x.py", ""), bash("pytest -q", "1 failed, 3 passed")]
        }
        let commits: [Call] = (0..<4).flatMap {
            [bash("git commit -m p\($0)", "[main \($0)]"), bash("git status", "M a.py")]
        }
        let rows: [Call] = (0..<4).flatMap {
            [
                sql("DELETE FROM t WHERE id=\($0)", #"{"affected":0}"#),
                sql("SELECT count(*) FROM t", #"{"rows":[[5]]}"#),
            ]
        }
        for calls in [edits, commits, rows] {
            let found = try look(calls)
            #expect(found.isEmpty, "\(found)")
        }
    }

    @Test func `pages that one clicks and scrolls through are progress`() throws {
        let found = try look((0..<4).flatMap { click($0) })
        #expect(found.isEmpty, "\(found)")
        let scroll: Call = ("browser_scroll", #"{"direction":"down"}"#, "Scrolled")
        #expect(try look([scroll, scroll, scroll, scroll]).isEmpty)
        let move: Call = ("computer", #"{"action":"scroll","amount":5}"#, "done")
        #expect(try look([move, move, move, move]).isEmpty)
    }

    @Test(arguments: [
        ("press_key", #"{"key":"Tab"}"#), ("keyboard_press", #"{"key":"Tab"}"#), ("pressKey", #"{"key":"Tab"}"#),
        ("mcp__playwright__browser_press_key", #"{"key":"ArrowDown"}"#), ("send_keys", #"{"keys":"{DOWN}"}"#),
        ("press", #"{"keys":["tab"]}"#), ("page_down", "{}"), ("pageDown", "{}"), ("mouse_wheel", #"{"delta":3}"#),
        ("mobile_swipe", #"{"direction":"up"}"#), ("browser_click", #"{"element":"Next page","ref":"e7"}"#),
        ("click", ##"{"selector":"#load-more"}"##), ("computer", #"{"action":"keypress","keys":["DOWN"]}"#),
        ("browser", #"{"action":"press","key":"Tab"}"#),
        ("bash", #"{"command":"sleep 30 && kubectl get pods"}"#),
    ]) func `keys, pages and pauses in a row are a loop when they are very many only`(
        _ tool: String, _ arguments: String
    ) throws {
        let call: Call = (tool, arguments, "done")
        let few = try look([Call](repeating: call, count: 6))
        #expect(few.isEmpty, "\(few)")
        let many = try look([Call](repeating: call, count: 20))
        #expect(many.map(\.rule) == [.repeatedCall] && many.first?.tier == .tag, "\(many)")
        #expect(many.first?.evidence.contains("calls=20") == true, "\(many)")
        // Each shows another part of the page.
        let pages = (0..<20).map { place -> Call in (tool, arguments, "part \(place)") }
        #expect(try look(pages).isEmpty)
    }

    @Test(arguments: [
        ("search_press_releases", #"{"company":"Acme"}"#), ("browser_click", #"{"element":"Buy","ref":"e7"}"#),
        ("get_page_updates", #"{"page":"home"}"#), ("list_keyboards", #"{"maker":"Acme"}"#),
    ]) func `what only sounds like a key or a page is a loop`(_ tool: String, _ arguments: String) throws {
        let call: Call = (tool, arguments, "done")
        #expect(try look([call, call, call, call]).map(\.tier) == [.alert])
    }

    @Test func `the same page behind every click is a loop`() throws {
        let found = try look((0..<4).flatMap { _ in click(1) })
        #expect(found.of(.loop).contains { $0.tier == .alert }, "\(found)")
    }

    @Test func `a command in between is progress for other tools too`() throws {
        let test: Call = ("run_tests", "{}", "1 failed: test_a")
        #expect(try look([test, bash("sed -i s/a/b/ x.py", ""), test, bash("sed -i s/b/c/ x.py", ""), test]).isEmpty)
    }

    // MARK: Loops

    @Test func `the same command again and again is found`() throws {
        let test = bash("pytest -q", "1 failed, 3 passed")
        #expect(try look([test, test, test]).map(\.pattern) == [.loop])
        let failing = bash("npm install", nil)
        #expect(try look([failing, failing, failing]).map(\.tier) == [.alert])
        // Three times since the last change.
        let changed = [failing, bash("rm -rf node_modules", ""), failing, failing, failing]
        #expect(try look(changed).map(\.tier) == [.alert])
    }

    @Test func `two commands in turn that tell the same are found`() throws {
        let pair = [bash("ls", "a.py"), bash("cat a.py", "x = 1")]
        let found = try look(pair + pair + pair + pair)
        #expect(found.contains { $0.pattern == .loop && $0.tier == .alert }, "\(found)")
    }

    @Test func `what fails behind every other command is a tag`() throws {
        let calls: [Call] = (0..<4).flatMap { [bash("sed -i s/a/b\($0)/ x.py", ""), bash("pytest -q", nil)] }
        #expect(try look(calls).map(\.tier) == [.tag])
    }

    @Test func `code that calls the tools inside of it does not come between them`() throws {
        var trace = TestTrace()
        let agent = trace.agent("coder")
        for step in 0..<3 {
            let code = trace.tool(
                "python_interpreter", in: agent, arguments: #"{"code":"a\#(step) = get_order(1)"}"#, result: "60")
            trace.tool("get_order", in: code, arguments: #"{"id":1}"#, result: #"{"total":60}"#)
        }
        trace.model(in: agent, text: "The order has a total of 60.")
        let found = try findings(trace).of(.loop)
        #expect(found.contains { $0.tier == .alert }, "\(found)")
    }

    // MARK: Empty results

    @Test func `a command that has nothing to say is no empty result`() throws {
        let calls: [Call] = [
            bash("mkdir -p src", ""), bash("touch src/a.py", "(no output)"),
            ("python", #"{"code":"import pandas as pd"}"#, "None"), ("browser_click", #"{"ref":"e1"}"#, "null"),
        ]
        let found = try look(calls)
        #expect(found.isEmpty, "\(found)")
        #expect(try look([sql("SELECT * FROM t", #"{"rows":[]}"#)]).map(\.rule) == [.emptyResult])
    }

    @Test(arguments: [
        ("Bash", true), ("execute_sql", true), ("run_python_code", true), ("browser_click", true), ("computer", true),
        ("mcp__playwright__browser_snapshot", true), ("exec_command", true), ("runCommand", true),
        ("get_order", false), ("execute_refund", false), ("get_promo_code", false), ("search_database", false),
        ("run_tests", false), ("show", false), ("press_key", true), ("page_down", true), ("wait_for", false),
        ("search_press_releases", false), ("get_page_updates", false),
    ]) func `tools that do anything are known by their names`(_ name: String, _ isOpen: Bool) {
        var name = name
        let found = name.withUTF8 { TraceAnalyzer.isOpenEnded(Text(UnsafeRawBufferPointer($0))) }
        #expect(found == isOpen)
    }
}
