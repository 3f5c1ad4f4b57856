@testable import Connectors
import Testing

@Suite struct AlertMonitorTests {
    private let second: UInt64 = 1_000_000_000

    private func rule(_ yaml: String) throws -> AlertRule {
        let (options, problems) = read(AlertsOptions.self, "rules: [{name: r, \(yaml)}]")
        try #require(problems == [], "\(problems)")
        return try #require(options.rules.first)
    }

    private func sample(_ values: [Double], group: [String] = []) -> AlertSample {
        var bucket = AlertBucket(hasSketch: true)
        for value in values { bucket.add(value) }
        return AlertSample(rule: 0, group: group, bucket: bucket)
    }

    /// What a run of (second, values) gives: state and second of each event.
    private func run(_ rule: AlertRule, _ steps: [(at: UInt64, values: [Double])]) -> [String] {
        var monitor = AlertMonitor(rules: [rule], started: 0)
        return steps.flatMap { step in
            if !step.values.isEmpty { monitor.add([sample(step.values)], at: step.at * second) }
            return monitor.evaluate(at: step.at * second).map { "\($0.state.rawValue)@\(step.at)" }
        }
    }

    @Test func `opens above the threshold and ends when the window has passed`() throws {
        let rule = try rule("metric: findings, threshold: 2, window: 30s, cool_down: 0s")
        #expect(run(rule, [(1, [1, 1]), (2, [1]), (10, [1]), (31, []), (41, [])]) == ["open@2", "resolved@31"])
    }

    @Test func `holds back until there are enough values`() throws {
        let rule = try rule("metric: error_rate, threshold: 0.5, window: 30s, min_occurrences: 4")
        #expect(run(rule, [(1, [1, 1, 1]), (2, [1])]) == ["open@2"])
        #expect(run(rule, [(1, [1, 1, 1]), (2, [0, 0, 0, 0])]) == [])
    }

    @Test func `stays quiet for the cool-down`() throws {
        let rule = try rule("metric: findings, window: 10s, cool_down: 60s")
        let steps: [(UInt64, [Double])] = [(1, [1]), (12, []), (20, [1]), (31, []), (61, [1])]
        #expect(run(rule, steps) == ["open@1", "resolved@12", "open@61"])
    }

    @Test func `waits before it calls an alert over, and reminds meanwhile`() throws {
        let rule = try rule("metric: findings, window: 10s, resolve_after: 20s, remind_every: 5s")
        let steps: [(UInt64, [Double])] = [(0, [1]), (5, [1]), (7, [1]), (20, []), (30, []), (40, [])]
        #expect(run(rule, steps) == ["open@0", "reminder@5", "resolved@40"])
    }

    @Test func `says nothing of the end when it shall not`() throws {
        let rule = try rule("metric: findings, window: 10s, resolve: false, cool_down: 0s")
        #expect(run(rule, [(1, [1]), (20, []), (30, [1])]) == ["open@1", "open@30"])
    }

