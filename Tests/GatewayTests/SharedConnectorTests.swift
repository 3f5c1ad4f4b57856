import Configuration
@testable import Gateway
import Logging
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Takes frames, or refuses them for now.
private final class SwitchedJournal: FrameLog {
    private struct State {
        var isFull = false
        var frames: [Frame] = []
    }

    private let state = Mutex(State())
    let held = HeldAmount()

    var frames: [Frame] { state.withLock { $0.frames } }

    func setFull(_ isFull: Bool) { state.withLock { $0.isFull = isFull } }

    func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void) {
        let isFull = state.withLock { state in
            if !state.isFull { state.frames.append(frame) }
            return state.isFull
        }
        if isFull { return completion(.refused(reason: "full", retryAfter: .zero)) }
        completion(.stored(Sequence(0)))
    }

    func cursor(named name: String) throws -> any FrameCursor { throw ProcessFailure(reason: "nobody reads") }

    func close() {}
}

/// Connectors that several pipelines write to.
@Suite struct SharedConnectorTests {
    private func plan(_ connectors: String) throws -> GatewayPlan {
        let names = connectors.hasPrefix("{count") ? "count" : "spanmetrics"
        let loaded = LoadedConfiguration.load([
            .text(
                name: "c.yaml",
                """
                receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
                connectors: \(connectors)
                exporters: {nop: {sending_queue: {storage: memory}}}
                service:
                  pipelines:
                    traces/a: {receivers: [otlp], exporters: [\(names)]}
                    traces/b: {receivers: [otlp], exporters: [\(names)]}
                    metrics/one: {receivers: [\(names)], exporters: [nop]}
                    metrics/two: {receivers: [\(names)], exporters: [nop]}
                """)
        ])
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        return loaded.plan
    }

    private func graph(_ connectors: String, metrics journals: [SwitchedJournal] = []) throws -> GatewayGraph {
        let log = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let context = GraphContext(
            try plan(connectors), dataDirectory: "/nowhere", log: log, drops: DropLedger(), baseline: 0)
        var builder = GraphBuilder(context)
        var graph = try builder.build()
        guard !journals.isEmpty else { return graph }
        graph.pipelines = zip(["metrics/one", "metrics/two"], journals).map { id, journal in
            PipelineIntake(
                id: id, chain: ProcessorChain(signal: .metrics, steps: []), journal: journal,
                metrics: IntakeMetrics(SelfMetrics(), pipeline: id, signal: .metrics), isBuffered: false, tap: nil,
                capped: [], acknowledgement: .durable, watch: nil)
        }
        for connector in graph.connectors { try connector.link(graph) }
        return graph
    }

    private static let counting = "{spanmetrics: {histogram: {disable: true}}}"

