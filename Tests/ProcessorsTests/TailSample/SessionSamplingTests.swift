import Foundation
import OTLP
import Pipeline
import Telemetry
import Testing

@testable import Processors

/// Keeping all traces of a conversation once one of them is bad, and what is remembered over a restart.
@Suite struct SessionSamplingTests {
    /// A sampler with a folder for what it remembers.
    private struct Sampler {
        let processor: TailSamplingProcessor
        let build: ProcessorBuild

        init(_ yaml: String, folder: String? = nil) throws {
            let (options, headlines) = RuleBench.options(TailSamplingOptions.self, yaml)
            try #require(headlines == [], "\(headlines)")
            var build = ProcessorBuild(
                keys: KeyTable.Builder(), metrics: SelfMetrics(), id: "tail_sampling/x", pipeline: "traces/a b",
                signal: .traces, stateDirectory: folder)
            processor = try TailSamplingProcessor(options: options, build: &build, now: { 0 })
            self.build = build
        }

        enum Fate: Equatable { case kept, dropped, held(String) }

        func decide(
            _ trace: Int, session: String? = nil, bad: Bool = false, canHold: Bool = true, noise: Bool = false
        ) throws -> (fate: Fate, released: [String]) {
            let text = { (value: String) in "{\"stringValue\":\"\(value)\"}" }
            var attributes = noise ? [("noise", text("yes"))] : []
            if let session { attributes.append(("gen_ai.conversation.id", text(session))) }
            let request = try RuleBench.request(
                RuleBench.traces([
                    RuleBench.span(
                        "a102030405060708", trace: TailSamplingTests.trace(trace), status: bad ? 2 : 0,
                        attributes: attributes)
                ]))
            let facts = GatheredTrace(reason: .root, canHold: canHold)
            let (_, kept, context) = try Bench.run(processor, build, request, trace: facts)
            if let held = context.heldSession { return (.held(held), context.releasedSessions) }
            return (kept > 0 ? .kept : .dropped, context.releasedSessions)
        }
    }

    private static let errors = "{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}"
    private static let noise =
        "{name: noise, type: drop, drop: {drop_sub_policy: [{name: n, type: string_attribute, "
        + "string_attribute: {key: noise, values: ['yes']}}]}}"

    @Test func `a bad trace releases what its session holds and keeps what comes later`() throws {
        let sampler = try Sampler("{policies: [\(Self.errors)], session: {}}")
        #expect(try sampler.decide(1, session: "s").fate == .held("s"))
        #expect(try sampler.decide(2, session: "other").fate == .held("other"))
        let bad = try sampler.decide(3, session: "s", bad: true)
        #expect(bad.fate == .kept && bad.released == ["s"])
        #expect(try sampler.decide(1, session: "s", canHold: false).fate == .kept)
        #expect(try sampler.decide(4, session: "s").fate == .kept)
        #expect(try sampler.decide(2, session: "other", canHold: false).fate == .dropped)
        #expect(try sampler.decide(5).fate == .dropped)
    }

    @Test func `without a hold only later traces are kept`() throws {
        let sampler = try Sampler("{policies: [\(Self.errors)], session: {hold: 0s}}")
        #expect(try sampler.decide(1, session: "s").fate == .dropped)
        #expect(try sampler.decide(2, session: "s", bad: true).fate == .kept)
        #expect(try sampler.decide(3, session: "s").fate == .kept)
        #expect(try sampler.decide(1, session: "s").fate == .dropped)
    }

    @Test func `chance turns no session bad, and a drop is a drop`() throws {
        let sampler = try Sampler(
            "{policies: [{name: all, type: always_sample}, \(Self.errors), \(Self.noise)], session: {}}")
        let first = try sampler.decide(1, session: "s")
        #expect(first.fate == .kept && first.released == [])
        #expect(try sampler.decide(2, session: "s", bad: true).released == ["s"])
        #expect(try sampler.decide(3, session: "s", noise: true).fate == .dropped)
    }

    @Test func `only the named policies turn a session bad, and unknown names are refused`() throws {
        let slow = "{name: slow, type: latency, latency: {threshold_ms: 60000}}"
        let sampler = try Sampler("{policies: [\(Self.errors), \(slow)], session: {policies: [slow]}}")
        #expect(try sampler.decide(1, session: "s", bad: true).released == [])
        let wrong = "{policies: [\(Self.errors)], session: {policies: [error]}}"
        #expect(RuleBench.options(TailSamplingOptions.self, wrong).headlines.contains { $0.contains("mean errors") })
    }

