import Exporters
import OTLP
import Pipeline

/// Gathers the spans of traces until each trace is complete. A value without clock or input of its own: the stage
/// tells it what came and what time it is.
///
/// Work is constant per piece plus logarithmic in the number of open traces. Nothing depends on how spans were grouped
/// into requests: a complete trace holds its pieces in the order in which they came.
struct TraceBuffer {
    /// Why a trace was taken as complete.
    typealias Reason = GatheredTrace.Reason

    /// Spans of different tenants never meet, whatever their ids are.
    struct Key: Hashable, Comparable {
        var trace: TraceID
        var tenant: String

        static func < (left: Key, right: Key) -> Bool {
            left.trace != right.trace ? left.trace < right.trace : left.tenant < right.tenant
        }
    }

    /// Spans of one trace that came together.
    struct Piece {
        var list: PieceStore.List
        var items: Int
        /// Encoded bytes.
        var bytes: Int
        /// Bytes of memory by which frames and heads grew for it.
        var shared: Int
        var hasRoot: Bool
    }

    struct Complete {
        var key: Key
        var pieces: PieceStore.List
        var bytes: Int
        var items: Int
        /// Bytes of memory that it takes, and those of them that frames and heads take.
        var cost: Int
        var shared: Int
        var reason: Reason
        /// Sequence behind the last frame of the journal that could have held a piece of it.
        var readTo = Sequence(0)
    }

    fileprivate struct Open {
        var key: Key
        var piece: Piece
        /// Bytes of the request that it would make: what stands around the spans counts as often as it is written.
        var size: Int
        var first: Duration
        var last: Duration
        /// The deadline of the entry in `timers` that counts; others of this trace are stale.
        var timer: Duration
    }

    /// Estimated bytes of memory per open trace: its entry, its number, its timer.
    static let traceCost = 320
    /// The numbers of pieces have 31 bits.
    private static let costMax = 24 << 30

    let wait: TraceWait
    /// Whether the spans are in memory with the journal, so that they count.
    let countsBytes: Bool
    private let costLimit: Int
    private var numbers: [Key: Int32] = [:]
    private var traces = Slots<Open>()
    private var timers = TimerHeap()
    /// Bytes of memory for frames and heads that open traces brought.
    private var shared = 0
    private(set) var cost = 0
    private(set) var bytes = 0
    private(set) var items = 0

    init(wait: TraceWait, countsBytes: Bool = false) {
        self.wait = wait
        self.countsBytes = countsBytes
        costLimit = min(wait.maxBytes, TraceBuffer.costMax)
    }

    var count: Int { numbers.count }

    /// When the next trace may be complete; nil when none is open. May be early, never late.
    var deadline: Duration? { timers.first?.deadline }

    /// Adds the spans of one trace that came together.
    mutating func add(_ key: Key, _ piece: Piece, in store: inout PieceStore, now: Duration) {
        bytes += piece.bytes
        items += piece.items
        shared += piece.shared
        let added = memory(of: piece)
        guard let number = numbers[key] else {
            cost += added + TraceBuffer.traceCost
            let size = piece.bytes + store.headBytes(of: piece.list, after: nil)
            var open = Open(key: key, piece: piece, size: size, first: now, last: now, timer: .zero)
            open.timer = deadline(of: open)
            let number = traces.insert(open)
            numbers[key] = number
            return timers.insert(TimerHeap.Entry(deadline: open.timer, key: key, number: number))
        }
        cost += added
        traces[number].append(piece, in: &store, now: now)
        let due = deadline(of: traces[number])
        // An entry that is early is looked at again when its time comes; only a later one has to be replaced.
        if due < traces[number].timer {
            traces[number].timer = due
            timers.insert(TimerHeap.Entry(deadline: due, key: key, number: number))
        }
    }

    private func memory(of piece: Piece) -> Int {
        piece.list.count * PieceStore.pieceCost + piece.shared + (countsBytes ? piece.bytes : 0)
    }

    private func deadline(of open: Open) -> Duration {
        if isFull(open) { return open.first }
        let quiet = open.last + (open.piece.hasRoot ? min(wait.afterRoot, wait.idle) : wait.idle)
        return min(quiet, open.first + wait.maxAge)
    }

