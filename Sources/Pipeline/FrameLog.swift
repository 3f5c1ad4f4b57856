/// How an append ended. `stored` means what the journal's kind promises: on disk and synced, or held in memory.
package enum AppendResult: Sendable, Equatable {
    case stored(Sequence)
    /// Nothing was kept; the sender may try again after the hint. `reason` is for the log and the answer.
    case refused(reason: String, retryAfter: Duration)
}

/// A pipeline's journal: append-only, read by one cursor per exporter. Safe to use from any thread.
package protocol FrameLog: Sendable {
    /// Appends one frame. `completion` runs exactly once, on an unspecified thread, after the frame is as durable as
    /// this journal makes it; it must not block. Never traps and never blocks the caller for the disk.
    func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void)

    /// The cursor of one exporter, created at the oldest kept frame when the name is new. One reader per name.
    func cursor(named name: String) throws -> any FrameCursor

    /// Bytes and items that at least one cursor has not acknowledged.
    var held: HeldAmount { get }

    /// Stops intake, syncs what was appended, closes. Safe to call twice.
    func close()
}

/// What a journal or a cursor still holds.
package struct HeldAmount: Sendable, Equatable {
    package var frames: Int
    package var items: Int
    package var bytes: Int

    package init(frames: Int = 0, items: Int = 0, bytes: Int = 0) {
        self.frames = frames
        self.items = items
        self.bytes = bytes
    }
}

/// One exporter's place in a journal. Reading moves a read position in memory; acknowledging moves the durable one.
/// After a restart reading starts at the durable position, so what was read but not acknowledged comes again.
package protocol FrameCursor: Sendable {
    /// The next frames, at least one, at most `maxFrames` frames and about `maxBytes` bytes (a single larger frame is
    /// returned alone). Waits until a frame arrives, `timeout` passes (then empty) or the journal closes (then empty).
    func next(maxFrames: Int, maxBytes: Int, timeout: Duration) async -> [StoredFrame]

    /// Everything before `sequence` is delivered or dropped for good and will not be read again. Calls may come in any
    /// order; a sequence lower than an earlier one is ignored.
    func acknowledge(before sequence: Sequence)

    /// Items that recovery or an overflow policy removed unread, by reason, since the last call.
    func takeLosses() -> [(reason: String, items: Int)]

    /// What this cursor has not acknowledged yet.
    var backlog: HeldAmount { get }
}
