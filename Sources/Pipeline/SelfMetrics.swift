import Synchronization

/// A monotonic count of the gateway's own telemetry. Adding is one relaxed atomic operation.
package final class Counter: Sendable {
    private let storage = Atomic<UInt64>(0)

    package init() {}

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
        package enum Kind: Sendable { case counter, gauge }

        package var name: String
        package var help: String
        package var kind: Kind
        package var labels: [(name: String, value: String)]
        package var read: @Sendable () -> Double
        /// Of a counter, where it counts.
        fileprivate var counter: Counter?

        /// What tells it from all others.
        fileprivate var key: [String] { [name] + labels.flatMap { [$0.name, $0.value] } }
    }

    private let storage = Mutex<[Series]>([])
    /// Counters that go on when they are registered again.
    private let earlier: [[String]: Counter]

    /// With `earlier` a counter that is registered here and was there goes on from its count: a configuration takes the
    /// place of another one and the process stays.
    package init(continuing earlier: SelfMetrics? = nil) {
        let counters = earlier?.series.compactMap { series in series.counter.map { (series.key, $0) } } ?? []
        self.earlier = Dictionary(counters, uniquingKeysWith: { first, _ in first })
    }

    /// A counter, new unless it goes on. Register each name and label set once, while building.
    package func counter(_ name: String, _ help: String, _ labels: [(name: String, value: String)] = []) -> Counter {
        var series = Series(name: name, help: help, kind: .counter, labels: labels, read: { 0 })
        let counter = earlier[series.key] ?? Counter()
        series.counter = counter
        series.read = { Double(counter.value) }
        storage.withLock { [series] in $0.append(series) }
        return counter
    }

    /// Registers a value that is read when somebody looks.
    package func gauge(
        _ name: String, _ help: String, _ labels: [(name: String, value: String)] = [],
        read: @escaping @Sendable () -> Double
    ) {
        storage.withLock { $0.append(Series(name: name, help: help, kind: .gauge, labels: labels, read: read)) }
    }

    /// All series in order of registration.
    package var series: [Series] { storage.withLock { $0 } }
}
