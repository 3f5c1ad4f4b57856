import Foundation
import OTLP
import Telemetry
import Testing

@testable import GenAI

/// Findings of recorded runs, held against what their driver knows.
@Suite struct FindingsCorpusTests {
    typealias Entry = [String: Any]

    /// A finding with its place, as the tests look at it.
    struct Found {
        var finding: Finding
        var span: String
        var cause: String?
    }

    /// Runs whole captures: all posts of one are one batch, whose traces are analyzed one by one.
    final class Runner {
        let bench: Bench
        let keys: KeyTable
        let binding: KeyBinding
        let findingKeys: FindingKeys
        var memory = FindingsMemory()
        var analyzer: TraceAnalyzer
        var groups = TraceGroups()

        init(_ options: FindingsOptions = FindingsOptions()) throws {
            bench = try Bench()
            var builder = KeyTable.Builder()
            bench.tables.intern(&builder)
            FindingKeys.intern(&builder)
            keys = builder.build()
            binding = KeyBinding(keys, bench.tables)
            findingKeys = FindingKeys(keys)
            analyzer = TraceAnalyzer(options: options)
        }

        func run(_ requests: [[UInt8]], reversed: Bool = false) throws -> [Found] {
            var batch = RecordBatch(keys: keys)
            var found: [Found] = []
            try requests.flatMap(\.self).withUnsafeBytes { raw in
                _ = try OTLPReader.read(Text(raw), signal: .traces, keys: keys, into: &batch)
                bench.normalizer.normalize(&batch, binding: binding)
                groups.group(batch)
                for range in groups.ranges {
                    let spans = reversed ? groups.spans[range].reversed() : Array(groups.spans[range])
                    analyzer.analyze(batch, spans: spans, keys: findingKeys, memory: &memory)
                    for finding in analyzer.findings {
                        found.append(
                            Found(
                                finding: finding, span: FindingsCorpusTests.id(of: finding.span, batch),
                                cause: finding.cause.map { FindingsCorpusTests.id(of: $0, batch) }))
                    }
                }
            }
            return found
        }
    }

    static func id(of span: Int, _ batch: borrowing RecordBatch) -> String {
        batch.text(batch.spans[span].spanID).bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    static func requests(_ capture: Entry, in folder: URL) throws -> [[UInt8]] {
        let name = try #require(capture["capture"] as? String)
        var result: [[UInt8]] = []
        for post in capture["posts"] as? [Entry] ?? [] {
            guard let file = post["file"] as? String, file.contains(".traces.") else { continue }
            guard let data = try? Data(contentsOf: folder.appendingPathComponent("\(name)/\(file)")) else { continue }
            guard file.hasSuffix(".json") else {
                result.append([UInt8](data))
                continue
            }
            var out = ByteColumn()
            try [UInt8](data).withUnsafeBytes {
                _ = try OTLPJSONReader.transcode(Text($0), signal: .traces, into: &out)
            }
            result.append([UInt8](out.bytes))
        }
        return result
    }

    static func captures(_ scenario: String) throws -> [Entry] {
        let data = try Data(contentsOf: CorpusTests.folder.appendingPathComponent("manifest.json"))
        let root = try #require(try JSONSerialization.jsonObject(with: data) as? Entry)
        let all = try #require(root["captures"] as? [Entry])
        return all.filter { ($0["capture"] as? String)?.hasSuffix("/" + scenario) == true }
    }

    @Test func `an empty answer is found on its tool span, caused by the argument that the model wrote`() throws {
        let captures = try Self.captures("s1")
        #expect(captures.count >= 8)
        for capture in captures {
            let name = capture["capture"] as? String ?? ""
            let calls = (capture["tool_calls"] as? [Entry] ?? []).filter { $0["result"] as? String == "[]" }
            let spans = calls.compactMap { $0["span"] as? String }
            let causes = calls.compactMap { $0["llm_span"] as? String }
            #expect(spans.count == 1 && causes.count == 1, "\(name)")
            let found = try Runner().run(Self.requests(capture, in: CorpusTests.folder))
            let empty = found.filter { $0.finding.pattern == .silentEmptyResponse }
            #expect(empty.map(\.span) == spans, "\(name)")
            #expect(empty.compactMap(\.cause) == causes, "\(name)")
            #expect(empty.first?.finding.tier == .alert, "\(name)")
            #expect(empty.first?.finding.isFirstBadStep == true, "\(name)")
            let evidence = empty.first?.finding.evidence ?? ""
            #expect(evidence.contains("cause=leading_space"), "\(name): \(evidence)")
            // Content stays out unless it is asked for.
            #expect(!found.contains { $0.finding.evidence.contains("C-10482") }, "\(name)")
        }
    }

    @Test func `a healthy run raises no alert`() throws {
        for scenario in ["s0", "s0b", "s3", "s6"] {
            for capture in try Self.captures(scenario) {
                let found = try Runner().run(Self.requests(capture, in: CorpusTests.folder))
                let alerts = found.filter { $0.finding.tier == .alert }
                let rules = alerts.map { "\($0.finding.rule) \($0.finding.evidence)" }
                #expect(rules == [], "\(capture["capture"] ?? "")")
            }
        }
    }

    @Test func `the order of spans changes no finding`() throws {
        for capture in try Self.captures("s1") + Self.captures("s6") {
            let requests = try Self.requests(capture, in: CorpusTests.folder)
            let forward = try Runner().run(requests)
            let backward = try Runner().run(requests.reversed(), reversed: true)
            func key(_ found: Found) -> String {
                [
                    found.span, found.cause ?? "-", found.finding.tier.name, found.finding.ruleName,
                    found.finding.evidence,
                ].joined(separator: " ")
            }
            #expect(forward.map(key) == backward.map(key), "\(capture["capture"] ?? "")")
        }
    }
}
