import Pipeline

/// The frames that one exporter passes over because they came while its queue was full: runs of sequences with what
/// they hold. In memory only, so after a restart they are delivered after all. A value without effects.
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

    /// Marks a frame to be passed over. False when it came by already, or there are too many runs: then it is
    /// delivered.
    mutating func add(_ frame: StoredFrame) -> Bool {
        let (start, end) = (frame.sequence.value, frame.end.value)
        guard end > passed else { return false }
        let held = HeldAmount(frame.frame)
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
            guard runs.count < Self.runsMax else { return false }
            runs.insert(Run(start: start, end: end, amount: held), at: index)
        }
        amount += held
        return true
    }

    /// Whether a frame that was read is to be passed over. Frames come in order; what lies before is forgotten.
    mutating func take(_ frame: StoredFrame) -> Bool {
        passed = max(passed, frame.end.value)
        while let first = runs.first, first.end <= frame.sequence.value {
            amount -= first.amount
            runs.removeFirst()
        }
        guard let first = runs.first, first.start <= frame.sequence.value, frame.end.value <= first.end else {
            return false
        }
        let held = HeldAmount(frame.frame)
        runs[0].amount -= held
        amount -= held
        return true
    }
}
