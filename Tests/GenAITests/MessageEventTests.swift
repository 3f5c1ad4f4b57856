import Telemetry
import Testing

@testable import GenAI

/// Events per message of `target_profile: semconv-1.36`.
@Suite struct MessageEventTests {
    private struct Found: Equatable {
        var name: String
        var time: UInt64
        var attributes: [String: String]
    }

    private func makeBench() throws -> Bench {
        var options = NormalizerOptions()
        options.profile = .semconv136
        return try Bench(options)
    }

    private func events(_ bench: Bench, _ request: [UInt8]) throws -> (events: [Found], bytes: [UInt8]) {
        var found: [Found] = []
        let bytes = try bench.run(request) { batch in
            for event in batch.spans[0].events.range {
                var attributes: [String: String] = [:]
                for index in batch.range(of: batch.events[event].set) {
                    let record = batch.attributes[index]
                    attributes[batch.text(record.key).string] =
                        record.kind == .int
                        ? "\(Int64(bitPattern: record.payload))" : batch.text(record.text).string
                }
                found.append(
                    Found(
                        name: batch.text(batch.events[event].name).string, time: batch.events[event].time,
                        attributes: attributes))
            }
        }
        return (found, bytes)
    }

    private let messages = #"""
        [{"role":"user","parts":[{"type":"text","content":"Where is\n\"7\"?"},{"type":"text","content":"Quick."}]},
         {"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"find","arguments":{"order":7}}]},
         {"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":{"status":"sent"}}]}]
        """#
    private let answers = #"""
        [{"role":"assistant","parts":[{"type":"text","content":"Sent \"today\"."}],"finish_reason":"stop"}]
        """#

    private var span: TestSpan {
        TestSpan(attributes: [
            ("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"),
            ("gen_ai.system_instructions", #"[{"type":"text","content":"Be kind."}]"#),
            ("gen_ai.input.messages", .string(messages)), ("gen_ai.output.messages", .string(answers)),
        ])
    }

    @Test func `each message becomes the event of its role`() throws {
        let found = try events(try makeBench(), span.request).events
        let start: UInt64 = 1_000_000_000
        #expect(
            found == [
                Found(
                    name: "gen_ai.system.message", time: start,
                    attributes: ["gen_ai.system": "openai", "content": "Be kind."]),
                Found(
                    name: "gen_ai.user.message", time: start,
                    attributes: ["gen_ai.system": "openai", "content": "Where is\n\"7\"?\nQuick."]),
                Found(
                    name: "gen_ai.assistant.message", time: start,
                    attributes: [
                        "gen_ai.system": "openai",
                        "tool_calls":
                            #"[{"id":"c1","type":"function","function":{"name":"find","arguments":{"order":7}}}]"#,
                    ]),
                Found(
                    name: "gen_ai.tool.message", time: start,
                    attributes: ["gen_ai.system": "openai", "id": "c1", "content": #"{"status":"sent"}"#]),
                Found(
                    name: "gen_ai.choice", time: 2_000_000_000,
                    attributes: [
                        "gen_ai.system": "openai", "index": "0", "finish_reason": "stop",
                        "message": #"{"role":"assistant","content":"Sent \"today\"."}"#,
                    ]),
            ])
    }

    @Test func `events are written once, and only for this profile`() throws {
        let bench = try makeBench()
        let once = try events(bench, span.request)
        let twice = try events(bench, once.bytes)
        #expect(twice.bytes == once.bytes)
        #expect(twice.events == once.events)
        #expect(try events(try Bench(), span.request).events.isEmpty)
    }

    @Test func `messages of another dialect become events in the same run`() throws {
        let bench = try makeBench()
        let span = TestSpan(attributes: [
            ("openinference.span.kind", "LLM"), ("llm.input_messages.0.message.role", "user"),
            ("llm.input_messages.0.message.content", "Hello"), ("llm.output_messages.0.message.role", "assistant"),
            ("llm.output_messages.0.message.content", "Hi"),
        ])
        let once = try events(bench, span.request)
        #expect(once.events.map(\.name) == ["gen_ai.user.message", "gen_ai.choice"])
        #expect(once.events.first?.attributes["content"] == "Hello")
        #expect(try events(bench, once.bytes).bytes == once.bytes)
    }

    @Test func `a span with events keeps those it has`() throws {
        var span = self.span
        span.events = [TestEvent(name: "gen_ai.user.message", attributes: [("content", "Where?")])]
        let found = try events(try makeBench(), span.request).events
        #expect(found.map(\.name) == ["gen_ai.user.message"])
    }

    @Test func `ten thousand messages give a bounded number of events`() throws {
        let one = #"{"role":"user","parts":[{"type":"text","content":"x"}]}"#
        let many = "[" + Array(repeating: one, count: 10_000).joined(separator: ",") + "]"
        let span = TestSpan(attributes: [
            ("gen_ai.operation.name", "chat"), ("gen_ai.input.messages", .string(many)),
        ])
        #expect(try events(try makeBench(), span.request).events.count == 256)
    }

    @Test func `a system message among the others has its event and is read back as nothing new`() throws {
        let input =
            #"[{"role":"system","parts":[{"type":"text","content":"Be kind."}]},"#
            + #"{"role":"user","parts":[{"type":"text","content":"Hi"}]}]"#
        let bench = try makeBench()
        let span = TestSpan(attributes: [("gen_ai.operation.name", "chat"), ("gen_ai.input.messages", .string(input))])
        let (found, once) = try events(bench, span.request)
        #expect(found.map(\.name) == ["gen_ai.system.message", "gen_ai.user.message"])
        #expect(found.first?.attributes["content"] == "Be kind.")
        #expect(try events(bench, once).bytes == once)
        // With the options of before, and with those of today.
        #expect(try Bench().run(once) == once)
    }
}
