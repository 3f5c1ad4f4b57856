import Foundation
import Telemetry
import Testing

@testable import GenAI

/// Nothing that a foreign shape says under a current name is lost: it stays on its part, message or definition, or the
/// received value stays under a name of ours.
@Suite struct CarryingTests {
    private static let input = "gen_ai.input.messages"
    private static let output = "gen_ai.output.messages"

    /// The attribute that is made of a value, the kept original, and whether another run changes nothing.
    private func rewrite(_ name: String, _ value: String) throws -> (value: String, original: String?) {
        let span = TestSpan(attributes: [("gen_ai.operation.name", "chat"), (name, .string(value))])
        let bench = try Bench()
        var found: [String: String] = [:]
        let once = try bench.run(span.request) { found = Bench.attributes(of: 0, $0) }
        let twice = try bench.run(once)
        #expect(twice == once, "\(name) = \(value)")
        return (try #require(found[name]), found["sluice.genai.original.\(name)"])
    }

    @Test(arguments: [
        (
            output, #"[{"role":"assistant","content":"c","annotations":[{"type":"url_citation","url":"http://u"}]}]"#,
            #"[{"role":"assistant","parts":[{"type":"text","content":"c"}],"#
                + #""annotations":[{"type":"url_citation","url":"http://u"}]}]"#
        ),
        (
            output, #"[{"role":"assistant","content":null,"audio":{"id":"a","data":"AA==","transcript":"t"}}]"#,
            #"[{"role":"assistant","parts":[],"audio":{"id":"a","data":"AA==","transcript":"t"}}]"#
        ),
        (
            output, #"[{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"}]}]"#,
            #"[{"role":"assistant","parts":[{"type":"reasoning","content":"t","signature":"s"}]}]"#
        ),
        (
            input, #"[{"role":"user","content":[{"type":"text","text":"c","cache_control":{"type":"ephemeral"}}]}]"#,
            #"[{"role":"user","parts":[{"type":"text","content":"c","cache_control":{"type":"ephemeral"}}]}]"#
        ),
        (
            input,
            #"[{"role":"user","content":[{"type":"tool_result","tool_use_id":"u","content":"c","is_error":true}]}]"#,
            #"[{"role":"tool","parts":[{"type":"tool_call_response","id":"u","response":"c","is_error":true}]}]"#
        ),
        (
            input,
            #"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x","detail":"high"}}]}]"#,
            #"[{"role":"user","parts":[{"type":"uri","modality":"image","uri":"http://x","detail":"high"}]}]"#
        ),
        (
            output, #"[{"role":"model","parts":[{"text":"c","thoughtSignature":"s"}],"unknown":[1]}]"#,
            #"[{"role":"assistant","parts":[{"type":"text","content":"c","thoughtSignature":"s"}],"unknown":[1]}]"#
        ),
        (
            output,
            #"[{"index":0,"message":{"role":"assistant","content":"c","refusal":null},"finish_reason":"stop","#
                + #""logprobs":{"content":[]},"seed":7}]"#,
            #"[{"role":"assistant","parts":[{"type":"text","content":"c"}],"finish_reason":"stop","seed":7}]"#
        ),
        (
            output,
            #"[{"role":"assistant","content":"c","tool_calls":[{"id":"1","type":"function","index":0,"#
                + #""function":{"name":"f","arguments":"{\"a\":1}","note":"n"}}],"#
                + #""additional_kwargs":{"tool_calls":[{"id":"1","function":"#
                + #"{"name":"f","arguments":"{\"a\": 1}"}}]}}]"#,
            #"[{"role":"assistant","parts":[{"type":"text","content":"c"},{"type":"tool_call","id":"1","name":"f","#
                + #""arguments":{"a":1},"index":0,"note":"n"}]}]"#
        ),
        // One id, two calls.
        (
            output,
            #"[{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{"a":1}}],"#
                + #""tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":2}"}}]}]"#,
            #"[{"role":"assistant","parts":[{"type":"tool_call","id":"1","name":"f","arguments":{"a":1}}],"#
                + #""arguments":"{\"a\":2}"}]"#
        ),
        (
            "gen_ai.tool.definitions",
            #"[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object"}},"#
                + #""cache_control":{"type":"ephemeral"}}]"#,
            #"[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true,"#
                + #""cache_control":{"type":"ephemeral"}}]"#
        ),
        // What says that it is an image, and is none.
        (
            input, #"[{"role":"user","content":[{"type":"image","zzz":1},{"type":"text","text":"c","name":"n"}]}]"#,
            #"[{"role":"user","parts":[{"type":"unknown","content":{"type":"image","zzz":1}},"#
                + #"{"type":"text","content":"c","name":"n"}]}]"#
        ),
        (
            "gen_ai.system_instructions", #"[{"type":"text","text":"c","cache_control":{"type":"ephemeral"}}]"#,
            #"[{"type":"text","content":"c","cache_control":{"type":"ephemeral"}}]"#
        ),
    ])
    func `members without a place in the schema stay where they stood`(
        _ name: String, _ received: String, _ wanted: String
    ) throws {
        let made = try rewrite(name, received)
        #expect(made.value == wanted)
        #expect(made.original == nil)
    }

    @Test(arguments: [
        // Beside the messages, where no message is.
        (input, #"{"messages":[{"role":"user","content":"c"}],"zzz":"keep"}"#),
        // A second value under a name that the part has.
        (output, #"[{"type":"function_call","id":"fc","call_id":"c1","name":"f","arguments":"{}"}]"#),
        // A reason of something else than the message.
        (output, #"[{"role":"assistant","content":["c",{"type":"text","text":"","finish_reason":"zzz"}]}]"#),
        // Among parts, but none.
        ("gen_ai.tool.definitions", #"[{"type":"function","function":{"name":"f"}},{"type":"web_search"}]"#),
    ])
    func `what finds no place leaves the received value beside it`(_ name: String, _ received: String) throws {
        let made = try rewrite(name, received)
        #expect(made.value != received)
        #expect(made.original == received)
    }

    @Test func `more members than fit leave the received value beside them`() throws {
        let extra = (0..<200).map { "\"x\($0)\":\($0)" }.joined(separator: ",")
        let made = try rewrite(Self.input, "[{\"role\":\"user\",\"content\":\"c\",\(extra)}]")
        #expect(made.value.contains("\"x63\":63}]"))
        #expect(made.original != nil)
    }

    @Test func `a foreign shape under a legacy name keeps its members as well`() throws {
        let found = try normalized(
            TestSpan(
                scope: "openinference.instrumentation.openai",
                attributes: [
                    ("openinference.span.kind", "LLM"),
                    (
                        "input.value",
                        #"{"messages":[{"role":"user","content":[{"type":"text","text":"c","citations":["u"]}]}]}"#
                    ), ("input.mime_type", "application/json"),
                ]))
        #expect(
            found[Self.input]
                == #"[{"role":"user","parts":[{"type":"text","content":"c","citations":["u"]}]}]"#)
    }
}

/// What an SDK cut, and what is beyond the bounds, is no document: in its own place it stays as it is.
@Suite struct UnreadableTests {
    private static let tool = #"{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}"#
    private static let tools = "[" + Array(repeating: tool, count: 20).joined(separator: ",") + "]"

    @Test(arguments: ["semantic_kernel.functions", "test"], ["gen_ai.tool.definitions", "gen_ai.tool.call.arguments"])
    func `a cut or too large document stays byte for byte`(_ scope: String, _ name: String) throws {
        for value in [String(Self.tools.dropLast(7)), Self.tools, "[{'type': 'function', 'name'"] {
            var options = NormalizerOptions()
            options.limits.bytes = 1 << 10
            let bench = try Bench(options)
            let span = TestSpan(
                scope: scope, attributes: [("gen_ai.operation.name", "chat"), (name, .string(value))])
            var found: [String: String] = [:]
            let once = try bench.run(span.request) { found = Bench.attributes(of: 0, $0) }
            if name == "gen_ai.tool.definitions" || value.count > 1 << 10 { #expect(found[name] == value) }
            if name == "gen_ai.tool.definitions", value.count > 1 << 10 { #expect(bench.normalizer.unreadable > 0) }
            #expect(try bench.run(once) == once)
        }
    }

    @Test func `what is beyond the bounds is no argument of a tool`() throws {
        var options = NormalizerOptions()
        options.limits.depth = 4
        let deep = #"{"a":{"b":{"c":{"d":{"e":1}}}}}"#
        let found = try normalized(
            TestSpan(attributes: [
                ("openinference.span.kind", "TOOL"), ("tool.name", "t"), ("input.value", .string(deep)),
            ]), options)
        #expect(found["input.value"] == deep)
        #expect(found["gen_ai.tool.call.arguments"] == nil)
    }
}
