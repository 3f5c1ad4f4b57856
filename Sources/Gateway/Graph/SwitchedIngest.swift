import Pipeline
import Synchronization
import Telemetry

/// Hands a receiver's requests to the pipelines of the configuration in force, off the event loop where those wait for
/// a disk. While one configuration takes the place of another requests wait here; the receivers bound how many, since
/// each counts as in memory until it is answered.
final class SwitchedIngest: Ingest {
    private typealias Reply = @Sendable (IngestReply) -> Void

    /// A request that outlives the call which brought it, with a body of its own.
    private struct Waiting: Sendable {
        var signal: Signal
        var encoding: WireEncoding
        var body: [UInt8]
        var tenant: String
        var metadata: RequestMetadata
        var reply: Reply

        init(_ request: IngestRequest, _ reply: @escaping Reply) {
            (signal, encoding) = (request.signal, request.encoding)
            (tenant, metadata) = (request.tenant, request.metadata)
            body = request.whole ?? [UInt8](request.body)
            self.reply = reply
        }

        func ingest(into target: any Ingest) {
            body.withUnsafeBytes { bytes in
                target.ingest(
                    IngestRequest(
                        signal: signal, encoding: encoding, body: bytes, whole: body, tenant: tenant,
                        metadata: metadata), reply: reply)
            }
        }
    }

    private struct State {
        /// Nil while requests wait.
        var target: (any Ingest)?
        /// Requests that are on their way to the pipelines.
        var active = 0
        var waiting: [Waiting] = []
        var holder: CheckedContinuation<Void, Never>?

        /// The one that waits for the calls under way, when there are none.
        mutating func takeHolder() -> CheckedContinuation<Void, Never>? {
            guard active == 0 else { return nil }
            defer { holder = nil }
            return holder
        }
    }

    let signals: Set<Signal>
    private let state = Mutex(State())
    private let lanes = DiskLanes()

    /// Requests wait until the first `release`. `signals` are those that it accepts, whatever stands behind it.
    init(_ signals: Set<Signal>) { self.signals = signals }

    func accepts(_ signal: Signal) -> Bool { signals.contains(signal) }

    func ingest(_ request: IngestRequest, reply: @escaping @Sendable (IngestReply) -> Void) {
        let target = state.withLock { state -> (any Ingest)? in
            if state.target != nil { state.active += 1 }
            return state.target
        }
        guard let target else { return wait(request, reply) }
        guard target.waitsForDisk(request.signal) else {
            target.ingest(request, reply: reply)
            return didIngest()
        }
        let kept = Waiting(request, reply)
        lanes.run { [self] in
            kept.ingest(into: target)
            target.flush()
            didIngest()
        }
    }

    private func didIngest() {
        let holder = state.withLock { state in
            state.active -= 1
            return state.takeHolder()
        }
        holder?.resume()
    }

    private func wait(_ request: IngestRequest, _ reply: @escaping Reply) {
        let waiting = Waiting(request, reply)
        let target = state.withLock { state in
            if state.target == nil { state.waiting.append(waiting) }
            return state.target
        }
        // It was released meanwhile.
        guard let target else { return }
        waiting.ingest(into: target)
        target.flush()
    }

    func flush() { state.withLock { $0.target }?.flush() }

    /// Lets requests wait from now on, and returns when those before are with the pipelines. One call at a time.
    func hold() async {
        let target = state.withLock { state in
            defer { state.target = nil }
            return state.target
        }
        await withCheckedContinuation { continuation in
            let holder = state.withLock { state in
                state.holder = continuation
                return state.takeHolder()
            }
            holder?.resume()
        }
        // The event loops' own flushes may come when something else stands here.
        target?.flush()
    }

    /// Hands on what waits and what comes.
    func release(to target: any Ingest) {
        let waiting = state.withLock { state in
            state.target = target
            defer { state.waiting = [] }
            return state.waiting
        }
        for request in waiting { request.ingest(into: target) }
        if !waiting.isEmpty { target.flush() }
    }
}
