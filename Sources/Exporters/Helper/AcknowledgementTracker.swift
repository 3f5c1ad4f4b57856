package import Pipeline

/// Turns completions that arrive in any order into the one sequence before which everything is settled.
///
/// Frames are registered in the order in which the cursor gave them. A frame that was split is settled when its last
/// part is. Memory is one entry per frame between the oldest unsettled frame and the newest read one.
package struct AcknowledgementTracker: Sendable {
    /// Names a registered frame.
    package struct Ticket: Hashable, Sendable {
        fileprivate let number: Int
        /// Sequence behind the frame.
        package let end: Sequence
    }

    private struct Entry {
        var end: Sequence
        var openParts: Int
        var settledItems: Int
        var newest: UInt64
    }

    private var entries: [Entry] = []
    /// Number of the first entry; tickets count from the tracker's creation.
    private var firstNumber = 0
    private var settledPrefix = 0
    /// Items that are delivered or dropped but still unacknowledged because an earlier frame is open.
    package private(set) var settledItems = 0

    package init() {}

    /// Frames that are read and not acknowledged.
    package var openFrames: Int { entries.count - settledPrefix }

    /// Time of the newest record in the oldest unsettled frame, Unix nanoseconds; nil when all is settled.
    package var oldestTime: UInt64? { settledPrefix < entries.count ? entries[settledPrefix].newest : nil }

    /// Registers the next frame with the number of parts it will be delivered in, at least one, and the time of its
    /// newest record.
    package mutating func register(end: Sequence, parts: Int, newest: UInt64 = 0) -> Ticket {
        entries.append(Entry(end: end, openParts: max(parts, 1), settledItems: 0, newest: newest))
        return Ticket(number: firstNumber + entries.count - 1, end: end)
    }

    /// Settles one part that held `items`. Returns the sequence to acknowledge when it moved.
    package mutating func settle(_ ticket: Ticket, items: Int) -> Sequence? {
        let index = ticket.number - firstNumber
        guard entries.indices.contains(index), entries[index].openParts > 0 else { return nil }
        entries[index].openParts -= 1
        entries[index].settledItems += items
        settledItems += items
        var moved: Sequence?
        while settledPrefix < entries.count, entries[settledPrefix].openParts == 0 {
            settledItems -= entries[settledPrefix].settledItems
            moved = entries[settledPrefix].end
            settledPrefix += 1
        }
        // Cutting the settled front only now and then keeps the cost per frame constant.
        if settledPrefix >= 64 && settledPrefix * 2 >= entries.count {
            entries.removeFirst(settledPrefix)
            firstNumber += settledPrefix
            settledPrefix = 0
        }
        return moved
    }
}
