import Foundation
import Testing

@testable import GenAI

/// Writes runs as one framework's instrumentation does. The shapes follow the source of the instrumentations.
struct FrameworkShape: Sendable, CustomTestStringConvertible {
    var name: String
    /// Whether a broken call, which the framework could not parse, is seen in the telemetry.
    var showsBrokenCalls = true
    /// Whether the tools' definitions are in the telemetry.
    var showsDefinitions = true
    var write: @Sendable (ShapeWriter, AgentRun) -> Void

    var testDescription: String { name }

    static let all: [FrameworkShape] = [
        .openAIAgents, .crewAI, .llamaIndex, .autoGen, .dspy, .smolagentsCode, .bedrockAgent, .strands, .vercel,
        .agentFramework, .mastra, .langfuse, .mcpServer, .chatOnly, .oneSpan,
    ]
}

/// Collects spans; time passes by itself.
final class ShapeWriter {
    var scope = "test"
    var session = "session-1"
    private(set) var spans: [Span] = []
    private var clock: UInt64 = 1_700_000_000_000_000_000
    private let traceID: UInt8

    struct Span {
        var id: UInt8
        var parent: UInt8
        var scope: String
        var name: String
        var start: UInt64
        var end: UInt64 = 0
        var status: UInt64 = 0
        var message = ""
        var attributes: [(String, TestValue)] = []
        var events: [TestEvent] = []
        /// Traces that the span links to.
        var links: [UInt8] = []
        /// The call that the span is about, for the tests: place in the run's calls.
        var tag = ""
    }

    init(traceID: UInt8 = 7) { self.traceID = traceID }

    func open(_ name: String, in parent: UInt8 = 0, tag: String = "", _ attributes: [(String, TestValue)]) -> UInt8 {
        clock += 1_000_000
        let id = UInt8(spans.count + 1)
        spans.append(
            Span(id: id, parent: parent, scope: scope, name: name, start: clock, attributes: attributes, tag: tag))
        return id
    }

    func close(_ id: UInt8, error: String? = nil, okay: Bool = false, _ attributes: [(String, TestValue)] = []) {
        clock += 2_000_000
        let index = Int(id) - 1
        spans[index].end = clock
        spans[index].attributes += attributes
        spans[index].status = error != nil ? 2 : (okay ? 1 : 0)
        spans[index].message = error ?? ""
    }

    func link(_ id: UInt8, to trace: UInt8) { spans[Int(id) - 1].links.append(trace) }

    func event(_ id: UInt8, _ name: String, _ attributes: [(String, TestValue)]) {
        clock += 1_000
        spans[Int(id) - 1].events.append(TestEvent(name: name, time: clock, attributes: attributes))
    }

    func exception(_ id: UInt8, _ text: String) {
        let type = text.split(separator: ":").first.map(String.init) ?? "Error"
        event(id, "exception", [("exception.type", .string(type)), ("exception.message", .string(text))])
    }

    var request: [UInt8] {
        var groups: [[UInt8]] = []
        for span in spans {
            var bytes = Wire.field(1, [UInt8](repeating: traceID, count: 16))
            bytes += Wire.field(2, [UInt8](repeating: span.id, count: 8))
            if span.parent != 0 { bytes += Wire.field(4, [UInt8](repeating: span.parent, count: 8)) }
            bytes += Wire.field(5, Array(span.name.utf8)) + Wire.fixed(7, span.start) + Wire.fixed(8, span.end)
            for (key, value) in span.attributes { bytes += Wire.field(9, Wire.pair(key, value)) }
            for event in span.events {
                var inner = Wire.fixed(1, event.time) + Wire.field(2, Array(event.name.utf8))
                for (key, value) in event.attributes { inner += Wire.field(3, Wire.pair(key, value)) }
                bytes += Wire.field(11, inner)
            }
            for link in span.links {
                let ids =
                    Wire.field(1, [UInt8](repeating: link, count: 16)) + Wire.field(2, [UInt8](repeating: 1, count: 8))
                bytes += Wire.field(13, ids)
            }
            if span.status != 0 {
                let message = span.message.isEmpty ? [] : Wire.field(2, Array(span.message.utf8))
                bytes += Wire.field(15, message + Wire.varint(3 << 3) + Wire.varint(span.status))
            }
            groups.append(
                Wire.field(2, Wire.field(1, Wire.field(1, Array(span.scope.utf8))) + Wire.field(2, bytes)))
        }
        return Wire.field(1, Wire.field(1, []) + groups.flatMap(\.self))
    }
}

/// One chat message while a run is written.
struct ShapeMessage {
    var role: String
    var text = ""
    var calls: [(id: String, call: AgentRun.Call)] = []
    var callID = ""
    var tool = ""
}

extension AgentRun {
    /// Walks the run: `model` is given the messages so far and what the model answers, `tool` one call.
    func play(
        _ model: (_ messages: [ShapeMessage], _ calls: [(id: String, call: Call)], _ text: String?, _ error: String?) ->
            Void,
        _ tool: (_ id: String, _ call: Call) -> Void
    ) {
        var messages = [ShapeMessage(role: "system", text: system), ShapeMessage(role: "user", text: user)]
        var number = 0
        for turn in turns {
            let calls = turn.map { call -> (id: String, call: Call) in
                number += 1
                return ("call_\(agent)_\(number)", call)
            }
            model(messages, calls, nil, nil)
            messages.append(ShapeMessage(role: "assistant", calls: calls))
            for (id, call) in calls {
                tool(id, call)
                let text = call.result ?? "Error: \(call.error ?? "")"
                messages.append(ShapeMessage(role: "tool", text: text, callID: id, tool: call.tool))
            }
        }
        if answer != nil || modelError != nil { model(messages, [], answer, modelError) }
    }
}
