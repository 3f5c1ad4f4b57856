import GenAI
package import Pipeline
import Synchronization
package import Telemetry

/// Finds agent failures in whole traces and writes them onto their spans.
///
/// It is made for batches that hold every span of a trace; in other batches it judges what is there. It never drops a
/// span and never refuses a request. What later traces need to know is kept in memory, bounded, and survives a restart
/// behind a journal on disk.
package struct FindingsProcessor: Processor {
    private let state: LockedMemory<FindingsWork>
    private let writer: FindingsWriter
    private let counters: FindingsCounters

    /// Interns its keys and registers its counters.
    package init(options: FindingsProcessorOptions, build: inout ProcessorBuild) {
        FindingKeys.intern(&build.keys)
        writer = FindingsWriter(&build.keys)
        counters = FindingsCounters(build)
        state = LockedMemory(FindingsWork(options))
    }

    package var traceMemory: (any TraceMemory)? { state }

    package func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        guard batch.signal == .traces, batch.spans.count > 0 else { return }
        state.lock.withLock { work in
            work.memory.keep()
            if work.keys?.isFor(batch.keys) != true { work.keys = FindingKeys(batch.keys) }
            guard let keys = work.keys else { return }
            work.groups.group(batch)
            for range in work.groups.ranges {
                work.scratch.analyzer.analyze(
                    batch, spans: work.groups.spans[range], keys: keys, memory: &work.memory)
                counters.add(work.scratch.analyzer)
                let findings = work.scratch.analyzer.findings
                if findings.isEmpty { continue }
                // Texts of the analysis end with the first edit.
                let conversation = work.scratch.analyzer.conversation.string
                let root = work.scratch.analyzer.rootSpan
                writer.write(findings, conversation: conversation, root: root, &batch)
            }
        }
    }
}

/// What one analysis after the other works with.
struct FindingsWork: MemoryWork {
    var memory: FindingsMemory
    let options: FindingsProcessorOptions
    var groups = TraceGroups()
    var keys: FindingKeys?
    let scratch: FindingsScratch

    init(_ options: FindingsProcessorOptions) {
        self.options = options
        scratch = FindingsScratch(options.engine)
        memory = Self.memory(options)
    }

    var newMemory: FindingsMemory { Self.memory(options) }

    private static func memory(_ options: FindingsProcessorOptions) -> FindingsMemory {
        FindingsMemory(sessions: options.sessionsMax, tools: options.toolsMax, tracksChanges: true)
    }
}

/// Working memory of the analysis.
// Unchecked because it stays inside the lock.
final class FindingsScratch: @unchecked Sendable {
    var analyzer: TraceAnalyzer

    init(_ options: FindingsOptions) { analyzer = TraceAnalyzer(options: options) }
}

/// Metrics of the processor; labels come from fixed lists.
struct FindingsCounters {
    /// By pattern and tier.
    private let found: [[Counter]]
    private let assessed: [Counter]
    private let unassessable: [Counter]
    private let omitted: Counter

    init(_ build: ProcessorBuild) {
        let metrics = build.metrics
        let labels = build.labels
        found = FindingPattern.allCases.map { pattern in
            FindingTier.allCases.map { tier in
                metrics.counter(
                    "sluice_findings_total", "Findings by pattern and tier.",
                    labels + [("pattern", pattern.rawValue), ("tier", tier.name)])
            }
        }
        func checks(_ result: String) -> [Counter] {
            FindingPattern.allCases.map { pattern in
                metrics.counter(
                    "sluice_findings_checks_total",
                    "Things that were or could not be checked for a pattern, for want of content or definitions.",
                    labels + [("pattern", pattern.rawValue), ("result", result)])
            }
        }
        assessed = checks("assessed")
        unassessable = checks("not_assessable")
        omitted = metrics.counter(
            "sluice_findings_omitted_total", "Findings over the limit of their trace.", labels)
    }

    func add(_ analyzer: borrowing TraceAnalyzer) {
        for finding in analyzer.findings {
            found[finding.pattern.index][Int(finding.tier.rawValue) - 1].add()
        }
        for index in assessed.indices {
            if analyzer.assessed[index] > 0 { assessed[index].add(analyzer.assessed[index]) }
            if analyzer.unassessable[index] > 0 { unassessable[index].add(analyzer.unassessable[index]) }
        }
        omitted.add(analyzer.omitted)
    }
}
