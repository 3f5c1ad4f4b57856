import Telemetry

/// How an append ended. `stored` means what the journal's kind promises: on disk and synced, or held in memory.
package enum AppendResult: Sendable, Equatable {
    case stored(Sequence)
    /// Nothing was kept; the sender may try again after the hint. `reason` is for the log and the answer. A final
    /// refusal is for the frame itself, so that trying again with the same one is of no use.
    case refused(reason: String, retryAfter: Duration, isFinal: Bool = false)
}

/// A pipeline's journal: append-only, read by one cursor per exporter. Safe to use from any thread.
package protocol FrameLog: Sendable {
    /// Appends one frame. `completion` runs exactly once, on an unspecified thread, after the frame is as durable as
    /// this journal makes it; it must not block. Never traps and never blocks the caller for the disk.
    func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void)

    /// The same, with what the journal may know of the caller.
    func append(_ frame: Frame, _ hints: AppendHints, completion: @escaping @Sendable (AppendResult) -> Void)

    /// Nothing more follows for now.
    func flush()

    /// Whether who answers senders before an append has ended should wait for its end now: readers that move are
    /// behind, and more would come in than is delivered.
    var holdsAnswers: Bool { get }

    /// The cursor of one exporter, created at the oldest kept frame when the name is new. One reader per name.
    func cursor(named name: String) throws -> any FrameCursor

    /// Whether there is a cursor of this name already.
    func hasCursor(named name: String) -> Bool

    /// Bytes and items that at least one cursor has not acknowledged.
    var held: HeldAmount { get }

    /// Which journal this is and where it ends; nil for one that does not outlive the process.
    var position: JournalPosition? { get }

    /// Stops intake, syncs what was appended, closes. Safe to call twice.
    func close()
}

extension FrameLog {
    package func append(
        _ frame: Frame, _ hints: AppendHints, completion: @escaping @Sendable (AppendResult) -> Void
    ) {
        append(frame, completion: completion)
    }

    package func flush() {}

    package var holdsAnswers: Bool { false }
}

/// What the caller of an append does, which may change when the journal acts and never what it promises.
package struct AppendHints: OptionSet, Sendable {
    package var rawValue: UInt8
    /// It appends more at once and then calls `flush`; until then nothing needs to be done.
    package static let moreFollows = AppendHints(rawValue: 1)
    /// It tells the sender that the frame is taken before it is stored, unless the journal `holdsAnswers`. So nobody
    /// waits, and more may come in than the disk takes.
    package static let isAnswered = AppendHints(rawValue: 2)
    /// It tells the sender that the frame is taken once readers are done with it.
    package static let awaitsReaders = AppendHints(rawValue: 4)

    package init(rawValue: UInt8) { self.rawValue = rawValue }
}

