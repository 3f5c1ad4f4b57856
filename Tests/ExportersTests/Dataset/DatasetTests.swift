@testable import Exporters
import FoundationEssentials
import GenAI
import OTLP
import Pipeline
import Telemetry
import Testing

/// A run of a refund agent in the current conventions, with a finding on its tool span.
private func run(
    trace: String = "0123456789abcdef0123456789abcdef", session: String = "s1", customer: String = " C-1",
    pattern: String? = "silent_empty_response", tier: String = "tag", start: Int = 1_000
) throws -> ExportBatch {
    func text(_ key: String, _ value: String) -> String {
        let escaped = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
        return "{\"key\":\"\(key)\",\"value\":{\"stringValue\":\"\(escaped)\"}}"
    }
    func span(
        _ id: String, _ parent: String, _ name: String, _ at: Int, _ attributes: [String], _ events: String = ""
    ) -> String {
        """
        {"traceId":"\(trace)","spanId":"\(id)","parentSpanId":"\(parent)","name":"\(name)",\
        "startTimeUnixNano":"\(start + at)","endTimeUnixNano":"\(start + at + 50)",\
        "attributes":[\(attributes.joined(separator: ","))],"events":[\(events)]}
        """
    }
    let input = """
        [{"role":"system","parts":[{"type":"text","content":"be kind"}]},\
        {"role":"user","parts":[{"type":"text","content":"my refund,\\nplease"}]}]
        """
    let answer = """
        [{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"fetch","arguments":{"id":"\(customer)"}}]}]
        """
    let last = #"[{"role":"assistant","parts":[{"type":"text","content":"=nothing found"}]}]"#
    let tools =
        #"[{"type":"function","name":"fetch","description":"Finds a customer.","#
        + #""parameters":{"type":"object","properties":{"id":{"type":"string"}}}}]"#
    let event = """
        {"name":"gen_ai.evaluation.result","timeUnixNano":"1","attributes":[\
        \(text("gen_ai.evaluation.name", pattern ?? "")),\(text("sluice.finding.tier", tier)),\
        \(text("sluice.finding.rule", "result.empty")),\
        {"key":"gen_ai.evaluation.score.value","value":{"doubleValue":0.5}},\
        {"key":"sluice.finding.first_bad_step","value":{"boolValue":true}}]}
        """
    let usage = "{\"key\":\"gen_ai.usage.input_tokens\",\"value\":{\"intValue\":\"7\"}}"
    let spans = [
        span(
            "aaaaaaaaaaaaaaaa", "", "agent", 0,
            [
                text("gen_ai.operation.name", "invoke_agent"), text("gen_ai.agent.name", "refunds"),
                text("gen_ai.conversation.id", session),
            ]),
        span(
            "bbbbbbbbbbbbbbbb", "aaaaaaaaaaaaaaaa", "chat", 10,
            [
                text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "m"),
                text("gen_ai.input.messages", input), text("gen_ai.output.messages", answer),
                text("gen_ai.tool.definitions", tools), usage,
            ]),
        span(
            "cccccccccccccccc", "aaaaaaaaaaaaaaaa", "execute_tool fetch", 20,
            [
                text("gen_ai.operation.name", "execute_tool"), text("gen_ai.tool.name", "fetch"),
                text("gen_ai.tool.call.id", "c1"), text("gen_ai.tool.call.result", "[]"),
            ], pattern == nil ? "" : event),
        span(
            "dddddddddddddddd", "aaaaaaaaaaaaaaaa", "chat", 30,
            [
                text("gen_ai.operation.name", "chat"), text("gen_ai.output.messages", last),
            ]),
    ]
    var json = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}"
    var output = ByteColumn()
    try json.withUTF8 {
        try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
    }
    return ExportBatch(signal: .traces, itemCount: spans.count, bytes: [UInt8](output.bytes))
}

