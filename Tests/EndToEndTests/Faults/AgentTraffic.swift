import Foundation
import TestSupport

/// Runs of an agent with one tool call each, some of which go wrong: as traces of four spans in OTLP/JSON.
///
/// Each run has a session, a tool and an id of its own, so what is found in it depends on nothing but its spans.
struct AgentTraffic {
    struct Span {
        var trace: Int
        var isRoot: Bool
        var json: String
    }

    private var random = SeededRandom(8)
    private(set) var spans: [Span] = []

    init(traces: Int) {
        for trace in 0..<traces { add(trace) }
    }

    /// The spans of some traces below their roots, in any order and in requests of one to four; or the roots, which
    /// make the traces complete.
    mutating func shuffled(_ traces: Range<Int>, roots: Bool) -> [[UInt8]] {
        var left = spans.filter { traces.contains($0.trace) && $0.isRoot == roots }
        left.shuffle(using: &random)
        var requests: [[UInt8]] = []
        while !left.isEmpty {
            let count = min(left.count, 1 + random.below(4))
            requests.append(AgentTraffic.request(Array(left.prefix(count))))
            left.removeFirst(count)
        }
        return requests
    }

    /// One request for each trace.
    func inOrder() -> [[UInt8]] {
        Dictionary(grouping: spans, by: \.trace).sorted { $0.key < $1.key }.map { AgentTraffic.request($0.value) }
    }

    private static func request(_ spans: [Span]) -> [UInt8] {
        let list = spans.map(\.json).joined(separator: ",")
        let service = "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}}"
        return Array(
            "{\"resourceSpans\":[{\"resource\":{\"attributes\":[\(service)]},\"scopeSpans\":[{\"spans\":[\(list)]}]}]}"
                .utf8)
    }

    // MARK: Spans

    private mutating func add(_ trace: Int) {
        let tool = "fetch_orders_\(trace)"
        // An id with a space in front of it finds nothing; an argument that is no string is malformed.
        let isEmpty = trace % 3 == 0
        let customer = isEmpty ? "\" C-10\(trace)\"" : trace % 5 == 1 ? "10\(trace)" : "\"C-10\(trace)\""
        let arguments = "{\"customer_id\":\(customer)}"
        let orders = (0...random.below(6)).map { "{\"order\":\"ORD-\(trace)-\($0)\",\"total\":\($0 + 1)}" }
        let result = isEmpty ? "[]" : "[\(orders.joined(separator: ","))]"
        let definition =
            "[{\"type\":\"function\",\"name\":\"\(tool)\",\"parameters\":{\"type\":\"object\",\"properties\":"
            + "{\"customer_id\":{\"type\":\"string\"}},\"required\":[\"customer_id\"]}}]"
        let request = AgentTraffic.message("user", "{\"type\":\"text\",\"content\":\"orders of C-10\(trace)?\"}")
        let call = "{\"type\":\"tool_call\",\"id\":\"c\(trace)\",\"name\":\"\(tool)\",\"arguments\":\(arguments)}"
        let answer = isEmpty ? "You have no orders." : "You have \(orders.count) orders and may get a refund."
        span(trace, 1, "invoke_agent shop", [("gen_ai.operation.name", "invoke_agent")])
        span(
            trace, 2, "chat",
            [
                ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4.1"),
                ("gen_ai.input.messages", request), ("gen_ai.tool.definitions", definition),
                ("gen_ai.output.messages", AgentTraffic.message("assistant", call)),
            ], tokens: 100 + random.below(900))
        span(
            trace, 3, "execute_tool \(tool)",
            [
                ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", tool),
                ("gen_ai.tool.call.id", "c\(trace)"), ("gen_ai.tool.call.arguments", arguments),
                ("gen_ai.tool.call.result", result),
            ])
        let text = "{\"type\":\"text\",\"content\":\"\(answer)\"}"
        span(
            trace, 4, "chat",
            [
                ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4.1"),
                ("gen_ai.output.messages", AgentTraffic.message("assistant", text)),
            ], tokens: 100 + random.below(900))
    }

    private static func message(_ role: String, _ part: String) -> String {
        "[{\"role\":\"\(role)\",\"parts\":[\(part)]}]"
    }

    private mutating func span(
        _ trace: Int, _ number: Int, _ name: String, _ texts: [(String, String)], tokens: Int? = nil
    ) {
        let start = 1_790_000_000_000_000_000 + trace * 1_000_000_000 + number * 10_000_000
        let all = texts + [("gen_ai.agent.name", "shop"), ("gen_ai.conversation.id", "conv-\(trace)")]
        var attributes = all.map { key, value in
            "{\"key\":\"\(key)\",\"value\":{\"stringValue\":\"\(AgentTraffic.escaped(value))\"}}"
        }
        if let tokens {
            attributes.append("{\"key\":\"gen_ai.usage.input_tokens\",\"value\":{\"intValue\":\"\(tokens)\"}}")
        }
        let parent = number == 1 ? "" : "\"parentSpanId\":\"\(AgentTraffic.hex(1, 16))\","
        spans.append(
            Span(
                trace: trace, isRoot: number == 1,
                json: """
                    {"traceId":"\(AgentTraffic.hex(trace + 1, 32))","spanId":"\(AgentTraffic.hex(number, 16))",\
                    \(parent)"name":"\(name)","kind":1,"startTimeUnixNano":"\(start)",\
                    "endTimeUnixNano":"\(start + 5_000_000)","attributes":[\(attributes.joined(separator: ","))]}
                    """))
    }

    private static func escaped(_ text: String) -> String { text.replacingOccurrences(of: "\"", with: "\\\"") }

    static func hex(_ number: Int, _ width: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: width - digits.count) + digits
    }
}

extension RunningGateway {
    /// Waits at most two minutes.
    func wait(_ what: String, _ isTrue: () async throws -> Bool) async throws {
        for _ in 0..<2_400 {
            if try await isTrue() { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Fault(text: "no \(what) after two minutes: \(logText.suffix(2_000))")
    }

    /// Waits until places and memories are saved, which they are a fifth of a second after they changed: until their
    /// files rest.
    func waitUntilSaved() async throws {
        var last: [Data] = []
        var rest = 0
        try await wait("rest of what is saved") {
            let now = try saved()
            rest = now == last ? rest + 1 : 0
            last = now
            return rest == 60
        }
    }

    private func saved() throws -> [Data] {
        let data = folder.appending(path: "data").path
        return try FileManager.default.subpathsOfDirectory(atPath: data).sorted().compactMap { path in
            let isPlace = path.hasSuffix(".cursor") || path.hasSuffix(".passed") || path.hasSuffix(".decisions")
            return isPlace ? FileManager.default.contents(atPath: data + "/" + path) : nil
        }
    }

    /// Lines of a file in the gateway's folder; none while there is no such file.
    func lines(_ name: String) -> [String] {
        let text = try? String(contentsOf: folder.appending(path: name), encoding: .utf8)
        return text?.split(separator: "\n").map(String.init) ?? []
    }
}
