import Glibc
import OTLP
import Telemetry
import TestSupport
import Testing

@testable import GenAI

/// Properties that hold for every input, tried on spans made of the tables' own names with values of any type.
@Suite struct PropertyTests {
    /// Words that mean something to some rule, shapes that many rules read, and values that are wrong for most.
    private static let words: [TestValue] = [
        "LLM", "chat", "CHAIN", "tool", "agent", "openai", "langchain", "strands-agents", "gpt-4.1-mini", "tools/call",
        "resources/read", "execute_task", "framework", "12", "-3", "1.5", "true", "", "null", "[]", "{}",
        "<not specified>",
        "ai.generateText", "openai/gpt-4.1-mini", 7, -1, 0, 0.25, true, false, ["stop"], [1, 2],
        .map([("role", "user"), ("content", "hi")]), .double(.nan),
        #"[{"role": "user", "content": "hi"}]"#, #"{"messages": [["user", "hi"]]}"#,
        #"{"role": "assistant", "parts": []}"#,
        #"[{"role": "assistant", "parts": []}]"#, #"{"args": [], "kwargs": {"a": 1}}"#, #"{"input": {"input": 1}}"#,
        #"{"type": "tool", "content": "x", "tool_call_id": "c"}"#, "{'a': None}", #"{"cut": "#, #"["#, "plain text",
        #"[{"type": "text", "content": "x"}]"#, #"{"session_id": "s", "temperature": 1, "model": "m"}"#,
    ]

    private static let scopes = [
        "", "openinference.instrumentation.openai", "litellm", "strands.telemetry.tracer", "gcp.vertex.agent",
        "pydantic-ai", "logfire.mcp", "opentelemetry.instrumentation.openai.v1", "gen_ai", "ai", "haystack",
        "semantic_kernel", "com.anthropic.claude_code", "crewai.telemetry.tracing", "opentelemetry.instrumentation.mcp",
    ]

    private static let spanNames = [
        "span", "memory.search", "haystack.agent.run", "agent run", "invocation", "call_llm", "tools/call x",
        "llm_request",
    ]

    /// A span with up to 12 attributes whose names the tables know.
    private static func span(_ names: [String], _ generator: inout Seeded) -> TestSpan {
        var span = TestSpan(
            scope: scopes.randomElement(using: &generator) ?? "",
            name: spanNames.randomElement(using: &generator) ?? "",
            isRoot: Bool.random(using: &generator), status: UInt64.random(in: 0...2, using: &generator))
        var used: Set<String> = []
        for _ in 0..<Int.random(in: 1...12, using: &generator) {
            guard let name = names.randomElement(using: &generator), used.insert(name).inserted,
                let value = words.randomElement(using: &generator)
            else { continue }
            span.attributes.append((name, value))
        }
        return span
    }

    /// Names of all rules, those of indexed keys with an index.
    private static func names() throws -> [String] {
        let tables = try Tables.shared.get()
        let patterns = tables.layout.patterns.filter(\.isAsked).flatMap { pattern -> [String] in
            let prefix = pattern.prefix.string
            guard pattern.needsIndex else { return [prefix + "x"] }
            return ["0.role", "0.content", "0.message.content", "1.tool_calls.0.name", "0.name", "0.x"].map {
                prefix + $0
            }
        }
        return tables.names.dropFirst() + patterns
    }

    @Test(arguments: [UInt64](1...8)) func `twice is once, byte for byte`(seed: UInt64) throws {
        var options = NormalizerOptions()
        options.removeOriginals = seed % 2 == 0
        options.overwrite = seed % 4 == 3
        options.explains = seed % 3 == 0
        options.emitsAliases = seed == 5
        options.profile = seed == 7 ? .semconv136 : seed == 6 ? .semconv141 : .genAIDev
        let bench = try Bench(options)
        let names = try Self.names()
        var generator = Seeded(state: seed)
        for _ in 0..<1_500 {
            let span = Self.span(names, &generator)
            let once = try bench.run(span.request)
            let passes = bench.normalizer.extraPasses
            let twice = try bench.run(once)
            if twice != once {
                Issue.record("\(span.scope) \(span.name) \(span.attributes) after \(passes) extra passes")
                return
            }
        }
    }

    @Test func `the order of attributes does not matter to any dialect`() throws {
        let bench = try Bench()
        let names = try Self.names()
        var generator = Seeded(state: 21)
        for _ in 0..<1_500 {
            var span = Self.span(names, &generator)
            let expected = try bench.attributes(span)
            let before = span.attributes
            span.attributes.shuffle(using: &generator)
            if try bench.attributes(span) != expected {
                Issue.record("\(span.scope) \(span.name) \(before)")
                return
            }
        }
    }

    /// What came under a name that is no target stays as it is; what came under a current name stays, or its words are
    /// somewhere on the span.
    @Test func `no value is lost`() throws {
        let bench = try Bench()
        let targets = Set(
            try Tables.shared.get().layout.targetNames.map { try Tables.shared.get().names[Int($0.value)] })
        // Words that a table of words puts in place of others.
        let mapped: Set = ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.tool.type"]
        let names = try Self.names()
        var generator = Seeded(state: 33)
        for _ in 0..<2_000 {
            let span = Self.span(names, &generator)
            var before: [String: String] = [:]
            _ = try bench.run(span.request, normalize: false) { before = Bench.attributes(of: 0, $0) }
            let after = try bench.attributes(span)
            for (key, value) in before where after[key] != value {
                if mapped.contains(key), after[key] != nil { continue }
                guard targets.contains(key) else {
                    Issue.record("\(key) = \(value) is gone: \(span.attributes)")
                    return
                }
                let isKept = after.contains { $0.value.lowercased().contains(Self.words(of: value)) }
                if !isKept, !Self.isNothing(value) {
                    Issue.record("\(key) = \(value) became \(after[key] ?? "nothing"): \(span.attributes)")
                    return
                }
            }
        }
    }

