import Configuration
import Foundation
import OTLP
@testable import Gateway
import Telemetry
import Testing

@Suite struct ConfigTestRunTests {
    private static let configuration = """
        receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
        processors:
          gen_ai_normalizer: {}
          redaction: {allow_all_keys: true, detectors: all}
          attributes: {actions: [{key: seen, value: 3, action: insert}]}
        connectors: {forward: {}}
        exporters: {nop: {}}
        service:
          pipelines:
            traces/in: {receivers: [otlp], processors: [gen_ai_normalizer, redaction], exporters: [forward]}
            traces/out: {receivers: [forward], processors: [attributes], exporters: [nop]}
        """

    private func run(_ tests: String, configuration: String = configuration) throws -> ConfigTestRun {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "config.yaml")
        try (configuration + "\n" + tests).write(to: file, atomically: true, encoding: .utf8)
        try #"{"resourceSpans":[{"scopeSpans":[{"spans":[\#(span)]}]}]}"#.write(
            to: folder.appending(path: "one.traces.json"), atomically: true, encoding: .utf8)
        return ConfigTestRun(file: file.path)
    }

    private let span = #"{"traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef","name":"file"}"#

    @Test func `passes what is as expected in every pipeline`() throws {
        let run = try run(
            """
            tests:
              - name: masks and normalizes
                spans:
                  - name: call
                    attributes: {llm.model_name: m, openinference.span.kind: LLM, note: "write to a.b@example.com"}
                  - {name: tool, parent: call, failed: true, duration_ms: 20}
                files: [one.traces.json]
                expect:
                  - {count: 3, dropped: 0, lacks: [a.b@example.com], contains: ["020000000"]}
                  - {span: call, attributes: {gen_ai.request.model: m}, absent: [seen], findings: []}
                  - {pipeline: traces/out, span: tool, attributes: {seen: 3}}
            """)
        #expect(run.problems.all.map(\.message) == [])
        #expect(run.results.map(\.failures) == [[]])
    }

    @Test func `says for each difference what there is and what was expected`() throws {
        let run = try run(
            """
            tests:
              - name: wrong
                spans: [{name: call, attributes: {a: 1, b: [1, x], c: 2}}]
                expect:
                  - {count: 2, dropped: 1, lacks: [call], contains: [nowhere]}
                  - {span: call, attributes: {a: 2, b: [1, x], d: 1}, absent: [c], findings: [loop]}
                  - {span: none}
                  - {pipeline: traces/none, count: 0}
            """)
        #expect(
            run.results[0].failures == [
                "pipeline traces/in: 1 records came out, expected 2",
                "pipeline traces/in: 0 records were taken out, expected 1",
                "pipeline traces/in: nothing holds \"nowhere\"",
                "pipeline traces/in: something holds \"call\"",
                "pipeline traces/in, span call: a is 1, expected 2",
                "pipeline traces/in, span call: d is missing, expected 1",
                "pipeline traces/in, span call: c is 2, expected none",
                "pipeline traces/in, span call: the findings are none, expected loop",
                "pipeline traces/in: there is no span \"none\"; there are: call",
                "there is no pipeline traces/none",
            ])
    }

    @Test func `tells problems of tests and configuration at once`() throws {
        let run = try run("tests: [{spanz: [], expect: [{count: many}]}]")
        let messages = run.problems.all.map(\.message)
        #expect(messages.count == 3 && run.results.isEmpty, "\(messages)")
        #expect(try self.run("").problems.hasErrors, "no tests")
    }

    @Test func `tells what is wrong with an input`() throws {
        let run = try run(
            """
            tests:
              - {name: absent, files: [gone.pb]}
              - {name: broken, payload: '{"resourceSpans": 3}'}
            """)
        #expect(run.results.map(\.failures.count) == [1, 1])
        #expect(run.results[1].failures[0].hasPrefix("payload: "))
    }

    @Test func `an exporter is judged behind its own processors`() throws {
        let configuration = """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
            processors:
              redaction: {allow_all_keys: true, detectors: all}
              filter: {traces: {span: ['name == "noise"']}}
            exporters: {nop/full: {}, nop/masked: {process: [redaction, filter]}}
            service: {pipelines: {traces: {receivers: [otlp], exporters: [nop/full, nop/masked]}}}
            """
        let spans = "spans: [{name: a, attributes: {mail: jane@example.com}}, {name: noise}]"
        func failures(_ expectation: String) throws -> [String] {
            let tests = "tests: [{name: x, \(spans), expect: [\(expectation)]}]"
            let result = try run(tests, configuration: configuration)
            #expect(!result.problems.hasErrors, "\(result.problems.report())")
            return result.results.flatMap(\.failures)
        }
        #expect(try failures("{exporter: nop/full, count: 2, contains: [jane@example.com]}") == [])
        #expect(try failures("{exporter: nop/masked, count: 1, dropped: 1, lacks: [jane@example.com]}") == [])
        #expect(try failures("{count: 2, contains: [jane@example.com]}") == [])
        let wrong = try failures("{exporter: nop/masked, contains: [jane@example.com]}")
        #expect(wrong == ["exporter nop/masked: nothing holds \"jane@example.com\""])
        #expect(try failures("{exporter: nop/other, count: 1}") == ["pipeline traces has no exporter nop/other"])
    }
}

