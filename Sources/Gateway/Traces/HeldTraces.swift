/// Complete traces that wait for their session to turn bad, or for their time to be over. A value without clock.
///
/// Their shares are not settled, so a journal on disk keeps them over a crash.
struct HeldTraces {
    private struct Entry {
        var trace: TraceBuffer.Complete
        var group: Group
    }

    private struct Group: Hashable {
        var session: String
        var tenant: String
    }

    let hold: Duration
    let maxBytes: Int
    private var entries: [Int: Entry] = [:]
    /// Numbers by session, those that are no longer in `entries` too, and how many are.
    private var groups: [Group: (numbers: [Int], live: Int)] = [:]
    /// In order of time; numbers that are no longer in `entries` are stale.
    private var order: [(number: Int, deadline: Duration)] = []
    private var head = 0
    private var nextNumber = 0
    /// Bytes of memory that they take.
    private(set) var cost = 0

    init(hold: Duration, maxBytes: Int) {
        self.hold = hold
        self.maxBytes = maxBytes
    }

    var count: Int { entries.count }

    /// When the next trace has waited long enough; may be early, never late.
    var deadline: Duration? { head < order.count ? order[head].deadline : nil }

    mutating func add(_ trace: TraceBuffer.Complete, session: String, now: Duration) {
        let group = Group(session: session, tenant: trace.key.tenant)
        entries[nextNumber] = Entry(trace: trace, group: group)
        groups[group, default: ([], 0)].numbers.append(nextNumber)
        groups[group]?.live += 1
        order.append((nextNumber, now + hold))
        cost += trace.cost
        nextNumber += 1
    }

    /// Takes the traces of a session out, the oldest first.
    mutating func take(session: String, tenant: String) -> [TraceBuffer.Complete] {
        guard let group = groups.removeValue(forKey: Group(session: session, tenant: tenant)) else { return [] }
        return group.numbers.compactMap { remove($0) }
    }

    /// Takes out what has waited long enough, and the oldest beyond the bound in memory.
    mutating func takeExpired(now: Duration) -> [TraceBuffer.Complete] {
        var result: [TraceBuffer.Complete] = []
        while head < order.count, order[head].deadline <= now || cost > maxBytes {
            if let trace = takeOldest() { result.append(trace) }
        }
        return result
    }

    mutating func takeAll() -> [TraceBuffer.Complete] {
        var result: [TraceBuffer.Complete] = []
        while head < order.count {
            if let trace = takeOldest() { result.append(trace) }
        }
        return result
    }

    private mutating func takeOldest() -> TraceBuffer.Complete? {
        let number = order[head].number
        head += 1
        if head > 1_024, head * 2 > order.count {
            order.removeFirst(head)
            head = 0
        }
        guard let group = entries[number]?.group else { return nil }
        groups[group]?.live -= 1
        if groups[group]?.live == 0 { groups[group] = nil }
        return remove(number)
    }

    private mutating func remove(_ number: Int) -> TraceBuffer.Complete? {
        guard let entry = entries.removeValue(forKey: number) else { return nil }
        cost -= entry.trace.cost
        return entry.trace
    }
}
