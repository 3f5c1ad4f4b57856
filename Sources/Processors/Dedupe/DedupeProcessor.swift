package import Configuration
package import Pipeline
import Synchronization
package import Telemetry

/// Options of the `dedupe` processor.
package struct DedupeOptions: ComponentOptions {
    package var window: Int

    package init(_ settings: inout Settings) {
        window = settings.int(
            "window", default: 1_000_000, in: 1_000...100_000_000, unit: "spans",
            "How many of the last spans are remembered; about 60 bytes each.")
    }
}

/// Drops spans that came before: the same trace id and span id within the window.
///
/// Only what was stored is remembered, so a sender that was refused and tries again loses nothing. Two copies that are
/// under way at the same time both pass.
package struct DedupeProcessor: Processor {
    private let window: SpanWindow
    private let dropped: Counter

    /// Registers the counter.
    package init(options: DedupeOptions, build: inout ProcessorBuild) {
        window = SpanWindow(capacity: options.window)
        dropped = build.metrics.counter(
            "sluice_dedupe_dropped_spans_total", "Spans that had come before.", build.labels)
    }

    package func process(
        _ batch: inout RecordBatch, _ context: inout ProcessContext
    )
        throws(ProcessFailure)
    {
        guard batch.signal == .traces else { return }
        var fresh: [SpanKey] = []
        fresh.reserveCapacity(batch.liveCount)
        let lost = window.remove(&batch, &fresh)
        if lost > 0 { context.dropped(lost, dropped) }
        if fresh.isEmpty { return }
        context.whenStored { [window, fresh] in window.remember(fresh) }
    }
}

/// The 24 bytes that name a span.
struct SpanKey: Hashable, Sendable {
    let high, low, span: UInt64

    init(_ traceID: Text, _ spanID: Text) {
        high = traceID.start.loadUnaligned(as: UInt64.self)
        low = traceID.start.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        span = spanID.start.loadUnaligned(as: UInt64.self)
    }
}

/// Keys of the last spans in two generations: when the younger is full, the older is forgotten.
final class SpanWindow: Sendable {
    private struct State {
        var young: Set<SpanKey> = []
        var old: Set<SpanKey> = []
    }

    private let state = Mutex(State())
    private let half: Int

    init(capacity: Int) { half = max(capacity / 2, 1) }

    /// Takes known spans and repetitions inside the batch out; returns how many. `fresh` gets the keys of the others.
    func remove(_ batch: inout RecordBatch, _ fresh: inout [SpanKey]) -> Int {
        var lost: [Int] = []
        state.withLock { state in
            var here: Set<SpanKey> = []
            for index in batch.spans.indices where !batch.isRemoved(span: index) {
                let traceID = batch.text(batch.spans[index].traceID)
                let spanID = batch.text(batch.spans[index].spanID)
                guard traceID.count == 16, spanID.count == 8 else { continue }
                let key = SpanKey(traceID, spanID)
                if state.young.contains(key) || state.old.contains(key) || !here.insert(key).inserted {
                    lost.append(index)
                } else {
                    fresh.append(key)
                }
            }
        }
        for index in lost { batch.removeSpan(index) }
        return lost.count
    }

    func remember(_ keys: [SpanKey]) {
        state.withLock { state in
            for key in keys {
                if state.young.count >= half {
                    state.old = state.young
                    state.young = []
                }
                state.young.insert(key)
            }
        }
    }
}
