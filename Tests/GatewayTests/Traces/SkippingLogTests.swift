import Configuration
import Exporters
@testable import Gateway
import Journal
import Pipeline
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct SkippingLogTests {
    private struct Nobody: Exporter {
        let maxConcurrency = 1
        func start() async throws {}
        func export(_ batch: ExportBatch) async -> ExportOutcome { .retry(reason: "down", after: nil) }
        func shutdown() async {}
    }

    private func worker(_ journal: any FrameLog, _ name: String, _ overflow: String) throws -> ExportWorker {
        var problems = ConfigProblems()
        let yaml = "{sending_queue: {queue_size: 2, overflow: \(overflow)}}"
        let node = try #require(YAMLReader.read(yaml, file: "t.yaml", problems: &problems))
        let options = readOptions(ExporterHelperOptions.self, node: node, path: "x", problems: &problems)
        #expect(!problems.hasErrors)
        return ExportWorker(
            cursor: try journal.cursor(named: name), exporter: Nobody(), metrics: SelfMetrics(),
            setup: ExportWorkerSetup(exporterID: name, pipelineID: "traces", options: options, isDurable: false))
    }

    @Test func `what a stage appends is passed over by an exporter whose queue is full`() async throws {
        let journal = MemoryJournal()
        let log = SkippingLog(journal)
        let full = try worker(log, "full", "drop_newest")
        let blocking = try worker(log, "blocking", "block")
        log.watch([full, blocking])
        let frame = Frame(header: FrameHeader(signal: .traces, itemCount: 3), bytes: [1, 2, 3])
        for number in 0..<6 as Range<UInt64> {
            #expect(await log.append(frame) == .stored(Sequence(number * 3)))
        }
        #expect(full.heldItems == 6 && full.account.droppedItems(reason: "overflow_newest") == 12)
        #expect(blocking.heldItems == 18 && blocking.account.droppedItems == 0)
        #expect(log.held == journal.held)
    }
}