    private func isFull(_ open: Open) -> Bool {
        open.size >= wait.maxTraceBytes || open.piece.items >= wait.maxTraceSpans
    }

    /// Takes the traces out that are complete at `now`, or that have to go because the limits are passed; those that
    /// became due first come first. `others` are bytes of memory that neither open traces nor those on their way out
    /// brought, but that count.
    mutating func takeComplete(now: Duration, others: Int = 0) -> [Complete] {
        var result: [Complete] = []
        while let next = timers.first, next.deadline <= now || isOverfull(others) {
            timers.removeFirst()
            guard isCurrent(next) else { continue }
            let open = traces[next.number]
            let due = deadline(of: open)
            if due > now && !isOverfull(others) {
                traces[next.number].timer = due
                timers.insert(TimerHeap.Entry(deadline: due, key: next.key, number: next.number))
                continue
            }
            result.append(take(next.number, due > now ? .full : reason(of: open, now: now)))
        }
        return result
    }

    /// Takes all out, for a shutdown after which nothing is kept: those nearest to their end first.
    mutating func takeAll() -> [Complete] {
        var result: [Complete] = []
        while let next = timers.first {
            timers.removeFirst()
            if isCurrent(next) { result.append(take(next.number, .shutdown)) }
        }
        return result
    }

    /// Memory for frames and heads that no open trace brought.
    func orphans(in store: PieceStore, leaving: Int) -> Int { max(0, store.sharedCost - leaving - shared) }

    private func isCurrent(_ entry: TimerHeap.Entry) -> Bool {
        numbers[entry.key] == entry.number && traces[entry.number].timer == entry.deadline
    }

    /// Whether traces have to go before they are complete.
    func isOverfull(_ others: Int) -> Bool { count > wait.maxTraces || cost + others > costLimit }

    private func reason(of open: Open, now: Duration) -> Reason {
        if isFull(open) { return .size }
        if open.piece.hasRoot && open.last + wait.afterRoot <= now { return .root }
        return open.last + wait.idle <= now ? .idle : .age
    }

    private mutating func take(_ number: Int32, _ reason: Reason) -> Complete {
        let (key, piece) = (traces[number].key, traces[number].piece)
        numbers[key] = nil
        traces.remove(number)
        let own = memory(of: piece) + TraceBuffer.traceCost
        cost -= own
        bytes -= piece.bytes
        items -= piece.items
        shared -= piece.shared
        if numbers.isEmpty { numbers = [:] }
        return Complete(
            key: key, pieces: piece.list, bytes: piece.bytes, items: piece.items, cost: own, shared: piece.shared,
            reason: reason)
    }
}

extension TraceBuffer.Open {
    fileprivate mutating func append(_ other: TraceBuffer.Piece, in store: inout PieceStore, now: Duration) {
        size += other.bytes + store.headBytes(of: other.list, after: piece.list)
        store.append(other.list, to: &piece.list)
        piece.items += other.items
        piece.bytes += other.bytes
        piece.shared += other.shared
        piece.hasRoot = piece.hasRoot || other.hasRoot
        last = now
    }
}

/// Deadlines of traces, the earliest first; equal ones in order of the ids, so that a replay gives the same order.
private struct TimerHeap {
    struct Entry {
        var deadline: Duration
        var key: TraceBuffer.Key
        var number: Int32

        func precedes(_ other: Entry) -> Bool {
            deadline != other.deadline ? deadline < other.deadline : key < other.key
        }
    }

    private var entries: [Entry] = []

    var first: Entry? { entries.first }

    mutating func insert(_ entry: Entry) {
        entries.append(entry)
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].precedes(entries[parent]) else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        guard let last = entries.popLast(), !entries.isEmpty else { return }
        entries[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in 2 * parent + 1...2 * parent + 2
            where child < entries.count && entries[child].precedes(entries[least]) { least = child }
            guard least != parent else { return }
            entries.swapAt(parent, least)
            parent = least
        }
    }
}
