package import Configuration
import Telemetry

extension Settings {
    /// Checks a condition as far as it goes without a pipeline; its fault is a problem of `key`.
    package mutating func check(condition text: String, _ context: OTTLContext, at key: String) {
        var keys = KeyTable.Builder()
        do throws(OTTLProblem) {
            _ = try OTTLCondition(text, context: context, keys: &keys)
        } catch {
            problem("condition \(text): \(error)", at: key, on: text)
        }
    }

    /// Checks a statement in the same way.
    package mutating func check(statement text: String, _ context: OTTLContext, at key: String) {
        var keys = KeyTable.Builder()
        do throws(OTTLProblem) {
            _ = try OTTLStatement(text, context: context, keys: &keys)
        } catch {
            problem("statement \(text): \(error)", at: key, on: text)
        }
    }
}
