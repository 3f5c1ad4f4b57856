import GenAI
import Pipeline
import Synchronization

/// Counters of what rules could not do, by dialect, rule and reason. A series appears with its first occurrence, so
/// there are at most as many as rules that ever failed; the tables bound their number.
final class RuleCounters: Sendable {
    private let tables: Tables
    private let metrics: SelfMetrics
    private let labels: [(name: String, value: String)]
    private let known = Mutex<[Int: Counter]>([:])

    init(_ tables: Tables, _ build: ProcessorBuild) {
        self.tables = tables
        metrics = build.metrics
        labels = build.labels
    }

    /// Adds what one run counted.
    func add(_ tally: borrowing RuleTally) {
        known.withLock { known in
            tally.eachOutcome { rule, reason, count in
                let key = rule << 3 | Int(reason.rawValue)
                let counter = known[key] ?? register(rule, reason)
                known[key] = counter
                counter.add(count)
            }
        }
    }

    private func register(_ rule: Int, _ reason: RuleTally.Reason) -> Counter {
        let (dialect, name) = tables.ruleName(rule)
        return metrics.counter(
            "sluice_gen_ai_rule_outcomes_total",
            "Values that a rule could not place, by dialect, rule (line of the dialect's table) and reason.",
            [("dialect", dialect), ("rule", name), ("reason", reason.word)] + labels)
    }
}
