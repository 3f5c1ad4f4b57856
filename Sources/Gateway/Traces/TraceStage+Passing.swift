import Exporters
import Journal
import OTLP
import Pipeline
import Telemetry

extension TraceStage {
    /// Until parts that could not be read are read again.
    private static let readRetryTime = Duration.seconds(1)

    /// A trace on its way, and whether it was held back and may not be again.
    private typealias Leaving = (trace: TraceBuffer.Complete, isLast: Bool)

    /// Runs the chain on complete traces and stores what is left. Returns false when it was cancelled before that.
    /// `isLast` says that the traces were held back and may not be again.
    func pass(
        _ traces: [TraceBuffer.Complete], _ work: inout TraceStageWork, _ keys: KeyTable, isLast: Bool = false
    ) async -> Bool {
        guard !traces.isEmpty else { return true }
        var group = Outgoing()
        var queue = traces.map { Leaving(trace: $0, isLast: isLast) }
        var next = 0
        while next < queue.count {
            let end = windowEnd(queue, from: next)
            guard let contents = await read(queue[next..<end], work.store) else { return false }
            var place = (byte: 0, part: 0)
            for number in next..<end {
                let (trace, isLast) = queue[number]
                if !isLast { metrics.complete(trace.reason) }
                let origin = origin(of: trace, work.store)
                if group.origin != origin {
                    guard await store(&group, &work) else { return false }
                    group = Outgoing(of: origin)
                }
                assemble(trace, contents, place, &work)
                place = (place.byte + trace.bytes, place.part + trace.pieces.count)
                queue += conclude(trace, isLast: isLast, &group, &work, keys).map { Leaving(trace: $0, isLast: true) }
                if group.bytes.count >= Self.frameBytes {
                    guard await store(&group, &work) else { return false }
                }
            }
            next = end
        }
        return await store(&group, &work)
    }

    private func origin(of trace: TraceBuffer.Complete, _ store: PieceStore) -> RequestOrigin {
        RequestOrigin(tenant: trace.key.tenant, metadata: store.metadata(of: trace.pieces))
    }

    /// As many traces as are read at once.
    private func windowEnd(_ queue: [Leaving], from start: Int) -> Int {
        var end = start
        var bytes = 0
        while end < queue.count, end == start || bytes + queue[end].trace.bytes <= Self.frameBytes {
            bytes += queue[end].trace.bytes
            end += 1
        }
        return end
    }

    private func read(_ window: ArraySlice<Leaving>, _ store: PieceStore) async -> PartReading? {
        var parts: [FramePart] = []
        for (trace, _) in window { store.parts(of: trace.pieces, into: &parts) }
        var isTold = false
        while true {
            let reading = await input.read(parts)
            guard let failure = reading.failure else { return reading.isEnded ? nil : reading }
            if !isTold {
                setup.log(.warn, "pipeline \(setup.pipeline): complete traces cannot be read for now: \(failure)")
            }
            isTold = true
            guard await sleep(Self.readRetryTime) else { return nil }
        }
    }

    /// False when cancelled.
    private func sleep(_ time: Duration) async -> Bool {
        do { try await setup.effects.sleep(time) } catch { return false }
        return !Task.isCancelled
    }

    /// Makes `work.request` of what was read of a trace.
    private func assemble(
        _ trace: TraceBuffer.Complete, _ contents: PartReading, _ place: (byte: Int, part: Int),
        _ work: inout TraceStageWork
    ) {
        work.request.removeAll()
        work.request.shrink(to: 4 << 20)
        let missing = contents.missing.isEmpty ? [] : Set(contents.missing)
        let lost = contents.bytes.withUnsafeBytes { bytes in
            work.store.assemble(
                trace.pieces, Text(bytes)[place.byte..<place.byte + trace.bytes], firstPart: place.part,
                missing: missing, into: &work.request)
        }
        if lost > 0 {
            metrics.lost(lost, contents.isDamaged ? LossReason.corruptRecord : LossReason.missingSegment)
            let fate = contents.isDamaged ? "unreadable in" : "gone from"
            setup.log(.error, "pipeline \(setup.pipeline): \(lost) spans of a trace are \(fate) the journal")
        }
    }