/// What a cursor has made of a frame that its reader passes over.
package enum SkipOutcome: Sendable, Equatable {
    /// It will not be read, and is no part of the backlog.
    case gone
    /// It may be read, and `backlog` counts this for it until what lies before is acknowledged.
    case passing(HeldAmount)
    /// It was read already, or there is no room to remember it: it is to be delivered.
    case late
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

    /// One frame.
    package init(_ frame: Frame) {
        self.init(frames: 1, items: Int(frame.header.itemCount), bytes: frame.bytes.count)
    }

    package static func += (left: inout HeldAmount, right: HeldAmount) {
        left.frames += right.frames
        left.items += right.items
        left.bytes += right.bytes
    }

    package static func -= (left: inout HeldAmount, right: HeldAmount) {
        left.frames -= right.frames
        left.items -= right.items
        left.bytes -= right.bytes
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

    /// Reads parts of frames again that this cursor gave and has not acknowledged.
    func read(_ parts: [FramePart]) async -> PartReading

    /// Frames behind the acknowledged position, or items of one, are delivered or dropped for good, while something
    /// older or other items are not. A hint: a journal on disk keeps it, as far as there is room, so that they do not
    /// come again after a crash: a frame comes without them, see `StoredFrame.done`.
    func settle(_ items: Range<Sequence>)

    /// Waits until what was acknowledged and settled before survives the end of the process, for a moment at most: who
    /// asks before each delivery repeats after a kill no more than was under way.
    func finishedWriting() async

    /// This reader passes over a frame that was stored just now: it is done, as with `settle`, and what only such
    /// frames take up can go before the older ones do. Called before the frame is read, or it is too late.
    func skip(_ frame: StoredFrame) -> SkipOutcome

    /// Items that recovery or an overflow policy removed unread, by reason, since the last call.
    func takeLosses() -> [(reason: String, items: Int)]

    /// What this cursor has not acknowledged yet.
    var backlog: HeldAmount { get }

    /// What `backlog` counts for a frame of which nothing was done before a restart; on disk that is the size of its
    /// record.
    func amount(of frame: StoredFrame) -> HeldAmount

    /// What lies before is not read again, whatever happens to process and machine: the acknowledged position that is
    /// synced to disk.
    var durable: Sequence { get }
}

extension FrameLog {
    package var position: JournalPosition? { nil }

    package func hasCursor(named name: String) -> Bool { true }

    /// Appends one frame and waits for how that ended.
    package func append(_ frame: Frame) async -> AppendResult {
        await withCheckedContinuation { continuation in
            append(frame) { continuation.resume(returning: $0) }
        }
    }
}

extension FrameCursor {
    /// For journals that do not outlive the process.
    package func settle(_ items: Range<Sequence>) {}

    package func finishedWriting() async {}

    package func skip(_ frame: StoredFrame) -> SkipOutcome {
        settle(frame.range)
        return .passing(amount(of: frame))
    }

    package func amount(of frame: StoredFrame) -> HeldAmount { HeldAmount(frame.frame) }

    package var durable: Sequence { Sequence(0) }

    package func read(_ parts: [FramePart]) async -> PartReading {
        PartReading(
            bytes: [UInt8](repeating: 0, count: parts.reduce(0) { $0 + $1.length }), missing: Array(parts.indices))
    }
}

/// A journal that survives restarts, and its end.
package struct JournalPosition: Sendable, Equatable {
    /// Chosen at random when the journal was made.
    package var high: UInt64
    package var low: UInt64
    /// What the next record will get.
    package var next: Sequence

    package init(high: UInt64, low: UInt64, next: Sequence) {
        self.high = high
        self.low = low
        self.next = next
    }

    /// The random numbers as 32 hexadecimal digits.
    package var name: String { high.hexDigits + low.hexDigits }
}

/// A part of the bytes of a frame.
package struct FramePart: Sendable {
    package var place: FramePlace
    /// Counted from the frame's first byte.
    package var offset: Int
    package var length: Int
    /// CRC-32C of the bytes as they were given.
    package var checksum: UInt32

    package init(place: FramePlace, offset: Int, length: Int, checksum: UInt32) {
        self.place = place
        self.offset = offset
        self.length = length
        self.checksum = checksum
    }
}

/// What reading parts again gave.
package struct PartReading: Sendable {
    /// All parts, one behind the other; anything where one is missing.
    package var bytes: [UInt8]
    /// Indices of the parts that are gone or are not what they were, rising.
    package var missing: [Int]
    /// Some of `missing` are not what they were; false when all are gone.
    package var isDamaged = false
    /// The journal is closed, and `bytes` says nothing.
    package var isEnded = false
    /// Why nothing could be read for now, for the log; `bytes` says nothing, and reading again may work.
    package var failure: String?

    package init(bytes: [UInt8], missing: [Int]) {
        self.bytes = bytes
        self.missing = missing
    }

    /// The reading of a closed journal.
    package static var ended: PartReading {
        var reading = PartReading(bytes: [], missing: [])
        reading.isEnded = true
        return reading
    }

    /// A reading that did not work for a reason that passes.
    package static func failed(_ reason: String) -> PartReading {
        var reading = PartReading(bytes: [], missing: [])
        reading.failure = reason
        return reading
    }
}
