import Configuration
import Exporters
import Foundation
@testable import Gateway
import Journal
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Hands each batch to all outputs, as it is.
private struct CopyingConnector: Connector {
    let outputs: Int

    func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] {
        if batch.pieces == [[]] { throw ProcessFailure(reason: "nothing to read") }
        return (0..<outputs).map { ConnectorDelivery(output: $0, itemCount: batch.itemCount, bytes: batch.bytes) }
    }
}

/// Fails on spans of one name.
private struct FailingStep: Processor {
    func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        for index in batch.spans.indices where batch.text(batch.spans[index].name) == "bad" {
            throw ProcessFailure(reason: "a bad span")
        }
    }
}

/// Never takes a frame of more than so many bytes.
private final class NarrowJournal: FrameLog {
    let held = HeldAmount()
    private let bytesMax: Int
    private let all = Mutex<[Frame]>([])

    init(bytesMax: Int = .max) { self.bytesMax = bytesMax }

    var frames: [Frame] { all.withLock { $0 } }
    var items: Int { frames.reduce(0) { $0 + Int($1.header.itemCount) } }

    func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void) {
        guard frame.bytes.count <= bytesMax else {
            return completion(.refused(reason: "too large for it", retryAfter: .seconds(60), isFinal: true))
        }
        all.withLock { $0.append(frame) }
        completion(.stored(Sequence(0)))
    }

    func cursor(named name: String) throws -> any FrameCursor { try MemoryJournal().cursor(named: name) }

    func close() {}
}

/// What one pipeline behind a connector refuses for good costs the others nothing, and is kept.
@Suite struct ConnectorLossTests {
    private final class Bench {
        let folder: DeadLetterFolder
        let metrics = SelfMetrics()
        let connector: ConnectorExporter
        private let directory: String

        /// With `isBlocked` the place of the letters is taken.
        init(_ pipelines: [PipelineIntake], keepsLetters: Bool = true, isBlocked: Bool = false) throws {
            directory = FileManager.default.temporaryDirectory.appending(path: "sluice-loss-\(UUID().uuidString)").path
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            if isBlocked { try Data().write(to: URL(filePath: directory + "/d")) }
            folder = DeadLetterFolder(path: directory + "/d/copy")
            var problems = ConfigProblems()
            let options = readOptions(
                DeadLetterOptions.self, node: .emptyMap(at: .nowhere), path: "d", problems: &problems)
            let box = DeadLetterBox(folder: folder, options: options, exporterID: "copy", metrics: metrics)
            let losses = ConnectorLosses(
                connector: "copy", input: "traces/in", metrics: metrics, letters: keepsLetters ? box : nil,
                log: { _, _ in })
            connector = ConnectorExporter(
                ConnectorSeat(CopyingConnector(outputs: pipelines.count)), id: "copy", pipeline: "traces/in",
                outputs: pipelines.map { ConnectorOutput(pipeline: $0.id, signal: .traces) }, losses: losses)
            var graph = GatewayGraph()
            graph.pipelines = pipelines
            try connector.link(graph)
        }

        func unblock() throws { try FileManager.default.removeItem(atPath: directory + "/d") }

        func lost(_ output: String, _ reason: String) -> Double? {
            metrics.series.first { series in
                series.name == "sluice_exporter_dropped_items_total"
                    && series.labels.map(\.value) == ["copy to \(output)", "traces/in", reason]
            }.map { $0.read() }
        }

        deinit { try? FileManager.default.removeItem(atPath: directory) }
    }

    private func pipeline(_ id: String, _ journal: any FrameLog, _ steps: [any Processor] = []) -> PipelineIntake {
        PipelineIntake(
            id: id, chain: ProcessorChain(signal: .traces, steps: steps, names: steps.map { _ in "step" }),
            journal: journal, metrics: IntakeMetrics(SelfMetrics(), pipeline: id, signal: .traces), isBuffered: false,
            tap: nil, capped: [], acknowledgement: .durable, watch: nil)
    }

