#if canImport(Glibc)
    import Glibc
#endif

/// What was usual: running mean and deviation of the logarithm of a measure. Constant size.
struct Baseline: Sendable, Equatable {
    var count = 0
    var mean = 0.0
    var spread = 0.0

    /// Values that do not even come to this multiple of the usual are never unusual.
    private static let ratioMin = 1.5

    /// How far a value lies above the usual, or nil; then the value is added. Values that are unusual are added too:
    /// what stays is usual after a while.
    mutating func judge(_ value: Double, minimum: Int, deviations: Double) -> Excess? {
        guard value.isFinite, value >= 0 else { return nil }
        let logarithm = log1p(value)
        defer { add(logarithm) }
        guard count >= minimum else { return nil }
        let deviation = max((spread / Double(max(1, count - 1))).squareRoot(), 0.05)
        let distance = (logarithm - mean) / deviation
        let usual = expm1(mean)
        guard distance > deviations, value > usual * Baseline.ratioMin else { return nil }
        return Excess(usual: usual, deviations: distance)
    }

    private mutating func add(_ value: Double) {
        // Beyond this the oldest weigh less, so that a slow change becomes the usual.
        count = min(count + 1, 10_000)
        let delta = value - mean
        mean += delta / Double(count)
        spread += delta * (value - mean)
        if count == 10_000 { spread *= 0.9999 }
    }
}

/// How a value differs from the usual.
struct Excess: Sendable, Equatable {
    var usual: Double
    var deviations: Double
}

/// The share of empty results of a tool, lately and before. Constant size.
struct DriftBaseline: Sendable, Equatable {
    /// The last 32 outcomes, the newest lowest.
    var recent: UInt32 = 0
    var recentCount = 0
    var before = 0
    var beforeEmpty = 0

    /// Shares that differ by less are never a drift.
    private static let differenceMin = 0.2

    /// Adds an outcome and says whether the tool is now empty more often than it was.
    mutating func judge(isEmpty: Bool, minimum: Int, deviations: Double) -> Excess? {
        if recentCount == 32 {
            before += 1
            if recent & 0x8000_0000 != 0 { beforeEmpty += 1 }
        }
        recent = recent << 1 | (isEmpty ? 1 : 0)
        recentCount = min(recentCount + 1, 32)
        // A drift is told with the result that makes it, not with those that follow.
        guard isEmpty, recentCount == 32, before >= minimum else { return nil }
        let usual = Double(beforeEmpty) / Double(before)
        let lately = Double(recent.nonzeroBitCount) / 32
        let all = (Double(beforeEmpty) + Double(recent.nonzeroBitCount)) / Double(before + 32)
        let error = (all * (1 - all) * (1 / Double(before) + 1.0 / 32)).squareRoot()
        guard lately - usual > DriftBaseline.differenceMin, error > 0, (lately - usual) / error > deviations else {
            return nil
        }
        return Excess(usual: usual, deviations: (lately - usual) / error)
    }
}
