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

    /// Checks a statement in the same way. `alone` is what it would be about without those that it stands with.
    package mutating func check(
        statement text: String, _ context: OTTLContext, alone: OTTLContext? = nil, at key: String
    ) {
        var keys = KeyTable.Builder()
        do throws(OTTLProblem) {
            warn(of: try OTTLStatement(text, context: context, keys: &keys).slowPatterns, at: key)
        } catch {
            let isRightAlone = alone.map { $0 != context && Self.compiles(text, $0) } ?? false
            let advice = isRightAlone ? ": put it into a group of its own, `- statements: [\"…\"]`" : ""
            problem("statement \(text): \(error)\(advice)", at: key, on: text)
        }
    }

    private static func compiles(_ statement: String, _ context: OTTLContext) -> Bool {
        var keys = KeyTable.Builder()
        return (try? OTTLStatement(statement, context: context, keys: &keys)) != nil
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