    private func batch(_ names: [String]) throws -> ExportBatch {
        let spans = names.map {
            #"{"traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef","name":"\#($0)"}"#
        }
        var json = #"{"resourceSpans":[{"scopeSpans":[{"spans":[\#(spans.joined(separator: ","))]}]}]}"#
        var output = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
        }
        return ExportBatch(signal: .traces, itemCount: names.count, bytes: [UInt8](output.bytes), tenant: "t")
    }

    private static let long = String(repeating: "x", count: 1_000)

    @Test func `what is too large for one pipeline goes there in parts, and to the others whole`() async throws {
        let journals = [NarrowJournal(), NarrowJournal(bytesMax: 500), NarrowJournal()]
        let bench = try Bench(journals.enumerated().map { pipeline("traces/\($0)", $1) })
        let batch = try batch((0..<8).map { "\($0)" } + [Self.long] + (0..<7).map { "\($0)" })
        #expect(await bench.connector.export(batch) == .delivered)
        for journal in [journals[0], journals[2]] { #expect(journal.frames.map(\.bytes) == [batch.bytes]) }
        #expect(journals[1].items == 15 && journals[1].frames.count > 1)
        let letter = try #require(bench.folder.list().first)
        #expect(bench.folder.list().count == 1 && letter.itemCount == 1 && letter.cause == .tooLarge)
        #expect(letter.exporter == "copy" && letter.pipeline == "traces/1" && letter.message == "too large for it")
        #expect(bench.folder.read(letter.id)?.tenant == "t")
        #expect(bench.lost("traces/1", "too_large") == 1 && bench.lost("traces/0", "too_large") == nil)
    }

    @Test func `records that a step behind it fails on are one letter, and all others go on`() async throws {
        let journals = [NarrowJournal(), NarrowJournal()]
        let bench = try Bench([
            pipeline("traces/strict", journals[0], [FailingStep()]), pipeline("traces/other", journals[1]),
        ])
        #expect(await bench.connector.export(try batch(["a", "bad", "b", "c", "bad"])) == .delivered)
        #expect(await bench.connector.export(try batch(["d"])) == .delivered)
        #expect(journals.map(\.items) == [4, 6])
        let letter = try #require(bench.folder.list().first)
        #expect(bench.folder.list().count == 1 && letter.itemCount == 2 && letter.cause == .processorFailed)
        let text = bench.folder.read(letter.id).map(\.requestJSON) ?? ""
        #expect(text.components(separatedBy: "\"bad\"").count == 3 && !text.contains("\"a\""), "\(text)")
    }

    @Test func `a batch that the connector itself fails on is parted by the helper`() async throws {
        let bench = try Bench([pipeline("traces/a", NarrowJournal())])
        let outcome = await bench.connector.export(ExportBatch(signal: .traces, itemCount: 1, bytes: []))
        #expect(outcome == .unprocessed(message: "nothing to read"))
    }

    @Test func `without letters they are counted`() async throws {
        let journals = [NarrowJournal(), NarrowJournal()]
        let bench = try Bench(
            [pipeline("traces/strict", journals[0], [FailingStep()]), pipeline("traces/other", journals[1])],
            keepsLetters: false)
        #expect(await bench.connector.export(try batch(["bad", "a"])) == .delivered)
        #expect(journals.map(\.items) == [1, 2] && bench.folder.list().isEmpty)
        #expect(bench.lost("traces/strict", "processor_failed") == 1)
    }

    @Test func `what no letter can be written for comes again, and nothing else does`() async throws {
        let journals = [NarrowJournal(), NarrowJournal()]
        let bench = try Bench(
            [pipeline("traces/strict", journals[0], [FailingStep()]), pipeline("traces/other", journals[1])],
            isBlocked: true)
        let batch = try batch(["a", "bad", "b"])
        guard case .retry = await bench.connector.export(batch) else {
            Issue.record("a record is lost that no letter holds")
            return
        }
        #expect(bench.lost("traces/strict", "processor_failed") == nil)
        try bench.unblock()
        #expect(await bench.connector.export(batch) == .delivered)
        #expect(journals.map(\.items) == [2, 3])
        #expect(bench.folder.list().map(\.itemCount) == [1] && bench.lost("traces/strict", "processor_failed") == 1)
    }
}
