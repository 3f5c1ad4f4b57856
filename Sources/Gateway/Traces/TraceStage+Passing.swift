import Exporters
import Journal
import OTLP
import Pipeline
import Telemetry

extension TraceStage {
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
        let reading = await input.read(parts)
        return reading.isEnded ? nil : reading
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
            metrics.lost(lost, LossReason.missingSegment)
            setup.log(.error, "pipeline \(setup.pipeline): \(lost) spans of a trace are gone from the journal")
        }
    }

    /// Runs the chain on the trace in `work.request`. Gives traces that were held back and are to be decided on now.
    private func conclude(
        _ trace: TraceBuffer.Complete, isLast: Bool, _ group: inout Outgoing, _ work: inout TraceStageWork,
        _ keys: KeyTable
    ) -> [TraceBuffer.Complete] {
        guard work.request.count > 0 else {
            group.add(.empty(filtered: 0), of: trace, work.store, metrics)
            return []
        }
        let facts = GatheredTrace(reason: trace.reason, canHold: !isLast && setup.wait.hold > .zero)
        var summary = ReadSummary()
        let result = setup.chain.prepare(
            work.request.text, origin: origin(of: trace, work.store), keys: keys, work.workspace, &summary,
            trace: facts)
        if case .held(let session) = result {
            work.held.add(trace, session: session, now: setup.effects.now())
            return []
        }
        group.add(result, of: trace, work.store, metrics)
        if case .failed(let reply) = result {
            setup.log(.error, "pipeline \(setup.pipeline): \(trace.items) spans of a trace are dropped: \(reply)")
        }
        return work.workspace.released.flatMap { work.held.take(session: $0, tenant: trace.key.tenant) }
    }

    // MARK: Storing

    private func store(_ group: inout Outgoing, _ work: inout TraceStageWork) async -> Bool {
        let origin = group.origin
        defer { group = Outgoing(of: origin) }
        let items = UInt64(group.header.itemCount)
        if setup.isSoleWriter { work.passed?.note(group.records(end: Sequence(work.outputEnd.value &+ items))) }
        if items > 0 {
            // A record that a power failure takes while the journal keeps its traces would let them pass twice.
            if setup.isSoleWriter { await work.syncPassed() }
            guard let sequence = await append(Frame(header: group.header, bytes: group.bytes)) else { return false }
            work.outputEnd = Sequence(sequence.value &+ items)
            metrics.intake.stored.add(Int(items))
            setup.tap?.offer(group.bytes, of: setup.pipeline, signal: .traces)
            for action in group.whenStored { action() }
        }
        if !setup.isSoleWriter { work.passed?.note(group.records(end: work.outputEnd)) }
        settle(group, &work)
        return true
    }

    private func settle(_ group: Outgoing, _ work: inout TraceStageWork) {
        var moved: Sequence?
        for trace in group.traces {
            moved = work.store.release(trace.pieces, settling: &work.tracker) ?? moved
            work.leaving -= trace.shared
        }
        acknowledge(moved, &work, now: setup.effects.now())
    }

    /// Nil when cancelled before the journal took it.
    private func append(_ frame: Frame) async -> Sequence? {
        while true {
            let result = await withCheckedContinuation { continuation in
                output.append(frame) { continuation.resume(returning: $0) }
            }
            switch result {
            case .stored(let sequence): return sequence
            case .refused(let reason, let retryAfter):
                setup.log(.warn, "pipeline \(setup.pipeline): complete traces wait for the journal: \(reason)")
                do { try await setup.effects.sleep(min(max(retryAfter, .milliseconds(50)), .seconds(5))) } catch {
                    return nil
                }
                if Task.isCancelled { return nil }
            }
        }
    }
}

/// Complete traces on their way to the second journal.
private struct Outgoing {
    var header = FrameHeader(signal: .traces, itemCount: 0)
    var bytes: [UInt8] = []
    var whenStored: [@Sendable () -> Void] = []
    private(set) var traces: [TraceBuffer.Complete] = []
    /// Sequences behind the first frame of each trace.
    private var starts: [Sequence] = []

    init(of origin: RequestOrigin = RequestOrigin()) {
        header.tenant = origin.tenant
        header.metadata = origin.metadata
    }

    var origin: RequestOrigin { RequestOrigin(tenant: header.tenant, metadata: header.metadata) }

    mutating func add(
        _ result: ChainResult, of trace: TraceBuffer.Complete, _ store: PieceStore, _ metrics: TraceStageMetrics
    ) {
        traces.append(trace)
        starts.append(store.firstEnd(of: trace.pieces))
        switch result {
        case .frame(let frame, let filtered):
            metrics.intake.filtered.add(filtered)
            bytes += frame.bytes
            whenStored += frame.whenStored
            header.itemCount += frame.header.itemCount
            header.minTime = header.minTime == 0 ? frame.header.minTime : min(header.minTime, frame.header.minTime)
            header.maxTime = max(header.maxTime, frame.header.maxTime)
        case .empty(let filtered): metrics.intake.filtered.add(filtered)
        case .held: break
        case .failed: metrics.lost(trace.items, "processor_failed")
        }
    }

    /// What `PassedTraces` is told.
    func records(end: Sequence) -> [PassedTraces.Record] {
        zip(traces, starts).map { PassedTraces.Record($0.key, from: $1, to: $0.readTo, end: end) }
    }
}
