import CDeflate
import CZstd
@testable import Exporters
import FoundationEssentials
import Glibc
import Pipeline
import Synchronization
import Telemetry
import Testing

/// What happens to files that the file exporter has closed.
@Suite(.timeLimit(.minutes(15))) struct ClosedFileTests {
    private let directory = TemporaryDirectory()
    private let record = "{\"resourceSpans\":[{\"scopeSpans\":[]}]}\n"

    private func batch(_ name: String) -> ExportBatch {
        ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([TestSpan(name: name)]))
    }

    /// A clock that a test moves, in milliseconds.
    private final class Clock: Sendable {
        private let time = Mutex<Int64>(1_700_000_000_000)
        var now: Int64 { time.withLock { $0 } }
        func advance(_ milliseconds: Int64) { time.withLock { $0 += milliseconds } }
    }

    private func exporter(_ more: String, clock: Clock = Clock()) async throws -> FileExporter {
        let read = options(FileOptions.self, "path: \(directory.file("out.json"))\n" + more)
        #expect(read.problems == [])
        var effects = FileEffects.system
        effects.wallClock = { clock.now }
        effects.graceMilliseconds = 60_000
        let exporter = FileExporter(options: read.options, build: exporterBuild(), effects: effects)
        try await exporter.start()
        return exporter
    }

    private func bytes(_ name: String) -> [UInt8] {
        [UInt8](FileManager.default.contents(atPath: directory.file(name)) ?? Data())
    }

    private func plain(_ name: String) -> String {
        let bytes = bytes(name)
        var out = [UInt8](repeating: 0, count: 1 << 20)
        var count = 0
        if name.hasSuffix(".zst") {
            count = ZSTD_decompress(&out, out.count, bytes, bytes.count)
            if ZSTD_isError(count) != 0 { return "" }
        } else if let decompressor = libdeflate_alloc_decompressor() {
            defer { libdeflate_free_decompressor(decompressor) }
            let result = libdeflate_gzip_decompress(decompressor, bytes, bytes.count, &out, out.count, &count)
            if result != LIBDEFLATE_SUCCESS { return "" }
        }
        return String(decoding: out[..<count], as: UTF8.self)
    }

    @Test func `a file that two are to compress is compressed once, and whole`() throws {
        let text = (0..<20_000).map { "line \($0) of a file\n" }.joined()
        let paths = (0..<10).map { directory.file("closed-\($0).json") }
        let problems = Mutex<[String]>([])
        let compressors = (0..<2).compactMap { _ in
            ClosedFileCompressor(.gzip, graceMilliseconds: 60_000) { text in problems.withLock { $0.append(text) } }
        }
        for path in paths {
            try Data(text.utf8).write(to: URL(filePath: path))
            for compressor in compressors { compressor.compress(path) }
        }
        for compressor in compressors { compressor.finish() }
        #expect(problems.withLock { $0 } == [])
        for number in 0..<10 {
            #expect(plain("closed-\(number).json.gz") == text)
            #expect(!FileManager.default.fileExists(atPath: paths[number]))
        }
    }

    @Test(arguments: ["gzip", "zstd"]) func `begins a file with each window of time and compresses the closed one`(
        compression: String
    ) async throws {
        let clock = Clock()
        let exporter = try await exporter("compression: \(compression)\nrotation: {interval: 1h}\n", clock: clock)
        #expect(await exporter.export(batch("one")) == .delivered)
        #expect(await exporter.export(batch("two")) == .delivered)
        clock.advance(3_600_000)
        #expect(await exporter.export(batch("three")) == .delivered)
        await exporter.shutdown()
        let closed = directory.names.filter { $0 != "out.json" }
        let name = try #require(closed.first)
        #expect(
            closed.count == 1 && name.hasPrefix("out-2023-11-14T23")
                && name.hasSuffix(compression == "gzip" ? ".json.gz" : ".json.zst"))
        let text = plain(name)
        #expect(text.contains("\"one\"") && text.contains("\"two\"") && !text.contains("\"three\""))
        #expect(text.split(separator: "\n").count == 2)
        #expect(directory.contents("out.json").contains("\"three\""))
    }

    @Test func `compresses what an earlier run has left, and leaves foreign files alone`() async throws {
        for name in ["out-2023-01-01T00-00-00.000.json", "out-notes.json", "out-2022-01-01T00-00-00.000.json.gz"] {
            _ = FileManager.default.createFile(atPath: directory.file(name), contents: Data(record.utf8))
        }
        let exporter = try await exporter("compression: gzip\nrotation: {}\n")
        await exporter.shutdown()
        #expect(
            directory.names == [
                "out-2022-01-01T00-00-00.000.json.gz", "out-2023-01-01T00-00-00.000.json.gz", "out-notes.json",
                "out.json",
            ])
        #expect(plain("out-2023-01-01T00-00-00.000.json.gz") == record)
    }

    /// The name of a file that was closed at a second.
    private func closed(_ second: Int) -> String { "out-2023-01-01T00-00-0\(second).000.json" }

    private func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: directory.file(name)))
    }

    @Test func `the name of a closed file does not make foreign files ours`() async throws {
        for name in ["linked", "two.json", closed(0)] { try write(record, to: name) }
        try #require(mkfifo(directory.file(closed(1)), 0o600) == 0)
        try #require(symlink(directory.file("linked"), directory.file(closed(2))) == 0)
        try #require(link(directory.file("two.json"), directory.file(closed(3))) == 0)
        try #require(mkdir(directory.file(closed(4)), 0o700) == 0)
        let texts = [closed(5): "a note\n", closed(6): "", closed(7): record, closed(7) + ".gz": "somebody's"]
        for (name, text) in texts { try write(text, to: name) }
        let before = directory.names
        let exporter = try await exporter("compression: gzip\nrotation: {}\n")
        await exporter.shutdown()
        let after = before.map { $0 == closed(0) ? $0 + ".gz" : $0 } + ["out.json"]
        #expect(directory.names == after.sorted())
        for (name, text) in texts { #expect(directory.contents(name) == text, "\(name)") }
        #expect(directory.contents("linked") == record && directory.contents("two.json") == record)
    }

    @Test func `a closed file that was compressed when the process was killed goes`() async throws {
        try write(record, to: closed(0))
        try await exporter("compression: gzip\nrotation: {}\n").shutdown()
        let compressed = bytes(closed(0) + ".gz")
        try write(record, to: closed(0))
        try await exporter("compression: gzip\nrotation: {}\n").shutdown()
        #expect(directory.names == [closed(0) + ".gz", "out.json"])
        #expect(bytes(closed(0) + ".gz") == compressed && plain(closed(0) + ".gz") == record)
    }

    /// Takes more than a moment to be compressed.
    private func writeLarge(_ name: String) throws {
        var state: UInt64 = 1
        let piece = (0..<1_048_576).map { _ -> UInt8 in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
        let file = (0..<32).reduce(into: Data()) { file, _ in file.append(contentsOf: piece) }
        try file.write(to: URL(fileURLWithPath: directory.file(name)))
    }

    /// Waits half a minute at most.
    private func waitUntil(_ isDone: () -> Bool) async throws {
        for _ in 0..<30_000 where !isDone() { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test func `a compressor that ends holds nobody, and its successor goes on with what it leaves`() async throws {
        try writeLarge("large")
        let first = try #require(ClosedFileCompressor(.gzip, graceMilliseconds: 0) { _ in })
        let second = try #require(ClosedFileCompressor(.gzip, graceMilliseconds: 0) { _ in })
        first.compress(directory.file("large"))
        second.compress(directory.file("large"))
        let time = ContinuousClock().measure { first.finish() }
        #expect(time < .seconds(1))
        try await waitUntil { directory.names == ["large.gz"] }
        #expect(directory.names == ["large.gz"])
    }

    @Test func `a file that is deleted while it is compressed does not come back`() async throws {
        try writeLarge("large")
        let compressor = try #require(ClosedFileCompressor(.gzip, graceMilliseconds: 60_000) { _ in })
        compressor.compress(directory.file("large"))
        try await waitUntil { directory.names.contains { $0.hasPrefix("large.gz") } }
        let isDeleted = unlink(directory.file("large")) == 0
        compressor.finish()
        #expect(directory.names == (isDeleted ? [] : ["large.gz"]))
    }

    @Test func `what could not be compressed is tried again with the next closed file, and told once`() throws {
        let log = LogLines()
        let compressor = try #require(ClosedFileCompressor(.gzip, graceMilliseconds: 60_000) { log.add(.warn, $0) })
        for name in ["a", "b", "c"] { try write(record, to: name) }
        try #require(mkdir(directory.file("a.gz.tmp"), 0o700) == 0)
        for name in ["a", "b"] { compressor.compress(directory.file(name)) }
        compressor.finish()
        #expect(directory.names == ["a", "a.gz.tmp", "b.gz", "c"])
        try #require(rmdir(directory.file("a.gz.tmp")) == 0)
        compressor.compress(directory.file("c"))
        compressor.finish()
        #expect(directory.names == ["a.gz", "b.gz", "c.gz"])
        #expect(log.lines.count == 1)
    }

    @Test func `deletes the oldest closed files, compressed or not`() {
        let names = RotationNames(path: "/d/out.json")
        let files = [
            "out-2023-01-03T00-00-00.000.json", "out-2023-01-02T00-00-00.000.json.gz",
            "out-2023-01-01T00-00-00.000.json.zst", "out.json", "other.gz",
        ]
        let expired = names.expired(
            among: files, options: RotationOptions(maxMegabytes: 1, maxBackups: 1), at: 1_700_000_000_000)
        #expect(expired == ["out-2023-01-02T00-00-00.000.json.gz", "out-2023-01-01T00-00-00.000.json.zst"])
        #expect(names.plain(among: files) == ["out-2023-01-03T00-00-00.000.json"])
    }

    @Test func `without rotation no file is closed, and compression is only a warning`() {
        let read = options(FileOptions.self, "{path: a, compression: zstd}")
        #expect(read.problems == [] && read.options.compression == .zstd && read.options.rotation == nil)
    }
}
