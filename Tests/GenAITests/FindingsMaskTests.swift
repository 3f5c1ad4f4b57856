import Telemetry
import Testing

@testable import GenAI

/// Runs whose content was masked before they are looked at.
@Suite struct FindingsMaskTests {
    private func asks(_ text: String, _ question: (Text) -> Bool) -> Bool {
        var text = text
        return text.withUTF8 { question(Text(UnsafeRawBufferPointer($0))) }
    }

    @Test(arguments: [
        ("****", true, true), (" **** ", true, true), ("*****", true, true), ("[REDACTED]", true, true),
        ("<REDACTED>", true, true), ("__REDACTED__", true, true), ("[REDACTED:EMAIL]", true, true),
        ("[REDACTED:TOO_DEEP]", true, true), ("[REDACTED_SSN]", true, true), ("to [REDACTED:EMAIL], ok", false, true),
        ("token ****", false, true), ("[EMAIL:0123456789abcdef]", false, false),
        ("[REDACTED:US_SSN:0123456789abcdef]", false, false), ("[REDACTED:0123456789abcdef]", true, true),
        ("a * b ** c *** d ***** e", false, false), ("[redactedness]", false, false), ("", false, false),
    ]) func `a mask that tells nothing apart is bare`(_ mask: String, _ isBare: Bool, _ holdsBare: Bool) {
        #expect(asks(mask, \.isBareMask) == isBare)
        #expect(asks(mask, \.holdsBareMask) == holdsBare)
    }

    @Test(arguments: [
        ("[EMAIL:0123456789abcdef]", true), ("[REDACTED:EMAIL:0123456789abcdef]", true), ("****", true),
        ("d41d8cd98f00b204e9800998ecf8427e", true), ("[email:0123456789abcdef]", false), ("[EMAIL:0123]", false),
        ("order 4711", false), ("", false),
    ]) func `a pseudonym or a hash is a mask too`(_ mask: String, _ isMask: Bool) {
        #expect(asks(mask, \.isMask) == isMask)
    }

