import Pipeline
import Synchronization
import Telemetry
import Testing

@testable import Processors

/// The Collector's `adaptive_tail_sampling`: rules, rates that follow the traffic, thresholds in tracestate.
@Suite struct AdaptiveTailSamplingTests {
    private struct Sampler {
        let processor: AdaptiveTailSamplingProcessor
        let build: ProcessorBuild
        let clock = TailSamplingTests.Clock()

        init(_ rules: String, more: String = "") throws {
            let (options, headlines) = RuleBench.options(
                AdaptiveTailSamplingOptions.self, "{rules: [\(rules)]\(more)}")
            try #require(headlines == [], "\(headlines)")
            var bench = Bench()
            var build = bench.build(.traces)
            let clock = self.clock
            processor = try AdaptiveTailSamplingProcessor(
                options: options, build: &build, now: { clock.now.withLock { $0 } })
            self.build = build
        }

        struct Result {
            var isKept: Bool
            var state: String
            var attributes: [String: String]
        }

        func run(
            _ spans: [String], resource: [(String, String)] = [], reason: GatheredTrace.Reason = .root
        ) throws -> Result {
            let request = try RuleBench.request(RuleBench.traces(spans, resource: resource))
            let facts = GatheredTrace(reason: reason, canHold: false)
            let (bytes, kept, _) = try Bench.run(processor, build, request, trace: facts)
            let decoded = try DecodedRequest(bytes, .traces)
            return Result(
                isKept: kept > 0, state: decoded.traceStates.first ?? "", attributes: decoded.values(.span))
        }
    }

    private static let prefix = "otelcol.processor.adaptive_tail_sampling."

    private func span(
        _ number: Int, parent: String = "", status: Int = 0, state: String = "", _ attributes: (String, String)...
    ) -> String {
        RuleBench.span(
            "a102030405060708", parent: parent, trace: TailSamplingTests.trace(number), status: status, state: state,
            attributes: attributes.map { ($0.0, "{\"stringValue\":\"\($0.1)\"}") })
    }

    @Test func `the first rule that matches decides, and a trace that none matches goes`() throws {
        let sampler = try Sampler(
            """
            {name: errors, conditions: ['span.status.code == STATUS_CODE_ERROR'], sampler: {type: always_sample}},
            {name: shop, conditions: ['resource.attributes["service.name"] == "shop"'], sampler: {type: probabilistic,
             sampling_percentage: 100}}
            """)
        let kept = try sampler.run([span(1, status: 2)], reason: .age)
        #expect(kept.isKept && kept.state == "ot=th:0")
        #expect(kept.attributes[Self.prefix + "rule"] == "\"errors\"")
        #expect(kept.attributes[Self.prefix + "trigger"] == "\"trace_timeout\"")
        let shop = try sampler.run([span(2)], resource: [("service.name", "{\"stringValue\":\"shop\"}")])
        #expect(shop.attributes[Self.prefix + "rule"] == "\"shop\"")
        #expect(try !sampler.run([span(3)]).isKept)
    }

    @Test func `conditions may be met by several spans, or by one that meets all`() throws {
        let conditions = "conditions: ['attributes[\"a\"] == \"1\"', 'attributes[\"b\"] == \"1\"']"
        let rule = "{name: r, \(conditions), sampler: {type: always_sample}}"
        let same = "{name: r, match: same_span, \(conditions), sampler: {type: always_sample}}"
        let apart = [span(1, ("a", "1")), span(1, ("b", "1"))]
        #expect(try Sampler(rule).run(apart).isKept)
        #expect(try !Sampler(same).run(apart).isKept)
        #expect(try Sampler(same).run([span(1, ("a", "1"), ("b", "1"))]).isKept)
    }

    @Test func `a share is chosen by the trace's randomness and recorded as threshold`() throws {
        let sampler = try Sampler("{name: r, sampler: {type: probabilistic, sampling_percentage: 25}}")
        var kept = 0
        for number in 0..<1_000 {
            let result = try sampler.run([span(number)])
            guard result.isKept else { continue }
            kept += 1
            #expect(result.state == "ot=th:c")
        }
        // 1000 traces at 25 percent: five standard deviations are 68.
        #expect(kept > 182 && kept < 318)
        #expect(try sampler.run([span(2_000, state: "ot=rv:c0000000000000")]).isKept)
        #expect(try !sampler.run([span(2_001, state: "ot=rv:bfffffffffffff")]).isKept)
        let strict = try sampler.run([span(2_002, state: "ot=th:e;rv:f0000000000000,v=1")])
        #expect(strict.state == "ot=rv:f0000000000000;th:e,v=1")
    }

    @Test func `late spans follow the decision and get the same threshold`() throws {
        let sampler = try Sampler("{name: r, sampler: {type: probabilistic, sampling_percentage: 50}}")
        let numbers = 0..<50
        for number in numbers {
            let first = try sampler.run([span(number)])
            let late = try sampler.run([span(number, status: 2)])
            #expect(first.isKept == late.isKept && first.state == late.state)
        }
    }

