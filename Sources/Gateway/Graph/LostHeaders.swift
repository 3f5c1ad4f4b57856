import Exporters
import Pipeline
import Synchronization

/// Tells which headers that exporters ask for do not stay with requests, since they are too long or too many.
final class LostHeaders: Sendable {
    private let pipeline: String
    private let log: @Sendable (LogLevel, String) -> Void
    private let now: @Sendable () -> Double
    private let limiter = Mutex(LogLimiter(interval: .seconds(60)))

    init(
        pipeline: String, now: @escaping @Sendable () -> Double = { SystemFacts.monotonicSeconds },
        log: @escaping @Sendable (LogLevel, String) -> Void
    ) {
        self.pipeline = pipeline
        self.now = now
        self.log = log
    }

    /// Compares what a request has of the headers with these names with what of it was kept.
    func note(_ names: [String], of all: RequestMetadata, kept: RequestMetadata) {
        func count(_ name: String, _ metadata: RequestMetadata) -> Int {
            metadata.fields.count { $0.name == name }
        }
        guard let lost = names.first(where: { count($0, all) > count($0, kept) }) else { return }
        let time = Duration.seconds(now())
        guard let more = limiter.withLock({ $0.allow(at: time) }) else { return }
        log(
            .warn,
            "pipeline \(pipeline): the header \(lost) of a request counts as absent: what exporters ask for is kept up "
                + "to \(RequestMetadata.keptBytesMax) bytes of a request"
                + (more > 0 ? " (\(more) more such requests)" : ""))
    }
}
