package import Configuration

/// Options of the Collector's `memory_limiter`. As a step it does nothing: the gateway counts bytes before it reads a
/// body, and takes its budget from here.
package struct MemoryLimiterOptions: ComponentOptions {
    package var limitMiB: Int
    package var spikeLimitMiB: Int
    package var limitPercentage: Int
    package var spikeLimitPercentage: Int

    package init(_ settings: inout Settings) {
        _ = settings.duration(
            "check_interval", default: .zero, in: .zero ... .seconds(86_400),
            "Interval of the Collector's checks; here every request is checked.")
        limitMiB = settings.int(
            "limit_mib", default: 0, in: 0...(1 << 30), unit: "MiB",
            "Hard limit of memory; 0 leaves it to the percentage.")
        spikeLimitMiB = settings.int(
            "spike_limit_mib", default: 0, in: 0...(1 << 30), unit: "MiB",
            "Part of the limit kept free for bursts; 0 is a fifth of the limit.")
        limitPercentage = settings.int(
            "limit_percentage", default: 0, in: 0...100, unit: "%", "Hard limit as a share of the memory there is.")
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
