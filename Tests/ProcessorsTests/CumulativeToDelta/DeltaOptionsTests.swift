import Processors
import Telemetry
import Testing

/// Which metrics are meant, and what a file may say.
@Suite struct DeltaOptionsTests {
    /// Whether a metric of two points becomes a delta.
    private func converts(_ yaml: String, _ name: String, field: Int = 7) throws -> Bool {
        let points: [[UInt8]] =
            field == 7
            ? [Metrics.number(1, time: 5), Metrics.number(2, time: 6)]
            : [Metrics.fixed(0x19, 5), Metrics.fixed(0x19, 6)]
        let rest: [UInt8] = field == 7 ? [0x10, 2, 0x18, 1] : [0x10, 2]
        let request = Metrics.request([Metrics.metric(name, field, points, rest)])
        return try DeltaBench("{initial_value: keep, \(yaml)}").run(request) != request
    }

    @Test(
        arguments: [
            ("", "a", 7, true), ("", "a", 9, true), ("", "a", 10, true),
            ("include: {match_type: strict, metrics: [a, b]}", "b", 7, true),
            ("include: {match_type: strict, metrics: [a, b]}", "ab", 7, false),
            ("include: {match_type: regexp, metrics: ['^a']}", "ab", 7, true),
            ("include: {match_type: regexp, metrics: ['^a', c]}", "bc", 7, true),
            ("include: {match_type: regexp, metrics: ['^a']}", "ba", 7, false),
            ("exclude: {match_type: strict, metrics: [a]}", "a", 7, false),
            ("exclude: {match_type: strict, metrics: [a]}", "b", 7, true),
            ("exclude: {match_type: regexp, metrics: [a]}", "bab", 7, false),
            ("include: {metric_types: [sum]}", "a", 7, true),
            ("include: {metric_types: [Sum, HISTOGRAM]}", "a", 9, true),
            ("include: {metric_types: [sum]}", "a", 9, false),
            ("include: {metric_types: [exponentialhistogram]}", "a", 10, true),
            ("exclude: {metric_types: [histogram]}", "a", 9, false),
            ("exclude: {metric_types: [histogram]}", "a", 10, true),
            ("include: {match_type: strict, metrics: [a], metric_types: [histogram]}", "a", 7, false),
            (
                "include: {match_type: regexp, metrics: [a]}, exclude: {match_type: strict, metrics: [ab]}", "ab", 7,
                false
            ),
            ("metrics: [a]", "a", 7, true), ("metrics: [a]", "b", 7, false),
        ] as [(String, String, Int, Bool)])
    func `include and exclude choose by name and type`(yaml: String, name: String, field: Int, isMeant: Bool) throws {
        #expect(try converts(yaml, name, field: field) == isMeant)
    }

    @Test(arguments: [
        "{include: {metrics: [a]}}", "{exclude: {match_type: strict}}", "{include: {match_type: glob, metrics: [a]}}",
        "{include: {match_type: regexp, metrics: ['*a*']}}", "{include: {metric_types: [gauge]}}",
        "{initial_value: first}", "{max_staleness: 300us}", "{max_streams: 0}", "{max_state_size: 1KiB}",
        "{max_stale: 1s, max_staleness: 2s}", "{metrics: [a], include: {match_type: strict, metrics: [b]}}",
        "{staleness: 1s}",
    ])
    func `a faulty option is a problem`(text: String) {
        #expect(options(CumulativeToDeltaOptions.self, text).headlines.count == 1)
    }

    @Test(arguments: [
        "{}", "{max_staleness: 0}", "{max_staleness: 5m}", "{max_stale: 5m}", "{initial_value: keep}",
        "{include: {match_type: regexp, metrics: ['a.*']}, exclude: {metric_types: [sum]}}",
        "{max_streams: 1000, max_state_size: 1GiB}",
    ])
    func `what the Collector takes is taken`(text: String) {
        #expect(options(CumulativeToDeltaOptions.self, text).headlines == [])
    }
}
