import Processors
import Testing

/// The limit that the options of `memory_limiter` come to; the refusals are the receivers' tests.
@Suite struct MemoryLimiterTests {
    private static let gibibyte = 1 << 30

    private func limit(_ yaml: String, ofTotal total: Int = 8 << 30) throws -> Int {
        let (options, headlines) = RuleBench.options(MemoryLimiterOptions.self, yaml)
        try #require(headlines == [], "\(headlines)")
        return options.softLimit(ofTotal: total)
    }

    @Test func `percentages are of the memory there is, less those for bursts`() throws {
        let total = 8 * Self.gibibyte
        #expect(try limit("{limit_percentage: 50, spike_limit_percentage: 20}") == total / 100 * 30)
        // A fifth of the limit by default, as in the Collector.
        let fifth = try limit("{limit_percentage: 50}")
        #expect(fifth == total / 100 * 50 - total / 100 * 50 / 5)
        #expect(try limit("{limit_percentage: 100, spike_limit_percentage: 99}") == total / 100)
    }

    @Test func `megabytes win over percentages`() throws {
        #expect(try limit("{limit_mib: 100, limit_percentage: 90}") == 80 << 20)
        let both = "{limit_mib: 100, spike_limit_mib: 30, limit_percentage: 90, spike_limit_percentage: 10}"
        #expect(try limit(both) == 70 << 20)
        #expect(try limit("{limit_mib: 100}", ofTotal: 64 << 20) == 80 << 20)
    }

    @Test func `a machine with little memory has a limit and not a negative one`() throws {
        for total in [0, 99, 1 << 20] {
            #expect(try limit("{limit_percentage: 1}", ofTotal: total) >= 0)
        }
    }

    @Test(arguments: [
        ("{}", "needs a limit"), ("{limit_percentage: 101}", "limit_percentage"),
        ("{limit_percentage: 50, spike_limit_percentage: 50}", "must be below limit_percentage"),
        ("{limit_mib: 10, spike_limit_mib: 11}", "must be below limit_mib"),
    ])
    func `limits that leave nothing are refused`(yaml: String, words: String) {
        let headlines = RuleBench.options(MemoryLimiterOptions.self, yaml).headlines
        #expect(headlines.contains { $0.contains(words) }, "\(headlines)")
    }
}
