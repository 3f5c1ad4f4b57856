import Telemetry

/// Tools that look at something that others do, which takes as many equal calls as that takes time.
extension TraceAnalyzer {
    private static let lookers: [StaticString] = [
        "get", "check", "poll", "describe", "list", "show", "read", "fetch", "retrieve", "view", "find", "search",
        "lookup", "query", "inspect", "monitor", "watch", "status", "state",
    ]
    private static let jobs: [StaticString] = [
        "job", "jobs", "task", "tasks", "run", "runs", "batch", "batches", "query", "status",
    ]

    /// Whether a tool's name says that it looks and does nothing: `get_job`, `clusterStatus`.
    static func looks(_ name: Text) -> Bool {
        if isAction(name) { return false }
        var looks = false
        var before = Text.empty
        for part in parts(of: name) {
            if isOneOf(part, ["and", "or", "then"]) { return false }
            if isWord(before, "check"), isOneOf(part, ["in", "out"]) { return false }
            if isOneOf(part, lookers) { looks = true } else if !looks, isAction(part) { return false }
            before = part
        }
        return looks
    }

    /// Whether a tool's name is about something that runs by itself once it was submitted.
    static func isOfJobs(_ name: Text) -> Bool { parts(of: name).contains { isOneOf($0, jobs) } }

    // MARK: Without an end

    /// Equal looks, with the same result, that hardly anything takes long enough for.
    private static let looksMax = 20

    /// Waits that are followed at the same time.
    private static let waitsMax = 32

    /// Waits that go on for so long that they are a loop all the same: looks behind a pause each, or at what says that
    /// it is under way in words that may be its last. What runs or is queued may take its time.
    mutating func endlessWaits(_ order: [Int]) -> [Repeat] {
        var found: [Repeat] = []
        var waits: [Wait] = []
        for index in order {
            let call = calls[index]
            if isChange(call) {
                found += waits.compactMap(TraceAnalyzer.endless)
                waits.removeAll()
                continue
            }
            for place in waits.indices where isPause(call, of: calls[waits[place].last]) {
                waits[place].isPaused = true
            }
            guard call.signature != 0, !call.isOpenEnded, !call.isHandoff, !isFailing(call), !mayRepeat(call),
                TraceAnalyzer.looks(call.name), !saysWaiting(call, surely: true)
            else { continue }
            if let place = waits.firstIndex(where: { isAgain(call, calls[$0.last]) }) {
                if isSameResult(call, calls[waits[place].last]) {
                    if waits[place].isPaused || saysWaiting(call) { waits[place].count += 1 }
                    waits[place].last = index
                    waits[place].isPaused = false
                    continue
                }
                if let hit = TraceAnalyzer.endless(waits.remove(at: place)) { found.append(hit) }
            } else if waits.count == Self.waitsMax, let hit = TraceAnalyzer.endless(waits.removeFirst()) {
                found.append(hit)
            }
            waits.append(Wait(last: index, first: index))
        }
        return found + waits.compactMap(TraceAnalyzer.endless)
    }

    private func isAgain(_ call: ToolCall, _ other: ToolCall) -> Bool {
        call.signature == other.signature && call.name == other.name && isSameAgent(call, other)
    }

    private struct Wait {
        var last: Int
        var first: Int
        var count = 1
        var isPaused = false
    }

    private static func endless(_ wait: Wait) -> Repeat? {
        guard wait.count >= looksMax else { return nil }
        return Repeat(rule: .repeatedCall, count: wait.count, tier: .tag, last: wait.last, first: wait.first)
    }
}
