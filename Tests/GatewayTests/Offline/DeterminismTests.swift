import Configuration
import Foundation
import Gateway
import OTLP
import Telemetry
import TestSupport
import Testing

/// The same spans give the same findings, in whatever order and requests they come.
@Suite struct DeterminismTests {
    private static let configuration = """
        receivers: {otlp: {protocols: {http: {}}}}
        processors:
          gen_ai_normalizer: {}
          agent_findings: {}
          evaluators:
            evaluators:
              - {name: answer, level: trace, of: output, not_matches: 'sorry'}
              - {name: few_steps, level: trace, of: steps, max: 3}
              - {name: history, filter: 'attributes["gen_ai.tool.name"] != nil', of: gen_ai.tool.call.result,
                 not_matches: '^\\[\\]$'}
        exporters: {nop: {}}
        service:
          pipelines:
            traces:
              receivers: [otlp]
              processors: [gen_ai_normalizer, agent_findings, evaluators]
              exporters: [nop]
        """

    private static let corpus = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures/Corpus")

    /// Recorded requests by capture, in order.
    private static func captures() throws -> [(name: String, inputs: [OfflineInput])] {
        let files = try FileManager.default.subpathsOfDirectory(atPath: corpus.path)
            .filter { $0.hasSuffix(".traces.pb") || $0.hasSuffix(".traces.json") }.sorted()
        let folders = Dictionary(grouping: files) { String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)]) }
        return try folders.sorted { $0.key < $1.key }.map { folder, names in
            // Some captures are there in both encodings.
            let own = names.filter { $0.hasSuffix(".pb") }
            let inputs = try (own.isEmpty ? names : own).flatMap {
                try PayloadFile.read(corpus.appending(path: $0).path)
            }
            return (folder, inputs)
        }
    }

    private func findings(_ inputs: [OfflineInput]) throws -> [FindingRecord] {
        let loaded = LoadedConfiguration.load([.text(name: "c.yaml", Self.configuration)])
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        let outputs = try OfflineGateway(plan: loaded.plan).run(inputs)
        return outputs.flatMap { $0.requests.flatMap { FindingRecord.read($0) } }.sorted()
    }

    /// The same spans in other requests of random sizes, shuffled.
    private func shuffled(_ inputs: [OfflineInput], seed: UInt64) -> [OfflineInput] {
        var random = SeededRandom(seed)
        var pieces: [[UInt8]] = inputs.flatMap { input in
            OTLPSplitter.split(input.bytes, signal: .traces, maxItems: 1).map(\.bytes)
        }
        pieces.shuffle(using: &random)
        var result: [OfflineInput] = []
        var rest = pieces[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...7, using: &random)
            result.append(OfflineInput(signal: .traces, bytes: rest.prefix(count).flatMap { $0 }))
            rest = rest.dropFirst(count)
        }
        return result
    }

    @Test func `shuffled spans in any batches give the same findings`() throws {
        let captures = try Self.captures()
        #expect(captures.count >= 10)
        var total = 0
        for (name, inputs) in captures {
            let expected = try findings(inputs)
            total += expected.count
            for seed in 1...4 as ClosedRange<UInt64> {
                let found = try findings(shuffled(inputs, seed: seed))
                #expect(found == expected, "\(name), seed \(seed)")
            }
        }
        #expect(total > 40)
    }

    @Test func `a run over what a run has written changes nothing`() throws {
        for (name, inputs) in try Self.captures().prefix(12) {
            let loaded = LoadedConfiguration.load([.text(name: "c.yaml", Self.configuration)])
            let once = try OfflineGateway(plan: loaded.plan).run(inputs)
            let written = once.flatMap { output in output.requests.map { OfflineInput(signal: .traces, bytes: $0) } }
            #expect(try findings(written) == findings(inputs), "\(name)")
        }
    }
}
