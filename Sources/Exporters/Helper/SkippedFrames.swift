import Pipeline

/// The frames that one exporter will read and pass over, because they came while its queue was full: runs of sequences
/// with what the backlog counts for them. The journal has them as settled, so that they do not come after a restart. A
/// value without effects.
struct SkippedFrames {
    /// Most runs; frames come one after the other, so a long outage is one run.
    static let runsMax = 4_096

    private struct Run {
        var start: UInt64
        var end: UInt64
        /// What has not come by yet.
        var amount: HeldAmount
    }

    private var runs: [Run] = []
    /// What is in the runs and has not come by yet.
    private(set) var amount = HeldAmount()
    /// Where the last frame that came by ends.
    private var passed: UInt64 = 0

    /// Whether a frame has not come by yet and there is room for it: otherwise it is delivered.
    func takes(_ frame: StoredFrame) -> Bool { frame.end.value > passed && runs.count < Self.runsMax }

    /// Marks a frame to be passed over, for which the backlog counts `held`. Call when `takes` says so.
    mutating func add(_ frame: StoredFrame, _ held: HeldAmount) {
        let (start, end) = (frame.sequence.value, frame.end.value)
        // Journals answer nearly in order, so the place is at or near the back.
        var index = runs.count
        while index > 0, runs[index - 1].start > start { index -= 1 }
        if index > 0, runs[index - 1].end == start {
            runs[index - 1].end = end
            runs[index - 1].amount += held
        } else if index < runs.count, runs[index].start == end {
            runs[index].start = start
            runs[index].amount += held
        } else {
            runs.insert(Run(start: start, end: end, amount: held), at: index)
        }
        amount += held
    }

    /// Whether a frame that was read, for which the backlog counts `amount`, is to be passed over. Frames come in
    /// order; what lies before is forgotten.
    mutating func take(_ frame: StoredFrame, _ amount: HeldAmount) -> Bool {
        passed = max(passed, frame.end.value)
        while let first = runs.first, first.end <= frame.sequence.value {
            self.amount -= first.amount
            runs.removeFirst()
        }
        guard let first = runs.first, first.start <= frame.sequence.value, frame.end.value <= first.end else {
            return false
        }
        // The last one takes what is left, should one of its run never have come by.
        let isLast = frame.end.value == first.end
        var held = isLast ? first.amount : amount
        held.bytes = min(held.bytes, first.amount.bytes)
        runs[0].amount -= held
        self.amount -= held
        return true
    }
}