@Suite(.timeLimit(.minutes(15))) struct DatasetTests {
    private func records(
        _ batches: [ExportBatch], _ selection: DatasetSelection = DatasetSelection()
    ) throws -> [DatasetRecord] {
        var reader = try DatasetReader(selection, splits: .usual)
        var all: [DatasetRecord] = []
        for batch in batches {
            let own = reader.records(batch.bytes)
            all += try #require(own)
        }
        return all
    }

    @Test func `a failing trace becomes an example with all that it was`() throws {
        let record = try #require(try records([run()]).first)
        #expect(record.agent == "refunds" && record.model == "m" && record.conversation_id == "s1")
        #expect(record.output == "=nothing found" && record.expected == nil && record.toolNames == ["fetch"])
        let line = String(decoding: DatasetFormat.jsonl.line(record), as: UTF8.self)
        for part in [
            #""calls":[{"arguments":{"id":" C-1"},"id":"c1","is_failed":false,"name":"fetch","result":[],"#,
            #""result":[],"span_id":"cccccccccccccccc"}]"#,
            #""format":"sluice.dataset/1""#, #"{"content":"be kind","type":"text"}"#,
            #""name":"silent_empty_response""#,
            #""tools":[{"description":"Finds a customer.","name":"fetch","#
                + #""parameters":{"properties":{"id":{"type":"string"}},"type":"object"}}]"#,
            #""span_id":"aaaaaaaaaaaaaaaa""#, #""input_tokens":7"#, #""is_first_bad_step":true"#,
        ] { #expect(line.contains(part), "\(part) is not in \(line)") }
        #expect(try JSONDecoder().decode(DatasetRecord.self, from: Data(line.utf8)) == record)
    }

    @Test func `the id is that of the content`() throws {
        let first = try records([run()])[0]
        let again = try records([run(trace: "ffffffffffffffffffffffffffffffff", session: "s2", start: 9_000)])[0]
        let other = try records([run(customer: "C-2")])[0]
        #expect(first.id == again.id && first.id != other.id && first.id.count == 32)
    }

    @Test func `takes what is asked for`() throws {
        let batches = [
            try run(), try run(customer: "a", pattern: "loop"), try run(customer: "b", tier: "hint"),
            try run(customer: "c", pattern: nil),
        ]
        #expect(try records(batches).count == 2)
        #expect(try records(batches, DatasetSelection(findings: ["loop"])).map { $0.findings[0].name } == ["loop"])
        #expect(try records(batches, DatasetSelection(tiers: ["hint"])).count == 1)
        let condition = #"attributes["gen_ai.tool.call.result"] == "[]""#
        #expect(try records(batches, DatasetSelection(conditions: [condition])).count == 4)
    }

    @Test func `a session stays in one split, and shares are kept`() throws {
        let splits = try #require(DatasetSplits(text: "train=0.5,test=0.5"))
        var counts: [String: Int] = [:]
        for index in 0..<400 {
            var record = try records([run(session: "x")])[0]
            record.conversation_id = "s\(index % 200)"
            record.id = "\(index)"
            let split = splits.split(of: record)
            counts[split, default: 0] += 1
            record.id = "other"
            #expect(splits.split(of: record) == split)
            if index > 20 { break }
        }
        #expect(counts.count == 2)
        for text in ["train=0.5", "a=0.5,a=0.5", "a/b=1", "a=1,b=0", "x"] { #expect(DatasetSplits(text: text) == nil) }
    }

    private func exporter(_ folder: TemporaryDirectory, _ yaml: String) async throws -> DatasetExporter {
        let read = options(DatasetOptions.self, yaml)
        #expect(read.problems == [])
        let exporter = DatasetExporter(options: read.options, build: exporterBuild(directory: folder.path))
        try await exporter.start()
        return exporter
    }

    @Test(arguments: DatasetFormat.allCases) func `every example is in the file once, also after a crash`(
        _ format: DatasetFormat
    ) async throws {
        let folder = TemporaryDirectory()
        let yaml = "{path: sub/data.out, format: \(format.rawValue)}"
        let first = try await exporter(folder, yaml)
        #expect(await first.export(try run()) == .delivered)
        #expect(await first.export(try run(trace: "ffffffffffffffffffffffffffffffff")) == .delivered)
        await first.shutdown()
        let whole = folder.contents("sub/data.out")
        // A record that a crash has cut off.
        try (whole + "{\"half").write(toFile: folder.file("sub/data.out"), atomically: true, encoding: .utf8)
        let second = try await exporter(folder, yaml)
        #expect(await second.export(try run(trace: "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee")) == .delivered)
        #expect(await second.export(try run(customer: "C-2")) == .delivered)
        await second.shutdown()
        let lines = folder.contents("sub/data.out").split(separator: "\n")
        #expect(lines.count == (format == .csv ? 3 : 2), "\(lines)")
        #expect(folder.contents("sub/data.out").hasPrefix(whole))
        switch format {
        case .jsonl: #expect(lines[0].contains("\"format\":\"sluice.dataset/1\""))
        case .csv: #expect(lines[1].contains("'=nothing found") && lines[0].hasPrefix("id,split,trace_id"))
        case .openAIEvals:
            #expect(
                lines[0].contains(
                    #""ideal":null,"input":[{"content":"be kind","role":"system"},"#
                        + #"{"content":"my refund,\nplease","role":"user"}]"#
                ))
        }
    }

    @Test func `versions follow each other and keep what people expect`() throws {
        let folder = TemporaryDirectory()
        let (one, two) = (try records([run()]), try records([run(customer: "C-2")]))
        let splits = try #require(DatasetSplits(text: "all=1"))
        func build(_ records: [DatasetRecord]) throws -> DatasetManifest? {
            try DatasetFiles.build(records, into: folder.path, splits: splits, format: .jsonl, sources: ["a"])
        }
        let first = try #require(try build(one + one))
        #expect(
            first.name == "v1" && first.records == 1 && first.parent == nil
                && first.findings == ["silent_empty_response": 1])
        #expect(try build(one) == nil)
        let file = folder.file("v1/all.jsonl")
        let text = folder.contents("v1/all.jsonl")
        try text.replacing("\"findings\":", with: "\"expected\":\"ask again\",\"findings\":")
            .write(toFile: file, atomically: true, encoding: .utf8)
        let second = try #require(try build(two + one))
        #expect(second.name == "v2" && second.records == 2 && second.expected == 1 && second.parent == first.version)
        let difference = DatasetFiles.difference(one, try DatasetFiles.read(folder.path))
        #expect(difference.added.map(\.id) == two.map(\.id) && difference.removed.isEmpty)
        #expect(difference.changed.map(\.what) == [["split", "expected"]])
        // The order of the sources does not matter.
        #expect(DatasetFiles.summary(one + two).version == DatasetFiles.summary(two + one).version)
    }

    @Test(arguments: [
        ("{}", "required"), ("{path: a, splits: {train: 0.5}}", "add up to 1"),
        ("{path: a, select: {tiers: [page]}}", "no tier"),
        ("{path: a, select: {conditions: ['nam == 1']}}", "did you mean"),
        ("{dataset_url: 'https://app.scalyr.com', api_key: a}", "SentinelOne's, which the Collector has"),
    ]) func `says what is wrong`(yaml: String, words: String) {
        let problems = options(DatasetOptions.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
    }
}