    /// Equal spans, so that they are one series.
    private func batch(_ count: Int) throws -> ExportBatch {
        let span = #"{"traceId":"0123456789abcdef0123456789abcdef","spanId":"0123456789abcdef","name":"a"}"#
        let spans = repeatElement(span, count: count).joined(separator: ",")
        var json = #"{"resourceSpans":[{"scopeSpans":[{"spans":[\#(spans)]}]}]}"#
        var output = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
        }
        return ExportBatch(signal: .traces, itemCount: count, bytes: [UInt8](output.bytes))
    }

    /// The value of the only point of a request.
    private func value(_ request: [UInt8]) -> Int? {
        var json = ByteColumn()
        request.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: .metrics, into: &json) }
        let text = json.text.string
        guard let key = text.firstRange(of: "\"asInt\"") else { return nil }
        return Int(text[key.upperBound...].drop { !$0.isNumber }.prefix { $0.isNumber })
    }

    @Test func `spans of several pipelines count in one sum`() async throws {
        let journals = [SwitchedJournal(), SwitchedJournal()]
        let graph = try graph(Self.counting, metrics: journals)
        try #require(graph.connectors.count == 2)
        // It is started and ended once.
        #expect(graph.exporters.filter { $0.id == "spanmetrics" }.count == 1)
        #expect(await graph.connectors[0].export(try batch(2)) == .delivered)
        #expect(await graph.connectors[1].export(try batch(3)) == .delivered)
        #expect(await graph.connectors[0].export(try batch(1)) == .delivered)
        for journal in journals { #expect(journal.frames.map { value($0.bytes) } == [2, 5, 6]) }
    }

    @Test func `a sum that one output has does not fall before the others have it`() async throws {
        let journals = [SwitchedJournal(), SwitchedJournal()]
        let graph = try graph(Self.counting, metrics: journals)
        try #require(graph.connectors.count == 2)
        let (a, b) = (graph.connectors[0], graph.connectors[1])
        journals[1].setFull(true)
        for _ in 0..<2 {
            guard case .retry = await a.export(try batch(2)) else {
                Issue.record("a full pipeline took the batch")
                return
            }
        }
        let waiting = ExportOutcome.notYet(
            reason: "a batch of pipeline traces/a is to be stored first", after: .milliseconds(100))
        #expect(await b.export(try batch(3)) == waiting)
        #expect(journals[0].frames.map { value($0.bytes) } == [2])
        journals[1].setFull(false)
        #expect(await a.export(try batch(2)) == .delivered)
        #expect(await b.export(try batch(3)) == .delivered)
        for journal in journals { #expect(journal.frames.map { value($0.bytes) } == [2, 5]) }
    }

    @Test func `while one output refuses a batch the others get it once`() async throws {
        let journals = [SwitchedJournal(), SwitchedJournal()]
        let connector = try #require(try graph("{count: {}}", metrics: journals).connectors.first)
        journals[1].setFull(true)
        for _ in 0..<6 {
            guard case .retry = await connector.export(try batch(2)) else {
                Issue.record("a full pipeline took the batch")
                return
            }
        }
        #expect(journals[0].frames.count == 1 && journals[1].frames.isEmpty)
        // One that is given up meanwhile takes nothing from the next.
        guard case .retry = await connector.export(try batch(3)) else {
            Issue.record("a full pipeline took the batch")
            return
        }
        journals[1].setFull(false)
        #expect(await connector.export(try batch(3)) == .delivered)
        #expect(await connector.export(try batch(3)) == .delivered)
        #expect(journals[0].frames.map { value($0.bytes) } == [2, 3, 3])
        #expect(journals[1].frames.map { value($0.bytes) } == [3, 3])
    }

    @Test func `of alerts that are made anew an output gets those that it does not have`() {
        func alert(_ output: Int, _ name: String, _ byte: UInt8) -> ConnectorDelivery {
            var delivery = ConnectorDelivery(output: output, itemCount: 1, bytes: [byte])
            delivery.name = name
            return delivery
        }
        let batch = ExportBatch(signal: .traces, itemCount: 1, bytes: [1])
        var unfinished = UnfinishedBatch()
        unfinished.note(batch, [alert(0, "open a", 1), alert(1, "open a", 1)], done: 1, isTimed: true)
        let rest = unfinished.rest(of: batch)
        #expect(rest == nil)
        let again = [alert(0, "open a", 2), alert(1, "open a", 2), alert(0, "resolved b", 2)]
        #expect(unfinished.open(again) == Array(again.dropFirst()))
        unfinished.settle([alert(0, "open a", 3)])
        #expect(unfinished.open(again) == again)
    }

    @Test func `a batch that no output has stored keeps nobody waiting, and counts once`() async throws {
        let journals = [SwitchedJournal(), SwitchedJournal()]
        let graph = try graph(Self.counting, metrics: journals)
        try #require(graph.connectors.count == 2)
        journals[0].setFull(true)
        guard case .retry = await graph.connectors[0].export(try batch(2)) else {
            Issue.record("a full pipeline took the batch")
            return
        }
        journals[0].setFull(false)
        #expect(await graph.connectors[1].export(try batch(3)) == .delivered)
        #expect(await graph.connectors[0].export(try batch(2)) == .delivered)
        for journal in journals { #expect(journal.frames.map { value($0.bytes) } == [3, 5]) }
    }

    @Test func `workers at once have their batches counted one after the other`() async throws {
        let journals = [SwitchedJournal(), SwitchedJournal()]
        let graph = try graph(Self.counting, metrics: journals)
        try #require(graph.connectors.count == 2)
        let batch = try batch(1)
        await withTaskGroup(of: Void.self) { group in
            for connector in graph.connectors {
                group.addTask {
                    for _ in 0..<50 { #expect(await connector.export(batch) == .delivered) }
                }
            }
        }
        for journal in journals { #expect(journal.frames.compactMap { value($0.bytes) } == Array(1...100)) }
    }

    @Test func `connectors without sums are one for each pipeline`() throws {
        let graph = try graph("{count: {}}")
        #expect(graph.connectors.count == 2 && graph.exporters.filter { $0.id == "count" }.count == 2)
    }

    @Test func `offline runs count together as well`() throws {
        let gateway = try OfflineGateway(plan: try plan(Self.counting))
        let outputs = gateway.run([OfflineInput(signal: .traces, bytes: try batch(2).bytes)])
        let counted = outputs.filter { $0.signal == .metrics }.map { $0.requests.map { value($0) } }
        #expect(counted == [[2, 4], [2, 4]])
    }
}
