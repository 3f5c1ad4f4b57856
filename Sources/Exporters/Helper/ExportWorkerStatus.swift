import FoundationEssentials
package import Pipeline
import Synchronization

/// What one exporter holds of one pipeline, and how it fares: a line of `sluice queue`.
package struct ExportWorkerStatus: Sendable, Codable, Equatable {
    /// `type/name` of the exporter.
    package var exporter: String
    /// `signal/name` of the pipeline.
    package var pipeline: String
    /// Records neither delivered nor dropped.
    package var items: Int
    package var requests: Int
    package var bytes: Int
    /// Age of the oldest request in seconds, by the time of its newest record; nil when nothing is held.
    package var oldestSeconds: Double?
    /// Seconds until the next attempt; nil while nothing waits for one.
    package var nextRetrySeconds: Double?
    /// The last failed attempt or lost batch.
    package var lastError: String?
    package var lastErrorSecondsAgo: Double?

    package init(exporter: String, pipeline: String, backlog: HeldAmount, oldestTime: UInt64?, now: UInt64) {
        self.exporter = exporter
        self.pipeline = pipeline
        items = backlog.items
        requests = backlog.frames
        bytes = backlog.bytes
        if let oldestTime, oldestTime > 0, backlog.items > 0 {
            oldestSeconds = now > oldestTime ? Double(now - oldestTime) / 1e9 : 0
        }
    }

    /// A JSON array.
    package static func encode(_ all: [ExportWorkerStatus]) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return ((try? encoder.encode(all)).map { String(decoding: $0, as: UTF8.self) } ?? "[]") + "\n"
    }

    /// Reads what `encode` wrote, nil for anything else.
    package static func decode(_ bytes: [UInt8]) -> [ExportWorkerStatus]? {
        try? JSONDecoder().decode([ExportWorkerStatus].self, from: Data(bytes))
    }
}

extension ExportWorker {
    /// The state now. `now` is Unix time in nanoseconds.
    package func status(now: UInt64) -> ExportWorkerStatus {
        let backlog = openBacklog
        let time = setup.effects.now()
        return state.withLock { state in
            var status = ExportWorkerStatus(
                exporter: setup.exporterID, pipeline: setup.pipelineID, backlog: backlog,
                oldestTime: state.tracker.oldestTime, now: now)
            status.nextRetrySeconds = state.pauses.values.map(\.end).min().map { max(0, ($0 - time).seconds) }
            status.lastError = state.lastError?.text
            status.lastErrorSecondsAgo = state.lastError.map { (time - $0.time).seconds }
            return status
        }
    }
}

extension Duration {
    /// Seconds, with their fraction.
    fileprivate var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
