import Foundation
import Testing

@testable import GenAI

/// The spans of `Tests/Fixtures/Frameworks` against the script that the model behind them followed: the expectations in
/// those files were written by the normalizer, this was not.
@Suite struct FrameworkTruthTests {
    private struct Seen {
        var place: String
        var attributes: [String: String]

        func has(_ name: String, _ values: String...) -> Bool {
            attributes[name].map { values.contains($0) } ?? true
        }
    }

    private func spans(_ operation: String) throws -> [Seen] {
        let bench = try Bench()
        return try GoldenFile.all(in: GoldenFile.frameworks).flatMap { file in
            try file.spans.filter { !$0.input.isLog }.map { span in
                Seen(place: "\(file.name), \(span.input.name)", attributes: try bench.attributes(span.input))
            }
        }.filter { $0.attributes["gen_ai.operation.name"] == operation }
    }

    @Test func `every model call has the tokens that the model counted`() throws {
        let calls = try spans("chat")
        for call in calls {
            #expect(call.has("gen_ai.usage.input_tokens", "120"), "\(call.place)")
            #expect(call.has("gen_ai.usage.output_tokens", "30"), "\(call.place)")
            #expect(call.has("gen_ai.usage.cache_read.input_tokens", "40"), "\(call.place)")
            #expect(call.has("gen_ai.usage.reasoning.output_tokens", "0"), "\(call.place)")
        }
        #expect(calls.filter { $0.attributes["gen_ai.usage.input_tokens"] != nil }.count >= 30)
    }

    @Test func `every answer is one that the model gave`() throws {
        var (answers, toolCalls) = (0, 0)
        for call in try spans("chat") {
            guard let text = call.attributes["gen_ai.output.messages"] else { continue }
            let parts = try Self.parts(text)
            let calls = parts.filter { $0["type"] as? String == "tool_call" }
            if calls.isEmpty {
                answers += 1
                #expect(
                    parts.contains { ($0["content"] as? String)?.contains("Order 7 has shipped.") == true },
                    "\(call.place)")
            } else {
                toolCalls += 1
                #expect(calls.count == 1, "\(call.place)")
                #expect(calls[0]["name"] as? String == "lookup_order", "\(call.place)")
                #expect((calls[0]["arguments"] as? [String: Any])?["order"] as? Int == 7, "\(call.place)")
            }
        }
        #expect(answers >= 15 && toolCalls >= 12, "\(answers) answers, \(toolCalls) calls")
    }

    @Test func `every run of the tool has its arguments and its result`() throws {
        let runs = try spans("execute_tool").filter { $0.attributes["gen_ai.tool.name"] == "lookup_order" }
        for run in runs {
            if let arguments = run.attributes["gen_ai.tool.call.arguments"] {
                #expect(sameJSON(arguments, #"{"order": 7}"#), "\(run.place)")
            }
            if let result = run.attributes["gen_ai.tool.call.result"] {
                let document = try JSONSerialization.jsonObject(with: Data(result.utf8)) as? [String: Any]
                #expect(document?["status"] as? String == "shipped", "\(run.place)")
            }
        }
        #expect(runs.filter { $0.attributes["gen_ai.tool.call.result"] != nil }.count >= 12)
    }

    @Test func `the making of a request is no model call`() throws {
        let bench = try Bench()
        let file = try #require(GoldenFile.all(in: GoldenFile.frameworks).first { $0.name == "llama_index" })
        let made = file.spans.filter { $0.input.name.hasSuffix("._prepare_chat_with_tools") }
        #expect(made.count == 2)
        for span in made {
            let attributes = try bench.attributes(span.input)
            #expect(attributes["gen_ai.operation.name"] == nil)
            #expect(attributes["gen_ai.output.messages"] == nil)
            #expect(attributes["sluice.genai.kind"] == "llm")
            #expect(attributes["gen_ai.request.model"] == "gpt-4o-mini")
        }
    }

    private static func parts(_ text: String) throws -> [[String: Any]] {
        let messages = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]] ?? []
        return messages.flatMap { $0["parts"] as? [[String: Any]] ?? [] }
    }
}
