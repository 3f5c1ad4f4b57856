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

    @Test func `agents of Traceloop show the messages that their function was given, and its answer`() throws {
        let bench = try Bench()
        let corpus = try CorpusTruth(Self.folder)
        var agents = 0
        for capture in corpus.captures where (capture["capture"] as? String)?.hasPrefix("openllmetry/") == true {
            for (id, seen) in try corpus.spans(capture, bench) {
                let kind = seen.attributes["traceloop.span.kind"]
                guard kind == "agent" || kind == "workflow" else { continue }
                agents += 1
                let dump = try Self.json(seen.attributes["traceloop.entity.input"]) as? Entry
                let given = try #require((dump?["args"] as? [Any])?.first as? [Entry], "\(id)")
                let input = try #require(CorpusTruth.messages(seen.attributes["gen_ai.input.messages"]), "\(id)")
                let roles = given.compactMap { $0["role"] as? String }
                #expect(input.compactMap { $0["role"] as? String } == roles, "\(id)")
                let answer = try Self.json(seen.attributes["traceloop.entity.output"]) as? String
                let output = try #require(CorpusTruth.messages(seen.attributes["gen_ai.output.messages"]), "\(id)")
                #expect(CorpusTruth.parts(output, "text").first?["content"] as? String == answer, "\(id)")
            }
        }
        #expect(agents >= 16)
    }

    private static func json(_ text: String?) throws -> Any {
        try JSONSerialization.jsonObject(with: Data((text ?? "").utf8), options: .fragmentsAllowed)
    }
}
