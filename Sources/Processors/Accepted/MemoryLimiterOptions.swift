package import Configuration

/// Options of the Collector's `memory_limiter`. As a step it does nothing: the limit is one of the whole process, which
/// refuses requests before it reads their bodies, and takes its limit from here.
package struct MemoryLimiterOptions: ComponentOptions {
    package var checkInterval: Duration
    package var limitMiB: Int
    package var spikeLimitMiB: Int
    package var limitPercentage: Int
    package var spikeLimitPercentage: Int

    package init(_ settings: inout Settings) {
        checkInterval = settings.duration(
            "check_interval", default: .zero, in: .zero ... .seconds(86_400),
            "Longest time between two looks at the memory of the process. Without it, or when it is longer, there is "
                + "one every 100 ms, and every 20 ms while more than half is used.")
        limitMiB = settings.int(
            "limit_mib", default: 0, in: 0...(1 << 30), unit: "MiB",
            "Limit of the memory that the process has resident; 0 leaves it to the percentage.")
        spikeLimitMiB = settings.int(
            "spike_limit_mib", default: 0, in: 0...(1 << 30), unit: "MiB",
            "Part of the limit kept free for bursts: requests are refused beyond the rest. 0 is a fifth of the limit.")
        limitPercentage = settings.int(
            "limit_percentage", default: 0, in: 0...100, unit: "%", "The limit as a share of the memory there is.")
        spikeLimitPercentage = settings.int(
            "spike_limit_percentage", default: 0, in: 0...100, unit: "%",
            "Share kept free for bursts; 0 is a fifth of the limit.")
        for key in [
            "min_gc_interval_when_soft_limited", "min_gc_interval_when_hard_limited",
            "max_gc_interval_when_soft_limited", "max_gc_interval_when_hard_limited", "ballast_size_mib",
        ] { settings.accepted(key, "there is no garbage collector to run") }
        guard !settings.isDescribing else { return }
        if limitMiB == 0, limitPercentage == 0 {
            settings.problem("needs a limit: set limit_mib or limit_percentage", at: "limit_mib")
        }
        if limitMiB > 0, spikeLimitMiB >= limitMiB {
            settings.problem("must be below limit_mib", at: "spike_limit_mib")
        }
        if limitPercentage > 0, spikeLimitPercentage >= limitPercentage {
            settings.problem("must be below limit_percentage", at: "spike_limit_percentage")
        }
    }

    /// Bytes that may be in use before requests are refused: the hard limit less the spike limit. `limit_mib` wins over
    /// the percentage, as in the Collector.
    /// - Parameter total: bytes of memory that the machine or its control group has.
    package func softLimit(ofTotal total: Int) -> Int {
        if limitMiB > 0 {
            let spike = spikeLimitMiB > 0 ? spikeLimitMiB << 20 : (limitMiB << 20) / 5
            return (limitMiB << 20) - spike
        }
        let hard = total / 100 * limitPercentage
        let spike = spikeLimitPercentage > 0 ? total / 100 * spikeLimitPercentage : hard / 5
        return max(0, hard - spike)
    }
}
