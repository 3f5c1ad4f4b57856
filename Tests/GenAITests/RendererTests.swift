import Foundation
import OTLP
import Telemetry
import Testing

@testable import GenAI

/// The reverse: normalized spans in the words of a backend, and back again.
@Suite struct RendererTests {
    private static func render(_ dialect: ExportDialect, _ bytes: [UInt8]) throws -> [UInt8] {
        var renderer = DialectRenderer(dialect)
        var batch = RecordBatch(keys: renderer.keys)
        return try bytes.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: renderer.keys, into: &batch)
            _ = renderer.render(&batch)
            var out = ByteColumn()
            OTLPWriter.write(batch, into: &out)
            return [UInt8](out.bytes)
        }
    }

    private static func attributes(_ bytes: [UInt8], _ bench: Bench, normalize: Bool) throws -> [[String: String]] {
        var result: [[String: String]] = []
        _ = try bench.run(bytes, normalize: normalize) { batch in
            for span in batch.spans.indices { result.append(Bench.attributes(of: span, batch)) }
        }
        return result
    }

    private static func rendered(_ dialect: ExportDialect, _ span: TestSpan) throws -> [String: String] {
        let bench = try Bench()
        return try attributes(render(dialect, bench.run(span.request)), bench, normalize: false)[0]
    }

    /// Equal documents; a member that is null says as much as none.
    private static func isSame(_ left: String?, _ right: String?) -> Bool {
        plainDocument(left) == plainDocument(right)
    }

    private static let call = TestSpan(
        name: "chat gpt-4.1-mini",
        attributes: [
            ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "gpt-4.1-mini"), ("gen_ai.response.model", "gpt-4.1-mini-2025-04-14"),
            ("gen_ai.request.temperature", 0.5), ("gen_ai.request.max_tokens", 100),
            ("gen_ai.request.stop_sequences", ["END"]), ("gen_ai.usage.input_tokens", 120),
            ("gen_ai.usage.output_tokens", 42), ("gen_ai.usage.cache_read.input_tokens", 20),
            ("gen_ai.usage.reasoning.output_tokens", 12), ("gen_ai.conversation.id", "s-1"), ("user.id", "u-1"),
            ("gen_ai.usage.cost", 0.012),
            ("gen_ai.tool.definitions", #"[{"type":"function","name":"f","parameters":{"type":"object"}}]"#),
            (
                "gen_ai.input.messages",
                .string(
                    #"[{"role":"user","parts":[{"type":"text","content":"hi \"you\""}]},"#
                        + #"{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"f","#
                        + #""arguments":{"a":1}}]},"#
                        + #"{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"42"}]}]"#)
            ),
            (
                "gen_ai.output.messages",
                #"[{"role":"assistant","parts":[{"type":"text","content":"forty-two"}],"finish_reason":"stop"}]"#
            ),
        ])

    @Test func `OpenInference gets kinds, flat messages, tools and counts`() throws {
        let result = try Self.rendered(.openinference, Self.call)
        #expect(result["openinference.span.kind"] == "LLM")
        #expect(result["llm.model_name"] == "gpt-4.1-mini-2025-04-14")
        #expect(result["llm.provider"] == "openai")
        #expect(result["llm.token_count.prompt"] == "120")
        #expect(result["llm.token_count.total"] == "162")
        #expect(result["llm.token_count.prompt_details.cache_read"] == "20")
        #expect(result["session.id"] == "s-1")
        #expect(result["llm.cost.total"] == "0.012")
        #expect(result["llm.input_messages.0.message.content"] == "hi \"you\"")
        #expect(result["llm.input_messages.1.message.tool_calls.0.tool_call.function.arguments"] == #"{"a":1}"#)
        #expect(result["llm.input_messages.2.message.tool_call_id"] == "c1")
        #expect(result["llm.output_messages.0.message.role"] == "assistant")
        #expect(
            sameJSON(
                result["llm.invocation_parameters"], #"{"temperature": 0.5, "max_tokens": 100, "stop": ["END"]}"#))
        #expect(result["llm.tools.0.tool.json_schema"]?.contains(#""function":{"name":"f""#) == true)
        #expect(result["gen_ai.input.messages"] == nil, "content is not sent twice")
        #expect(result["gen_ai.request.model"] == "gpt-4.1-mini")
    }

    @Test func `Langfuse gets exclusive counts and chat messages`() throws {
        let result = try Self.rendered(.langfuse, Self.call)
        #expect(result["langfuse.observation.type"] == "generation")
        #expect(
            sameJSON(
                result["langfuse.observation.usage_details"],
                #"{"input":100,"output":30,"input_cached_tokens":20,"output_reasoning_tokens":12}"#))
        #expect(
            sameJSON(
                result["langfuse.observation.input"],
                #"[{"role":"user","content":"hi \"you\""},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","#
                    + #""type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"#
                    + #"{"role":"tool","tool_call_id":"c1","content":"42"}]"#))
        #expect(sameJSON(result["langfuse.observation.cost_details"], #"{"total": 0.012}"#))
    }

    @Test func `LangSmith gets run types and messages`() throws {
        let result = try Self.rendered(.langsmith, Self.call)
        #expect(result["langsmith.span.kind"] == "llm")
        #expect(result["langsmith.metadata.session_id"] == "s-1")
        #expect(result["gen_ai.system"] == "openai")
        #expect(result["gen_ai.prompt"]?.hasPrefix(#"{"messages":[{"role":"user","content":"hi"#) == true)
    }

    @Test func `tools, retrievals and agents have their kinds`() throws {
        let tool = try Self.rendered(
            .openinference,
            TestSpan(attributes: [
                ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "f"),
                ("gen_ai.tool.call.arguments", #"{"a":1}"#), ("gen_ai.tool.call.result", #"{"b":2}"#),
            ]))
        #expect(tool["openinference.span.kind"] == "TOOL")
        #expect(tool["input.value"] == #"{"a":1}"#)
        #expect(tool["output.value"] == #"{"b":2}"#)
        let search = try Self.rendered(
            .openinference,
            TestSpan(attributes: [
                ("gen_ai.operation.name", "retrieval"), ("gen_ai.retrieval.query.text", "q"),
                ("gen_ai.retrieval.documents", #"[{"id":"d","score":0.5,"content":"x","metadata":{"p":1}}]"#),
            ]))
        #expect(search["openinference.span.kind"] == "RETRIEVER")
        #expect(search["retrieval.documents.0.document.score"] == "0.5")
        #expect(search["retrieval.documents.0.document.metadata"] == #"{"p":1}"#)
        let agent = try Self.rendered(.langfuse, TestSpan(attributes: [("gen_ai.operation.name", "invoke_agent")]))
        #expect(agent["langfuse.observation.type"] == "agent")
    }

    @Test(arguments: ExportDialect.allCases)
    func `messages come back equal from every recording`(dialect: ExportDialect) throws {
        let bench = try Bench()
        let corpus = try CorpusTruth(CorpusTests.folder)
        var carried = 0
        for capture in corpus.captures {
            for request in try corpus.requests(capture, .traces) {
                let normal = try bench.run(request)
                let rendered = try Self.render(dialect, normal)
                if dialect == .genAI { #expect(rendered == normal) }
                let plain = try Self.attributes(rendered, bench, normalize: false)
                let before = try Self.attributes(normal, bench, normalize: false)
                let after = try Self.attributes(rendered, bench, normalize: true)
                for (index, old) in before.enumerated() {
                    for key in ["gen_ai.input.messages", "gen_ai.output.messages"]
                    where old[key] != nil && old[key] != "[]" {
                        if plain[index][key] == nil { carried += 1 }
                        #expect(
                            Self.isSame(old[key], after[index][key]), "\(dialect) \(capture["capture"] ?? "") \(key)")
                    }
                }
            }
        }
        #expect(dialect == .genAI || carried > 50, "\(carried) lists were carried by the rendered form alone")
    }

    @Test(arguments: [ExportDialect.openinference, .langfuse, .langsmith])
    func `a rendering is bounded, total and the same twice`(dialect: ExportDialect) throws {
        let message = #"{"role":"user","parts":[{"type":"text","content":"x"}]}"#
        let list = "[" + Array(repeating: message, count: 20_000).joined(separator: ",") + "]"
        let bench = try Bench()
        for value in [list, "[", "{}", "[{}]", #"[{"role":"user","parts":[{"type":"odd"},{}]}]"#, "null", "[1,[2]]"] {
            let span = TestSpan(attributes: [
                ("gen_ai.operation.name", "chat"), ("gen_ai.input.messages", .string(value)),
                ("gen_ai.tool.definitions", .string(value)), ("gen_ai.system_instructions", .string(value)),
            ])
            let once = try Self.render(dialect, span.request)
            #expect(try Self.render(dialect, once) == once)
            let attributes = try Self.attributes(once, bench, normalize: false)[0]
            #expect(attributes.count <= DialectRenderer.attributesMax + 4)
            #expect(attributes["gen_ai.input.messages"] == value || value == list, "\(value.prefix(20))")
        }
    }
}
