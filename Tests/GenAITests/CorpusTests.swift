import Foundation
import OTLP
import Telemetry
import Testing

@testable import GenAI

/// The truth of the recorded captures, as their driver knew it, held against what the normalizer makes of the payloads.
@Suite struct CorpusTests {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Fixtures/Corpus")

    typealias Entry = CorpusTruth.Entry

    @Test func `only true LLM spans count as inference`() throws {
        let bench = try Bench()
        let corpus = try CorpusTruth(Self.folder)
        for capture in corpus.captures {
            let name = try #require(capture["capture"] as? String)
            var truth: Set<String> = []
            for call in capture["llm_calls"] as? [Entry] ?? [] {
                if let id = call["span"] as? String { truth.insert(id) }
                truth.formUnion(call["also"] as? [String] ?? [])
            }
            for (id, seen) in try corpus.spans(capture, bench) where seen.attributes["gen_ai.operation.name"] == "chat"
            {
                #expect(truth.contains(id), "\(name) \(id)")
            }
        }
    }

    @Test(arguments: [false, true]) func `a second run changes nothing`(removeOriginals: Bool) throws {
        var options = NormalizerOptions()
        options.removeOriginals = removeOriginals
        let bench = try Bench(options)
        let corpus = try CorpusTruth(Self.folder)
        for capture in corpus.captures {
            for request in try corpus.requests(capture, .traces) {
                let once = try bench.run(request)
                let twice = try bench.run(once)
                #expect(twice == once, "\(capture["capture"] ?? "")")
                #expect(bench.normalizer.changedSpans == 0)
            }
        }
    }
}
