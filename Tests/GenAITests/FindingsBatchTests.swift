import Telemetry
import Testing

@testable import GenAI

/// Work that looks like going round in circles, and results that look empty, and are not.
@Suite struct FindingsBatchTests {
    private typealias Call = (tool: String, arguments: String, result: String?)

    /// The repeats of calls that came one after the other; nil for a result is a failure.
    private func repeats(_ calls: [Call]) throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for call in calls {
            trace.tool(
                call.tool, in: agent, arguments: call.arguments, result: call.result,
                error: call.result == nil ? "1 failed: test_a" : nil)
        }
        trace.model(in: agent, text: "That is all there is to it.")
        return try findings(trace).filter { [.loop, .retryStorm].contains($0.pattern) }
    }

    // MARK: Batches

    @Test(arguments: [
        ("send_email", #"{"to":"@","subject":"Invitation","body":"You are invited to the party on Friday evening."}"#),
        ("write_file", #"{"path":"src/@.py","content":"module @ import os import sys from typing import Any"}"#),
        ("add_member", #"{"team":"core platform team","role":"member","name":"@"}"#),
        ("translate_store", #"{"text":"The quick brown fox jumps over the lazy dog","lang":"@"}"#),
    ]) func `the same action on another thing each time is no loop`(_ tool: String, _ arguments: String) throws {
        let calls = ["Ann", "Bob", "Eve", "Tom"].map { name -> Call in
            (tool, arguments.replacing("@", with: name), #"{"ok":true}"#)
        }
        let found = try repeats(calls)
        #expect(found.isEmpty, "\(found)")
    }

    @Test func `questions that differ in a word and get the same answer are a tag at most`() throws {
        let calls = ["Rome", "Oslo", "Bern", "Kyiv"].map { city -> Call in
            ("has_rain", #"{"city":"\#(city)","country":"Europe","day":"tomorrow morning"}"#, #"{"rain":false}"#)
        }
        #expect(try repeats(calls).map(\.tier) == [.tag])
        let empty = calls.map { call -> Call in (call.tool, call.arguments, "[]") }
        #expect(try repeats(empty).map(\.tier) == [.alert])
    }

    @Test func `calls that one answer asked for are no repeats of each other`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        let cities = ["Rome", "Oslo", "Bern", "Kyiv"]
        trace.model(
            in: agent,
            calls: cities.map {
                ("c_\($0)", "has_rain", #"{"city":"\#($0)","country":"Europe","day":"tomorrow morning"}"#)
            })
        for city in cities { trace.tool("has_rain", in: agent, id: "c_\(city)", result: #"{"rain":false}"#) }
        trace.model(in: agent, text: "None of them has rain.")
        #expect(try findings(trace).of(.loop).isEmpty)
    }

    @Test(arguments: [#"{"ok":true}"#, "[]"]) func `calls whose arguments were not recorded are no repeats`(
        _ result: String
    ) throws {
        let detective = Detective()
        // Nor are they over the traces of a session.
        for _ in 0..<5 {
            var trace = TestTrace()
            let agent = trace.agent("a")
            for _ in 0..<4 { trace.tool("send_email", in: agent, result: result) }
            trace.model(in: agent, text: "Nothing is left to be sent.")
            let found = try detective.look(at: trace).filter { [.loop, .retryStorm].contains($0.pattern) }
            #expect(found.isEmpty, "\(found)")
        }
    }

    // MARK: Agents and changes

    @Test func `equal calls of several agents are no loop`() throws {
        func trace(_ names: [String]) -> TestTrace {
            var trace = TestTrace()
            let root = trace.agent("front")
            for name in names {
                let sub = trace.agent(name, in: root)
                trace.tool("get_order", in: sub, arguments: #"{"id":"A-1001"}"#, result: #"{"total":60}"#)
                trace.model(in: sub, text: "Fine.")
            }
            trace.model(in: root, text: "All say that it is fine.")
            return trace
        }
        #expect(try findings(trace(["legal", "sales", "tech"])).of(.loop).isEmpty)
        #expect(try findings(trace(["legal", "legal", "legal"])).of(.loop).map(\.tier) == [.alert])
        // Spans of agents without a name tell nothing but that they are several.
        #expect(try findings(trace(["", "", ""])).of(.loop).isEmpty)
        var parallel = trace(["worker", "worker", "worker"])
        for place in [1, 4, 7] { parallel.spans[place].end += 60_000_000_000 }
        #expect(try findings(parallel).of(.loop).isEmpty)
        var spread = trace(["assistant", "assistant", "assistant"])
        for place in 1..<10 { spread.spans[place].service = "shop-\((place - 1) / 3)" }
        #expect(try findings(spread).of(.loop).isEmpty)
        for place in 1..<10 { spread.spans[place].service = "shop" }
        #expect(try findings(spread).of(.loop).map(\.tier) == [.alert])
    }

    @Test func `a change between equal calls is progress`() throws {
        func session(_ result: String?) -> [Call] {
            let test: Call = ("run_tests", "{}", result)
            return [
                test, ("edit", #"{"file":"a.py","patch":"x=1"}"#, "ok"), test,
                ("edit", #"{"file":"a.py","patch":"y=2 instead"}"#, "ok"), test,
            ]
        }
        #expect(try repeats(session("1 failed: test_a")).isEmpty)
        // What fails in the same way behind every change is worth a look.
        #expect(try repeats(session(nil)).map(\.tier) == [.tag])
        let test: Call = ("run_tests", "{}", "1 failed: test_a")
        #expect(try repeats([test, test, test]).map(\.tier) == [.alert])
        // Reading something else changes nothing.
        let reads: [Call] = [
            ("read_file", #"{"file":"a.py"}"#, "x = 1"), ("read_file", #"{"file":"b.py"}"#, "y = 2"),
        ]
        #expect(try repeats([test, reads[0], test, reads[1], test]).map(\.tier) == [.alert])
    }

    // MARK: Empty results

    private func emptiness(_ text: String) -> Emptiness {
        var text = text
        return text.withUTF8 { TraceAnalyzer.emptiness(of: Text(UnsafeRawBufferPointer($0))) }
    }

    @Test(arguments: [
        "No orders found for this customer.", "Order A-1 was not found in the archive.", "404: not found",
        "No results. Try another spelling.", "I could not find a user named Bob.", "The file does not exist",
        "No matching transactions for account 7 in May.", "User 'bob' not found",
    ]) func `a text that says only that nothing was found is empty`(_ text: String) {
        #expect(emptiness(text) == .phrase)
    }

    @Test(arguments: [
        "The HTTP status 404 Not Found tells that a resource was not found on the server.",
        "Order A-1001: shipped with DHL, arrives tomorrow. No items are missing. Coupon: not found.",
        "No orders found. The last one, A-1001, was shipped on May 3 to Rome, Italy, by sea.",
        "This long report on the test of the new line says that no results were false.",
    ]) func `a text with data that holds such a phrase is not`(_ text: String) {
        #expect(emptiness(text) == .none)
    }

    private func pages(_ count: Int, _ answer: String) throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for page in 1...count {
            let orders = page < count ? #"[{"id":"A-\#(page)"}]"# : "[]"
            trace.tool(
                "list_orders", in: agent, arguments: #"{"page":\#(page),"state":"open"}"#,
                result: #"{"orders":\#(orders),"page":\#(page),"has_more":false}"#)
        }
        trace.model(in: agent, text: answer)
        return try findings(trace).of(.silentEmptyResponse)
    }

    @Test func `the empty page at the end of a list is no failure`() throws {
        #expect(try pages(4, "You have three orders in total.").isEmpty)
        #expect(try pages(1, "You have three orders in total.").map(\.tier) == [.alert])
    }

    @Test func `rows without a row are empty, whatever the columns are called`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("sql", in: agent, arguments: #"{"q":"select"}"#, result: #"{"rows":[],"columns":["a","b"]}"#)
        trace.tool("table", in: agent, arguments: #"{"name":"t"}"#, result: #"{"columns":["a"],"indexes":[]}"#)
        trace.model(in: agent, text: "There is nothing in it.")
        #expect(try findings(trace).of(.silentEmptyResponse).map(\.span) == [1])
    }

    @Test(arguments: [
        ("Ihre Bestellung kommt am Montag und ist bezahlt.", true), ("Su pedido viene el lunes por la tarde.", true),
        ("Votre commande est en route.", true), ("Заказ в пути.", true), ("Your order arrives on Monday.", false),
        ("Order A-1001 ships Monday.", false), ("Done.", false),
    ]) func `an answer in another language is not judged by English words`(_ text: String, _ isForeign: Bool) {
        var text = text
        let found = text.withUTF8 { TraceAnalyzer.isForeign(Text(UnsafeRawBufferPointer($0))) }
        #expect(found == isForeign)
    }

    // MARK: Questions

    /// One call with the same result for each question. `isAnswered` says whether the model answers before the next
    /// one; `sees` whether its requests show what the user said.
    private func asked(
        _ questions: [String], isAnswered: Bool = true, sees: Bool = true, result: String = #"{"state":"sent"}"#
    ) throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("a")
        var history: [String] = []
        for (number, question) in questions.enumerated() {
            let text = #"{"role":"user","parts":[{"type":"text","content":"\#(question)"}]}"#
            if history.last != text { history.append(text) }
            trace.model(
                in: agent, input: sees ? "[" + history.joined(separator: ",") + "]" : nil,
                calls: [("c\(number)", "track_order", #"{"id":"ORD-1"}"#)])
            trace.tool("track_order", in: agent, id: "c\(number)", arguments: #"{"id":"ORD-1"}"#, result: result)
            if isAnswered { trace.model(in: agent, text: "Nothing new at turn \(number).") }
        }
        if !isAnswered { trace.model(in: agent, text: "There is nothing new.") }
        return try findings(trace).filter { $0.rule == .repeatedCall || $0.rule == .repeatedNearly }
    }

    @Test func `looking again for a new question is no loop`() throws {
        let turns = ["Where is my order?", "Any news?", "And now?"]
        #expect(try asked(turns).isEmpty)
        #expect(try asked(Array(turns.prefix(2))).isEmpty)
        #expect(try asked(turns, result: "[]").isEmpty)
        // The same words again are a new question too, but within one turn they are not.
        #expect(try asked(["Any news?", "And now?", "Any news?"]).isEmpty)
    }

    @Test func `looking again and again for one question is a loop`() throws {
        let once = [String](repeating: "Where is my order?", count: 3)
        #expect(try asked(once, isAnswered: false).map(\.tier) == [.alert])
        // Nobody asked again, or nobody knows whether anybody did.
        #expect(try asked(once).map(\.tier) == [.alert])
        #expect(try asked(["Where?", "News?", "Now?"], sees: false).map(\.tier) == [.alert])
        // What comes in the user's place while the model works is no question.
        #expect(try asked(["Where?", "News?", "Now?"], isAnswered: false).map(\.tier) == [.alert])
        let mixed = ["Where is my order?"] + [String](repeating: "And now?", count: 3)
        #expect(try asked(mixed).map(\.tier) == [.alert])
    }

    @Test func `empty results in a row came back empty, they did not fail`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for _ in 0..<3 { trace.tool("get_orders", in: agent, arguments: #"{"id":"C-1"}"#, result: "[]") }
        trace.model(in: agent, text: "There are no orders.")
        let storm = try #require(try findings(trace).of(.retryStorm).first)
        #expect(storm.explanation == "get_orders was called 3 times with the same arguments and came back empty.")
    }
}
