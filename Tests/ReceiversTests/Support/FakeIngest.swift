import Glibc
import Pipeline
import Synchronization
import Telemetry

/// A pipeline that records what it gets and replies as it is told.
final class FakeIngest: Ingest {
    enum Behaviour: Sendable {
        /// Replies before `ingest` returns.
        case reply(IngestReply)
        /// Replies from another thread.
        case elsewhere(IngestReply)
        /// Keeps the reply until `release`; for good when that is never called.
        case hold
    }

    struct Call: Sendable, Equatable {
        var signal: Signal
        var encoding: WireEncoding
        var body: [UInt8]
        var tenant = ""
    }

    private struct State {
        var calls: [Call] = []
        var metadata: [RequestMetadata] = []
        var held: [@Sendable (IngestReply) -> Void] = []
        var flushes = 0
    }

    private let behaviour: Behaviour
    private let signals: Set<Signal>
    private let state = Mutex(State())

    init(_ behaviour: Behaviour = .reply(.accepted), signals: Set<Signal> = Set(Signal.allCases)) {
        self.behaviour = behaviour
        self.signals = signals
    }

    var calls: [Call] { state.withLock { $0.calls } }
    var metadata: [RequestMetadata] { state.withLock { $0.metadata } }
    var flushes: Int { state.withLock { $0.flushes } }

    func accepts(_ signal: Signal) -> Bool { signals.contains(signal) }

    func ingest(_ request: IngestRequest, reply: @escaping @Sendable (IngestReply) -> Void) {
        let call = Call(
            signal: request.signal, encoding: request.encoding, body: Array(request.body), tenant: request.tenant)
        state.withLock { state in
            state.calls.append(call)
            state.metadata.append(request.metadata)
            if case .hold = behaviour { state.held.append(reply) }
        }
        switch behaviour {
        case .reply(let answer): reply(answer)
        case .elsewhere(let answer): Task.detached { reply(answer) }
        case .hold: break
        }
    }

    func flush() { state.withLock { $0.flushes += 1 } }

    /// Replies to all requests that are held now.
    func release(_ answer: IngestReply) {
        let held = state.withLock { state in
            defer { state.held = [] }
            return state.held
        }
        for reply in held { reply(answer) }
    }

    /// True once at least `count` calls came; false after a minute without.
    func hasCalls(_ count: Int) -> Bool { eventually { self.calls.count >= count } }
}

/// True once the condition holds; false after a minute.
func eventually(_ condition: () -> Bool) -> Bool {
    for _ in 0..<60_000 {
        if condition() { return true }
        usleep(1000)
    }
    return condition()
}