    /// What repeats of one tool with these arguments are found.
    private func repeats(
        _ arguments: [String], tool: String = "check_card", result: String? = #"{"ok":true}"#
    ) throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for each in arguments { trace.tool(tool, in: agent, arguments: each, result: result) }
        trace.model(in: agent, text: "All of that is done, and there was nothing wrong.")
        return try findings(trace).filter { [.loop, .retryStorm].contains($0.pattern) }
    }

    @Test(arguments: [
        #"{"card":"****"}"#, #"{"card":"[REDACTED:CREDIT_CARD]"}"#, #"{"user":{"cards":["[REDACTED:TOO_DEEP]"]}}"#,
        #"{"****":1}"#, "[REDACTED:EMAIL]", "[REDACTED]", "****", #""****""#, "[REDACTED:EMAIL], [REDACTED:EMAIL]",
        #"{"card": ****}"#,
    ]) func `equal masks are no equal arguments`(_ arguments: String) throws {
        for result in [#"{"ok":true}"#, "[]"] {
            let found = try repeats([String](repeating: arguments, count: 4), result: result)
            #expect(found.isEmpty, "\(found)")
        }
    }

    @Test(arguments: [#"{"sent":true}"#, "[]"]) func `calls that are alike but for masks are a hint`(
        _ result: String
    ) throws {
        let mail = #"{"to":"[REDACTED:EMAIL]","subject":"Invitation","body":"You are invited to the party."}"#
        let found = try repeats([mail, mail, mail, mail], tool: "send_email", result: result)
        #expect(found.map(\.tier) == [.hint], "\(found)")
    }

    @Test func `equal pseudonyms are a loop, others are not`() throws {
        let one = #"{"card":"[CREDIT_CARD:0123456789abcdef]"}"#
        #expect(try repeats([one, one, one]).map(\.tier) == [.alert])
        let others = ["1", "2", "3"].map { one.replacing("0", with: $0) }
        #expect(try repeats(others).isEmpty)
        let hash = #"{"card":"[REDACTED:CREDIT_CARD:0123456789abcdef]"}"#
        #expect(try repeats([hash, hash, hash]).map(\.tier) == [.alert])
    }

    // MARK: Results and errors

    @Test(arguments: [
        "[REDACTED]", "****", #"{"balance":"****","open":true}"#, "The balance is [REDACTED:MONEY].",
        #"[{"to":["[REDACTED:EMAIL]"]}]"#,
    ]) func `equal masks are no equal results`(_ result: String) throws {
        let found = try repeats([String](repeating: #"{"user":"u-1"}"#, count: 5), result: result)
        #expect(found.map(\.tier) == [.tag], "\(found)")
        #expect(try tiersOverPieces(result: result) == [nil, .tag, .tag, .tag])
    }

    @Test(arguments: [#"{"mail":"[EMAIL:0123456789abcdef]"}"#, #"{"balance":60}"#])
    func `equal pseudonyms are equal results`(_ result: String) throws {
        let found = try repeats([String](repeating: #"{"user":"u-1"}"#, count: 3), result: result)
        #expect(found.map(\.tier) == [.alert], "\(found)")
        #expect(try tiersOverPieces(result: result) == [nil, .tag, .alert, .alert])
    }

    /// What four equal calls, each in a piece of its own, are found to be.
    private func tiersOverPieces(
        result: String? = nil, error: String? = nil, ids: [Int] = [1, 1, 1, 1]
    ) throws -> [FindingTier?] {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for id in ids {
            trace.tool("get_order", in: agent, arguments: #"{"id":"A-100\#(id)"}"#, result: result, error: error)
        }
        let detective = Detective()
        return try ids.indices.map { place in
            var piece = trace
            piece.spans = [trace.spans[place + 1]]
            let found = try detective.look(at: piece, id: 77)
            return found.first { [.loop, .retryStorm].contains($0.pattern) }?.tier
        }
    }

    private func storm(_ ids: [Int], _ error: String) throws -> [FindingTier] {
        var trace = TestTrace()
        let agent = trace.agent("a")
        for id in ids { trace.tool("get_order", in: agent, arguments: #"{"id":"A-100\#(id)"}"#, error: error) }
        trace.model(in: agent, text: "Nothing of that is to be had today.")
        return try findings(trace).of(.retryStorm).map(\.tier)
    }

    @Test func `equal masks in errors are an alert where the arguments are equal only`() throws {
        for error in ["[REDACTED]", "no order of [REDACTED:EMAIL] is there"] {
            #expect(try storm([1, 2, 3], error) == [.tag])
            #expect(try storm([1, 1, 1], error) == [.alert])
            #expect(try tiersOverPieces(error: error, ids: [1, 2, 3, 4]) == [nil, .tag, .tag, .tag])
            #expect(try tiersOverPieces(error: error) == [nil, .tag, .alert, .alert])
        }
        #expect(try storm([1, 2, 3], "503 upstream is gone") == [.alert])
        #expect(try tiersOverPieces(error: "503 upstream is gone", ids: [1, 2, 3, 4]) == [nil, .tag, .alert, .alert])
    }

    @Test func `equal masks in errors do not add up over the traces of a session`() throws {
        for (error, isFound) in [("[REDACTED]", false), ("503 upstream is gone", true)] {
            let detective = Detective()
            var found: [Finding] = []
            for id in 0..<5 {
                var trace = TestTrace()
                let agent = trace.agent("a")
                trace.tool("get_order", in: agent, arguments: #"{"id":"A-100\#(id)"}"#, error: error)
                trace.model(in: agent, text: "Nothing of that is to be had today.")
                found += try detective.look(at: trace).of(.retryStorm)
            }
            #expect(!found.isEmpty == isFound, "\(found)")
        }
    }

    // MARK: Arguments

    private func malformed(_ arguments: String, _ properties: String, required: String = "[]") throws -> [Finding] {
        var trace = TestTrace()
        let agent = trace.agent("a")
        let tools = "[\(TestTrace.definition("charge", properties, required: required))]"
        trace.model(in: agent, calls: [("1", "charge", arguments)], tools: tools)
        trace.tool("charge", in: agent, id: "1", result: #"{"id":"C-1"}"#)
        trace.model(in: agent, text: "It is charged.")
        return try findings(trace).of(.malformedToolArguments)
    }

    @Test(arguments: [
        "****", "[REDACTED:CREDIT_CARD]", "[CREDIT_CARD:0123456789abcdef]", "[REDACTED:CREDIT_CARD:0123456789abcdef]",
        "d41d8cd98f00b204e9800998ecf8427e",
    ]) func `a mask fits every schema`(_ mask: String) throws {
        for schema in [
            #"{"type":"integer"}"#, #"{"type":"array","items":{"type":"integer"}}"#, #"{"enum":["a","b"]}"#,
            #"{"type":"string","maxLength":2}"#, #"{"anyOf":[{"type":"integer"},{"type":"null"}]}"#,
        ] {
            let found = try malformed(#"{"card":"\#(mask)"}"#, #""card":\#(schema)"#)
            #expect(found.isEmpty, "\(schema) \(found)")
        }
        let found = try malformed(#"{"card":"\#(mask)","amount":"a lot"}"#, #""amount":{"type":"integer"}"#)
        #expect(found.first?.evidence.contains("type:amount") == true, "\(found)")
    }

    @Test func `behind a masked name may be the one that is missing`() throws {
        let properties = #""card":{"type":"string"},"amount":{"type":"integer"}"#
        #expect(try malformed(#"{"****":"x","amount":5}"#, properties, required: #"["card"]"#).isEmpty)
        let found = try malformed(#"{"cart":"x","amount":5}"#, properties, required: #"["card"]"#)
        #expect(found.map(\.tier) == [.alert], "\(found)")
    }

    @Test(arguments: [
        "[REDACTED:EMAIL]", "[REDACTED:TOO_DEEP]", "****", "[EMAIL:0123456789abcdef]",
        "[REDACTED:EMAIL] and [REDACTED:EMAIL]", #"{"card": ****}"#, #"{"cards": [****, [REDACTED:CREDIT_CARD]]}"#,
    ]) func `arguments that masks make unreadable are not assessed`(_ arguments: String) throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("charge", in: agent, arguments: arguments, result: #"{"id":"C-1"}"#)
        trace.model(in: agent, text: "It is charged.")
        let detective = Detective()
        #expect(try detective.look(at: trace).isEmpty)
        #expect(detective.analyzer.unassessable[FindingPattern.malformedToolArguments.index] == 1)
        trace.spans[1].attributes[2].1 = #"{"card": "[REDACTED:CREDIT_CARD]" oops}"#
        #expect(try findings(trace).map(\.rule) == [.argumentsUnparsable])
    }

    @Test func `a masked argument is no odd one`() throws {
        var trace = TestTrace()
        let agent = trace.agent("a")
        trace.tool("get_customer", in: agent, arguments: #"{"email":"<REDACTED>"}"#, result: "[]")
        trace.model(in: agent, text: "There is no such customer.")
        #expect(try findings(trace).of(.argumentAnomaly).isEmpty)
    }
}
