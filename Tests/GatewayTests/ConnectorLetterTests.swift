import Configuration
import Exporters
@testable import Gateway
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Answers what it is told, and remembers what it is given.
private final class StubExporter: Exporter {
    let batches = Mutex<[ExportBatch]>([])
    let maxConcurrency = 1
    private let outcome: Mutex<ExportOutcome>
    private let cannotStart: Bool

    init(_ outcome: ExportOutcome = .delivered, cannotStart: Bool = false) {
        self.outcome = Mutex(outcome)
        self.cannotStart = cannotStart
    }

    var sent: [ExportBatch] { batches.withLock { $0 } }
    var texts: [String] { sent.map { String(decoding: $0.bytes, as: UTF8.self) } }

    func answer(_ other: ExportOutcome) { outcome.withLock { $0 = other } }

    func start() async throws {
        if cannotStart { throw ExporterStartFailure("its file is taken") }
    }

    func shutdown() async {}

    func export(_ batch: ExportBatch) async -> ExportOutcome {
        batches.withLock { $0.append(batch) }
        return outcome.withLock { $0 }
    }
}

/// Dead letters of connectors on their way through the pipelines that have not taken them.
@Suite struct ConnectorLetterTests {
    private let a = StubExporter()
    private let b = StubExporter()

    /// Two exporters behind `processors`, of which the pipeline has `steps`.
    private func plan(
        processors: String = "{attributes: {actions: [{key: team, value: blue, action: insert}]}}",
        steps: String = "[attributes]", exporters: String = "{nop/a: {}, nop/b: {}}", a: StubExporter, b: StubExporter
    ) throws -> GatewayPlan {
        var plan = try plan(
            """
            receivers: {otlp: {protocols: {http: {include_metadata: true}}}}
            processors: \(processors)
            connectors: {forward: {}}
            exporters: \(exporters)
            service:
              pipelines:
                traces/in: {receivers: [otlp], exporters: [forward]}
                traces/out: {receivers: [forward], processors: \(steps), exporters: [nop/a, nop/b]}
            """)
        for index in plan.pipelines.indices {
            for place in plan.pipelines[index].exporters.indices {
                let stub = plan.pipelines[index].exporters[place].id == "nop/a" ? a : b
                plan.pipelines[index].exporters[place].plan.make = { _ in stub }
            }
        }
        return plan
    }

    private func plan(_ text: String) throws -> GatewayPlan {
        let loaded = LoadedConfiguration.load([.text(name: "test", text)], dataDirectory: "/nowhere")
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        return loaded.plan
    }

