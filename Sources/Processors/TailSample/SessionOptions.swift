package import Configuration
import Pipeline

/// Options of sampling by session: what one trace does decides on all traces of its conversation.
package struct SessionOptions: Sendable {
    /// Attributes of a span or resource that name the session; the first that is there counts. Empty: no sessions.
    package var keys: [String]
    /// How long traces that were not sampled wait for their session to turn bad; zero keeps only what comes later.
    package var hold: Duration
    package var maxHeldBytes: Int
    package var maxSessions: Int
    /// Policies that turn a session bad; those that depend on what a trace is when empty.
    package var policies: [String]

    package init(_ settings: inout Settings) {
        keys = settings.strings(
            "keys", default: ["gen_ai.conversation.id", "session.id"],
            "Attributes of a span or resource that name the session; the first that is there counts.")
        hold = settings.duration(
            "hold", default: .seconds(600), in: .zero ... .seconds(86_400),
            "How long traces that are not sampled wait in the journal for their session to turn bad, and are then "
                + "sampled after all; 0s samples only what comes after the bad trace.")
        maxHeldBytes = settings.bytes(
            "max_held_bytes", default: 64 << 20, in: (1 << 20)...(1 << 40),
            "Memory for the traces that wait, counted likewise; beyond it the oldest are decided on.")
        maxSessions = settings.int(
            "max_sessions", default: 100_000, in: 1...10_000_000, unit: "sessions", "Bad sessions remembered.")
        policies = settings.strings(
            "policies", default: [],
            "Names of the policies or rules whose traces turn a session bad; when empty, all but those that sample by "
                + "chance, by rate or always.")
    }

    /// The wait with what sessions ask for.
    func added(to wait: TraceWait) -> TraceWait {
        var wait = wait
        wait.hold = hold
        wait.maxHeldBytes = maxHeldBytes
        return wait
    }

    /// Reports names that no policy has.
    func check(_ known: [String], _ settings: inout Settings) {
        for name in policies where !known.contains(name) {
            let hint = Suggestion.nearest(to: name, among: known).map { ", did you mean \($0)?" } ?? ""
            settings.problem("policies names \(name), which is none\(hint)", at: "session")
        }
    }
}