    @Test func `decisions and bad sessions survive the process, and a torn end does no harm`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let yaml = "{policies: [\(Self.errors)], session: {hold: 0s}}"
        let first = try Sampler(yaml, folder: folder.path)
        #expect(try first.decide(1).fate == .dropped)
        #expect(try first.decide(2, session: "s", bad: true).fate == .kept)
        // Nothing is closed or flushed: the second sampler sees what a killed process leaves.
        let second = try Sampler(yaml, folder: folder.path)
        #expect(try second.decide(1, bad: true).fate == .dropped)
        #expect(try second.decide(2).fate == .kept)
        #expect(try second.decide(3, session: "s").fate == .kept)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        let file = folder.appending(path: try #require(names.first))
        let whole = try Data(contentsOf: file)
        for cut in stride(from: 0, to: whole.count, by: 5) {
            try whole.prefix(cut).write(to: file)
            let third = try Sampler(yaml, folder: folder.path)
            #expect(try third.decide(9).fate == .dropped)
        }
        for index in stride(from: 0, to: whole.count, by: 3) {
            var broken = whole
            broken[index] ^= 0x40
            try broken.write(to: file)
            _ = try Sampler(yaml, folder: folder.path)
        }
    }

    @Test func `long names of sessions are told apart, and kept short`() {
        let names = [1, 2].map { String(repeating: "x", count: 1 << 20) + "\($0)" }
        let sessions = names.map { DecisionCache.Session(name: $0, tenant: "t") }
        #expect(sessions[0] != sessions[1])
        #expect(sessions[0].name.utf8.count <= 2 * DecisionCache.Session.nameBytesMax)
        #expect(sessions[0] == DecisionCache.Session(name: names[0], tenant: "t"))
    }

    @Test func `the log stays in bounds`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let cache = DecisionCache(
            DecisionCache.Limits(sampled: 10, dropped: 10, sessions: 5),
            log: DecisionLog(folder: folder.path, name: "x"))
        for number in 0..<20_000 as Range<UInt64> {
            let key = DecisionCache.Key(trace: .init(high: 1, low: number), tenant: "t")
            cache.remember(key, SamplingDecision(isSampled: number % 2 == 0, probability: 0.25))
        }
        let size = try #require(
            try FileManager.default.attributesOfItem(atPath: folder.appending(path: "x").path)[.size] as? Int)
        #expect(size <= 33 * 1_060)
        let again = DecisionCache(
            DecisionCache.Limits(sampled: 10, dropped: 10, sessions: 5),
            log: DecisionLog(folder: folder.path, name: "x"))
        let last = DecisionCache.Key(trace: .init(high: 1, low: 19_998), tenant: "t")
        #expect(again.decision(of: last) == SamplingDecision(isSampled: true, probability: 0.25))
        #expect(again.decision(of: DecisionCache.Key(trace: .init(high: 1, low: 0), tenant: "t")) == nil)
    }

    @Test func `the weight of a sampled trace is written where chance chose it`() throws {
        let share = "{name: p, type: probabilistic, probabilistic: {sampling_percentage: 25}}"
        let sampler = try Sampler("{policies: [\(Self.errors), \(share)]}")
        var chosen = 0
        for number in 0..<400 {
            for status in [0, 2] {
                let trace = TailSamplingTests.trace(1_000 + 2 * number + status / 2)
                let span = RuleBench.span("a102030405060708", trace: trace, status: status)
                let (bytes, kept, _) = try Bench.run(
                    sampler.processor, sampler.build, try RuleBench.request(RuleBench.traces([span])), trace: nil)
                guard kept > 0 else { continue }
                let weight = try DecodedRequest(bytes, .traces).values(.span)["sluice.sampling.weight"]
                #expect(weight == (status == 2 ? nil : "4.0d"))
                if status == 0 { chosen += 1 }
            }
        }
        // 400 traces at 25 percent: five standard deviations are 43.
        #expect(chosen > 57 && chosen < 143)
    }
}
