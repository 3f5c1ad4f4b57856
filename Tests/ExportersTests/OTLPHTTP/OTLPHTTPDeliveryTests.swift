import CZstd
import Configuration
@testable import Exporters
import FoundationEssentials
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Rules of `otlp_http` beyond a single well-behaved request.
@Suite(.timeLimit(.minutes(15))) struct OTLPHTTPDeliveryTests {
    private func exporter(
        _ server: ScriptedServer, _ more: String = "", clock: FlyingClock = FlyingClock(), log: LogLines = LogLines()
    ) async throws -> OTLPHTTPExporter {
        let read = options(OTLPHTTPOptions.self, "endpoint: \(server.url)\ncompression: none\n" + more)
        #expect(read.problems == [])
        let exporter = OTLPHTTPExporter(
            options: read.options, build: exporterBuild(log: log), version: "1", effects: clock.effects())
        try await exporter.start()
        return exporter
    }

    private func spans(_ count: Int) -> ExportBatch {
        let spans = (0..<count).map { TestSpan(id: UInt8($0 + 1)) }
        return ExportBatch(signal: .traces, itemCount: count, bytes: TestRequest.traces(spans))
    }

    private func worker(
        _ exporter: any Exporter, _ frames: [ExportBatch], box: DeadLetterBox? = nil, bytesMax: Int = 16 << 20,
        shorten: (@Sendable ([UInt8], Signal, Int) -> [UInt8]?)? = nil
    ) -> ExportWorker {
        let clock = FlyingClock()
        let cursor = FakeCursor(clock: clock)
        for frame in frames {
            cursor.append(
                Frame(
                    header: FrameHeader(signal: frame.signal, itemCount: UInt32(frame.itemCount)), bytes: frame.bytes))
        }
        var setup = ExportWorkerSetup(
            exporterID: "otlp_http", pipelineID: "traces", options: options(ExporterHelperOptions.self, "{}").options,
            isDurable: true, batchBytesMax: bytesMax, deadLetters: box, effects: clock.effects())
        setup.shorten = shorten
        return ExportWorker(cursor: cursor, exporter: exporter, metrics: SelfMetrics(), setup: setup)
    }

    private func deliver(_ worker: ExportWorker) async {
        async let running: Void = worker.run()
        while !worker.state.withLock({ $0.isStarted }) { await Task.yield() }
        await worker.drain(deadline: FlyingClock.never)
        await running
    }

    @Test func `halves a batch that is too large down to the span that is, and keeps that one`() async throws {
        let large = spans(1)
        let limit = spans(3).bytes.count + 20
        let marker = [UInt8](repeating: 5, count: 8)
        // Every request with the fifth span is too large, and every one with more than three spans.
        let server = ScriptedServer { _, request in
            let hasFifth = request.body.indices.contains { request.body[$0...].starts(with: marker) }
            return hasFifth || request.body.count > limit ? .answer(413, body: Array("too much".utf8)) : .answer(200)
        }
        defer { server.stop() }
        let folder = TemporaryDirectory()
        let letters = DeadLetterFolder(path: folder.path + "/a/otlp_http")
        let box = DeadLetterBox(
            folder: letters, options: options(DeadLetterOptions.self, "{}").options, exporterID: "otlp_http",
            metrics: SelfMetrics())
        let worker = worker(try await exporter(server), [spans(11), large], box: box)
        await deliver(worker)
        #expect(worker.account.deliveredItems == 11)
        #expect(worker.account.droppedItems(reason: "too_large") == 1)
        #expect(worker.heldItems == 0)
        let taken = server.requests.filter { request in
            !request.body.indices.contains { request.body[$0...].starts(with: marker) } && request.body.count <= limit
        }
        var delivered = 0
        for request in taken {
            delivered += OTLPSplitter.split(request.body, signal: .traces, maxItems: 1).count
        }
        #expect(delivered == 11)
        let kept = try #require(letters.list().first)
        #expect(letters.list().count == 1)
        #expect(kept.cause == .tooLarge && kept.itemCount == 1 && kept.message.contains("too much"))
        let letter = try #require(letters.read(kept.id))
        #expect(letter.requestJSON.contains("\"spanId\":\"0505050505050505\""))
    }

    /// A span with a long name, and the same with a shorter one.
    private func named(_ count: Int, id: UInt8 = 9) -> ExportBatch {
        let span = TestSpan(id: id, name: String(repeating: "n", count: count))
        return ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([span]))
    }

    private func letterBox(_ folder: TemporaryDirectory) -> (DeadLetterFolder, DeadLetterBox) {
        let letters = DeadLetterFolder(path: folder.path + "/a/otlp_http")
        let read = options(DeadLetterOptions.self, "{}").options
        return (letters, DeadLetterBox(folder: letters, options: read, exporterID: "otlp_http", metrics: SelfMetrics()))
    }

    @Test func `cuts a single span that is too large by half and half again, always from what came`() async throws {
        let server = ScriptedServer { _, request in .answer(request.body.count > 3_000 ? 413 : 200) }
        defer { server.stop() }
        let folder = TemporaryDirectory()
        let (letters, box) = letterBox(folder)
        let whole = named(10_000)
        let targets = Mutex<[Int]>([])
        let worker = worker(try await exporter(server), [spans(2), whole], box: box) { bytes, signal, size in
            #expect(bytes == whole.bytes && signal == .traces)
            targets.withLock { $0.append(size) }
            return self.named(size - 100).bytes
        }
        await deliver(worker)
        let sizes = server.requests.map(\.body.count)
        #expect(sizes.filter { $0 > 1_000 }.count == 3 && sizes.last ?? 0 <= 3_000)
        #expect(targets.withLock { $0.first } == whole.bytes.count / 2)
        #expect(worker.account.deliveredItems == 3 && worker.account.droppedItems == 0)
        #expect(letters.list().isEmpty && worker.heldItems == 0)
    }

    @Test func `keeps the original of a span that is refused however short it is`() async throws {
        for status in [413, 400] {
            // The second status once it is cut.
            let server = ScriptedServer { _, request in .answer(request.body.count > 6_000 ? 413 : status) }
            defer { server.stop() }
            let folder = TemporaryDirectory()
            let (letters, box) = letterBox(folder)
            let whole = named(10_000)
            let worker = worker(try await exporter(server), [whole], box: box) { _, _, size in
                self.named(size - 100).bytes
            }
            await deliver(worker)
            #expect(worker.account.deliveredItems == 0)
            #expect(worker.account.droppedItems(reason: status == 413 ? "too_large" : "rejected") == 1)
            let kept = try #require(letters.list().first)
            #expect(letters.list().count == 1 && letters.read(kept.id)?.bytes == whole.bytes)
            // Down to the smallest, and no further.
            #expect(server.requests.count < 8)
        }
    }

    @Test func `cuts a span over the destination's known limit to that limit, without asking it first`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let limit = 4_000
        let exporter = try await exporter(server, "max_request_body_size: \(limit)")
        let worker = worker(exporter, [named(9_000)], bytesMax: limit) { _, _, size in
            #expect(size == limit)
            return self.named(size - 100).bytes
        }
        await deliver(worker)
        #expect(server.requests.count == 1 && worker.account.deliveredItems == 1)
    }

    @Test func `a cut that makes nothing smaller ends in a dead letter`() async throws {
        let server = ScriptedServer { _, _ in .answer(413) }
        defer { server.stop() }
        let folder = TemporaryDirectory()
        let (letters, box) = letterBox(folder)
        let worker = worker(try await exporter(server), [named(9_000)], box: box) { bytes, _, _ in bytes }
        await deliver(worker)
        #expect(server.requests.count == 1 && letters.list().first?.cause == .tooLarge)
    }

    @Test func `sends zstd that the reference decoder reads`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let read = options(
            OTLPHTTPOptions.self, "{endpoint: '\(server.url)', compression: zstd, compression_params: {level: 3}}")
        #expect(read.problems == [])
        let exporter = OTLPHTTPExporter(options: read.options, build: exporterBuild(), version: "1")
        try await exporter.start()
        let batch = spans(40)
        for _ in 0..<2 { #expect(await exporter.export(batch) == .delivered) }
        for request in server.requests {
            #expect(request.headers["content-encoding"] == "zstd")
            #expect(request.body.count < batch.bytes.count)
            var plain = [UInt8](repeating: 0, count: batch.bytes.count + 1)
            let count = ZSTD_decompress(&plain, plain.count, request.body, request.body.count)
            #expect(Array(plain.prefix(count)) == batch.bytes)
        }
        #expect(server.requests.count == 2)
    }

    @Test(arguments: [
        ("", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        ("", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n<html>ok!"),
    ]) func `never sends again what was answered 2xx`(_: String, answer: String) async throws {
        let server = ScriptedServer { index, _ in index == 0 ? .cut(Array(answer.utf8)) : .reset }
        defer { server.stop() }
        let exporter = try await exporter(server)
        #expect(await exporter.export(spans(1)) == .delivered)
        #expect(server.requests.count == 1)
        // The status of the first answer says nothing about the second request.
        guard case .retry = await exporter.export(spans(1)) else {
            Issue.record("not a retry")
            return
        }
    }

    @Test(
        arguments: [
            ("5", 5), ("0", nil), ("-1", nil), ("1000000000", 86_400), ("soon", nil), ("", nil),
            ("99999999999999999999", 86_400), ("9223372036854775807", 86_400), ("00000000000000000000", nil),
            ("99999999999999999999s", nil),
            ("Fri, 01 Jan 2100 00:00:00 GMT", 86_400), ("Thu, 01 Jan 1970 00:00:00 GMT", nil),
        ] as [(String, Int?)])
    func `reads every form of Retry-After`(value: String, seconds: Int?) async throws {
        let server = ScriptedServer { _, _ in .answer(429, headers: ["Retry-After: \(value)"]) }
        defer { server.stop() }
        let exporter = try await exporter(server)
        guard case .retry(_, let after) = await exporter.export(spans(1)) else {
            Issue.record("not a retry")
            return
        }
        #expect(after == seconds.map { .seconds($0) })
    }

    @Test func `sends tokens and passwords, and takes over a changed file`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let folder = TemporaryDirectory()
        let path = folder.file("token")
        func write(_ text: String) {
            #expect(FileManager.default.createFile(atPath: path, contents: Data(text.utf8)))
        }
        write("first\n")
        let clock = FlyingClock()
        let log = LogLines()
        let bearer = try await exporter(
            server, "auth: {bearer: {token_file: '\(path)'}}\nheader_files: {x-org: '\(path)'}\n", clock: clock,
            log: log)
        let basic = try await exporter(server, "auth: {basic: {username: pk, password: 'sk:1'}}\n")
        let batch = spans(1)
        #expect(await bearer.export(batch) == .delivered)
        write("second")
        #expect(await bearer.export(batch) == .delivered)
        clock.advance(HTTPDestination.fileInterval)
        #expect(await bearer.export(batch) == .delivered)
        write("with\nbreak")
        clock.advance(HTTPDestination.fileInterval)
        #expect(await bearer.export(batch) == .delivered)
        #expect(await basic.export(batch) == .delivered)
        #expect(
            server.requests.map { $0.headers["authorization"] } == [
                "Bearer first", "Bearer first", "Bearer second", "Bearer second", "Basic cGs6c2s6MQ==",
            ])
        #expect(server.requests[2].headers["x-org"] == "second")
        #expect(log.lines.contains { $0.contains("line break") && !$0.contains("with") })
        #expect(!log.lines.contains { $0.contains("second") })
    }

    @Test func `will not start without the file of its token`() async throws {
        let read = options(
            OTLPHTTPOptions.self, "{endpoint: 'https://h', auth: {bearer: {token_file: /nonexistent/token}}}")
        let exporter = OTLPHTTPExporter(options: read.options, build: exporterBuild(), version: "1")
        await #expect(throws: ExporterStartFailure.self) { try await exporter.start() }
    }

    @Test func `opens a new connection when the old one has reached its age`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let exporter = try await exporter(server, "max_connection_age: 1s\n")
        #expect(await exporter.export(spans(1)) == .delivered)
        #expect(server.connections == 1)
        // libcurl counts whole seconds on its own clock.
        try await Task.sleep(for: .milliseconds(2_100))
        #expect(await exporter.export(spans(1)) == .delivered)
        #expect(server.connections == 2)
    }

    @Test func `never sends more than the limit, whatever the encoding`() async throws {
        let server = ScriptedServer { _, _ in .answer(200) }
        defer { server.stop() }
        let limit = 1_500
        let frames = (1...9).map { spans($0) }
        let worker = worker(
            try await exporter(server, "encoding: json\nmax_request_body_size: \(limit)\n"), frames)
        await deliver(worker)
        #expect(worker.account.deliveredItems == 45)
        #expect(server.requests.allSatisfy { $0.body.count <= limit })
        #expect(server.requests.contains { $0.body.count > limit / 2 })
    }
}
