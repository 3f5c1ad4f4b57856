package import Configuration
import Patterns
import Telemetry

extension Settings {
    /// Checks a condition as far as it goes without a pipeline; its fault is a problem of `key`.
    package mutating func check(condition text: String, _ context: OTTLContext, at key: String) {
        var keys = KeyTable.Builder()
        do throws(OTTLProblem) {
            warn(of: try OTTLCondition(text, context: context, keys: &keys).slowPatterns, at: key)
        } catch {
            problem("condition \(text): \(error)", at: key, on: text)
        }
    }

    /// Checks a statement in the same way.
    package mutating func check(statement text: String, _ context: OTTLContext, at key: String) {
        var keys = KeyTable.Builder()
        do throws(OTTLProblem) {
            warn(of: try OTTLStatement(text, context: context, keys: &keys).slowPatterns, at: key)
        } catch {
            problem("statement \(text): \(error)", at: key, on: text)
        }
    }

    private mutating func warn(of patterns: [String], at key: String) {
        for pattern in patterns {
            warning(
                "\(pattern) needs backtracking: a search is given up after \(PatternMatcher.matchLimit) steps, and the "
                    + "condition or statement fails on that record",
                fix: "write it without looking around and without references to groups, as the Collector needs it",
                at: key)
        }
    }
}
