import GenAI
package import Pipeline
import Synchronization
package import Telemetry

/// Rewrites every GenAI dialect on spans into the current OpenTelemetry GenAI conventions.
///
/// Never drops a span and never refuses a request: what a rule cannot read stays as it was and is counted. Logs and
/// metrics pass untouched.
package struct NormalizeProcessor: Processor {
    private let pool: NormalizerPool?
    private let changed: Counter
    private let unreadable: Counter

    /// Interns the names of all dialects and registers the counters.
    package init(options: NormalizeOptions, build: inout ProcessorBuild) {
        changed = build.metrics.counter(
            "sluice_gen_ai_normalized_spans_total", "Spans that the GenAI normalizer changed.", build.labels)
        unreadable = build.metrics.counter(
            "sluice_gen_ai_unreadable_values_total",
            "GenAI values that were cut, too large or too deep to read and so stayed as they were.", build.labels)
        switch Tables.shared {
        case .success(let tables):
            tables.intern(&build.keys)
            for (from, to) in options.engine.customMappings {
                _ = build.keys.intern(from)
                _ = build.keys.intern(to)
            }
            pool = NormalizerPool(tables, options.engine)
        case .failure: pool = nil
        }
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        guard batch.signal == .traces, batch.spans.count > 0, let pool else { return }
        let scratch = pool.take()
        scratch.normalizer.normalize(&batch, binding: pool.binding(for: batch.keys))
        changed.add(scratch.normalizer.changedSpans)
        unreadable.add(scratch.normalizer.unreadable)
        pool.give(scratch)
    }
}

/// Working memory of one run.
// Unchecked because the pool hands it to one run at a time and nobody else holds it.
final class NormalizerScratch: @unchecked Sendable {
    var normalizer: Normalizer

    init(_ tables: Tables, _ options: NormalizerOptions) { normalizer = Normalizer(tables, options) }
}

/// Idle working memories, and the binding to the key table in use.
final class NormalizerPool: Sendable {
    private struct State {
        var idle: [NormalizerScratch] = []
        var binding: KeyBinding?
    }

    private let tables: Tables
    private let options: NormalizerOptions
    private let state = Mutex(State())

    /// Most memories kept idle.
    private static let limit = 16

    init(_ tables: Tables, _ options: NormalizerOptions) {
        self.tables = tables
        self.options = options
    }

    func take() -> NormalizerScratch {
        state.withLock { $0.idle.popLast() } ?? NormalizerScratch(tables, options)
    }

    func give(_ scratch: NormalizerScratch) {
        state.withLock { state in
            if state.idle.count < NormalizerPool.limit { state.idle.append(scratch) }
        }
    }

    /// The binding for this key table, made when the table is a new one.
    func binding(for keys: KeyTable) -> KeyBinding {
        if let known = state.withLock({ $0.binding?.isFor(keys) == true ? $0.binding : nil }) { return known }
        let made = KeyBinding(keys, tables)
        state.withLock { $0.binding = made }
        return made
    }
}
