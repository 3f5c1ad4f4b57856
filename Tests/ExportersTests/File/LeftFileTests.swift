@testable import Exporters
import FoundationEssentials
import Glibc
import Pipeline
import Synchronization
import Telemetry
import Testing

/// What becomes of files that an earlier run of the file exporter has left.
@Suite(.timeLimit(.minutes(15))) struct LeftFileTests {
    private let directory = TemporaryDirectory()
    private let day: Int64 = 86_400_000
    /// 2023-11-14.
    private let time: Int64 = 1_700_000_000_000

    private func batch(_ service: String, _ name: String) -> ExportBatch {
        let bytes = ProtoBytes.build { request in
            request.message(1) { group in
                group.message(1) { resource in resource.attribute(1, "service.name", .text(service)) }
                group.message(2) { scope in scope.message(2) { span in span.text(5, name) } }
            }
        }
        return ExportBatch(signal: .traces, itemCount: 1, bytes: bytes)
    }

    /// Starts an exporter at a time, has it write, and ends it. Gives what it logged.
    @discardableResult
    private func run(_ yaml: String, at time: Int64, _ batches: [ExportBatch] = []) async throws -> [String] {
        let read = options(FileOptions.self, "path: \"\(directory.path)/\(yaml)")
        #expect(read.problems == [])
        var effects = FileEffects.system
        effects.wallClock = { time }
        effects.graceMilliseconds = 60_000
        let log = LogLines()
        let exporter = FileExporter(options: read.options, build: exporterBuild(log: log), effects: effects)
        try await exporter.start()
        for batch in batches { #expect(await exporter.export(batch) == .delivered) }
        await exporter.shutdown()
        return log.lines
    }

    private func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: directory.file(name)))
    }

    private func append(_ bytes: [UInt8], to name: String) throws {
        let descriptor = open(directory.file(name), O_WRONLY | O_APPEND | O_CLOEXEC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        #expect(Descriptor.writeAll(bytes, to: descriptor))
    }

    private func found() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: directory.path).filter { $0.contains(".json") }.sorted()
    }

    @Test func `a torn record at the end of a day that is over is cut off, and whole files stay`() async throws {
        let yaml = "{service.name}/{%Y-%m-%d}.jsonl\""
        try await run(yaml, at: time, [batch("a", "one"), batch("b", "two")])
        let whole = directory.contents("a/2023-11-14.jsonl")
        try append(Array(#"{"resourceSpans":[{"resource":{}},{"sco"#.utf8), to: "a/2023-11-14.jsonl")
        let log = try await run(yaml, at: time + day, [batch("b", "three")])
        #expect(log.count == 1 && log.first?.contains("a/2023-11-14.jsonl: cut off 39 bytes") == true)
        #expect(directory.contents("a/2023-11-14.jsonl") == whole)
        #expect(directory.contents("b/2023-11-14.jsonl").contains("two"))
        #expect(try found() == ["a/2023-11-14.jsonl", "b/2023-11-14.jsonl", "b/2023-11-15.jsonl"])
    }

    @Test func `zeros that a power loss has left behind whole records are cut off`() async throws {
        let yaml = "{%Y-%m-%d}.jsonl\""
        try await run(yaml, at: time, [batch("a", "one")])
        let whole = directory.contents("2023-11-14.jsonl")
        for left in [[UInt8](repeating: 0, count: 5_000), Array("{\"resou".utf8) + [UInt8](repeating: 0, count: 70)] {
            try append(left, to: "2023-11-14.jsonl")
            try await run(yaml, at: time + day)
            #expect(directory.contents("2023-11-14.jsonl") == whole)
        }
    }

    @Test func `a damaged length in a day that is over costs no record behind it`() async throws {
        let yaml = "{%Y-%m-%d}.jsonl\"\nformat: proto"
        try await run(yaml, at: time, [batch("a", "one"), batch("a", "two"), batch("a", "three")])
        let url = URL(fileURLWithPath: directory.file("2023-11-14.jsonl"))
        var bytes = try Array(Data(contentsOf: url))
        let second = 4 + Int(bytes[3])
        bytes[second + 2] = 0x40
        try Data(bytes).write(to: url)
        try await run(yaml, at: time + day)
        #expect(try Array(Data(contentsOf: url)) == bytes)
    }

    @Test func `a torn record of protobuf is cut off`() async throws {
        let yaml = "{%Y-%m-%d}.jsonl\"\nformat: proto"
        try await run(yaml, at: time, [batch("a", "one")])
        let whole = directory.contents("2023-11-14.jsonl")
        try append([0, 0, 0, 90, 10, 3], to: "2023-11-14.jsonl")
        try await run(yaml, at: time + day)
        #expect(directory.contents("2023-11-14.jsonl") == whole)
    }

    @Test func `the look at a file of many records ends when the exporter does`() async throws {
        try await run("{%Y-%m-%d}.jsonl\"\nformat: proto", at: time, [batch("a", "one"), batch("a", "two")])
        let path = directory.file("2023-11-14.jsonl")
        let size = try #require(LeftFacts(path)).size
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var looks = 0
        func left(_ looksMax: Int) -> TornTail.Left {
            looks = 0
            return TornTail.left(descriptor, size: size, format: .proto) {
                looks += 1
                return looks > looksMax
            }
        }
        let (whole, stopped) = (left(2), left(1))
        #expect(whole == .whole)
        #expect(stopped == .foreign)
    }

    @Test func `what is over is closed and compressed where closed files are, what may go on is not`() async throws {
        let yaml = "{service.name}-{%Y-%m-%d}.jsonl\"\ncompression: gzip\nrotation: {}"
        try await run(yaml, at: time, [batch("a", "one")])
        try await run(yaml, at: time + day, [batch("b", "two")])
        let names = try found()
        #expect(names.count == 2 && names.last == "b-2023-11-15.jsonl")
        let closed = try #require(names.first)
        // The time in it is that of the last write, which the test does not set.
        #expect(closed.hasPrefix("a-2023-11-14-2") && closed.hasSuffix(".jsonl.gz"))
        // A second start does nothing more, and a third one closes the other.
        try await run(yaml, at: time + day)
        #expect(try found() == names)
        try await run(yaml, at: time + 2 * day)
        let all = try found()
        #expect(all.count == 2 && all.allSatisfy { $0.hasSuffix(".jsonl.gz") })
        // One of the same name, as after the clock was set back, takes nothing away.
        try await run(yaml, at: time, [batch("a", "three")])
        try await run(yaml, at: time + day)
        #expect(Set(try found()).isSuperset(of: all))
        #expect(try found().count == 3)
    }

    @Test func `closed files in folders that get no more data are compressed, without a torn record`() async throws {
        let yaml = "{service.name}/spans.jsonl\"\ncompression: zstd\nrotation: {}"
        try await run(yaml, at: time, [batch("a", "one")])
        let closed = "a/spans-2023-11-13T00-00-00.000.jsonl"
        try FileManager.default.copyItem(
            atPath: directory.file("a/spans.jsonl"), toPath: directory.file(closed))
        try append(Array(#"{"resourceSpans":[{"#.utf8), to: closed)
        let log = try await run(yaml, at: time)
        #expect(log.count == 1 && log.first?.contains("cut off 19 bytes") == true)
        #expect(try found() == [closed + ".zst", "a/spans.jsonl"])
    }

    @Test func `foreign files are left alone, whatever they are called`() async throws {
        let record = #"{"resourceSpans":[{"scopeSpans":[]}]}"#
        let foreign = [
            // A configuration, a payload that somebody has saved, one that is laid out, one of another name.
            "config.json": "{\n  \"a\": 1\n}", "payload.json": record, "pretty.json": "{\n\"resourceSpans\":[\n",
            "two.json": record + "\n" + record, "other.txt": record + "\n{\"resourceSpans\":[",
            // Closed by another program that writes beside us.
            "server-2023-11-13T00-00-00.000.json": "{\"level\":\"info\"}\n", "empty.json": "",
        ]
        for (name, text) in foreign { try write(text, to: name) }
        let kept = TemporaryDirectory()
        try Data((record + "\n{\"resourceS").utf8).write(to: URL(fileURLWithPath: kept.file("kept.json")))
        #expect(symlink(kept.file("kept.json"), directory.file("link.json")) == 0)
        #expect(link(kept.file("kept.json"), directory.file("hard.json")) == 0)
        for format in ["json", "proto"] {
            let yaml = "{service.name}.json\"\nformat: \(format)\ncompression: gzip\nrotation: {}"
            #expect(try await run(yaml, at: time) == [])
        }
        #expect(directory.names == (Array(foreign.keys) + ["hard.json", "link.json"]).sorted())
        for (name, text) in foreign { #expect(directory.contents(name) == text, "\(name)") }
        #expect(kept.contents("kept.json").hasSuffix("{\"resourceS"))
    }

    @Test func `a file that somebody else has locked or has changed just now is left alone`() async throws {
        let yaml = "{%Y-%m-%d}.jsonl\""
        try await run(yaml, at: time, [batch("a", "one")])
        try append(Array(#"{"resourceSpans":["#.utf8), to: "2023-11-14.jsonl")
        let torn = directory.contents("2023-11-14.jsonl")
        let descriptor = open(directory.file("2023-11-14.jsonl"), O_RDONLY | O_CLOEXEC)
        try #require(descriptor >= 0 && flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        try await run(yaml, at: time + day)
        #expect(directory.contents("2023-11-14.jsonl") == torn)
        close(descriptor)
        // Its time is in the future, as of one that is being written.
        let times = [timespec](repeating: timespec(tv_sec: 4_000_000_000, tv_nsec: 0), count: 2)
        #expect(utimensat(AT_FDCWD, directory.file("2023-11-14.jsonl"), times, 0) == 0)
        try await run(yaml, at: time + day)
        #expect(directory.contents("2023-11-14.jsonl") == torn)
    }

    @Test func `a time that no number of milliseconds holds is the farthest that one does`() {
        let times = [Int.max, Int.min, 1_700_000_000].map { seconds in
            FileEffects.milliseconds(timespec(tv_sec: seconds, tv_nsec: 999_999_999))
        }
        #expect(times == [9_223_372_036_854_774_999, -9_223_372_036_854_773_001, 1_700_000_000_999])
    }

    @Test func `a search has bounds`() throws {
        for number in 0..<(LeftFileSearch.filesMax + 1) { try write("x", to: "s\(number).json") }
        // Those that go on take no room from closed ones.
        try write("x", to: "s0-2023-11-14T22-13-20.000.json")
        #expect(utimensat(AT_FDCWD, directory.file("s0-2023-11-14T22-13-20.000.json"), old, 0) == 0)
        let template = try PathTemplate(directory.path + "/{service.name}.json")
        var search = LeftFileSearch(template, seconds: 0, changedUntil: .max)
        let files = search.run()
        #expect(files.count { $0.kind == .open } == LeftFileSearch.filesMax)
        #expect(files.count { $0.kind == .closed } == 1)
        #expect(search.isCut)
    }

    /// In October 2023.
    private var old: [timespec] { [timespec](repeating: timespec(tv_sec: 1_698_000_000, tv_nsec: 0), count: 2) }

    /// Waits half a minute at most.
    private func waitUntil(_ isDone: () -> Bool) async throws {
        for _ in 0..<30_000 where !isDone() { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test func `a file whose date passes is closed and compressed by a running exporter`() async throws {
        let clock = Atomic<Int64>(time)
        let yaml = "path: \"\(directory.path)/{service.name}-{%Y-%m-%d}.jsonl\"\n"
        let read = options(
            FileOptions.self, yaml + "group_by: {max_open_files: 2}\nrotation: {}\ncompression: gzip")
        #expect(read.problems == [])
        var effects = FileEffects.system
        effects.wallClock = { clock.load(ordering: .relaxed) }
        effects.graceMilliseconds = 60_000
        let exporter = FileExporter(options: read.options, build: exporterBuild(), effects: effects)
        try await exporter.start()
        // That of the first one is closed by now, since there may be no more open ones.
        for name in ["a", "b", "c"] { #expect(await exporter.export(batch(name, "one")) == .delivered) }
        clock.add(day, ordering: .relaxed)
        #expect(await exporter.export(batch("b", "two")) == .delivered)
        try await waitUntil {
            directory.names.count { $0.hasSuffix(".jsonl.gz") } == 3 && directory.names.count == 4
        }
        #expect(directory.names.filter { $0.hasSuffix(".jsonl") } == ["b-2023-11-15.jsonl"])
        #expect(directory.names.count == 4)
        await exporter.shutdown()
        #expect(directory.contents("b-2023-11-15.jsonl").contains("two"))
    }

    @Test func `files of earlier dates are deleted when they are too old, and foreign ones are not`() async throws {
        let record = "{\"resourceSpans\":[{\"scopeSpans\":[]}]}\n"
        let stamp = "2023-11-01T00-00-00.000.jsonl"
        for name in ["2023-11-01.jsonl", "2023-11-01-\(stamp)", "2023-11-12.jsonl", "2023-11-14-\(stamp)"] {
            try write(record, to: name)
        }
        for name in ["2023-11-02-\(stamp)", "2023-11-03.jsonl"] { try write("a note\n", to: name) }
        for name in ["2023-11-01-\(stamp).zst", "2023-11-13-2023-11-13T23-59-59.000.jsonl.gz"] {
            _ = FileManager.default.createFile(
                atPath: directory.file(name), contents: Data([0x28, 0xB5, 0x2F, 0xFD, 0]))
        }
        try write("a note", to: "2023-11-01-\(stamp).gz")
        let before = directory.names
        for name in before where name != "2023-11-12.jsonl" {
            #expect(utimensat(AT_FDCWD, directory.file(name), old, 0) == 0)
        }
        try await run("{%Y-%m-%d}.jsonl\"\nrotation: {}", at: time)
        #expect(directory.names == before)
        try await run("{%Y-%m-%d}.jsonl\"\nrotation: {max_days: 2}", at: time)
        let gone = ["2023-11-01.jsonl", "2023-11-01-\(stamp)", "2023-11-01-\(stamp).zst"]
        #expect(directory.names == before.filter { !gone.contains($0) })
    }

    @Test(arguments: [
        ("a-2023-11-14.json", true, true), ("a-2023-11-13.json", true, false), ("a-1999-1-2.json", true, false),
        ("a-2023-11-14-2023-11-13.json", true, false), ("-2023-11-14.json", false, false),
        ("a-2023-11.json", false, false), ("a/b-2023-11-14.json", false, false), ("a-2023-11-14.jsonl", false, false),
        ("a%2Fb-2023-11-14.json", true, true), ("", false, false),
    ])
    func `a pattern knows the names of its path, and those of now`(name: String, isOne: Bool, isOfNow: Bool) throws {
        let pattern = PathPattern(try PathTemplate("/x//{service.name}-{%Y-%m-%d}.json"), seconds: 1_700_000_000)
        #expect(pattern.names.map(\.fixed) == ["", "x", "", nil])
        let last = try #require(pattern.names.last)
        #expect(last.matches(name) == isOne)
        #expect(last.isOfNow(name) == isOfNow)
    }

    @Test func `the name of a closed file tells of which one it is`() {
        #expect(RotationNames.originals(of: "a-2023-11-14T22-13-20.000.json") == ["a.json"])
        #expect(RotationNames.originals(of: "a-2023-11-14T22-13-20.000") == ["a"])
        #expect(RotationNames.originals(of: "a.b-2023-11-14T22-13-20.000.json") == ["a.b.json"])
        let others = [
            "a-2023-11-14T22-13-20.000.json.gz", "a.json", "a2023-11-14T22-13-20.000.json", "a-2023-11-14.json",
        ]
        for name in others {
            #expect(RotationNames.originals(of: name) == [], "\(name)")
        }
    }
}
