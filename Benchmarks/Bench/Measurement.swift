import CAllocationCount
import Glibc

/// Figures of one stage on one payload.
struct Measurement {
    var payload: String
    var stage: String
    /// Median over the rounds.
    var nanosecondsPerSpan: Double
    var allocationsPerRequest: Double
    /// Bytes of the request's own encoding per second.
    var megabytesPerSecond: Double
    var isPeer: Bool

    /// Name in the file of thresholds.
    var name: String { "\(payload)/\(stage)" }
}

struct Measuring {
    var rounds = 7
    var secondsPerRound = 0.02
    /// Runs per round, however long they take and without any to warm up, for counting instructions; nil goes by time.
    var runs: Int?
    /// Parts of names; empty measures everything.
    var only: [String] = []

    /// All stages on all payloads. Rounds go over all of them in turn, so that a busy moment hurts none alone.
    func run(_ payloads: [Payload], _ work: Work) -> [Measurement] {
        let cases = payloads.flatMap { payload in Work.stages.map { (payload, $0) } }.filter { payload, stage in
            guard !payload.isTrace || stage.looksAtTraces else { return false }
            return only.isEmpty || only.contains { "\(payload.name)/\(stage.name)".contains($0) }
        }
        var times = [[Double]](repeating: [], count: cases.count)
        var allocations = [Double](repeating: 0, count: cases.count)
        for _ in 0..<rounds {
            for (index, (payload, stage)) in cases.enumerated() {
                let round = measure(stage.isJSON ? payload.json : payload.protobuf, stage, work)
                times[index].append(round.nanoseconds)
                allocations[index] = round.allocations
            }
        }
        return cases.enumerated().map { index, pair in
            let (payload, stage) = pair
            let median = times[index].sorted()[rounds / 2]
            let size = Double((stage.isJSON ? payload.json : payload.protobuf).count)
            return Measurement(
                payload: payload.name, stage: stage.name, nanosecondsPerSpan: median / Double(payload.spans),
                allocationsPerRequest: allocations[index], megabytesPerSecond: size * 1_000 / median,
                isPeer: stage.isPeer)
        }
    }

    private func measure(
        _ bytes: [UInt8], _ stage: Work.Stage, _ work: Work
    ) -> (nanoseconds: Double, allocations: Double) {
        bytes.withUnsafeBytes { bytes in
            let count = runs ?? runsPerRound(bytes, stage, work)
            let blocks = sluice_allocation_count()
            let start = cpuTime()
            for _ in 0..<count { stage.run(work, bytes) }
            let spent = Double(cpuTime() - start)
            let made = Double(sluice_allocation_count() - blocks)
            return (spent / Double(count), made / Double(count))
        }
    }

    /// How many runs take about `secondsPerRound`, after some that warm up.
    private func runsPerRound(_ bytes: UnsafeRawBufferPointer, _ stage: Work.Stage, _ work: Work) -> Int {
        for _ in 0..<3 { stage.run(work, bytes) }
        let probe = cpuTime()
        stage.run(work, bytes)
        let one = max(cpuTime() - probe, 200)
        return max(1, min(200_000, Int(secondsPerRound * 1e9 / Double(one))))
    }

    /// Nanoseconds of this thread.
    private func cpuTime() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}
