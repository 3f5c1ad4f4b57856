import Foundation
import OTLP
import Telemetry
import Testing

@testable import GenAI

/// What instrumentations write that the tables were not developed on: `Tests/Fixtures/Recordings` holds OTLP/JSON with
/// their names and short values, `expected.tsv` one value per line that the normalizer must give.
@Suite struct RecordingTests {
    /// A line of the table: `span` is a name, of which the first span is meant, `*` every span, `(log)` a record.
    struct Expectation: CustomTestStringConvertible, Sendable {
        var file: String
        var span: String
        var attribute: String
        var value: String

        var testDescription: String { "\(file) \(span) \(attribute)" }

        /// What is wrong with the value that is there; nil when nothing is.
        func fault(_ found: String?) -> String? {
            if value == "<absent>" { return found.map { "is \($0)" } }
            guard let found else { return "is not there" }
            if value.hasPrefix("contains:") {
                let part = value.dropFirst(9).replacing("\\n", with: "\n")
                return found.contains(part) || found.contains(value.dropFirst(9)) ? nil : "is \(found)"
            }
            if let wanted = Double(value), let number = Double(found) { return wanted == number ? nil : "is \(found)" }
            return sameJSON(found, value) ? nil : "is \(found)"
        }
    }

    static let folder = GoldenFile.folder.deletingLastPathComponent().appendingPathComponent("Recordings")

    static let expectations: [Expectation] = {
        let text = (try? String(contentsOf: folder.appendingPathComponent("expected.tsv"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 4 else { return nil }
            return Expectation(file: fields[0], span: fields[1], attribute: fields[2], value: fields[3])
        }
    }()

    static func request(_ name: String) throws -> (bytes: [UInt8], signal: Signal) {
        let text = try [UInt8](Data(contentsOf: folder.appendingPathComponent(name)))
        let start = String(decoding: text.prefix(40), as: UTF8.self)
        let signal: Signal =
            start.contains("resourceLogs") ? .logs : start.contains("resourceMetrics") ? .metrics : .traces
        var out = ByteColumn()
        try text.withUnsafeBytes { try OTLPJSONReader.transcode(Text($0), signal: signal, into: &out) }
        return ([UInt8](out.bytes), signal)
    }

    /// Name and attributes of every record of a file after normalizing.
    private static func records(_ name: String, _ bench: Bench) throws -> [(name: String, attributes: [String: String])]
    {
        let (bytes, signal) = try request(name)
        var found: [(name: String, attributes: [String: String])] = []
        _ = try bench.run(bytes, signal) { batch in
            for span in batch.spans.indices {
                found.append((batch.text(batch.spans[span].name).string, Bench.attributes(of: span, batch)))
            }
            for log in batch.logs.indices { found.append(("(log)", Bench.attributes(in: batch.logs[log].set, batch))) }
            for point in batch.points.indices {
                let metric = batch.metrics[Int(batch.points[point].metric)]
                found.append((batch.text(metric.name).string, Bench.attributes(in: batch.points[point].set, batch)))
            }
        }
        return found
    }

    @Test(arguments: expectations) func `a recording becomes what its line says`(_ line: Expectation) throws {
        let found = try Self.records(line.file, Bench())
        let name = line.span.hasSuffix("#1") ? String(line.span.dropLast(2)) : line.span
        let record = try #require(found.first { $0.name == name }, "no span \(line.span)")
        #expect(line.fault(record.attributes[line.attribute]) == nil)
    }

    @Test func `the table of expectations is read whole`() throws {
        #expect(Self.expectations.count >= 130)
        #expect(Set(Self.expectations.map(\.file)).count >= 45)
    }

    @Test func `recordings come out the same twice and lose no attribute`() throws {
        let bench = try Bench()
        for name in Set(Self.expectations.map(\.file)).sorted() {
            let (bytes, signal) = try Self.request(name)
            let once = try bench.run(bytes, signal)
            #expect(try bench.run(once, signal) == once, "\(name)")
            var names: [Set<String>] = []
            _ = try bench.run(bytes, signal, normalize: false) { batch in
                for span in batch.spans.indices { names.append(Set(Bench.attributes(of: span, batch).keys)) }
            }
            guard signal == .traces else { continue }
            for (before, after) in zip(names, try Self.records(name, bench)) {
                // An operation or a provider that is none is kept under a name of ours.
                let lost = before.subtracting(after.attributes.keys).subtracting(["gen_ai.operation.name"])
                    .subtracting(["gen_ai.provider.name"])
                #expect(lost.isEmpty, "\(name) \(after.name): \(lost)")
            }
        }
    }
}