    @Test func `traces that have to go early may be decided on without the rules`() throws {
        let sampler = try Sampler(
            "{name: r, sampler: {type: always_sample}}",
            more: ", eviction: {policy: probabilistic, sampling_percentage: 50}")
        let kept = try sampler.run([span(1, state: "ot=rv:80000000000000")], reason: .full)
        #expect(kept.isKept && kept.attributes[Self.prefix + "rule"] == "\"_eviction\"")
        #expect(try !sampler.run([span(2, state: "ot=rv:7fffffffffffff")], reason: .full).isKept)
        #expect(try sampler.run([span(3, state: "ot=rv:00000000000000")]).isKept)
    }

    @Test func `the fingerprint is made of all distinct values`() throws {
        let sampler = try Sampler(
            """
            {name: r, sampler: {type: adaptive_percentage, goal_percentage: 100, fingerprint_attributes: [
             'resource.attributes["service.name"]', 'span.attributes["route"]', 'root.attributes["route"]',
             'any.attributes["nothing"]']}}
            """, more: ", record_fingerprint: value")
        let result = try sampler.run(
            [span(1, ("route", "/b")), span(1, parent: "0102030405060708", ("route", "/a"))],
            resource: [("service.name", "{\"stringValue\":\"shop\"}")])
        #expect(result.attributes[Self.prefix + "fingerprint"] == "\"shop•/a,/b•/b•<missing>\"")
    }

    @Test func `warns of rules that are never asked and refuses what cannot work`() {
        func headlines(_ rules: String) -> String {
            RuleBench.options(AdaptiveTailSamplingOptions.self, "{rules: [\(rules)]}").headlines.joined(separator: "\n")
        }
        let all = "{name: all, sampler: {type: always_sample}}"
        #expect(headlines("\(all), {name: b, sampler: {type: always_sample}}").contains("never asked"))
        #expect(headlines("{name: _x, sampler: {type: always_sample}}").contains("processor's own"))
        #expect(headlines("{name: x, sampler: {type: probabilistic}}").contains("share above 0"))
        #expect(headlines("{name: x, sampler: {type: adaptive_throughput}}").contains("goal above 0"))
        #expect(
            headlines(
                "{name: x, sampler: {type: adaptive_percentage, goal_percentage: 1, fingerprint_attributes: [a]}}"
            )
            .contains("service.name"))
    }
}

@Suite struct AdaptiveRatesTests {
    private static let second: Int64 = 1_000_000_000

    /// Spans that were kept of each kind in the last of several intervals, each trace of one span.
    private func kept(
        _ rates: AdaptiveRates, _ traffic: [String: Int], intervals: Int, interval: Int64
    ) -> [String: Double] {
        var kept: [String: Double] = [:]
        for round in 0...intervals {
            kept = [:]
            for (key, count) in traffic {
                for _ in 0..<count {
                    kept[key, default: 0] += 1 / rates.rate(of: key, spans: 1, now: Int64(round) * interval)
                }
            }
        }
        return kept
    }

    @Test func `a percentage is reached over all kinds, and rare kinds are kept`() {
        let rates = AdaptiveRates(.percentage(goalRate: 10, weight: 0.5), interval: Self.second, keysMax: 500)
        let traffic = ["hot": 100_000, "warm": 1_000, "rare": 3]
        let result = kept(rates, traffic, intervals: 12, interval: Self.second)
        let share = result.values.reduce(0, +) / 101_003
        #expect(share > 0.085 && share < 0.115, "\(share)")
        #expect(result["rare"] == 3)
        #expect((result["hot"] ?? 0) / 100_000 < (result["warm"] ?? 0) / 1_000)
    }

    @Test func `a throughput is held while the traffic grows`() {
        for growth in [1, 10] {
            let rates = AdaptiveRates(.throughput(goal: 100, weight: 0.5), interval: 15 * Self.second, keysMax: 500)
            let result = kept(
                rates, ["a": 15_000 * growth, "b": 1_500 * growth], intervals: 12, interval: 15 * Self.second)
            let perSecond = result.values.reduce(0, +) / 15
            #expect(perSecond > 80 && perSecond < 110, "\(perSecond)")
        }
    }

    @Test func `a window gives each kind an equal part`() {
        let rates = AdaptiveRates(.windowed(goal: 100, lookback: 10 * Self.second), interval: Self.second, keysMax: 500)
        let result = kept(rates, ["a": 5_000, "b": 500, "c": 10], intervals: 15, interval: Self.second)
        #expect(abs((result["a"] ?? 0) - 33.3) < 1 && abs((result["b"] ?? 0) - 33.3) < 1)
        #expect(result["c"] == 10)
    }

    @Test func `kinds beyond the limit get one in ten`() {
        let rates = AdaptiveRates(.percentage(goalRate: 2, weight: 0.5), interval: Self.second, keysMax: 2)
        let found = ["a", "b", "c"].map { rates.rate(of: $0, spans: 1, now: 0) }
        #expect(found == [2, 2, 10])
    }

    @Test func `what a small kind leaves goes to the large ones`() {
        let rates = AdaptiveRates.shared(["small": 2, "large": 1_000], goal: 102)
        #expect(rates["small"] == 1)
        #expect(1_000 / (rates["large"] ?? 1) > 80)
    }
}
