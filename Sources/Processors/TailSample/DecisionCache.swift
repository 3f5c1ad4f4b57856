import OTLP
import Synchronization
import Telemetry

/// What was decided on a trace.
struct SamplingDecision: Equatable, Sendable {
    var isSampled: Bool
    /// Probability with which traces like this one are sampled; 1 where no chance was involved or none is known.
    var probability = 1.0
    /// Index of the rule in this run's configuration, -1 for none and for decisions of earlier runs.
    var rule = -1
}

/// The last decisions by trace and the sessions that turned bad; the oldest are forgotten first. With a log they
/// survive the process.
final class DecisionCache: Sendable {
    /// Spans of different tenants never belong together, whatever their ids are.
    struct Key: Hashable, Sendable {
        var trace: TraceID
        var tenant: String
    }

    struct Session: Hashable, Sendable {
        /// Longer names, which senders choose, are told apart by their hash.
        static let nameBytesMax = 256

        let name: String
        let tenant: String

        init(name: String, tenant: String) {
            self.tenant = tenant
            guard name.utf8.count > Self.nameBytesMax else {
                self.name = name
                return
            }
            var text = name
            let hash = text.withUTF8 { TraceHash.of(Text(UnsafeRawBufferPointer($0)), salt: []) }
            self.name = String(decoding: name.utf8.prefix(Self.nameBytesMax - 17), as: UTF8.self) + "~\(hash)"
        }
    }

    struct Limits: Sendable {
        var sampled: Int
        var dropped: Int
        var sessions = 0
    }

    fileprivate struct State {
        var sampled: BoundedTable<Key, SamplingDecision>
        var dropped: BoundedTable<Key, SamplingDecision>
        var sessions: BoundedTable<Session, Bool>
        var log: DecisionLog?
    }

    private let state: Mutex<State>

    /// Reads what `log` remembers and goes on writing to it.
    init(_ limits: Limits, log: sending DecisionLog? = nil) {
        var state = State(
            sampled: BoundedTable(limit: limits.sampled), dropped: BoundedTable(limit: limits.dropped),
            sessions: BoundedTable(limit: limits.sessions), log: nil)
        if let log {
            for entry in log.takeRecovered() { state.add(entry) }
            log.rewrite(state.entries)
            state.log = log
        }
        self.state = Mutex(state)
    }

    /// The decision that a trace got, nil when none is remembered.
    func decision(of trace: Key) -> SamplingDecision? {
        state.withLock { $0.sampled[trace] ?? $0.dropped[trace] }
    }

    func remember(_ trace: Key, _ decision: SamplingDecision) {
        state.withLock { $0.record(.decision(trace, decision)) }
    }

    func isBad(_ session: Session) -> Bool { state.withLock { $0.sessions[session] != nil } }

    func turnBad(_ session: Session) {
        state.withLock { state in
            if state.sessions[session] == nil { state.record(.session(session)) }
        }
    }
}

extension DecisionCache.State {
    mutating func record(_ entry: DecisionLog.Entry) {
        guard add(entry) else { return }
        // Beyond twice what is remembered the log is mostly of what is forgotten.
        if let count = log?.append(entry), count > 2 * (sampled.limit + dropped.limit + sessions.limit) + 1_000 {
            log?.rewrite(entries)
        }
    }

    @discardableResult
    mutating func add(_ entry: DecisionLog.Entry) -> Bool {
        switch entry {
        case .decision(let key, let decision) where decision.isSampled: sampled.add(key, decision)
        case .decision(let key, let decision): dropped.add(key, decision)
        case .session(let session): sessions.add(session, true)
        }
    }

    /// All that is remembered, the oldest of each kind first.
    var entries: [DecisionLog.Entry] {
        sampled.entries.map { .decision($0, $1) } + dropped.entries.map { .decision($0, $1) }
            + sessions.entries.map { key, _ in .session(key) }
    }
}

/// A dictionary with a limit: the oldest keys go first.
struct BoundedTable<Key: Hashable, Value> {
    let limit: Int
    private var values: [Key: Value] = [:]
    private var order: [Key] = []
    private var next = 0

    init(limit: Int) { self.limit = limit }

    subscript(key: Key) -> Value? { values[key] }

    /// False when the key is there already, or nothing may be remembered.
    mutating func add(_ key: Key, _ value: Value) -> Bool {
        guard limit > 0, values[key] == nil else { return false }
        values[key] = value
        if order.count < limit {
            order.append(key)
        } else {
            values[order[next]] = nil
            order[next] = key
            next = (next + 1) % limit
        }
        return true
    }

    /// The oldest first.
    var entries: [(Key, Value)] {
        (order[next...] + order[..<next]).compactMap { key in values[key].map { (key, $0) } }
    }
}
