import OTLP
import Pipeline
import Synchronization
import Telemetry

/// What the connectors that compute metrics share: the series counted so far, and when they were last sent.
///
/// A batch counts when its points are stored. Until then the sum is only a draft, so a batch that comes again after a
/// failure is not counted twice. Batches of several pipelines come one after the other.
final class MetricsGatherer: Sendable {
    private struct State {
        var committed: [MetricFamily]
        var draft: [MetricFamily]?
        var start: UInt64
        var end: UInt64
    }

    private let state: Mutex<State>
    private let temporality: MetricsWriter.Temporality
    private let outputs: Int
    /// Nil keeps series for ever.
    private let expiration: UInt64?
    private let scope: String
    private let now: @Sendable () -> UInt64
    private let overflowed: Counter
    private let empty: [MetricFamily]

    init(_ families: [MetricFamily], options: MetricsOutputOptions, build: ConnectorBuild, scope: String) {
        empty = families
        temporality = options.temporality == .delta ? .delta : .cumulative
        outputs = build.outputs.count
        expiration = options.expiration.map { UInt64(clamping: $0.nanoseconds) }
        self.scope = scope
        now = build.now
        overflowed = build.metrics.counter(
            "sluice_connector_overflowed_values_total",
            "Values that counted under otel.metric.overflow because a metric had too many series.", build.labels)
        let start = build.now()
        state = Mutex(State(committed: families, draft: nil, start: start, end: start))
    }

    /// Counts a batch through `body`, which gets the families in the order of `init`, and says what to send.
    func gather(_ body: (inout [MetricFamily]) -> Void) -> [ConnectorDelivery] {
        var families = empty
        body(&families)
        let time = now()
        let request: (bytes: [UInt8], points: Int) = state.withLock { state in
            if temporality == .cumulative {
                var sums = state.committed
                for index in sums.indices { sums[index].table.merge(families[index].table, at: time) }
                families = sums
            }
            state.draft = families
            state.end = max(time, state.end + 1)
            let start = state.start
            return families.request(
                scope: scope, temporality: temporality, window: MetricsWriter.Window(start: start, end: state.end))
        }
        guard request.points > 0 else { return [] }
        return (0..<outputs).map { ConnectorDelivery(output: $0, itemCount: request.points, bytes: request.bytes) }
    }

    func stored() {
        state.withLock { state in
            guard let draft = state.draft else { return }
            let lost = draft.reduce(0) { $0 + $1.table.overflowed }
            let before = state.committed.reduce(0) { $0 + $1.table.overflowed }
            overflowed.add(temporality == .cumulative ? lost - before : lost)
            state.draft = nil
            guard temporality == .cumulative else {
                state.start = state.end
                return
            }
            state.committed = draft
            let end = state.end
            let limit = expiration.map { end > $0 ? end - $0 : 0 }
            for index in state.committed.indices { state.committed[index].table.settle(expiredBefore: limit) }
        }
    }
}

extension Duration {
    fileprivate var nanoseconds: Int64 { components.seconds &* 1_000_000_000 &+ components.attoseconds / 1_000_000_000 }
}
