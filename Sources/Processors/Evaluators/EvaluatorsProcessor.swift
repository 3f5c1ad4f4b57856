import GenAI
import OTTL
import Patterns
package import Pipeline
import Synchronization
package import Telemetry

/// Checks spans, traces and sessions against what is wanted and writes the results like findings.
///
/// It is made for batches that hold whole traces. It never drops a span and never refuses a request; an evaluation that
/// cannot be made, for want of content, is counted.
package struct EvaluatorsProcessor: Processor {
    private let state: LockedMemory<EvaluatorsWork>
    private let writer: EvaluationEvents
    private let counters: EvaluatorsCounters
    private let pool = EvaluationPool()

    /// Compiles conditions and registers counters.
    package init(options: EvaluatorsOptions, build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        TrajectoryReader.intern(&build.keys)
        writer = EvaluationEvents(&build.keys)
        var evaluators: [Evaluator] = []
        for option in options.evaluators { evaluators.append(try Evaluator(option, &build)) }
        counters = EvaluatorsCounters(evaluators.map(\.option.name), build)
        state = LockedMemory(
            EvaluatorsWork(
                evaluators: evaluators, options: options, memory: EvaluatorsMemory(options),
                scratch: EvaluatorsScratch()))
    }

    package var traceMemory: (any TraceMemory)? { state }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        guard batch.signal == .traces, batch.spans.count > 0 else { return }
        let evaluation = pool.take()
        defer { pool.give(evaluation) }
        state.lock.withLock { work in
            work.memory.keep()
            for trajectory in work.scratch.reader.read(batch) {
                var results: [EvaluationEvent] = []
                work.evaluate(trajectory, batch, &results, counters, evaluation)
                guard !results.isEmpty else { continue }
                writer.write(
                    results, conversation: trajectory.conversation, root: trajectory.rootSpan, &batch)
            }
        }
    }
}

/// Working memory beside that of the conditions.
// Unchecked because it stays inside the lock.
final class EvaluatorsScratch: @unchecked Sendable {
    var reader = TrajectoryReader()
    let matcher = PatternMatcher()
}

/// One evaluator, compiled.
struct Evaluator: Sendable {
    let option: EvaluatorOption
    let filter: OTTLCondition?
    let condition: OTTLCondition?
    let attribute: KeyID
    let inputTokens: KeyID
    let outputTokens: KeyID
    let cost: KeyID
    let tool: KeyID
    let model: KeyID

    init(_ option: EvaluatorOption, _ build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        self.option = option
        do throws(OTTLProblem) {
            filter =
                option.filter.isEmpty
                ? nil : try OTTLCondition(option.filter, context: .span, keys: &build.keys)
            if case .condition(let text) = option.check {
                condition = try OTTLCondition(text, context: .span, keys: &build.keys)
            } else {
                condition = nil
            }
        } catch { throw ProcessorBuildFailure("evaluator \(option.name): \(error)") }
        attribute = build.keys.intern(option.subject)
        inputTokens = build.keys.intern("gen_ai.usage.input_tokens")
        outputTokens = build.keys.intern("gen_ai.usage.output_tokens")
        cost = build.keys.intern("gen_ai.usage.cost")
        tool = build.keys.intern("gen_ai.tool.name")
        model = build.keys.intern("gen_ai.request.model")
    }
}

/// Metrics of the processor; labels come from the configuration.
struct EvaluatorsCounters: Sendable {
    private let passed: [Counter]
    private let failed: [Counter]
    private let unassessable: [Counter]

    init(_ names: [String], _ build: ProcessorBuild) {
        func counters(_ result: String) -> [Counter] {
            names.map {
                build.metrics.counter(
                    "sluice_evaluations_total", "Evaluations by evaluator and result.",
                    build.labels + [("evaluator", $0), ("result", result)])
            }
        }
        passed = counters("pass")
        failed = counters("fail")
        unassessable = counters("not_assessable")
    }

    func count(_ index: Int, _ verdict: Verdict) {
        switch verdict {
        case .passed: passed[index].add()
        case .failed: failed[index].add()
        case .notAssessable: unassessable[index].add()
        }
    }
}
