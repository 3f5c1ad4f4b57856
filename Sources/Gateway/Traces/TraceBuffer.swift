import Exporters
import OTLP
import Pipeline

/// Gathers the spans of traces until each trace is complete. A value without clock or input of its own: the stage
/// tells it what came and what time it is.
///
/// Work is constant per piece plus logarithmic in the number of open traces. Nothing depends on how spans were grouped
/// into requests: a complete trace holds its pieces in the order in which they came.
struct TraceBuffer {
    /// A part of a journal frame that is settled when its trace is.
    struct Share {
        var ticket: AcknowledgementTracker.Ticket
        var items: Int
        /// Headers kept with the frame.
        var metadata = RequestMetadata()
    }

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

    struct Complete {
        var key: Key
        /// The pieces one behind the other, which is a request again.
        var bytes: [UInt8]
        var items: Int
        var shares: [Share]
        var reason: Reason

        /// Whose trace it is; spans that came with other headers join those that came first.
        var origin: RequestOrigin {
            RequestOrigin(tenant: key.tenant, metadata: shares.first?.metadata ?? RequestMetadata())
        }
    }

    fileprivate struct Open {
        var bytes: [UInt8]
        var items: Int
        var shares: [Share]
        var hasRoot: Bool
        var first: Duration
        var last: Duration
        /// The deadline of the entry in `timers` that counts; others of this trace are stale.
        var timer: Duration?
    }

    let wait: TraceWait
    private var traces: [Key: Open] = [:]
    private var timers = TimerHeap()
    private(set) var bytes = 0
    private(set) var items = 0

    init(wait: TraceWait) { self.wait = wait }

    var count: Int { traces.count }

    /// When the next trace may be complete; nil when none is open. May be early, never late.
    var deadline: Duration? { timers.first?.deadline }

    /// Adds the spans of one trace that came together.
    mutating func add(_ trace: Key, _ piece: [UInt8], items count: Int, hasRoot: Bool, share: Share, now: Duration) {
        bytes += piece.count
        items += count
        if traces[trace] == nil {
            let open = Open(
                bytes: piece, items: count, shares: [share], hasRoot: hasRoot, first: now, last: now)
            traces[trace] = open
        } else {
            traces[trace]?.append(piece, items: count, hasRoot: hasRoot, share: share, now: now)
        }
        guard var open = traces[trace] else { return }
        let due = deadline(of: open)
        // An entry that is early is looked at again when its time comes; only a later one has to be replaced.
        if open.timer.map({ due < $0 }) ?? true {
            open.timer = due
            traces[trace]?.timer = due
            timers.insert(trace, at: due)
        }
    }

    private func deadline(of open: Open) -> Duration {
        if open.bytes.count >= wait.maxTraceBytes || open.items >= wait.maxTraceSpans { return open.first }
        let quiet = open.last + (open.hasRoot ? min(wait.afterRoot, wait.idle) : wait.idle)
        return min(quiet, open.first + wait.maxAge)
    }

    /// Takes the traces out that are complete at `now`, or that have to go because the limits are passed; those that
    /// became due first come first.
    mutating func takeComplete(now: Duration) -> [Complete] {
        var result: [Complete] = []
        while let next = timers.first, next.deadline <= now || isOverfull {
            timers.removeFirst()
            guard let open = traces[next.trace], open.timer == next.deadline else { continue }
            let due = deadline(of: open)
            if due > now && !isOverfull {
                traces[next.trace]?.timer = due
                timers.insert(next.trace, at: due)
                continue
            }
            result.append(take(next.trace, open, due > now ? .full : reason(of: open, now: now)))
        }
        return result
    }

    /// Takes all out, for a shutdown after which nothing is kept: those nearest to their end first.
    mutating func takeAll() -> [Complete] {
        var result: [Complete] = []
        while let next = timers.first {
            timers.removeFirst()
            guard let open = traces[next.trace], open.timer == next.deadline else { continue }
            result.append(take(next.trace, open, .shutdown))
        }
        return result
    }

    private var isOverfull: Bool { traces.count > wait.maxTraces || bytes > wait.maxBytes }

    private func reason(of open: Open, now: Duration) -> Reason {
        if open.bytes.count >= wait.maxTraceBytes || open.items >= wait.maxTraceSpans { return .size }
        if open.hasRoot && open.last + wait.afterRoot <= now { return .root }
        return open.last + wait.idle <= now ? .idle : .age
    }

    private mutating func take(_ trace: Key, _ open: Open, _ reason: Reason) -> Complete {
        traces[trace] = nil
        bytes -= open.bytes.count
        items -= open.items
        return Complete(key: trace, bytes: open.bytes, items: open.items, shares: open.shares, reason: reason)
    }
}

extension TraceBuffer.Open {
    fileprivate mutating func append(
        _ piece: [UInt8], items count: Int, hasRoot root: Bool, share: TraceBuffer.Share, now: Duration
    ) {
        bytes += piece
        items += count
        shares.append(share)
        hasRoot = hasRoot || root
        last = now
    }
}

/// Deadlines of traces, the earliest first; equal ones in order of the ids, so that a replay gives the same order.
private struct TimerHeap {
    struct Entry {
        var deadline: Duration
        var trace: TraceBuffer.Key

        func precedes(_ other: Entry) -> Bool {
            deadline != other.deadline ? deadline < other.deadline : trace < other.trace
        }
    }

    private var entries: [Entry] = []

    var first: Entry? { entries.first }

    mutating func insert(_ trace: TraceBuffer.Key, at deadline: Duration) {
        entries.append(Entry(deadline: deadline, trace: trace))
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
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < entries.count && entries[child].precedes(entries[least]) { least = child }
            guard least != parent else { return }
            entries.swapAt(parent, least)
            parent = least
        }
    }
}
