package import Pipeline

/// Turns completions that arrive in any order into the one sequence before which everything is settled.
///
/// Frames are registered in the order in which the cursor gave them. A frame that was split is settled when its last
/// part is. Memory is one entry per frame between the oldest unsettled frame and the newest read one.
package struct AcknowledgementTracker: Sendable {
    /// Names a registered frame.
    package struct Ticket: Hashable, Sendable {
        fileprivate let number: Int
        package let frame: Range<Sequence>
        /// Sequence behind the frame.
        package var end: Sequence { frame.upperBound }
        /// Items of the frame.
        package var items: Int { Int(clamping: frame.upperBound.value - frame.lowerBound.value) }

        /// Sequences of some of its items.
        func items(at place: Range<Int>) -> Range<Sequence> {
            let start = frame.lowerBound.value &+ UInt64(clamping: place.lowerBound)
            return Sequence(start)..<Sequence(max(start, start &+ UInt64(place.count)))
        }
    }

    /// What a settled part has brought about.
    package enum Progress: Equatable, Sendable {
        /// Its frame has other parts that are open, or nothing new.
        case none
        /// All of its frame is settled, and an older frame is not; or these items of it, and others are not.
        case aside(Range<Sequence>)
        /// Everything before this is settled.
        case acknowledge(Sequence)

        /// The sequence of `acknowledge`.
        package var acknowledged: Sequence? { if case .acknowledge(let sequence) = self { sequence } else { nil } }
    }

    private struct Entry {
        var frame: Range<Sequence>
        var openParts: Int
        var settledItems: Int
        var bytes: Int
        var newest: UInt64
    }

    private var entries: [Entry] = []
    /// Number of the first entry; tickets count from the tracker's creation.
    private var firstNumber = 0
    private var settledPrefix = 0
    /// What is delivered or dropped but still unacknowledged because an earlier frame is open; frames and bytes count
    /// when all of a frame is.
    package private(set) var settled = HeldAmount()

    /// Items of `settled`.
    package var settledItems: Int { settled.items }

    package init() {}

    /// Frames that are read and not acknowledged.
    package var openFrames: Int { entries.count - settledPrefix }

    /// Time of the newest record in the oldest unsettled frame, Unix nanoseconds; nil when all is settled.
    package var oldestTime: UInt64? { settledPrefix < entries.count ? entries[settledPrefix].newest : nil }

    /// Registers the next frame with the number of parts it will be delivered in, at least one, and the time of its
    /// newest record; `bytes` is what `settled` counts for it.
    package mutating func register(
        _ frame: Range<Sequence>, parts: Int, newest: UInt64 = 0, bytes: Int = 0
    ) -> Ticket {
        entries.append(Entry(frame: frame, openParts: max(parts, 1), settledItems: 0, bytes: bytes, newest: newest))
        return Ticket(number: firstNumber + entries.count - 1, frame: frame)
    }

    /// Settles the last `items` of a part that were open. With their `place` in the frame, they are told of when others
    /// are open still.
    package mutating func settle(_ ticket: Ticket, items: Int, at place: Range<Int>? = nil) -> Progress {
        guard let index = add(items, to: ticket) else { return .none }
        entries[index].openParts -= 1
        let isWhole = entries[index].openParts == 0
        if isWhole { settled += HeldAmount(frames: 1, bytes: entries[index].bytes) }
        var moved: Sequence?
        while settledPrefix < entries.count, entries[settledPrefix].openParts == 0 {
            let entry = entries[settledPrefix]
            settled -= HeldAmount(frames: 1, items: entry.settledItems, bytes: entry.bytes)
            moved = entry.frame.upperBound
            settledPrefix += 1
        }
        // Cutting the settled front only now and then keeps the cost per frame constant.
        if settledPrefix >= 64 && settledPrefix * 2 >= entries.count {
            entries.removeFirst(settledPrefix)
            firstNumber += settledPrefix
            settledPrefix = 0
        }
        if let moved { return .acknowledge(moved) }
        return isWhole ? .aside(ticket.frame) : place.map { .aside(ticket.items(at: $0)) } ?? .none
    }

    /// Settles some items of a part that stays open for others.
    package mutating func settle(_ ticket: Ticket, someAt place: Range<Int>) -> Progress {
        add(place.count, to: ticket) == nil ? .none : .aside(ticket.items(at: place))
    }

    /// Counts items of a frame as settled. Gives the frame's index, nil when nothing of it is open.
    private mutating func add(_ items: Int, to ticket: Ticket) -> Int? {
        let index = ticket.number - firstNumber
        guard entries.indices.contains(index), entries[index].openParts > 0 else { return nil }
        entries[index].settledItems += items
        settled.items += items
        return index
    }
}

/// What several settled parts have brought about together, so that a journal is told once.
package struct SettledParts: Sendable {
    /// Everything before this is settled now; nil when that has not moved.
    package private(set) var acknowledged: Sequence?
    private var asides: [Range<Sequence>] = []

    package init() {}

    /// Adds what settling one part gave. Parts come in the order in which they were settled.
    package mutating func add(_ progress: AcknowledgementTracker.Progress) {
        switch progress {
        case .none: break
        case .acknowledge(let sequence): acknowledged = sequence
        case .aside(let frame):
            if let last = asides.last, last.upperBound == frame.lowerBound {
                asides[asides.count - 1] = last.lowerBound..<frame.upperBound
            } else {
                asides.append(frame)
            }
        }
    }

    /// Acknowledges and settles in the journal what was added; frames before the acknowledged place are in that.
    package func tell(_ cursor: any FrameCursor) {
        if let acknowledged { cursor.acknowledge(before: acknowledged) }
        for aside in asides where acknowledged.map({ $0 < aside.upperBound }) ?? true { cursor.settle(aside) }
    }
}
