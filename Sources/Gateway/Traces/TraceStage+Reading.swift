import Exporters
import OTLP
import Pipeline
import Telemetry

extension TraceStage {
    /// Reads what is there into the buffer, and passes traces on before it would get too full. Returns whether the
    /// journal had nothing; nil when cancelled.
    func fill(_ work: inout TraceStageWork, _ keys: KeyTable, isDraining: Bool) async -> Bool? {
        let before = setup.effects.now()
        var timeout = isDraining ? Duration.milliseconds(10) : Self.pollInterval
        if let deadline = work.buffer.deadline { timeout = min(timeout, max(deadline - before, .zero)) }
        if let deadline = work.held.deadline { timeout = min(timeout, max(deadline - before, .zero)) }
        guard work.tracker.openFrames < Self.openFramesMax else {
            try? await setup.effects.sleep(max(timeout, .milliseconds(1)))
            return isDraining
        }
        let frames = await input.next(maxFrames: Self.framesPerRead, maxBytes: Self.bytesPerRead, timeout: timeout)
        for loss in input.takeLosses() { metrics.lost(loss.items, loss.reason) }
        let now = setup.effects.now()
        for frame in frames {
            let isReadable = index(frame, &work)
            if isReadable, work.buffer.isOverfull(work.orphans + work.growth(of: frame)) {
                guard await passComplete(now: now, growth: work.growth(of: frame), &work, keys) else { return nil }
            }
            take(frame, isReadable: isReadable, now: now, &work)
        }
        if frames.isEmpty, now - before < timeout / 2 {
            // A closed journal answers at once; without a pause this loop would spin.
            try? await setup.effects.sleep(timeout)
        }
        return frames.isEmpty
    }

    /// Passes on what is complete, and what has to go so that there is room for `growth` bytes. What leaves may leave
    /// frames behind that were counted as its own, so it looks again until nothing has to go. False when cancelled.
    func passComplete(
        now: Duration, growth: Int = 0, _ work: inout TraceStageWork, _ keys: KeyTable
    ) async -> Bool {
        while true {
            let complete = work.takeComplete(now: now, growth: growth)
            if complete.isEmpty { return true }
            guard await pass(complete, &work, keys) else { return false }
        }
    }

    /// Finds the spans of a frame. False for one without any.
    private func index(_ stored: StoredFrame, _ work: inout TraceStageWork) -> Bool {
        stored.frame.bytes.withUnsafeBytes { bytes in
            do throws(DecodeFailure) { try work.index.read(Text(bytes)) } catch { return false }
            joinCopies(Text(bytes), &work)
            return !work.index.runs.isEmpty
        }
    }

    /// Takes an indexed frame.
    private func take(_ stored: StoredFrame, isReadable: Bool, now: Duration, _ work: inout TraceStageWork) {
        work.readTo = max(work.readTo, stored.end)
        let items = Int(stored.frame.header.itemCount)
        let ticket = work.tracker.register(stored.range, parts: isReadable ? work.index.runs.count : 1)
        guard isReadable else {
            // The journal's checksum held, so this is a frame without spans, or a fault of ours.
            metrics.lost(items, "unreadable")
            return acknowledge(work.tracker.settle(ticket, items: items).acknowledged, &work, now: now)
        }
        stored.frame.bytes.withUnsafeBytes { add(Text($0), of: stored, ticket, now: now, &work) }
    }

    /// Keeps a request in one piece, as if it were of one trace, when its traces taken apart would be many times its
    /// size: each has its own copy of the resource, so a request could hold any number of copies of a large one.
    private func joinCopies(_ request: Text, _ work: inout TraceStageWork) {
        let most = max(Self.copiedBytesMax, request.count * Self.copiesMax)
        // Cheap first: most requests are far below even if every span had its own copy.
        guard work.index.runs.count * request.count > most, work.index.assembledBytes > most else { return }
        metrics.joined.add(work.index.runs.reduce(0) { $0 + $1.items })
        work.index.join(request)
    }

    /// Adds the spans of a frame to their traces, but for those that an earlier run has passed on.
    private func add(
        _ request: Text, of stored: StoredFrame, _ ticket: AcknowledgementTracker.Ticket, now: Duration,
        _ work: inout TraceStageWork
    ) {
        var gone: Set<Int> = []
        if work.passed != nil {
            for (number, run) in work.index.runs.enumerated() {
                let key = TraceBuffer.Key(trace: run.trace, tenant: stored.frame.header.tenant)
                if work.passed?.isPassed(key, frameEnd: stored.end) == true { gone.insert(number) }
            }
        }
        let count = work.index.runs.count - gone.count
        if count > 0 {
            let place = stored.place ?? FramePlace(file: 0, offset: 0)
            var adding = AddedFrame(work.index)
            let before = work.store.sharedCost
            adding.frame = work.store.addFrame(
                place, stored.frame.header.metadata, ticket, pieces: count, unknown: work.index.unknown)
            adding.shared = work.store.sharedCost - before
            for number in work.index.runs.indices where gone.isEmpty || !gone.contains(number) {
                adding.add(number, request, stored.frame.header.tenant, now: now, &work)
            }
        }
        var moved: Sequence?
        for number in gone {
            moved = work.tracker.settle(ticket, items: work.index.runs[number].items).acknowledged ?? moved
        }
        acknowledge(moved, &work, now: now)
    }

    func acknowledge(_ sequence: Sequence?, _ work: inout TraceStageWork, now: Duration) {
        guard let sequence else { return }
        input.acknowledge(before: sequence)
        work.passed?.acknowledge(before: sequence, now: now)
    }
}

/// A frame whose runs go into the buffer.
private struct AddedFrame {
    var frame: Int32 = -1
    /// Memory that the next run brings.
    var shared = 0
    private var resources: [Int32]
    private var scopes: [Int32]

    init(_ index: borrowing TraceIndex) {
        resources = Array(repeating: -1, count: index.resourceCount)
        scopes = Array(repeating: -1, count: index.scopeCount)
    }

    mutating func add(
        _ number: Int, _ request: Text, _ tenant: String, now: Duration, _ work: inout TraceStageWork
    ) {
        let run = work.index.runs[number]
        let before = work.store.sharedCost
        if run.resource >= 0 {
            if resources[run.resource] < 0 {
                resources[run.resource] = work.store.head(work.index.resource(run.resource))
            }
            if scopes[run.scope] < 0 { scopes[run.scope] = work.store.head(work.index.scope(run.scope)) }
        }
        let list = work.store.add(
            run, of: request, frame: frame, resource: run.resource < 0 ? -1 : resources[run.resource],
            scope: run.scope < 0 ? -1 : scopes[run.scope])
        let piece = TraceBuffer.Piece(
            list: list, items: run.items, bytes: run.bytes.count, shared: shared + work.store.sharedCost - before,
            hasRoot: run.hasRoot)
        shared = 0
        work.buffer.add(TraceBuffer.Key(trace: run.trace, tenant: tenant), piece, in: &work.store, now: now)
    }
}
