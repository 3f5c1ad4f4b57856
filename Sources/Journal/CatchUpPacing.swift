/// Slows the reading of a backlog while appends come in, so that these keep their disk and their processor: who catches
/// up gets what comes in meanwhile, and a fixed rate beyond that. A value without effects; times are monotonic
/// nanoseconds.
struct CatchUpPacing: Sendable {
    /// Without an append for this long nobody has to be spared.
    static let quietTime: UInt64 = 100_000_000
    /// What was not read is made up for by at most as much as takes this long.
    static let burstTime: UInt64 = 4_000_000
    /// Most that is read at once while others are to be spared: an eighth of a millisecond of a processor, of a slow
    /// disk less than one, which the writes that senders wait for stand behind.
    static let shortRead = 256 << 10

    /// Most of what was appended that a cursor may read later: appends from before it fell behind do not count.
    private static let creditMax = 16 << 20
    /// No read is larger; the times of larger ones would have no room in 64 bits.
    private static let readMax = 8 << 30

    private let bytesPerSecond: Int
    /// When all that was read is paid for.
    private var paidAt: UInt64 = 0
    private var appended = 0
    private var lastAppend: UInt64?
    /// Of each cursor: bytes appended in all when it was served last, and those of them that it may still read for
    /// nothing.
    private var served: [String: (appended: Int, credit: Int)] = [:]
    /// Until when nothing more may be read; nil when it may.
    private(set) var pause: UInt64?
    /// True when the last read came in time for the rate, while others are to be spared.
    private(set) var isAtPace = false

    /// 0 never slows.
    init(bytesPerSecond: Int) { self.bytesPerSecond = bytesPerSecond }

    /// True when reading may go on.
    mutating func isOver(at now: UInt64) -> Bool {
        if let end = pause, now < end { return false }
        pause = nil
        return true
    }

    /// Most bytes to read at once.
    func most(at now: UInt64) -> Int { isSparing(at: now) ? Self.shortRead : .max }

    /// True while appends come in that a read could delay.
    private func isSparing(at now: UInt64) -> Bool {
        guard bytesPerSecond > 0, let lastAppend else { return false }
        return now &- lastAppend < Self.quietTime
    }

    /// A cursor has read so many bytes; `appended` counts those appended since the journal was opened.
    mutating func didRead(_ bytes: Int, for cursor: String, appended total: Int, at now: UInt64) {
        if total != appended {
            appended = total
            lastAppend = now
        }
        let before = served[cursor] ?? (total, 0)
        let credit = min(before.credit + max(0, total - before.appended), Self.creditMax)
        let free = min(bytes, credit)
        served[cursor] = (total, credit - free)
        guard isSparing(at: now) else {
            paidAt = now
            isAtPace = false
            return
        }
        let cost = UInt64(min(bytes - free, Self.readMax)) * 1_000_000_000 / UInt64(bytesPerSecond)
        let earliest = now > Self.burstTime ? now - Self.burstTime : 0
        isAtPace = paidAt >= earliest
        paidAt = max(paidAt, earliest) + cost
        if paidAt > now { pause = paidAt }
    }

    /// Forgets cursors that are no longer there.
    mutating func retain(where isKept: (String) -> Bool) { served = served.filter { isKept($0.key) } }
}
