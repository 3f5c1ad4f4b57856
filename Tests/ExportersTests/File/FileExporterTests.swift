@testable import Exporters
import FoundationEssentials
import Glibc
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct FileExporterTests {
    private let directory = TemporaryDirectory()
    private func batch(_ name: String = "step") -> ExportBatch {
        ExportBatch(signal: .traces, itemCount: 1, bytes: TestRequest.traces([TestSpan(name: name)]))
    }

    private func make(_ more: String = "", effects: FileEffects = .system, log: LogLines = LogLines()) -> FileExporter {
        let read = options(FileOptions.self, "path: \(directory.file("out.json"))\n" + more)
        #expect(read.problems == [])
        return FileExporter(options: read.options, build: exporterBuild(log: log), effects: effects)
    }

    private var lines: [Substring] { directory.contents("out.json").split(separator: "\n") }

    @Test func `writes one request per line, privately`() async throws {
        let exporter = make()
        try await exporter.start()
        #expect(await exporter.export(batch("a\nb")) == .delivered)
        #expect(await exporter.export(batch("c")) == .delivered)
        await exporter.shutdown()
        await exporter.shutdown()
        #expect(lines.count == 2)
        #expect(lines[0].contains(#""name":"a\nb""#))
        #expect(directory.contents("out.json").hasSuffix("}\n"))
        var facts = stat()
        #expect(stat(directory.file("out.json"), &facts) == 0)
        #expect(facts.st_mode & 0o777 == 0o600)
    }

    @Test func `goes on in a new file when the open one was moved or removed`() async throws {
        let exporter = make()
        try await exporter.start()
        #expect(await exporter.export(batch("first")) == .delivered)
        #expect(rename(directory.file("out.json"), directory.file("moved.json")) == 0)
        #expect(await exporter.export(batch("second")) == .delivered)
        #expect(directory.contents("moved.json").contains("first"))
        #expect(!directory.contents("moved.json").contains("second"))
        #expect(lines.count == 1 && lines[0].contains("second"))
        #expect(unlink(directory.file("out.json")) == 0)
        #expect(await exporter.export(batch("third")) == .delivered)
        #expect(lines.count == 1 && lines[0].contains("third"))
        await exporter.shutdown()
    }

    @Test func `writes protobuf behind its length`() async throws {
        let exporter = make("format: proto\n")
        try await exporter.start()
        #expect(await exporter.export(batch()) == .delivered)
        let bytes = [UInt8](FileManager.default.contents(atPath: directory.file("out.json")) ?? Data())
        let length = batch().bytes.count
        #expect(Array(bytes.prefix(4)) == [0, 0, UInt8(length >> 8), UInt8(length & 255)])
        #expect(Array(bytes.dropFirst(4)) == batch().bytes)
    }

    @Test(arguments: [("", 2), ("append: false\n", 1)])
    func `appends by default and empties the file at the first start when told to`(
        first: String, count: Int
    ) async throws {
        let content = Data("{\"a\":1}\n".utf8)
        try #require(FileManager.default.createFile(atPath: directory.file("out.json"), contents: content))
        // The others stand for reloads.
        for (more, count) in [(first, count), ("append: false\n", count + 1), ("", count + 2)] {
            let exporter = make(more)
            try await exporter.start()
            #expect(await exporter.export(batch()) == .delivered)
            await exporter.shutdown()
            #expect(lines.count == count)
        }
    }

    @Test func `a replay of dead letters adds to a file that the gateway would empty`() async throws {
        let content = Data("{\"a\":1}\n".utf8)
        _ = FileManager.default.createFile(atPath: directory.file("out.json"), contents: content)
        let read = options(FileOptions.self, "path: \(directory.file("out.json"))\nappend: false\n")
        var build = exporterBuild()
        build.isReplay = true
        let exporter = FileExporter(options: read.options, build: build.renamed("file/child"))
        try await exporter.start()
        #expect(await exporter.export(batch()) == .delivered)
        await exporter.shutdown()
        #expect(lines.count == 2)
    }

    @Test(arguments: ["{\"a\":1}\n{\"b\":2}\n", "{\"a\":1}\n{\"b\"", "{\"torn"])
    func `cuts off a torn last line at start`(content: String) async throws {
        _ = FileManager.default.createFile(atPath: directory.file("out.json"), contents: Data(content.utf8))
        let log = LogLines()
        let exporter = make(log: log)
        try await exporter.start()
        #expect(await exporter.export(batch()) == .delivered)
        let whole = content.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.count == whole.count + 1)
        #expect(Array(lines.prefix(whole.count)) == Array(whole))
        #expect(log.lines.isEmpty == content.hasSuffix("\n"))
    }

    @Test func `cuts off a torn last record of protobuf at start`() async throws {
        let content = Data([0, 0, 0, 2, 7, 7, 0, 0, 0, 9, 1])
        _ = FileManager.default.createFile(atPath: directory.file("out.json"), contents: content)
        let exporter = make("format: proto\n")
        try await exporter.start()
        #expect(FileManager.default.contents(atPath: directory.file("out.json")) == content.prefix(6))
    }

    /// Earlier versions went on behind zeros that a power loss had left.
    @Test func `records behind zeros stay`() async throws {
        let content = Data([0, 0, 0, 2, 7, 7] + [UInt8](repeating: 0, count: 4_096) + [0, 0, 0, 1, 9, 0, 0, 0, 0, 0])
        _ = FileManager.default.createFile(atPath: directory.file("out.json"), contents: content)
        let exporter = make("format: proto\n")
        try await exporter.start()
        #expect(FileManager.default.contents(atPath: directory.file("out.json")) == content.dropLast(5))
    }

    /// Some file systems know a file's size after a power loss, and none of its data.
    @Test(arguments: ["format: json\n", "format: proto\n"], [1, 300, 70_000])
    func `a file of zeros is an unfinished record`(format: String, size: Int) async throws {
        _ = FileManager.default.createFile(
            atPath: directory.file("out.json"), contents: Data(repeating: 0, count: size))
        let exporter = make(format)
        try await exporter.start()
        #expect(FileManager.default.contents(atPath: directory.file("out.json")) == Data())
    }

    @Test func `will not touch a file of another kind`() async throws {
        _ = FileManager.default.createFile(atPath: directory.file("out.json"), contents: Data("dear diary".utf8))
        await #expect(throws: ExporterStartFailure.self) { try await make().start() }
        #expect(directory.contents("out.json") == "dear diary")
    }

    @Test func `will not share a file`() async throws {
        let first = make()
        try await first.start()
        await #expect(throws: ExporterStartFailure.self) { try await make().start() }
        await first.shutdown()
        try await make().start()
    }

    @Test func `says what to do about a missing directory, or creates it`() async throws {
        let path = directory.file("a/b/out.json")
        let build = exporterBuild()
        let missing = FileExporter(options: options(FileOptions.self, "path: \(path)").options, build: build)
        do {
            try await missing.start()
            Issue.record("started")
        } catch { #expect("\(error)".contains("create_directory: true")) }
        let created = FileExporter(
            options: options(FileOptions.self, "{path: \(path), create_directory: true}").options, build: build)
        try await created.start()
        #expect(FileManager.default.fileExists(atPath: path))
        // Also one that somebody removes later.
        try FileManager.default.removeItem(atPath: directory.file("a"))
        #expect(await created.export(batch("again")) == .delivered)
        #expect(FileManager.default.fileExists(atPath: path))
    }

    @Test func `begins a new file when the current one is full and keeps the newest closed ones`() async throws {
        let clock = Mutex<Int64>(1_700_000_000_000)
        var effects = FileEffects.system
        effects.wallClock = {
            clock.withLock {
                $0 += 1
                return $0
            }
        }
        let exporter = make("rotation: {max_megabytes: 1, max_backups: 2}\n", effects: effects)
        try await exporter.start()
        let name = String(repeating: "x", count: 400_000)
        for _ in 0..<11 { #expect(await exporter.export(batch(name)) == .delivered) }
        await exporter.shutdown()
        let names = directory.names
        #expect(names.count == 3)
        #expect(names.filter { $0.hasPrefix("out-2023-11-14T22-13-20.") }.count == 2)
        for name in names {
            let content = directory.contents(name)
            #expect(content.utf8.count <= 1 << 20)
            #expect(content.hasSuffix("}\n"))
        }
        #expect(lines.count == 1)
    }

    @Test func `delivers each record exactly once when one write or sync fails`() async throws {
        // The nth call fails once, for each n until none fails any more; the helper would send the batch again.
        for failing in 0..<12 {
            let path = directory.file("f\(failing).json")
            let calls = Mutex(0)
            let fails: @Sendable () -> Bool = {
                calls.withLock {
                    $0 += 1
                    return $0 - 1 == failing
                }
            }
            var effects = FileEffects.system
            effects.write = { descriptor, bytes in
                if !fails() { return FileEffects.system.write(descriptor, bytes) }
                let half = UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)])
                _ = FileEffects.system.write(descriptor, half)
                return (-1, ENOSPC)
            }
            effects.sync = { fails() ? EIO : FileEffects.system.sync($0) }
            let exporter = FileExporter(
                options: options(FileOptions.self, "path: \(path)").options, build: exporterBuild(), effects: effects)
            try await exporter.start()
            var failures = 0
            for number in 0..<4 {
                while await exporter.export(batch("n\(number)")) != .delivered { failures += 1 }
            }
            await exporter.shutdown()
            let content = directory.contents("f\(failing).json")
            let written = content.split(separator: "\n")
            #expect(written.count == 4, "call \(failing)")
            for number in 0..<4 where written.count == 4 { #expect(written[number].contains("\"n\(number)\"")) }
            #expect(failures == (failing < 8 ? 1 : 0))
        }
    }

    /// How each line begins; the lines are too long to search.
    private func heads(of content: String) -> [String] {
        var content = content
        return content.withUTF8 { bytes in
            var heads: [String] = []
            var rest = bytes[...]
            while let base = UnsafeBufferPointer(rebasing: rest).baseAddress, let end = memchr(base, 10, rest.count) {
                let length = UnsafeRawPointer(end) - UnsafeRawPointer(base)
                heads.append(String(decoding: rest.prefix(min(length, 300)), as: UTF8.self))
                rest = rest.dropFirst(length + 1)
            }
            return heads
        }
    }

    @Test(arguments: ["", "rotation: {max_megabytes: 7}\n"])
    func `writes a large group in pieces and syncs it once, and takes all back when one fails`(more: String) throws {
        let group = (0..<5).map { batch("\($0)" + String(repeating: "x", count: 3_000_000)) }
        var failing = 0
        while true {
            let path = directory.file("g\(failing).json")
            let calls = Mutex<(all: Int, syncs: Int, largest: Int)>((0, 0, 0))
            let fails: @Sendable () -> Bool = { [failing] in
                calls.withLock {
                    $0.all += 1
                    return $0.all - 1 == failing
                }
            }
            var effects = FileEffects.system
            effects.write = { descriptor, bytes in
                calls.withLock { $0.largest = max($0.largest, bytes.count) }
                return fails() ? (-1, ENOSPC) : FileEffects.system.write(descriptor, bytes)
            }
            effects.sync = { descriptor in
                calls.withLock { $0.syncs += 1 }
                return fails() ? EIO : FileEffects.system.sync(descriptor)
            }
            let files = OpenFiles(options(FileOptions.self, "path: \(path)\n\(more)").options, effects: effects) {
                _, _ in
            }
            let first = files.append(group)
            let rest = zip(group, first).filter { $0.1 != .delivered }.map(\.0)
            if !rest.isEmpty { #expect(files.append(rest).allSatisfy { $0 == .delivered }) }
            files.close()
            let names = directory.names.filter { $0.hasPrefix("g\(failing)") }
            let written = names.flatMap { heads(of: directory.contents($0)) }
            let numbers = group.indices.map { number in written.count { $0.contains("\"\(number)xxx") } }
            #expect(numbers == [1, 1, 1, 1, 1], "call \(failing)")
            let (all, syncs, largest) = calls.withLock { $0 }
            #expect(largest < 8 << 20)
            guard all > failing else {
                #expect(rest.isEmpty && syncs == (more.isEmpty ? 1 : 3))
                return
            }
            failing += 1
        }
    }

    @Test func `shares syncs between deliveries that come together`() async throws {
        let syncs = Mutex(0)
        var effects = FileEffects.system
        effects.sync = { descriptor in
            syncs.withLock { $0 += 1 }
            return FileEffects.system.sync(descriptor)
        }
        let exporter = make(effects: effects)
        try await exporter.start()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                group.addTask { #expect(await exporter.export(self.batch("n\(number)")) == .delivered) }
            }
        }
        #expect(lines.count == 200)
        #expect(Set(lines).count == 200)
        #expect(syncs.withLock { $0 } <= 200)
    }

    @Test func `refuses options that it cannot keep`() {
        #expect(options(FileOptions.self, "{}").problems != [])
        #expect(options(FileOptions.self, "{path: a, directory_permissions: '0999'}").problems != [])
        #expect(options(FileOptions.self, "{path: a, format: xml}").problems != [])
    }
}
