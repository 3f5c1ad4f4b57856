import Exporters
@testable import Gateway
import Journal
import OTLP
import Pipeline
import Synchronization
import Telemetry
import TestSupport
import Testing

/// What stands around spans, and frames that the second journal does not take.
@Suite(.timeLimit(.minutes(15))) struct TraceSizeTests {
    // MARK: Assembling

    /// The runs of the first trace of random requests, put together again: what was read of it in order.
    @Test func `a trace keeps its spans in order, each under its resource and scope`() throws {
        var random = SeededRandom(7)
        for _ in 0..<200 {
            var store = PieceStore()
            var tracker = AcknowledgementTracker()
            var list: PieceStore.List?
            var size = 0
            var bytes: [UInt8] = []
            var expected: [String] = []
            var missing: Set<Int> = []
            var lost = 0
            var count = 0
            for number in 0..<(1 + random.below(3)) {
                let request = try encode(story(&random, number)) + unknown(random.below(3))
                var index = TraceIndex()
                try request.withUnsafeBytes { try index.read(Text($0)) }
                guard let first = index.runs.first(where: { $0.trace.high == 0x1111_1111_1111_1111 }) else { continue }
                let frame = store.addFrame(
                    FramePlace(file: 0, offset: 0), RequestMetadata(),
                    tracker.register(Sequence(0)..<Sequence(1), parts: 1), pieces: index.runs.count,
                    unknown: index.unknown)
                for run in index.runs where run.trace == first.trace {
                    let heads =
                        run.resource < 0
                        ? (Int32(-1), Int32(-1))
                        : (store.head(index.resource(run.resource)), store.head(index.scope(run.scope)))
                    let piece = request.withUnsafeBytes {
                        store.add(run, of: Text($0), frame: frame, resource: heads.0, scope: heads.1)
                    }
                    size += run.bytes.count + store.headBytes(of: piece, after: list)
                    if var all = list {
                        store.append(piece, to: &all)
                        list = all
                    } else {
                        list = piece
                    }
                    bytes += request[run.bytes]
                    if random.chance(percent: 15) {
                        missing.insert(count)
                        lost += run.items
                    } else {
                        expected += try names(alone(run, index, request))
                    }
                    count += 1
                }
            }
            guard let list else { continue }
            var output = ByteColumn()
            let gone = bytes.withUnsafeBytes {
                store.assemble(list, Text($0), firstPart: 0, missing: missing, into: &output)
            }
            #expect(gone == lost)
            #expect(try names([UInt8](output.bytes)) == expected)
            #expect(output.count <= size)
        }
    }

    /// Fields that no schema knows; none for 0.
    private func unknown(_ number: Int) -> [UInt8] {
        number == 0 ? [] : WireBytes.build { $0.text(1_000, "later \(number)") }
    }

    private func alone(_ run: TraceIndex.Run, _ index: borrowing TraceIndex, _ request: [UInt8]) -> [UInt8] {
        var output = ByteColumn()
        if run.resource >= 0 {
            TraceAssembly.begin(
                resource: index.resource(run.resource), scope: index.scope(run.scope), spansSize: run.bytes.count,
                in: &output)
        }
        request.withUnsafeBytes { output.append(Text($0)[run.bytes]) }
        return [UInt8](output.bytes)
    }

    private func story(_ random: inout SeededRandom, _ number: Int) -> String {
        let resources = (0...random.below(3)).map { _ in
            let scopes = (0...random.below(4)).map { _ in
                let spans = (0...random.below(4)).map { index in
                    (trace: random.pick(["1", "2"]), name: "\(number)/\(index)/\(random.below(1_000))")
                }
                return scope("s\(random.below(2))", spans)
            }
            return resource("r\(random.below(2))", scopes)
        }
        return "{\"resourceSpans\":[\(resources.joined(separator: ","))]}"
    }

    private func scope(_ name: String, _ spans: [(trace: String, name: String)]) -> String {
        let texts = spans.map {
            """
            {"traceId":"\(String(repeating: $0.trace, count: 32 / $0.trace.utf8.count))",\
            "spanId":"0000000000000001","name":"\($0.name)"}
            """
        }
        return "{\"scope\":{\"name\":\"\(name)\"},\"spans\":[\(texts.joined(separator: ","))]}"
    }

    private func resource(_ name: String, _ scopes: [String]) -> String {
        """
        {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"\(name)"}}]},\
        "scopeSpans":[\(scopes.joined(separator: ","))]}
        """
    }

    private func encode(_ json: String) throws -> [UInt8] {
        var output = ByteColumn()
        try Array(json.utf8).withUnsafeBytes {
            try OTLPJSONReader.transcode(Text($0), signal: .traces, into: &output)
        }
        return [UInt8](output.bytes)
    }

    /// `span resource scope` of each span, in order.
    private func names(_ request: [UInt8]) throws -> [String] {
        var batch = RecordBatch()
        return try request.withUnsafeBytes { bytes in
            _ = try OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &batch)
            return batch.spans.indices.map { index in
                let scope = batch.scopes[Int(batch.spans[index].scope)]
                let set = batch.resources[Int(scope.resource)].set
                let service = batch.find(name: Text("service.name"), in: set).map { batch.attributes[$0].text }
                let name = service.map { batch.text($0).string } ?? "-"
                return "\(batch.text(batch.spans[index].name).string) \(name) \(batch.text(scope.name).string)"
            }
        }
    }

    // MARK: Passing on

    private struct Bench {
        let input: MemoryJournal
        let output: MemoryJournal
        let metrics = SelfMetrics()
        let stage: TraceStage

        init(failures: Int = 0, outputBytes: Int = 1 << 30) throws {
            var options = MemoryJournal.Options()
            options.maxBytes = outputBytes
            input = MemoryJournal()
            output = MemoryJournal(options: options)
            let effects = WorkerEffects(
                now: WorkerEffects.system().now,
                sleep: { _ in
                    try Task.checkCancellation()
                    await Task.yield()
                },
                random: { 0.5 })
            stage = TraceStage(
                setup: TraceStage.Setup(
                    pipeline: "traces", wait: TraceWait(idle: .milliseconds(20), afterRoot: .milliseconds(20)),
                    chain: ProcessorChain(signal: .traces, steps: []), isDurable: false, effects: effects,
                    log: { _, _ in }),
                input: FlakyCursor(base: try input.cursor(named: "traces"), failures: failures), output: output,
                intake: IntakeMetrics(metrics, pipeline: "traces", signal: .traces), metrics: metrics)
        }

        /// Passes one request on, until its frame is acknowledged. Gives the frames of the second journal.
        func pass(_ request: [UInt8], spans: Int) async throws -> [Frame] {
            let reader = try output.cursor(named: "test")
            let task = Task { await stage.run(keys: .empty) }
            let frame = Frame(header: FrameHeader(signal: .traces, itemCount: UInt32(spans)), bytes: request)
            _ = await input.append(frame)
            while input.held.items > 0 { await Task.yield() }
            stage.drain()
            await task.value
            var frames: [Frame] = []
            while true {
                let more = await reader.next(maxFrames: 100, maxBytes: 1 << 20, timeout: .zero)
                if more.isEmpty { return frames }
                frames += more.map(\.frame)
            }
        }

        func value(_ name: String, _ label: String? = nil) -> Double {
            metrics.series.filter { series in
                series.name == name && (label == nil || series.labels.contains { $0.value == label })
            }.reduce(0) { $0 + $1.read() }
        }
    }

    private func hex(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 32 - digits.utf8.count) + digits
    }

    @Test func `scopes of one resource share it`() async throws {
        let scopes = (0..<200).map { scope("s\($0)", [("1", "n\($0)")]) } + [scope("other", [("2", "o")])]
        let request = try encode("{\"resourceSpans\":[\(resource(String(repeating: "x", count: 100_000), scopes))]}")
        let bench = try Bench()
        let frames = try await bench.pass(request, spans: 201)
        #expect(frames.reduce(0) { $0 + Int($1.header.itemCount) } == 201)
        #expect(frames.reduce(0) { $0 + $1.bytes.count } < 3 * request.count)
        #expect(bench.value("sluice_trace_buffer_joined_spans_total") == 0)
    }

    /// How often `part` stands in `bytes`.
    private func count(_ part: [UInt8], in bytes: [UInt8]) -> Int {
        bytes.indices.count { bytes[$0...].starts(with: part) }
    }

    @Test func `what no schema knows beside the resources goes with each trace`() async throws {
        let scopes = [scope("s", [("1", "a"), ("2", "b")]), scope("t", [("1", "c")])]
        let request = try encode("{\"resourceSpans\":[\(resource("r", scopes))]}") + unknown(1)
        let frames = try await Bench().pass(request, spans: 3)
        #expect(try frames.flatMap { try names($0.bytes) }.sorted() == ["a r s", "b r s", "c r t"])
        #expect(frames.reduce(0) { $0 + count(unknown(1), in: $1.bytes) } == 2)
    }

    @Test func `a trace has the same unknown fields once, from however many requests it comes`() throws {
        var store = PieceStore()
        var tracker = AcknowledgementTracker()
        var list: PieceStore.List?
        var bytes: [UInt8] = []
        for number in [1, 1, 2] {
            let spans = scope("s", [("1", "a"), ("2", "b")])
            let request = try encode("{\"resourceSpans\":[\(resource("r", [spans]))]}") + unknown(number)
            var index = TraceIndex()
            try request.withUnsafeBytes { try index.read(Text($0)) }
            let frame = store.addFrame(
                FramePlace(file: 0, offset: 0), RequestMetadata(),
                tracker.register(Sequence(0)..<Sequence(1), parts: 1), pieces: 1, unknown: index.unknown)
            let runs = index.runs
            let run = try #require(runs.first)
            let heads = (store.head(index.resource(run.resource)), store.head(index.scope(run.scope)))
            let piece = request.withUnsafeBytes {
                store.add(run, of: Text($0), frame: frame, resource: heads.0, scope: heads.1)
            }
            if var all = list {
                store.append(piece, to: &all)
                list = all
            } else {
                list = piece
            }
            bytes += request[run.bytes]
        }
        let whole = try #require(list)
        var output = ByteColumn()
        _ = bytes.withUnsafeBytes { store.assemble(whole, Text($0), firstPart: 0, missing: [], into: &output) }
        #expect([UInt8](output.bytes).suffix(2 * unknown(1).count) == (unknown(1) + unknown(2))[...])
        #expect(count(unknown(1), in: [UInt8](output.bytes)) == 1)
        // What is let go of takes no memory.
        _ = store.release(whole, settling: &tracker)
        #expect(store.sharedCost == 0)
    }

    @Test func `a request whose traces would copy a large resource is passed on in one piece`() async throws {
        let spans = (0..<1_000).map { (trace: hex($0 + 1), name: "n\($0)") }
        let request = try encode(
            "{\"resourceSpans\":[\(resource(String(repeating: "x", count: 100_000), [scope("s", spans)]))]}")
        let bench = try Bench()
        let frames = try await bench.pass(request, spans: 1_000)
        #expect(frames.map(\.header.itemCount) == [1_000])
        #expect(frames.reduce(0) { $0 + $1.bytes.count } < 2 * request.count)
        #expect(bench.value("sluice_trace_buffer_joined_spans_total") == 1_000)
    }

    @Test func `a trace that the journal never takes is lost and counted, and the others pass`() async throws {
        let large = String(repeating: "x", count: 3_000)
        let request = try encode(
            "{\"resourceSpans\":[\(resource("r", [scope("s", [("1", "a"), ("2", large), ("3", "b"), ("4", "c")])]))]}")
        let bench = try Bench(outputBytes: 2_000)
        let frames = try await bench.pass(request, spans: 4)
        #expect(try frames.flatMap { try names($0.bytes) }.sorted() == ["a r s", "b r s", "c r s"])
        #expect(bench.value("sluice_pipeline_lost_items_total", "too_large") == 1)
        #expect(bench.value("sluice_pipeline_lost_items_total") == 1)
        #expect(bench.value("sluice_pipeline_stored_spans") == 3)
    }

    @Test func `spans that cannot be read for a moment are read again`() async throws {
        let request = try encode("{\"resourceSpans\":[\(resource("r", [scope("s", [("1", "a"), ("2", "b")])]))]}")
        let bench = try Bench(failures: 5)
        let frames = try await bench.pass(request, spans: 2)
        #expect(frames.reduce(0) { $0 + Int($1.header.itemCount) } == 2)
        #expect(bench.value("sluice_pipeline_lost_items_total") == 0)
    }
}

/// A cursor whose first readings of parts fail.
private final class FlakyCursor: FrameCursor {
    private let base: any FrameCursor
    private let failures: Mutex<Int>

    init(base: any FrameCursor, failures: Int) {
        self.base = base
        self.failures = Mutex(failures)
    }

    func next(maxFrames: Int, maxBytes: Int, timeout: Duration) async -> [StoredFrame] {
        await base.next(maxFrames: maxFrames, maxBytes: maxBytes, timeout: timeout)
    }

    func acknowledge(before sequence: Sequence) { base.acknowledge(before: sequence) }
    func takeLosses() -> [(reason: String, items: Int)] { base.takeLosses() }
    var backlog: HeldAmount { base.backlog }

    func read(_ parts: [FramePart]) async -> PartReading {
        let fails = failures.withLock { failures in
            failures -= 1
            return failures >= 0
        }
        return fails ? .failed("no descriptors") : await base.read(parts)
    }
}
