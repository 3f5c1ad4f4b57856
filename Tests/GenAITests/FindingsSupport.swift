import OTLP
import Telemetry
import Testing

@testable import GenAI

/// A hand-written trace in the current conventions.
struct TestTrace {
    struct Span {
        var id: UInt8
        var parent: UInt8 = 0
        var name = "span"
        var start: UInt64
        var end: UInt64
        var status: UInt64 = 0
        var message = ""
        var attributes: [(String, TestValue)]
        /// Name of the service that sends it, empty for none.
        var service = ""
    }

    var spans: [Span] = []
    var session = "session-1"
    private var clock: UInt64 = 1_000

    init(session: String = "session-1") { self.session = session }

    private mutating func add(
        _ name: String, parent: UInt8, status: UInt64 = 0, message: String = "", _ attributes: [(String, TestValue)]
    ) -> UInt8 {
        let id = UInt8(spans.count + 1)
        clock += 1_000_000
        spans.append(
            Span(
                id: id, parent: parent, name: name, start: clock, end: clock + 500_000, status: status,
                message: message, attributes: attributes))
        return id
    }

    @discardableResult
    mutating func agent(_ name: String, in parent: UInt8 = 0, input: String? = nil) -> UInt8 {
        var attributes: [(String, TestValue)] = [
            ("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", .string(name)),
        ]
        if parent == 0 { attributes.append(("gen_ai.conversation.id", .string(session))) }
        if let input { attributes.append(("gen_ai.input.messages", .string(TestTrace.user(input)))) }
        return add("invoke_agent \(name)", parent: parent, attributes)
    }

    /// A model call; `calls` are (id, name, arguments as JSON) and `tools` definitions as JSON.
    @discardableResult
    mutating func model(
        in parent: UInt8, input: String? = nil, text: String? = nil,
        calls: [(id: String, name: String, arguments: String)] = [], tools: String? = nil, finish: String? = nil,
        status: UInt64 = 0
    ) -> UInt8 {
        var attributes: [(String, TestValue)] = [
            ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4.1-mini"),
        ]
        if let input { attributes.append(("gen_ai.input.messages", .string(input))) }
        var parts: [String] = []
        if let text { parts.append(#"{"type":"text","content":\#(TestTrace.quoted(text))}"#) }
        for call in calls {
            parts.append(
                #"{"type":"tool_call","id":"\#(call.id)","name":"\#(call.name)","arguments":\#(call.arguments)}"#)
        }
        if !parts.isEmpty {
            let list = #"[{"role":"assistant","parts":[\#(parts.joined(separator: ","))]}]"#
            attributes.append(("gen_ai.output.messages", .string(list)))
        }
        if let tools { attributes.append(("gen_ai.tool.definitions", .string(tools))) }
        let reason = finish ?? (calls.isEmpty ? "stop" : "tool_call")
        attributes.append(("gen_ai.response.finish_reasons", .array([.string(reason)])))
        return add("chat", parent: parent, status: status, attributes)
    }

    @discardableResult
    mutating func tool(
        _ name: String, in parent: UInt8, id: String? = nil, arguments: String? = nil, result: String? = nil,
        error: String? = nil
    ) -> UInt8 {
        var attributes: [(String, TestValue)] = [
            ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", .string(name)),
        ]
        if let id { attributes.append(("gen_ai.tool.call.id", .string(id))) }
        if let arguments { attributes.append(("gen_ai.tool.call.arguments", .string(arguments))) }
        if let result { attributes.append(("gen_ai.tool.call.result", .string(result))) }
        return add(
            "execute_tool \(name)", parent: parent, status: error == nil ? 0 : 2, message: error ?? "", attributes)
    }

    @discardableResult
    mutating func retrieval(_ query: String, _ documents: String, in parent: UInt8) -> UInt8 {
        add(
            "retrieval", parent: parent,
            [
                ("gen_ai.operation.name", "retrieval"), ("gen_ai.retrieval.query.text", .string(query)),
                ("gen_ai.retrieval.documents", .string(documents)),
            ])
    }

    static func quoted(_ text: String) -> String {
        var out = ByteColumn()
        var copy = text
        copy.withUTF8 { JSONText.escape(Text(UnsafeRawBufferPointer($0)), into: &out) }
        return "\"" + out.text.string + "\""
    }

    static func user(_ text: String) -> String {
        #"[{"role":"user","parts":[{"type":"text","content":\#(quoted(text))}]}]"#
    }

    /// One definition with these properties.
    static func definition(_ name: String, _ properties: String, required: String = "[]") -> String {
        #"{"type":"function","name":"\#(name)","parameters":{"type":"object","properties":{\#(properties)},"#
            + #""required":\#(required)}}"#
    }

    func request(traceID: UInt8 = 7) -> [UInt8] {
        var services: [String] = []
        for span in spans where !services.contains(span.service) { services.append(span.service) }
        var bytes: [UInt8] = []
        for service in services {
            let name: [UInt8] = service.isEmpty ? [] : Wire.field(1, Wire.pair("service.name", .string(service)))
            var encoded: [UInt8] = []
            for span in spans where span.service == service { encoded += TestTrace.encode(span, traceID) }
            bytes += Wire.field(1, Wire.field(1, name) + Wire.field(2, encoded))
        }
        return bytes
    }

    private static func encode(_ span: Span, _ traceID: UInt8) -> [UInt8] {
        var bytes = Wire.field(1, [UInt8](repeating: traceID, count: 16))
        bytes += Wire.field(2, [UInt8](repeating: span.id, count: 8))
        if span.parent != 0 { bytes += Wire.field(4, [UInt8](repeating: span.parent, count: 8)) }
        bytes += Wire.field(5, Array(span.name.utf8)) + Wire.fixed(7, span.start) + Wire.fixed(8, span.end)
        for (key, value) in span.attributes { bytes += Wire.field(9, Wire.pair(key, value)) }
        if span.status != 0 {
            let status = Wire.field(2, Array(span.message.utf8)) + Wire.varint(3 << 3) + Wire.varint(span.status)
            bytes += Wire.field(15, status)
        }
        return Wire.field(2, bytes)
    }
}

/// Analyzes hand-written traces one after the other with one memory.
final class Detective {
    let keys: KeyTable
    let findingKeys: FindingKeys
    var memory = FindingsMemory()
    var analyzer: TraceAnalyzer
    private var groups = TraceGroups()
    /// Every trace has an id of its own.
    private var traceID: UInt8 = 6

    init(_ options: FindingsOptions = FindingsOptions()) {
        var builder = KeyTable.Builder()
        FindingKeys.intern(&builder)
        keys = builder.build()
        findingKeys = FindingKeys(keys)
        analyzer = TraceAnalyzer(options: options)
    }

    /// `id` is for traces that come in pieces or again.
    @discardableResult
    func look(at trace: TestTrace, id: UInt8? = nil) throws -> [Finding] {
        var batch = RecordBatch(keys: keys)
        var findings: [Finding] = []
        traceID &+= 1
        try trace.request(traceID: id ?? traceID).withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: keys, into: &batch)
            groups.group(batch)
            for range in groups.ranges {
                analyzer.analyze(batch, spans: groups.spans[range], keys: findingKeys, memory: &memory)
                findings += analyzer.findings
            }
        }
        return findings
    }
}

/// The findings of one trace.
func findings(_ trace: TestTrace, _ options: FindingsOptions = FindingsOptions()) throws -> [Finding] {
    try Detective(options).look(at: trace)
}

extension [Finding] {
    func of(_ pattern: FindingPattern) -> [Finding] { filter { $0.pattern == pattern } }
}
