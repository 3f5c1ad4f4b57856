import Foundation

/// Processor time of the calling thread, so that what other programs take does not count.
package enum ProcessorTime {
    /// Seconds that `work` takes.
    package static func measure(_ work: () throws -> Void) rethrows -> Double {
        let start = now()
        try work()
        return now() - start
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
