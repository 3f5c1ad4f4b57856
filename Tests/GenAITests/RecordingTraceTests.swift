import Foundation
import OTLP
import Telemetry
import Testing

@testable import GenAI

/// Whole traces of instrumentations, each with one failing step or none: `traces.tsv` names the rule that must find the
/// step, and the span that it must name.
@Suite struct RecordingTraceTests {
    struct Line: CustomTestStringConvertible, Sendable {
        var file: String
        var rule: String
        var span: String

        var testDescription: String { file }
    }

    static let lines: [Line] = {
        let url = RecordingTests.folder.appendingPathComponent("traces.tsv")
        let text = (try? String(contentsOf: url, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: "\t").map(String.init)
            return fields.count == 3 ? Line(file: fields[0], rule: fields[1], span: fields[2]) : nil
        }
    }()

    /// Rule and span's name of what is found in a file once it is normalized.
    private static func found(_ file: String) throws -> [(rule: String, span: String)] {
        try findings(file, FindingsOptions()).map { ($0.rule, $0.span) }
    }

    /// What is found in a file once it is normalized.
    private static func findings(
        _ file: String, _ options: FindingsOptions
    ) throws -> [(rule: String, span: String, evidence: String)] {
        let tables = try Tables.shared.get()
        var builder = KeyTable.Builder()
        tables.intern(&builder)
        FindingKeys.intern(&builder)
        let keys = builder.build()
        var normalizer = Normalizer(tables, NormalizerOptions())
        var batch = RecordBatch(keys: keys)
        var groups = TraceGroups()
        var analyzer = TraceAnalyzer(options: options)
        var memory = FindingsMemory()
        var found: [(rule: String, span: String, evidence: String)] = []
        try RecordingTests.request("traces/" + file).bytes.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: .traces, keys: keys, into: &batch)
            normalizer.normalize(&batch, binding: KeyBinding(keys, tables))
            groups.group(batch)
            for range in groups.ranges {
                analyzer.analyze(batch, spans: groups.spans[range], keys: FindingKeys(keys), memory: &memory)
                for finding in analyzer.findings {
                    let name = batch.text(batch.spans[Int(finding.span)].name).string
                    found.append((finding.rule.rawValue, name, finding.evidence))
                }
            }
        }
        return found
    }

    @Test(arguments: lines) func `a failing step is found on its span, and nothing in a healthy trace`(
        _ line: Line
    ) throws {
        let found = try Self.found(line.file)
        if line.rule == "<none>" {
            #expect(found.isEmpty, "\(found)")
            return
        }
        #expect(found.contains { $0.rule == line.rule && (line.span == "-" || $0.span == line.span) }, "\(found)")
    }

    /// The run's own span repeats the sums of the calls under it, and OpenLLMetry's exporter calls both `chat`.
    @Test func `tokens that an outer span repeats count once`() throws {
        var options = FindingsOptions()
        options.maxTokens = 1
        let found = try Self.findings("w01_openllmetry_js_vercel_usage.json", options)
        #expect(found.first { $0.rule == "budget.tokens" }?.evidence.contains("tokens=39 ") == true, "\(found)")
    }

    @Test func `the table of traces is read whole`() { #expect(Self.lines.count >= 17) }
}
