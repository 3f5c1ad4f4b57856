import GenAI
package import Pipeline
import Synchronization
package import Telemetry

/// Rewrites every GenAI dialect on spans into the current OpenTelemetry GenAI conventions.
///
/// Never drops a record and never refuses a request: what a rule cannot read stays as it was and is counted. Log
/// records with GenAI events are rewritten too, and of metrics the attributes of their data points.
package struct NormalizeProcessor: Processor {
    private let pool: NormalizerPool
    private let outcomes: RuleCounters
    private let quality: QualityReport?
    private let extraPasses: Counter
    private let changed: Counter
    private let unreadable: Counter

    /// Interns the names of all dialects and registers the counters.
    package init(options: NormalizeOptions, build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        changed = build.metrics.counter(
            "sluice_gen_ai_normalized_spans_total", "Spans that the GenAI normalizer changed.", build.labels)
        unreadable = build.metrics.counter(
            "sluice_gen_ai_unreadable_values_total",
            "GenAI values that were cut, too large or too deep to read and so stayed as they were.", build.labels)
        extraPasses = build.metrics.counter(
            "sluice_gen_ai_extra_passes_total",
            "Further looks at a span because one rule's result was another rule's question.", build.labels)
        let tables: Tables
        do throws(TableProblem) {
            tables =
                options.extensionsPrefix == Tables.usualPrefix
                ? try Tables.shared.get() : try Tables.embedded(prefix: options.extensionsPrefix)
        } catch {
            throw ProcessorBuildFailure("\(error)")
        }
        tables.intern(&build.keys)
        for (from, to) in options.engine.customMappings {
            _ = build.keys.intern(from)
            _ = build.keys.intern(to)
        }
        for mapping in options.engine.sourceMappings {
            _ = build.keys.intern(mapping.from)
            _ = build.keys.intern(mapping.to)
        }
        pool = NormalizerPool(tables, options.engine)
        outcomes = RuleCounters(tables, build)
        quality = options.reportsQuality && build.signal == .traces ? QualityReport(&build) : nil
    }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        guard batch.spans.count > 0 || batch.logs.count > 0 || batch.points.count > 0 else { return }
        let scratch = pool.take()
        scratch.normalizer.normalize(&batch, binding: pool.binding(for: batch.keys))
        changed.add(scratch.normalizer.changedSpans)
        unreadable.add(scratch.normalizer.unreadable)
        if scratch.normalizer.extraPasses > 0 { extraPasses.add(scratch.normalizer.extraPasses) }
        if !scratch.normalizer.tally.isEmpty { outcomes.add(scratch.normalizer.tally) }
        let hasGenAI = scratch.normalizer.seenSpans > 0
        pool.give(scratch)
        if hasGenAI, let quality { quality.note(batch) }
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