    private func letter(_ names: [String], metadata: RequestMetadata = RequestMetadata()) throws -> DeadLetter {
        let spans = names.enumerated().map { number, name in
            "{\"traceId\":\"0123456789abcdef0123456789abcdef\",\"spanId\":\"000000000000000\(number + 1)\","
                + "\"name\":\"\(name)\"}"
        }
        var json = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[\(spans.joined(separator: ","))]}]}]}"
        var output = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
        }
        return DeadLetter(
            exporter: "forward", pipeline: "traces/out", cause: .processorFailed, message: "no", signal: .traces,
            itemCount: names.count, tenant: "t", metadata: metadata, bytes: [UInt8](output.bytes))
    }

    private func replay(_ plan: GatewayPlan) -> LetterReplay { LetterReplay(plan: plan, dataDirectory: "/nowhere") }

    // MARK: What goes

    @Test func `goes through the processors of its pipeline to all exporters, and through their own`() async throws {
        let plan = try plan(
            processors: """
                {attributes: {actions: [{key: team, value: blue, action: insert}]}, \
                attributes/own: {actions: [{key: own_key, value: yes_own, action: insert}]}, \
                filter: {traces: {span: ['name == "x"']}}}
                """,
            steps: "[attributes, filter]",
            exporters: """
                {nop/a: {process: [attributes/own], \
                sending_queue: {batch: {partition: {metadata_keys: [x-team]}}}}, nop/b: {}}
                """, a: a, b: b)
        let metadata = RequestMetadata([.init(name: "x-team", value: "red"), .init(name: "x-other", value: "1")])
        let letter = try letter(["keep", "x"], metadata: metadata)
        #expect(await replay(plan).send(letter) == .done(rejected: 0, message: ""))
        for exporter in [a, b] {
            #expect(exporter.sent.map(\.itemCount) == [1] && exporter.sent.first?.tenant == "t")
            let text = exporter.texts.first ?? ""
            #expect(text.contains("keep") && text.contains("blue"), "\(text)")
        }
        #expect(a.texts.first?.contains("yes_own") == true && b.texts.first?.contains("yes_own") == false)
        #expect(a.sent.first?.metadata.fields == [.init(name: "x-team", value: "red")])
        #expect(b.sent.first?.metadata.fields.isEmpty == true)
    }

    private static let appending = """
        {transform: {trace_statements: [{context: span, statements: ['set(name, Concat([name, "+"], ""))']}]}}
        """

    @Test func `those that do not take it get letters of their own, and nothing is sent twice`() async throws {
        b.answer(.retry(reason: "HTTP 503", after: nil))
        let plan = try plan(processors: Self.appending, steps: "[transform]", a: a, b: b)
        guard case .left(let left, let message) = await replay(plan).send(try letter(["one", "two"])) else {
            Issue.record("nothing is left")
            return
        }
        #expect(message == "exporter nop/b: HTTP 503")
        let own = try #require(left.first)
        #expect(left.count == 1 && own.exporter == "nop/b" && own.pipeline == "traces/out" && own.itemCount == 2)
        #expect(own.cause == .retriesExhausted && own.message == "HTTP 503" && own.tenant == "t")
        b.answer(.delivered)
        #expect(await replay(plan).send(own) == .done(rejected: 0, message: ""))
        #expect(a.sent.count == 1 && b.sent.count == 2 && b.sent.last?.bytes == a.sent.first?.bytes)
        let text = b.texts.last ?? ""
        #expect(text.contains("one+") && text.contains("two+") && !text.contains("++"), "\(text)")
    }

    @Test func `what exporters refuse of it in part is told, and what they refuse for good is left`() async throws {
        a.answer(.partial(rejected: 1, message: "old"))
        let plan = try plan(a: a, b: b)
        let letter = try letter(["one", "two"])
        #expect(await replay(plan).send(letter) == .done(rejected: 1, message: "exporter nop/a: old"))
        b.answer(.permanent(reason: "HTTP 400"))
        guard case .left(let left, message: _) = await replay(plan).send(letter) else {
            Issue.record("nothing is left")
            return
        }
        #expect(left.map(\.exporter) == ["nop/b"] && left.map(\.cause) == [.rejected])
    }

    @Test func `an exporter that does not start gets a letter of its own`() async throws {
        let plan = try plan(a: a, b: StubExporter(cannotStart: true))
        guard case .left(let left, let message) = await replay(plan).send(try letter(["one"])) else {
            Issue.record("nothing is left")
            return
        }
        #expect(message.hasPrefix("exporter nop/b: its file is taken; if the gateway is running"), "\(message)")
        #expect(left.map(\.exporter) == ["nop/b"] && left.map(\.message) == [message] && a.sent.count == 1)
    }

    @Test func `when nobody takes it the letter stays, and no processor has seen it`() async throws {
        for exporter in [a, b] { exporter.answer(.retry(reason: "HTTP 503", after: nil)) }
        let replay = replay(try plan(processors: "{dedupe: {}}", steps: "[dedupe]", a: a, b: b))
        let letter = try letter(["one"])
        #expect(await replay.send(letter) == .failed("exporter nop/a: HTTP 503; exporter nop/b: HTTP 503"))
        for exporter in [a, b] { exporter.answer(.delivered) }
        #expect(await replay.send(letter) == .done(rejected: 0, message: ""))
        #expect(a.sent.count == 2 && b.sent.count == 2)
        #expect(await replay.send(letter) == .filtered("the processors of pipeline traces/out take all of it out"))
        #expect(a.sent.count == 2 && b.sent.count == 2)
    }

    @Test func `while a processor fails on a record of it nothing goes and all of it stays`() async throws {
        func plan(_ statement: String) throws -> GatewayPlan {
            let statements = "[{context: span, statements: ['\(statement)']}]"
            return try self.plan(
                processors: "{transform: {error_mode: propagate, trace_statements: \(statements)}}",
                steps: "[transform]", a: a, b: b)
        }
        let letter = try letter(["good", "bad"])
        let failing = try plan(#"set(attributes["x"], name - 1) where name == "bad""#)
        guard case .failed(let reason) = await replay(failing).send(letter) else {
            Issue.record("what a processor fails on passes it")
            return
        }
        #expect(reason.hasPrefix("pipeline traces/out: transform: "), "\(reason)")
        #expect(a.sent.isEmpty && b.sent.isEmpty)
        let mended = try plan(#"set(attributes["x"], name) where name == "bad""#)
        #expect(await replay(mended).send(letter) == .done(rejected: 0, message: ""))
        #expect(a.sent.map(\.itemCount) == [2] && b.sent.map(\.itemCount) == [2])
    }

    @Test func `a letter of which the processors leave nothing is done`() async throws {
        let plan = try plan(
            processors: "{filter: {traces: {span: ['name == \"x\"']}}}", steps: "[filter]", a: a, b: b)
        let outcome = await replay(plan).send(try letter(["x", "x"]))
        #expect(outcome == .filtered("the processors of pipeline traces/out take all of it out"))
        #expect(a.sent.isEmpty && b.sent.isEmpty)
    }

    // MARK: What does not

    @Test(arguments: [
        ("forward", "traces/gathers", Signal.traces, "processor groupbytrace looks at whole traces"),
        ("forward", "traces/middle", Signal.traces, "pipeline traces/middle writes to connector forward/next"),
        ("forward", "traces/middle", Signal.logs, "it has log_records, which pipeline traces/middle does not take"),
        ("forward", "traces/gone", Signal.traces, "the configuration has no pipeline traces/gone"),
        ("forward", "traces/in", Signal.traces, "gave to the connector, which has failed on it itself"),
        ("forward/next", "traces/gathers", Signal.traces, "pipeline traces/gathers does not read from it any more"),
        ("forward", "metrics/out", Signal.metrics, "processor cumulativetodelta needs what came before"),
    ])
    func `what cannot be sent outside of the gateway is told with what to do instead`(
        connector: String, pipeline: String, signal: Signal, reason: String
    ) async throws {
        let plan = try plan(
            """
            receivers: {otlp: {protocols: {http: {}}}}
            processors: {groupbytrace: {}, cumulativetodelta: {}}
            connectors: {forward: {}, forward/next: {}}
            exporters: {nop: {}}
            service:
              pipelines:
                traces/in: {receivers: [otlp], exporters: [forward]}
                traces/gathers: {receivers: [forward], processors: [groupbytrace], exporters: [nop]}
                traces/middle: {receivers: [forward], exporters: [nop, forward/next]}
                traces/end: {receivers: [forward/next], exporters: [nop]}
                metrics/in: {receivers: [otlp], exporters: [forward]}
                metrics/out: {receivers: [forward], processors: [cumulativetodelta], exporters: [nop]}
            """)
        let letter = DeadLetter(
            exporter: connector, pipeline: pipeline, cause: .tooLarge, message: "no", signal: signal, itemCount: 1,
            tenant: "", bytes: [0x0A, 0])
        guard case .failed(let text) = await replay(plan).send(letter) else {
            Issue.record("delivered")
            return
        }
        #expect(text.hasPrefix("this letter of connector \(connector) cannot be replayed: "), "\(text)")
        #expect(text.contains(reason), "\(text)")
        let receiver = pipeline == "traces/gone" ? "a receiver," : "a receiver of pipeline \(pipeline),"
        #expect(text.contains("`sluice send` brings that to \(receiver) and `sluice dlq drop` removes"), "\(text)")
    }
}
