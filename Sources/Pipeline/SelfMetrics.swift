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
    }

    private let storage = Mutex<[Series]>([])

    package init() {}

    /// A new counter. Register each name and label set once, while building.
    package func counter(_ name: String, _ help: String, _ labels: [(name: String, value: String)] = []) -> Counter {
        storage.withLock { all in
            let counter = Counter()
            all.append(
                Series(name: name, help: help, kind: .counter, labels: labels, read: { Double(counter.value) }))
            return counter
        }
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
