package import OTTL
package import Pipeline
package import Telemetry

/// Conditions of one context, of which the first that holds decides. Immutable but for its counters.
package struct RuleSet: Sendable {
    private struct Rule: Sendable {
        var condition: OTTLCondition
        var errorMode: OTTLErrorMode
        /// Tells of failures; nil where none shall be told.
        var faults: OTTLFaultLog?
    }

    private var rules: [Rule] = []
    private let errors: Counter
    private let owner: String

    package var isEmpty: Bool { rules.isEmpty }

    /// Compiles the conditions of `context`. `errors` counts records on which one failed.
    package init(
        _ options: [ConditionOption], _ context: OTTLContext, errors: Counter, _ build: inout ProcessorBuild
    ) throws(ProcessorBuildFailure) {
        self.errors = errors
        owner = build.id
        let (log, place) = (build.log, "processor \(build.id) of \(build.pipeline)")
        for option in options where option.context == context {
            do throws(OTTLProblem) {
                let condition = try OTTLCondition(option.text, context: context, keys: &build.keys)
                let faults = OTTLFaultLog(option.errorMode, owner: place) { log(.warn, $0) }
                rules.append(Rule(condition: condition, errorMode: option.errorMode, faults: faults))
            } catch {
                throw ProcessorBuildFailure("condition \(option.text): \(error)")
            }
        }
    }

    /// Whether one condition holds, for callers that cannot refuse a request: a failed condition counts as not met.
    func holds(_ batch: borrowing RecordBatch, at place: Place, _ state: inout EvaluationState) -> Bool {
        state.beginRecord()
        for rule in rules {
            do throws(OTTLFailure) {
                if try rule.condition.isTrue(batch, at: place, &state) { return true }
            } catch {
                errors.add()
                rule.faults?.tell(error)
            }
        }
        return false
    }

    /// Index of the first condition that holds for the record, nil when none does. A failed condition counts as not
    /// met, unless its mode asks to refuse the request.
    package func firstMatch(
        _ batch: borrowing RecordBatch, at place: Place, _ state: inout EvaluationState
    ) throws(ProcessFailure) -> Int? {
        state.beginRecord()
        var index = 0
        while index < rules.count {
            do throws(OTTLFailure) {
                if try rules[index].condition.isTrue(batch, at: place, &state) { return index }
            } catch {
                errors.add()
                rules[index].faults?.tell(error)
                if rules[index].errorMode == .propagate { throw ProcessFailure(reason: "\(owner): \(error)") }
            }
            index += 1
        }
        return nil
    }
}