    /// Runs the chain on the trace in `work.request`. Gives traces that were held back and are to be decided on now.
    private func conclude(
        _ trace: TraceBuffer.Complete, isLast: Bool, _ group: inout Outgoing, _ work: inout TraceStageWork,
        _ keys: KeyTable
    ) -> [TraceBuffer.Complete] {
        guard work.request.count > 0 else {
            group.add(.empty(filtered: 0, actions: []), of: trace, work.store, metrics)
            return []
        }
        let facts = GatheredTrace(reason: trace.reason, canHold: !isLast && setup.wait.hold > .zero)
        var summary = ReadSummary()
        let result = setup.chain.prepare(
            work.request.text, origin: origin(of: trace, work.store), keys: keys, work.workspace, &summary,
            trace: facts)
        if case .held(let session) = result {
            work.memories.undo()
            work.held.add(trace, session: session, now: setup.effects.now())
            return []
        }
        group.add(result, of: trace, work.store, metrics)
        if let failure = result.failure {
            work.memories.undo()
            setup.log(.error, "pipeline \(setup.pipeline): \(trace.items) spans of a trace are dropped: \(failure)")
        } else {
            group.addChanges(work.memories.take())
        }
        return work.workspace.released.flatMap { work.held.take(session: $0, tenant: trace.key.tenant) }
    }

    // MARK: Storing

    private func store(_ group: inout Outgoing, _ work: inout TraceStageWork) async -> Bool {
        defer { group = Outgoing(of: group.origin) }
        var rest = [group]
        while let next = rest.popLast() {
            switch await storeOnce(next, &work) {
            case .settled: continue
            case .cancelled: return false
            case .tooLarge(let reason):
                if let (first, second) = next.halves() {
                    rest += [second, first]
                } else {
                    lose(next, reason, &work)
                }
            }
        }
        return true
    }

    private enum StoreOutcome {
        case settled
        case cancelled
        case tooLarge(String)
    }

    private func storeOnce(_ group: Outgoing, _ work: inout TraceStageWork) async -> StoreOutcome {
        let header = group.header
        let items = UInt64(header.itemCount)
        if setup.isSoleWriter { note(group, end: Sequence(work.outputEnd.value &+ items), &work) }
        if items > 0 {
            // A record that a power failure takes while the journal keeps its traces would let them pass twice.
            if setup.isSoleWriter { await work.syncPassed() }
            let frame = Frame(header: header, bytes: group.bytes)
            switch await append(frame, mayBeParted: group.members.count > 1, &work) {
            case nil: return .cancelled
            case .refused(let reason, _, _): return .tooLarge(reason)
            case .stored(let sequence): work.outputEnd = Sequence(sequence.value &+ items)
            }
            metrics.intake.stored.add(Int(items))
            setup.tap?.offer(group.bytes, of: setup.pipeline, signal: .traces)
        }
        for member in group.members { for action in member.whenStored { action() } }
        if !setup.isSoleWriter { note(group, end: work.outputEnd, &work) }
        settle(group, &work)
        return .settled
    }

    /// Writes what counts when the second journal reaches `end`.
    private func note(_ group: Outgoing, end: Sequence, _ work: inout TraceStageWork) {
        work.passed?.note(group.records(end: end))
        work.memories.note(group.changes, end: end)
    }

    /// Gives up a group that the second journal will never take.
    private func lose(_ group: Outgoing, _ reason: String, _ work: inout TraceStageWork) {
        let items = Int(group.header.itemCount)
        metrics.lost(items, TraceStageMetrics.tooLarge)
        setup.log(
            .error,
            "pipeline \(setup.pipeline): a trace of \(items) spans, \(group.bytes.count) bytes, is lost: \(reason)")
        work.memories.note(group.changes, end: work.outputEnd)
        settle(group, &work)
    }

    private func settle(_ group: Outgoing, _ work: inout TraceStageWork) {
        var moved: Sequence?
        for member in group.members {
            moved = work.store.release(member.trace.pieces, settling: &work.tracker) ?? moved
            work.leaving -= member.trace.shared
        }
        acknowledge(moved, &work, now: setup.effects.now())
    }

