/// Which of several exporters may be tried now: a value without effects, times since any fixed origin.
struct FallbackHealth: Sendable {
    private struct Health {
        /// When its failures began, nil while it works.
        var failingSince: Duration?
        /// Others have its data.
        var isLeft = false
        var isTold = false
        var nextTry = Duration.zero
    }

    private let switchAfter: Duration
    private let retryInterval: Duration
    private var all: [Health]
    /// When it was told last that an exporter fails.
    private var told: [Int: Duration] = [:]

    init(count: Int, switchAfter: Duration, retryInterval: Duration) {
        self.switchAfter = switchAfter
        self.retryInterval = retryInterval
        all = Array(repeating: Health(), count: count)
    }

    /// Exporters that were left and have not come back.
    var left: [Int] { all.indices.filter { all[$0].isLeft } }

    /// Whether a batch goes to the exporter at `index`. The last one always is tried: nobody stands behind it.
    mutating func mayTry(_ index: Int, now: Duration) -> Bool {
        guard index < all.count - 1, all[index].isLeft else { return true }
        guard now >= all[index].nextTry else { return false }
        // One batch finds out; the others go on to the next exporter.
        all[index].nextTry = now + retryInterval
        return true
    }

    /// A delivery failed. `goesOn` when the batch shall go on to the next exporter, `isNews` when it is the first to
    /// and that was not told just before: some fail and work by turns.
    mutating func failed(_ index: Int, now: Duration) -> (goesOn: Bool, isNews: Bool) {
        let since = all[index].failingSince ?? now
        all[index].failingSince = since
        guard index < all.count - 1, now - since >= switchAfter else { return (false, false) }
        guard !all[index].isLeft else { return (true, false) }
        all[index].isLeft = true
        all[index].nextTry = now + retryInterval
        all[index].isTold = told[index].map { now - $0 >= retryInterval } ?? true
        if all[index].isTold { told[index] = now }
        return (true, all[index].isTold)
    }

    /// How long a batch that failed at `index` and does not go on may wait, whatever that exporter asks for: until the
    /// next one may have it, or behind the last one until an earlier one is tried again.
    func longestWait(_ index: Int, now: Duration) -> Duration {
        guard index < all.count - 1 else { return retryInterval }
        return max(.zero, switchAfter - (now - (all[index].failingSince ?? now)))
    }

    /// A delivery was answered. True when that brings an exporter back of which it was told that it fails.
    mutating func succeeded(_ index: Int) -> Bool {
        defer { all[index] = Health() }
        return all[index].isTold
    }
}
