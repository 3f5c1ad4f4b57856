/// A map with a bounded number of entries: the ones not used for longest leave, a quarter at a time.
package struct BoundedMap<Value: Sendable>: Sendable {
    private var entries: [UInt64: (value: Value, stamp: UInt64)] = [:]
    private var clock: UInt64 = 0
    private let capacity: Int

    package init(capacity: Int) { self.capacity = max(capacity, 4) }

    package var count: Int { entries.count }

    /// All entries, those used last at the end.
    package var all: [(key: UInt64, value: Value)] {
        entries.sorted { $0.value.stamp < $1.value.stamp }.map { ($0.key, $0.value.value) }
    }

    package func peek(_ key: UInt64) -> Value? { entries[key]?.value }

    /// The value of a key, and a note that it was used.
    package mutating func use(_ key: UInt64) -> Value? {
        guard let value = entries[key]?.value else { return nil }
        clock += 1
        entries[key]?.stamp = clock
        return value
    }

    package mutating func set(_ key: UInt64, _ value: Value) {
        clock += 1
        entries[key] = (value, clock)
        guard entries.count > capacity else { return }
        let kept = capacity - capacity / 4
        let stamps = entries.values.map(\.stamp).sorted()
        let oldest = stamps[stamps.count - kept]
        entries = entries.filter { $0.value.stamp >= oldest }
    }
}

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
        /// A trace may come again, whole or with late spans; it does not count twice.
        var trace: UInt64
        var name: UInt64
        var signature: UInt64
        var result: UInt64
        var error: UInt64
        var isFailed: Bool
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

    package init(sessions: Int = 4_096, tools: Int = 4_096) {
        self.tools = BoundedMap(capacity: tools)
        self.sessions = BoundedMap(capacity: sessions)
        sessionTools = BoundedMap(capacity: sessions)
        groups = BoundedMap(capacity: sessions)
        prohibitions = BoundedMap(capacity: sessions)
        definitions = BoundedMap(capacity: 64)
        durations = BoundedMap(capacity: tools)
    }
}