@Suite struct OfflineFileTests {
    private func write(_ text: String, name: String) throws -> String {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString)-\(name)")
        try text.write(to: file, atomically: true, encoding: .utf8)
        return file.path
    }

    @Test func `reads one document, many lines, and protobuf by the file's name`() throws {
        let one = try PayloadFile.read(write("{\n\"resourceLogs\":\n[]}", name: "x.json"))
        #expect(one.map(\.signal) == [.logs])
        let lines = try PayloadFile.read(write("{\"resourceSpans\":[]}\n\n{\"resourceMetrics\":[]}\n", name: "x.jsonl"))
        #expect(lines.map(\.signal) == [.traces, .metrics])
        #expect(try PayloadFile.read(write("", name: "x.logs.pb")).map(\.signal) == [.logs])
        #expect(throws: PayloadFile.Fault.self) { try PayloadFile.read(write("{}\n{\n", name: "x.jsonl")) }
    }

    private func write(_ bytes: [UInt8], name: String) throws -> String {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString)-\(name)")
        try Data(bytes).write(to: file)
        return file.path
    }

    private static let spans = #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"},{"name":"b"}]}]}]}"#

    @Test func `reads requests behind their lengths, as the file exporter writes them in protobuf`() throws {
        let request = try PayloadFile.request(Array(Self.spans.utf8)).bytes
        let framed: [UInt8] = [0, 0, 0, UInt8(request.count)] + request
        let inputs = try PayloadFile.read(write(framed + framed, name: "out.pb"))
        #expect(inputs.map(\.bytes) == [request, request] && inputs.map(\.recordCount) == [2, 2])
        #expect(try PayloadFile.read(write(request, name: "out.pb")).map(\.bytes) == [request])
        let fault = #expect(throws: PayloadFile.Fault.self) {
            try PayloadFile.read(write(framed + framed.dropLast(), name: "out.pb"))
        }
        #expect(fault?.description.contains("begins at byte \(framed.count) is cut off") == true)
    }

    @Test func `a request in protobuf that begins as a newline and a brace is none of JSON`() throws {
        let name = String(repeating: "n", count: 0x7B - 6)
        let request: [UInt8] = [0x0A, 0x7B, 0x12, 0x79, 0x12, 0x77, 0x2A, 0x75] + Array(name.utf8)
        #expect(try PayloadFile.read(write(request, name: "x.pb")).map(\.recordCount) == [1])
        #expect(try PayloadFile.read(write("\n" + Self.spans, name: "x.json")).map(\.recordCount) == [2])
    }

    @Test(arguments: [[UInt8]("some words\n".utf8), [0x0A, 0xFF, 0x7F], [0x0B, 0x01, 0x02, 0x03, 0x04]])
    func `what cannot be read is a fault with the file and the reason in words`(bytes: [UInt8]) throws {
        let path = try write(bytes, name: "g.pb")
        let fault = try #require(throws: PayloadFile.Fault.self) { try PayloadFile.read(path) }
        #expect(fault.description.hasPrefix(path + ": ") && fault.description.contains("what can be read is"))
        #expect(!fault.description.contains("DecodeFailure"))
    }

    @Test func `what a pipeline refuses is no outcome`() throws {
        let text = """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
            exporters: {nop: {}}
            service: {pipelines: {traces: {receivers: [otlp], exporters: [nop]}}}
            """
        let loaded = LoadedConfiguration.load([.text(name: "c.yaml", text)])
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        let gateway = try OfflineGateway(plan: loaded.plan)
        let broken = OfflineInput(signal: .traces, bytes: [0xFF])
        let fault = try #require(throws: PayloadFile.Fault.self) { try gateway.accepted([broken, broken]) }
        #expect(fault.description.hasPrefix("pipeline traces refused: ") && !fault.description.contains("\n"))
    }

    private func finding(_ pattern: String, _ span: String, _ tier: String = "") -> FindingRecord {
        FindingRecord(trace: "t", span: span, spanName: span, pattern: pattern, tier: tier, explanation: "")
    }

    @Test func `holds expected findings against what was found`() throws {
        let expected = try ExpectedFindings.parse(
            "# comment\nloop\n  loop   search flights\n\nhandoff_drop\n", name: "x")
        #expect(expected.map(\.line) == ["loop", "loop search flights", "handoff_drop"])
        let (missing, unexpected) = ExpectedFindings.compare(
            expected, [finding("loop", "search flights"), finding("loop", "b"), finding("retry_storm", "c")])
        #expect(missing.map(\.line) == ["handoff_drop"] && unexpected.map(\.pattern) == ["retry_storm"])
    }

    @Test func `takes expected findings as YAML with spans, tiers and counts`() throws {
        let text =
            "# of a run\nfindings:\n  - {pattern: loop, count: 2}\n  - {pattern: loop, span: b, tier: alert}\n"
        let expected = try ExpectedFindings.parse(text, name: "x.yaml")
        #expect(expected.map(\.line) == ["loop", "loop", "loop b alert"])
        let found = [finding("loop", "b", "alert"), finding("loop", "b", "tag"), finding("loop", "c", "alert")]
        #expect(ExpectedFindings.compare(expected, found).missing.isEmpty)
        let (missing, unexpected) = ExpectedFindings.compare(expected, Array(found.dropFirst()))
        #expect(missing.map(\.line) == ["loop b alert"] && unexpected.isEmpty)
        #expect(throws: PayloadFile.Fault.self) {
            try ExpectedFindings.parse("findings:\n  - {patern: x}\n", name: "x")
        }
        #expect(try ExpectedFindings.parse("findings: []\n", name: "x").isEmpty)
    }

    @Test func `moves recorded times and leaves the rest`() throws {
        let json = """
            {"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0123456789abcdef0123456789abcdef",\
            "spanId":"0123456789abcdef","name":"a","startTimeUnixNano":"1000","endTimeUnixNano":"3000",\
            "events":[{"name":"e","timeUnixNano":"2000"}]}]}]}]}
            """
        let input = try PayloadFile.request(Array(json.utf8))
        func times(_ input: OfflineInput) throws -> [UInt64] {
            var batch = RecordBatch()
            return try input.bytes.withUnsafeBytes { bytes in
                _ = try OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &batch)
                return [batch.spans[0].start, batch.spans[0].end, batch.events[0].time]
            }
        }
        let later = TimeShift([input], to: 13_000).apply(input)
        #expect(try times(later) == [11_000, 13_000, 12_000] && later.recordCount == 1)
        #expect(try times(TimeShift(amount: -10_000).apply(later)) == [1_000, 3_000, 2_000])
        #expect(try times(TimeShift(amount: -.max).apply(later)) == [1, 1, 1])
        let broken = OfflineInput(signal: .traces, bytes: [0xFF])
        #expect(TimeShift(amount: 1).apply(broken).bytes == [0xFF] && broken.recordCount == 0)
    }

    @Test func `reads findings from the events of spans`() throws {
        let json = """
            {"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0123456789abcdef0123456789abcdef",\
            "spanId":"0123456789abcdef","name":"tool","events":[{"name":"other"},{"name":"gen_ai.evaluation.result",\
            "attributes":[{"key":"gen_ai.evaluation.name","value":{"stringValue":"loop"}},\
            {"key":"sluice.finding.tier","value":{"stringValue":"alert"}}]}]}]}]}]}
            """
        let findings = FindingRecord.read(try PayloadFile.request(Array(json.utf8)).bytes)
        #expect(findings.map(\.pattern) == ["loop"] && findings[0].tier == "alert" && findings[0].spanName == "tool")
        #expect(findings[0].span == "0123456789abcdef")
        #expect(FindingRecord.read([0xFF]) == [])
    }
}
