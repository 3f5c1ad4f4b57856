/// What one trace leaves behind for those after it. All parts are bounded; nothing of it is content but the tool
/// definitions of an agent.
package struct FindingsMemory: Sendable {
    /// How often a tool was called and answered nothing.
    struct ToolFacts: Sendable {
        var calls: UInt32 = 0
        var empties: UInt32 = 0
    }

    /// A tool call as a session remembers it.
    struct SeenCall: Sendable {
        var trace: UInt64
        /// The span that ran or asked for it: a trace may come again, whole or with late spans, and no call of it
        /// counts twice.
        var span: UInt64
        /// Id of the span that ran it, 0 for none.
        var id: UInt64
        /// Hash of the id that the model gave it, 0 for none.
        var callID: UInt64
        var name: UInt64
        var signature: UInt64
        var result: UInt64
        var error: UInt64
        /// Hash of the agent's name, 0 when the piece of the trace does not tell it.
        var agent: UInt64
        /// Id of the nearest agent's span above, else of the topmost span that the piece tells of; 0 for none.
        var owner: UInt64
        /// Hash of the name of the service that the agent runs in, as far as the piece tells; 0 for none.
        var service: UInt64
        /// When the nearest agent's span began and ended, 0 when it did not come.
        var began: UInt64
        var ended: UInt64
        var time: UInt64
        /// Whether it failed or found nothing.
        var isFailed: Bool
        /// Whether it found nothing, and did not fail.
        var isEmpty: Bool
        /// Whether a span of its own ran it.
        var hasSpan: Bool
        /// Whether it changed something that other tools may see.
        var isChange: Bool
        /// Whether its tool does whatever its arguments say.
        var isOpenEnded: Bool
        /// Whether the nearest agent's span came.
        var hasAgent: Bool
    }

    /// Running mean and variance of the logarithm of a duration (Welford).
    struct Durations: Sendable {
        var count = 0
        var mean = 0.0
        var spread = 0.0

        mutating func add(_ value: Double) {
            count += 1
            let delta = value - mean
            mean += delta / Double(count)
            spread += delta * (value - mean)
        }

        var deviation: Double { count > 1 ? (spread / Double(count - 1)).squareRoot() : 0 }
    }

    var tools: BoundedMap<ToolFacts>
    var sessions: BoundedMap<[SeenCall]>
    var sessionTools: BoundedMap<[UInt64]>
    /// By trace: the key of the session or of the first trace that it is joined with.
    var groups: BoundedMap<UInt64>
    /// By session: hashes of the words of what its users ruled out.
    var prohibitions: BoundedMap<[[UInt64]]>
    var definitions: BoundedMap<[UInt8]>
    var durations: BoundedMap<Durations>

    /// Longest tool definitions that are kept for an agent's later traces.
    static let definitionBytes = 64 << 10

    /// With `tracksChanges` somebody calls `keep` or `undo` after each batch.
    package init(sessions: Int = 4_096, tools: Int = 4_096, tracksChanges: Bool = false) {
        self.tools = BoundedMap(capacity: tools, tracksChanges: tracksChanges)
        self.sessions = BoundedMap(capacity: sessions, tracksChanges: tracksChanges)
        sessionTools = BoundedMap(capacity: sessions, tracksChanges: tracksChanges)
        groups = BoundedMap(capacity: sessions, tracksChanges: tracksChanges)
        prohibitions = BoundedMap(capacity: sessions, tracksChanges: tracksChanges)
        definitions = BoundedMap(capacity: 64, tracksChanges: tracksChanges)
        durations = BoundedMap(capacity: tools, tracksChanges: tracksChanges)
    }
}
