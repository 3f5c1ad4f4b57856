import Synchronization

/// A monotonic count of the gateway's own telemetry. Adding is one relaxed atomic operation.
package final class Counter: Sendable {
    private let storage = Atomic<UInt64>(0)

    package init() {}

    /// Adds; a negative amount counts as 0.
    package func add(_ amount: Int = 1) {
        storage.wrappingAdd(UInt64(clamping: amount), ordering: .relaxed)
    }

    package var value: UInt64 { storage.load(ordering: .relaxed) }
}

/// The gateway's own metrics: counters and gauges under the Collector's names, read by the Prometheus endpoint.
///
/// Series are registered while the gateway is built, so their number is bounded by the configuration.
package final class SelfMetrics: Sendable {
    /// One time series: a metric name, its labels, and where its value comes from.
    package struct Series: Sendable {
        /// The metric types of the Prometheus text format that are used.
        package enum Kind: Sendable { case counter, gauge }

        package var name: String
        package var help: String
        package var kind: Kind
        package var labels: [(name: String, value: String)]
        package var read: @Sendable () -> Double
    }

    /// Counters by name and labels, in order of registration.
    private struct Counters: Sendable {
        var series: [Series] = []
        var known: [[String]: Counter] = [:]
    }

    /// The counters of all configurations that follow each other in one process.
    private final class CounterBook: Sendable {
        let counters = Mutex(Counters())
    }

    private let book: CounterBook
    private let gauges = Mutex<[Series]>([])

    /// With `earlier` all of its counters go on here, for a configuration that takes the place of another one.
    package init(continuing earlier: SelfMetrics? = nil) { book = earlier?.book ?? CounterBook() }

    /// The counter of this name with these labels.
    package func counter(_ name: String, _ help: String, _ labels: [(name: String, value: String)] = []) -> Counter {
        let key = [name] + labels.flatMap { [$0.name, $0.value] }
        return book.counters.withLock { all in
            if let known = all.known[key] { return known }
            let counter = Counter()
            all.known[key] = counter
            all.series.append(
                Series(name: name, help: help, kind: .counter, labels: labels, read: { Double(counter.value) }))
            return counter
        }
    }

    /// Registers a value that is read when somebody looks.
    package func gauge(
        _ name: String, _ help: String, _ labels: [(name: String, value: String)] = [],
        read: @escaping @Sendable () -> Double
    ) {
        gauges.withLock { $0.append(Series(name: name, help: help, kind: .gauge, labels: labels, read: read)) }
    }

    /// All series: counters, then gauges, each in order of registration.
    package var series: [Series] { book.counters.withLock { $0.series } + gauges.withLock { $0 } }
}