    @Test func `a silence is an alert only after a whole window`() throws {
        let rule = try rule("metric: throughput, operator: '<', threshold: 0.1, window: 30s, min_occurrences: 0")
        #expect(
            run(rule, [(1, []), (15, []), (30, []), (31, Array(repeating: 1, count: 10))]) == [
                "open@30", "resolved@31",
            ])
    }

    @Test func `watches each group by itself, as many as there is room for`() throws {
        let rule = try rule("metric: cost, threshold: 10, window: 60s, group_by: [tenant], max_groups: 2")
        var monitor = AlertMonitor(rules: [rule], started: 0)
        monitor.add([sample([11], group: ["a"]), sample([5], group: ["b"])], at: second)
        #expect(monitor.evaluate(at: second).map(\.group) == [["a"]])
        monitor.add([sample([6], group: ["c"]), sample([6], group: ["d"])], at: second)
        #expect(monitor.evaluate(at: second).map(\.group) == [["(other)"]])
        // Groups that are silent and cool go, and make room.
        _ = monitor.evaluate(at: 1_000 * second)
        #expect(monitor.memory.groups["r"]?.isEmpty == true)
    }

    @Test func `a paused rule ends its alerts, opens none and goes on measuring`() throws {
        let rule = try rule("metric: findings, window: 10s, cool_down: 0s, resolve_after: 60s, remind_every: 1s")
        var monitor = AlertMonitor(rules: [rule], started: 0)
        monitor.add([sample([1])], at: second)
        #expect(monitor.evaluate(at: second, paused: ["r"]) == [])
        #expect(monitor.evaluate(at: 2 * second).map(\.state) == [.open])
        // The condition still holds.
        let ended = monitor.evaluate(at: 4 * second, paused: ["r"])
        #expect(ended.map(\.state) == [.resolved])
        #expect(ended.first?.since == 2 * second)
        #expect(monitor.openCount == 0)
        #expect(monitor.evaluate(at: 5 * second, paused: ["r"]) == [])
        #expect(monitor.evaluate(at: 6 * second).map(\.state) == [.open])
    }

    @Test func `an alert ended by hand begins anew only with new values`() throws {
        let rule = try rule("metric: findings, window: 60s, cool_down: 0s")
        var monitor = AlertMonitor(rules: [rule], started: 0)
        monitor.add([sample([1])], at: second)
        _ = monitor.evaluate(at: second)
        #expect(monitor.resolve(rule: "r", at: 2 * second).map(\.state) == [.resolved])
        #expect(monitor.evaluate(at: 3 * second) == [])
        monitor.add([sample([1])], at: 4 * second)
        #expect(monitor.evaluate(at: 4 * second).map(\.state) == [.open])
    }

    @Test(arguments: [
        ("p50", 50.0), ("p90", 90), ("p99", 99), ("min", 1), ("max", 100), ("avg", 50.5), ("sum", 5_050),
        ("count", 100),
        ("per_second", 505),
    ]) func `aggregates`(_ name: String, _ expected: Double) throws {
        let aggregation = try #require(AlertAggregation(rawValue: name))
        var bucket = AlertBucket(hasSketch: true)
        for value in 1...100 { bucket.add(Double(value)) }
        let found = try #require(bucket.aggregate(aggregation, seconds: 10))
        #expect(abs(found - expected) <= expected * 0.02)
    }

    /// Every metric with every aggregation and operator, around the value that 1, 2 and 4 give in ten seconds.
    @Test(arguments: AlertMetric.allCases)
    func `opens by each aggregation and operator as arithmetic says`(_ metric: AlertMetric) throws {
        let expected: [AlertAggregation: Double] = [
            .sum: 7, .count: 3, .min: 1, .max: 4, .average: 7.0 / 3, .p50: 2, .p90: 4, .p95: 4, .p99: 4,
            .perSecond: 0.7,
        ]
        for aggregation in AlertAggregation.allCases {
            let value = try #require(expected[aggregation])
            for comparison in AlertOperator.allCases {
                for factor in [0.8, 1.2] {
                    let threshold = value * factor
                    let rule = try rule(
                        "metric: \(metric.rawValue), aggregation: \(aggregation.rawValue), window: 10s, cool_down: 0s, "
                            + "operator: '\(comparison.rawValue)', threshold: \(threshold)")
                    let isOpen: Bool
                    switch comparison {
                    case .above, .atLeast: isOpen = factor < 1
                    case .below, .atMost: isOpen = factor > 1
                    case .equal: isOpen = false
                    case .unequal: isOpen = true
                    }
                    let events = run(rule, [(11, [1, 2, 4])])
                    #expect(
                        events == (isOpen ? ["open@11"] : []),
                        "\(aggregation.rawValue) \(comparison.rawValue) \(threshold): \(events)")
                }
            }
        }
    }

    @Test(arguments: [("==", true), ("!=", false), (">=", true), ("<=", true), (">", false), ("<", false)])
    func `holds at the threshold itself as the operator says`(_ comparison: String, _ isOpen: Bool) throws {
        let rule = try rule("metric: findings, window: 10s, operator: '\(comparison)', threshold: 7")
        #expect(run(rule, [(11, [1, 2, 4])]) == (isOpen ? ["open@11"] : []))
    }

    @Test func `takes any number`() {
        var bucket = AlertBucket(hasSketch: true)
        for value in [.nan, .infinity, -.infinity, 0, -1, 1e300, .leastNonzeroMagnitude] { bucket.add(value) }
        #expect(bucket.count == 4 && bucket.max == 1e15)
        #expect(bucket.aggregate(.p50, seconds: 1) == -1)
    }
}
