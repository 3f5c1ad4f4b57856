import Pipeline

/// A cursor that stands before another, which does all that it does not do itself.
protocol PassingCursor: FrameCursor {
    var base: any FrameCursor { get }
}

extension PassingCursor {
    func next(maxFrames: Int, maxBytes: Int, timeout: Duration) async -> [StoredFrame] {
        await base.next(maxFrames: maxFrames, maxBytes: maxBytes, timeout: timeout)
    }

    func acknowledge(before sequence: Sequence) { base.acknowledge(before: sequence) }

    func settle(_ items: Range<Sequence>) { base.settle(items) }

    func finishedWriting() async { await base.finishedWriting() }

    func read(_ parts: [FramePart]) async -> PartReading { await base.read(parts) }

    func skip(_ frame: StoredFrame) -> SkipOutcome { base.skip(frame) }

    func takeLosses() -> [(reason: String, items: Int)] { base.takeLosses() }

    var backlog: HeldAmount { base.backlog }

    func amount(of frame: StoredFrame) -> HeldAmount { base.amount(of: frame) }

    var durable: Sequence { base.durable }
}