    /// The longest run of letters and digits of a value, but for the member that wraps a list and for Python's word for
    /// null: what must survive any change of shape.
    private static func words(of value: String) -> String {
        let words: [Substring] = value.lowercased().split(whereSeparator: { !($0.isLetter || $0.isNumber) })
        return words.filter { $0 != "messages" && $0 != "input" && $0 != "none" }.max { $0.count < $1.count }.map(
            String.init) ?? ""
    }

    private static func isNothing(_ value: String) -> Bool {
        ["", "null", "[]", "{}", "<not specified>", "nan"].contains(value)
    }

    // MARK: Bounds

    /// A family of keys, so many that work for each of them on all of them would show.
    struct Family: CustomTestStringConvertible {
        var name: String
        var mark: (String, TestValue)
        var key: @Sendable (Int) -> String
        var testDescription: String { name }
    }

    static let families = [
        Family(name: "messages", mark: ("openinference.span.kind", "LLM")) {
            "llm.input_messages.\($0).message.content"
        },
        Family(name: "calls of one message", mark: ("openinference.span.kind", "LLM")) {
            "llm.output_messages.0.message.tool_calls.\($0).tool_call.id"
        },
        Family(name: "renamed prefix", mark: ("traceloop.workflow.name", "w")) {
            "traceloop.association.properties.k\($0)"
        },
        Family(name: "half of them removed", mark: ("openinference.span.kind", "LLM")) {
            $0 % 2 == 0 ? "llm.input_messages.\($0 / 2).message.content" : "other.\($0)"
        },
    ]

    /// Processor time of this thread that normalizing takes, in seconds, so that other work does not count.
    private func seconds(_ family: Family, count: Int) throws -> Double {
        var options = NormalizerOptions()
        options.removeOriginals = true
        let bench = try Bench(options)
        var bytes: [UInt8] = Wire.field(9, Wire.pair(family.mark.0, family.mark.1))
        for index in 0..<count { bytes += Wire.field(9, Wire.pair(family.key(index), .string("v\(index)"))) }
        let span =
            Wire.field(1, [UInt8](repeating: 1, count: 16)) + Wire.field(2, [UInt8](repeating: 2, count: 8)) + bytes
        let request = Wire.field(1, Wire.field(2, Wire.field(2, span)))
        return try request.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: bench.keys, into: &bench.batch)
            return ProcessorTime.measure {
                bench.normalizer.normalize(&bench.batch, binding: bench.binding)
                #expect(bench.batch.attributes.count > 0)
            }
        }
    }

    /// Eight times as many cost eight times as much, and a sort's factor; squared it would be sixty-four.
    @Test(.timeLimit(.minutes(1)), arguments: families)
    func `work grows with the number of attributes, not with its square`(_ family: Family) throws {
        let few = try seconds(family, count: 5_000)
        let many = try seconds(family, count: 40_000)
        #expect(many < 24 * few, "\(few) s, then \(many) s")
    }

    @Test(.timeLimit(.minutes(1))) func `long histories on both sides are compared in bounded time`() throws {
        let message = #"{"role":"user","content":"x"}"#
        let list = "[" + Array(repeating: message, count: 60_000).joined(separator: ",") + "]"
        let other = list.replacing("x", with: "y")
        let result = try normalized(
            TestSpan(attributes: [
                ("openinference.span.kind", "AGENT"), ("input.value", .string(list)), ("output.value", .string(other)),
            ]))
        #expect(result["gen_ai.output.messages"] != nil)
    }

    @Test(arguments: [
        "gen_ai.input.messages", "input.value", "metadata", "gen_ai.tool.definitions", "llm.invocation_parameters",
    ])
    func `depth of ten thousand stays as it is under any name`(name: String) throws {
        for open in ["[", "{\"a\":", "[{\"content\":"] {
            let deep = String(repeating: open, count: 10_000)
            let bench = try Bench()
            let span = TestSpan(attributes: [
                ("openinference.span.kind", "LLM"), ("gen_ai.operation.name", "chat"), (name, .string(deep)),
            ])
            #expect(try bench.attributes(span)[name] == deep)
        }
    }

    @Test(arguments: [
        "gen_ai.input.messages", "llm.input_messages", "gcp.vertex.agent.llm_request", "mlflow.spanInputs",
    ])
    func `JSON cut at any byte stays, and is named`(name: String) throws {
        let whole =
            #"{"messages":[{"role":"user","content":"caf\u00e9"}],"contents":[{"role":"user","parts":[{"text":"x"}]}]}"#
        let bench = try Bench()
        for length in 1..<whole.utf8.count {
            let cut = String(decoding: Array(whole.utf8)[..<length], as: UTF8.self)
            let span = TestSpan(attributes: [
                ("openinference.span.kind", "LLM"), ("mlflow.spanType", #""CHAT_MODEL""#),
                ("gen_ai.operation.name", "chat"),
                (name, .string(cut)),
            ])
            let result = try bench.attributes(span)
            #expect(result[name] == cut, "\(length)")
            if result["sluice.genai.truncated"] != nil { #expect(result["sluice.genai.truncated"] == "[\"\(name)\"]") }
            let once = try bench.run(span.request)
            #expect(try bench.run(once) == once, "\(length)")
        }
    }
}
