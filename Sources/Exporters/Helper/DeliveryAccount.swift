package import Pipeline
import Synchronization
package import Telemetry

/// The counters of one exporter in one pipeline, under the Collector's names, so that
/// received = delivered + filtered + dropped(reason) + held can be checked from outside.
package final class DeliveryAccount: Sendable {
    /// Most different reasons that get a series of their own; further ones are counted as `other`.
    package static let reasonsMax = 32

    private let metrics: SelfMetrics
    private let labels: [(name: String, value: String)]
    private let sent: [Counter]
    private let failed: [Counter]
    private let takenOut: [Counter]
    private let truncated: Counter
    private let drops = Mutex<[String: Counter]>([:])

    /// `labels` name the exporter and the pipeline.
    package init(metrics: SelfMetrics, labels: [(name: String, value: String)]) {
        self.metrics = metrics
        self.labels = labels
        sent = Signal.allCases.map {
            metrics.counter(
                "otelcol_exporter_sent_\($0.itemName)", "Records that the destination took.", labels)
        }
        failed = Signal.allCases.map {
            metrics.counter(
                "otelcol_exporter_send_failed_\($0.itemName)", "Records that could not be delivered for good.", labels)
        }
        takenOut = Signal.allCases.map {
            metrics.counter(
                "sluice_exporter_filtered_\($0.itemName)",
                "Records that processors of the exporter's own chain took out.", labels)
        }
        truncated = metrics.counter(
            "sluice_exporter_truncated_items_total",
            "Delivered records whose longest strings were cut because the destination did not take them whole.", labels)
    }

    package func delivered(_ items: Int, _ signal: Signal) { sent[Self.index(signal)].add(items) }

    /// Counts records that the exporter's own processors took out of what is delivered or lost.
    package func filtered(_ items: Int, _ signal: Signal) { takenOut[Self.index(signal)].add(items) }

    /// Counts delivered records that had to be cut for their size.
    package func cut(_ items: Int) { truncated.add(items) }

    /// Counts records that the destination or the retry limit cost, under the reason's own series.
    package func lost(_ items: Int, _ signal: Signal, reason: String) {
        failed[Self.index(signal)].add(items)
        dropped(items, reason: reason)
    }

    /// Counts records that left undelivered without an attempt: overflow, recovery, shutdown.
    package func dropped(_ items: Int, reason: String) {
        guard items > 0 else { return }
        let counter = drops.withLock { known in
            let name = known[reason] != nil || known.count < Self.reasonsMax ? reason : "other"
            if let counter = known[name] { return counter }
            let counter = Self.droppedCounter(metrics, labels, reason: name)
            known[name] = counter
            return counter
        }
        counter.add(items)
    }

    /// The series of records that left undelivered with these labels and for this reason.
    package static func droppedCounter(
        _ metrics: SelfMetrics, _ labels: [(name: String, value: String)], reason: String
    ) -> Counter {
        metrics.counter(
            "sluice_exporter_dropped_items_total", "Records that left the gateway undelivered, by reason.",
            labels + [("reason", reason)])
    }

    /// Delivered records of all signals.
    package var deliveredItems: UInt64 { sent.reduce(0) { $0 + $1.value } }

    /// Dropped records of all reasons.
    package var droppedItems: UInt64 { drops.withLock { $0.values.reduce(0) { $0 + $1.value } } }

    /// Dropped records of one reason.
    package func droppedItems(reason: String) -> UInt64 { drops.withLock { $0[reason]?.value ?? 0 } }

    private static func index(_ signal: Signal) -> Int { Int(signal.rawValue) - 1 }
}
