/// Decides which appends are answered later because readers are behind.
///
/// A reader that moves is given time: answers to new frames wait until it has read enough, so that senders slow down
/// and memory stays small instead of filling up to the cap and refusing. A reader that does not move gets none: one
/// dead destination must not slow the senders. A value without effects; times are monotonic nanoseconds.
struct AppendPacing: Sendable {
    typealias Answer = @Sendable () -> Void

    /// A reader that took nothing for this long does not move.
    static let stallTime: UInt64 = 250_000_000
    private struct Waiting: Sendable {
        var since: UInt64
        var bytes: Int
        var answer: Answer
    }

    /// Unread bytes above which answers wait.
    let limit: Int
    /// No answer waits longer, in nanoseconds.
    let longestWait: UInt64
    /// Nil once answered: an answer holds its frame, which must not wait until the list is compacted.
    private var waiting: [Waiting?] = []
    private var first = 0

    init(limit: Int, longestWait: UInt64 = 1_000_000_000) {
        self.limit = limit
        self.longestWait = longestWait
    }

    var isEmpty: Bool { first == waiting.count }

    /// When the oldest answer has waited long enough; nil when none waits.
    var deadline: UInt64? { isEmpty ? nil : waiting[first].map { $0.since &+ longestWait } }

    /// Whether the answer to a frame that was just stored has to wait. `unread` is what the reader that is most behind
    /// of those that move has not read, with the frame; nil when none moves.
    func mustWait(unread: Int?) -> Bool { unread.map { $0 > limit } ?? false }

    mutating func wait(_ bytes: Int, since: UInt64, _ answer: @escaping Answer) {
        waiting.append(Waiting(since: since, bytes: bytes, answer: answer))
    }

    /// Takes the answers that wait no longer, oldest first: as many as there is room for below the limit, those that
    /// waited longest whatever is unread, and all when no reader moves.
    mutating func takeDue(unread: Int?, now: UInt64) -> [Answer] {
        guard !isEmpty else { return [] }
        var room = unread.map { limit - $0 } ?? .max
        var due: [Answer] = []
        while first < waiting.count, let next = waiting[first] {
            guard room > 0 || now &- next.since >= longestWait else { break }
            if unread != nil { room -= next.bytes }
            due.append(next.answer)
            waiting[first] = nil
            first += 1
        }
        compact()
        return due
    }

    /// Takes all answers, as when the journal closes.
    mutating func takeAll() -> [Answer] {
        defer {
            first = waiting.count
            compact()
        }
        return waiting[first...].compactMap { $0?.answer }
    }

    private mutating func compact() {
        if first == waiting.count {
            waiting.removeAll(keepingCapacity: true)
            first = 0
        } else if first > 256, first * 2 > waiting.count {
            waiting.removeSubrange(..<first)
            first = 0
        }
    }
}