    /// Waits until the journal takes the frame or refuses it for good, or twice when it may be parted: a disk that is
    /// nearly full may have room for less. Nil when cancelled before that.
    private func append(
        _ frame: Frame, mayBeParted: Bool, _ work: inout TraceStageWork
    ) async -> AppendResult? {
        var attempts = 0
        while true {
            let result = await output.append(frame)
            guard case .refused(let reason, let retryAfter, false) = result else {
                work.isWaiting = false
                return result
            }
            // Once for a fault, not every few seconds.
            if !work.isWaiting {
                setup.log(.warn, "pipeline \(setup.pipeline): complete traces wait for the journal: \(reason)")
            }
            work.isWaiting = true
            attempts += 1
            if mayBeParted, attempts > 1 { return result }
            guard await sleep(min(max(retryAfter, .milliseconds(50)), .seconds(5))) else { return nil }
        }
    }
}

extension ChainResult {
    /// Why nothing came of the request; nil when something did.
    fileprivate var failure: String? {
        switch self {
        case .failed(let reply): reply.message
        case .stepFailed(let message): message
        case .frame, .empty, .held: nil
        }
    }
}

/// Complete traces on their way to the second journal, with what is left of each.
private struct Outgoing {
    struct Member {
        var trace: TraceBuffer.Complete
        /// Sequence behind its first frame.
        var start: Sequence
        /// Bytes of it among those of all.
        var size = 0
        var items: UInt32 = 0
        var minTime: UInt64 = 0
        var maxTime: UInt64 = 0
        /// What it changed in what processors remember.
        var changes: [TraceMemories.Changes] = []
        var whenStored: [@Sendable () -> Void] = []
    }

    let origin: RequestOrigin
    private(set) var bytes: [UInt8] = []
    private(set) var members: [Member] = []

    init(of origin: RequestOrigin = RequestOrigin()) { self.origin = origin }

    private init(of origin: RequestOrigin, _ members: ArraySlice<Member>, _ bytes: ArraySlice<UInt8>) {
        self.origin = origin
        self.members = Array(members)
        self.bytes = Array(bytes)
    }

    var header: FrameHeader {
        var header = FrameHeader(signal: .traces, itemCount: 0)
        header.tenant = origin.tenant
        header.metadata = origin.metadata
        for member in members where member.items > 0 {
            header.itemCount += member.items
            header.minTime = header.minTime == 0 ? member.minTime : min(header.minTime, member.minTime)
            header.maxTime = max(header.maxTime, member.maxTime)
        }
        return header
    }

    mutating func add(
        _ result: ChainResult, of trace: TraceBuffer.Complete, _ store: PieceStore, _ metrics: TraceStageMetrics
    ) {
        var member = Member(trace: trace, start: store.firstEnd(of: trace.pieces))
        switch result {
        case .frame(let frame, let filtered):
            metrics.intake.filtered.add(filtered)
            bytes += frame.bytes
            member.size = frame.bytes.count
            member.items = frame.header.itemCount
            (member.minTime, member.maxTime) = (frame.header.minTime, frame.header.maxTime)
            member.whenStored = frame.whenStored
        case .empty(let filtered, let actions):
            metrics.intake.filtered.add(filtered)
            member.whenStored = actions
        case .held: break
        case .failed, .stepFailed: metrics.lost(trace.items, "processor_failed")
        }
        members.append(member)
    }

    /// Says what the trace that was added last changed.
    mutating func addChanges(_ changes: [TraceMemories.Changes]) {
        if let last = members.indices.last, !changes.isEmpty { members[last].changes = changes }
    }

    /// In the order in which they were made.
    var changes: [TraceMemories.Changes] { members.flatMap(\.changes) }

    /// The group in two; nil when it is one trace.
    func halves() -> (Outgoing, Outgoing)? {
        guard members.count > 1 else { return nil }
        let (first, second) = (members[..<(members.count / 2)], members[(members.count / 2)...])
        let size = first.reduce(0) { $0 + $1.size }
        return (Outgoing(of: origin, first, bytes[..<size]), Outgoing(of: origin, second, bytes[size...]))
    }

    /// What `PassedTraces` is told.
    func records(end: Sequence) -> [PassedTraces.Record] {
        members.map { PassedTraces.Record($0.trace.key, from: $0.start, to: $0.trace.readTo, end: end) }
    }
}
