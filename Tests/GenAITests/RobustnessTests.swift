import OTLP
import Telemetry
import Testing

@testable import GenAI

@Suite struct RobustnessTests {
    private static let llm: [(String, TestValue)] = [
        ("openinference.span.kind", "LLM"), ("llm.model_name", "m"), ("llm.provider", "openai"),
        ("llm.input_messages.0.message.role", "user"), ("llm.input_messages.0.message.content", "hi \"you\"\n"),
        ("llm.input_messages.1.message.role", "user"), ("llm.input_messages.1.message.content", "two"),
        ("llm.output_messages.0.message.content", "yes"), ("llm.token_count.prompt", 3),
        ("output.value", #"{"id": "r1", "object": "chat.completion", "choices": [{"finish_reason": "stop"}]}"#),
        ("metadata", #"{"a": 1}"#), ("session.id", "s"), ("tag.tags", ["a", "b"]), ("other", 1.5),
    ]

    @Test func `the order of attributes does not matter`() throws {
        let bench = try Bench()
        let expected = try bench.attributes(TestSpan(attributes: Self.llm))
        #expect(expected["gen_ai.response.id"] == "r1")
        var generator = Seeded(state: 7)
        for _ in 0..<50 {
            #expect(try bench.attributes(TestSpan(attributes: Self.llm.shuffled(using: &generator))) == expected)
        }
    }

    @Test func `an index beyond the bound stays as it is`() throws {
        let result = try normalized(
            TestSpan(attributes: [
                ("openinference.span.kind", "LLM"), ("llm.input_messages.1000000000.message.content", "far"),
                ("llm.input_messages.99999999999999999999.message.content", "farther"),
                ("llm.input_messages.0.message.content", "near"),
                ("llm.output_messages.0.message.tool_calls.1000000000.tool_call.id", "x"),
            ]))
        #expect(result["gen_ai.input.messages"] == #"[{"role":"user","parts":[{"type":"text","content":"near"}]}]"#)
        #expect(result["llm.input_messages.1000000000.message.content"] == "far")
        #expect(result["gen_ai.output.messages"] == nil)
    }

    @Test(arguments: ["[", "{\"a\":", "{\"messages\":["])
    func `deep nesting stays as it is`(open: String) throws {
        let deep = String(repeating: open, count: 10_000)
        let result = try normalized(
            TestSpan(attributes: [("openinference.span.kind", "AGENT"), ("input.value", .string(deep))]))
        #expect(result["input.value"] == deep)
        let python = String(repeating: "{'a':", count: 10_000)
        let tool = try normalized(
            TestSpan(attributes: [("openinference.span.kind", "TOOL"), ("input.value", .string(python))]))
        #expect(tool["input.value"] == python)
    }

    @Test func `twenty megabytes of JSON stay as they are`() throws {
        let large = "[\"" + String(repeating: "x", count: 20 << 20) + "\"]"
        let bench = try Bench()
        let result = try bench.attributes(
            TestSpan(attributes: [
                ("openinference.span.kind", "TOOL"), ("metadata", .string(large)), ("tool.name", "t"),
            ]))
        #expect(result["metadata"]?.utf8.count == large.utf8.count)
        #expect(result["gen_ai.tool.name"] == "t")
        #expect(bench.normalizer.unreadable > 0)
    }

    @Test func `JSON cut at any byte never gives half a message list`() throws {
        let whole =
            #"[{"role": "user", "content": [{"type": "text", "text": "caf\u00e9 \"x\""}]},"#
            + #" {"role": "assistant", "content": null, "tool_calls": [{"id": "c","#
            + #" "function": {"name": "f", "arguments": "{\"a\": [1, 2.5e3, true]}"}}]}]"#
        let bench = try Bench()
        for length in 1..<whole.utf8.count {
            let cut = String(decoding: Array(whole.utf8)[..<length], as: UTF8.self)
            let result = try bench.attributes(
                TestSpan(attributes: [("gen_ai.operation.name", "chat"), ("gen_ai.prompt", .string(cut))]))
            #expect(result["gen_ai.input.messages"] == nil, "\(length)")
            #expect(result["gen_ai.prompt"] == cut)
        }
        let result = try bench.attributes(
            TestSpan(attributes: [("gen_ai.operation.name", "chat"), ("gen_ai.prompt", .string(whole))]))
        #expect(result["gen_ai.input.messages"]?.contains(#""arguments":{"a": [1, 2.5e3, true]}"#) == true)
    }

    @Test func `impossible token counts are not carried over`() throws {
        let result = try normalized(
            TestSpan(attributes: [
                ("openinference.span.kind", "LLM"), ("llm.token_count.prompt", -5),
                ("llm.token_count.completion", .double(.nan)), ("llm.token_count.total", "99999999999999999999"),
                ("llm.token_count.prompt_details.cache_read", .double(2.5)), ("llm.cost.total", .double(.infinity)),
            ]))
        for key in result.keys { #expect(!key.hasPrefix("gen_ai.usage."), "\(key)") }
        #expect(result["sluice.genai.total_tokens"] == nil)
    }

    @Test func `input tokens are made to contain the cached ones`() throws {
        let bench = try Bench()
        let span = TestSpan(attributes: [
            ("openinference.span.kind", "LLM"), ("llm.token_count.prompt", 10),
            ("llm.token_count.prompt_details.cache_read", 100), ("llm.token_count.prompt_details.cache_write", 20),
        ])
        #expect(try bench.attributes(span)["gen_ai.usage.input_tokens"] == "130")
        let once = try bench.run(span.request)
        #expect(try bench.run(once) == once)
    }

    @Test func `random bytes in every value never trap`() throws {
        let bench = try Bench()
        var generator = Seeded(state: 42)
        let alphabet = Array(#"{}[]",:'\u00e9TFN01-.eE rolecontentparts"#)
        for _ in 0..<3_000 {
            let text = String(
                (0..<Int.random(in: 0...60, using: &generator)).map { _ in
                    alphabet.randomElement(using: &generator) ?? " "
                })
            let kind = ["LLM", "TOOL", "AGENT", "RETRIEVER", "CHAIN"].randomElement(using: &generator) ?? "LLM"
            let span = TestSpan(attributes: [
                ("openinference.span.kind", .string(kind)), ("input.value", .string(text)),
                ("output.value", .string(text)), ("metadata", .string(text)), ("gen_ai.input.messages", .string(text)),
                ("llm.invocation_parameters", .string(text)), ("gen_ai.tool.definitions", .string(text)),
                ("llm.output_messages.0.message.content", .string(text)),
                ("llm.tools.0.tool.json_schema", .string(text)), ("traceloop.entity.input", .string(text)),
            ])
            let once = try bench.run(span.request)
            #expect(try bench.run(once) == once, "\(text)")
        }
    }

    @Test func `a span without GenAI attributes is written back as it came`() throws {
        let bytes = TestSpan(
            scope: "opentelemetry.instrumentation.flask",
            attributes: [("http.route", "/"), ("session.id", "browser"), ("input", "x"), ("user.id", "u")]
        ).request
        let bench = try Bench()
        #expect(try bench.run(bytes) == bytes)
        #expect(bench.normalizer.changedSpans == 0)
    }

    /// Protobuf encoding, "Groups": readers pass those that they do not know.
    @Test func `groups that nobody knows hide nothing of a map`() {
        let group: [UInt8] = [0xA3, 0x06, 0x08, 0x05, 0x1B, 0x12, 0x01, 0x61, 0x1C, 0xA4, 0x06]
        func member(_ key: String, _ value: UInt8) -> [UInt8] {
            let pair =
                group + [0x0A, 1] + Array(key.utf8) + group + [0x12, 2 + UInt8(group.count)] + group + [0x18, value]
            return [0x0A, UInt8(pair.count)] + pair
        }
        let map = member("a", 1) + group + member("b", 2)
        map.withUnsafeBytes { raw in
            var tree = JSONTree()
            let root = tree.read(Text(raw), isMap: true)
            var found: [String] = []
            var child = tree.first(root)
            while child.exists {
                found.append(tree[child].key.string + tree.string(child).string)
                child = tree.next(child)
            }
            #expect(found == ["a1", "b2"])
        }
    }
}

/// A small deterministic generator.
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}
