@testable import Exporters
import FoundationEssentials
import Glibc
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct PathTemplateTests {
    private let directory = TemporaryDirectory()

    /// A request with one span for each resource.
    private func request(_ services: [String?]) -> ExportBatch {
        let bytes = services.reduce(into: [UInt8]()) { bytes, service in
            bytes += ProtoBytes.build { request in
                request.message(1) { group in
                    group.message(1) { resource in
                        if let service { resource.attribute(1, "service.name", .text(service)) }
                        resource.attribute(1, "n", .int(3))
                    }
                    group.message(2) { scope in
                        scope.message(2) { span in span.text(5, "step of \(service ?? "nobody")") }
                    }
                }
            }
        }
        return ExportBatch(signal: .traces, itemCount: services.count, bytes: bytes)
    }

    private func exporter(_ yaml: String, time: Int64 = 1_700_000_000_000) async throws -> FileExporter {
        let read = options(FileOptions.self, yaml)
        #expect(read.problems == [])
        var effects = FileEffects.system
        effects.wallClock = { time }
        let exporter = FileExporter(options: read.options, build: exporterBuild(), effects: effects)
        try await exporter.start()
        return exporter
    }

    private func found() throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: directory.path).filter { $0.hasSuffix("l") }.sorted()
    }

    @Test func `writes each resource into the file of its attribute and day`() async throws {
        let exporter = try await exporter("path: \"\(directory.path)/{service.name}/{%Y-%m-%d}.jsonl\"")
        #expect(await exporter.export(request(["a", "b", nil, "a"])) == .delivered)
        #expect(await exporter.export(request(["b"])) == .delivered)
        await exporter.shutdown()
        #expect(try found() == ["a/2023-11-14.jsonl", "b/2023-11-14.jsonl", "unknown/2023-11-14.jsonl"])
        #expect(directory.contents("a/2023-11-14.jsonl").components(separatedBy: "step of a").count == 3)
        #expect(directory.contents("b/2023-11-14.jsonl").split(separator: "\n").count == 2)
        #expect(!directory.contents("b/2023-11-14.jsonl").contains("step of a"))
    }

    @Test(arguments: [
        "../../../etc/x", "/etc/x", "..", ".", "a/b", "a\0b", "ä", "", String(repeating: "x", count: 4_000),
    ])
    func `no attribute leads out of the folder`(_ service: String) async throws {
        let exporter = try await exporter("path: \"\(directory.path)/in/{service.name}.jsonl\"")
        #expect(await exporter.export(request([service])) == .delivered)
        await exporter.shutdown()
        let files = try found()
        #expect(files.count == 1 && files[0].hasPrefix("in/"))
        #expect(files[0].split(separator: "/").count == 2 && files[0].utf8.count < 160)
    }

    /// The path of a resource's records, all of them of one service.
    private func path(_ template: String, _ service: String) throws -> String {
        let template = try PathTemplate(template)
        let request = request([service]).bytes
        return try #require(ResourceGroups.split(request, template, seconds: 0).first).path
    }

    @Test(arguments: [
        "a-9999-12-31T23-59-59.000", "a-9999-12-31T23-59-59.000.jsonl", "a-2023-11-14T22-13-20.000",
    ])
    func `no attribute names a closed file of another one`(_ service: String) throws {
        for template in ["/x/{service.name}.jsonl", "/x/{service.name}", "/x/{service.name}.gz"] {
            let names = RotationNames(path: try path(template, "a"))
            let other = String(try path(template, service).dropFirst("/x/".count))
            let closed = [other, other + ".gz", other + ".zst"]
            let read = options(RotationOptions.self, "{max_backups: 1}")
            #expect(names.expired(among: closed + closed, options: read.options, at: 0) == [], "\(other)")
            #expect(names.plain(among: closed) == [], "\(other)")
        }
    }

    @Test func `only the whole time of a closed file is written otherwise, also when several places make it`() throws {
        #expect(
            try path("/x/{service.name}.jsonl", "EC2Tool-1Test-2023-11-14T22-13")
                == "/x/EC2Tool-1Test-2023-11-14T22-13.jsonl")
        #expect(
            try path("/x/a-2023-11-{service.name}-13-20.000.jsonl", "14T22") == "/x/a-2023-11-14%5422-13-20.000.jsonl")
    }

    @Test func `a name has room for what closed files have behind it, whatever fills it`() throws {
        let long = String(repeating: "x", count: 99)
        let paths = try [long + "a", long + "b", "s"].map {
            try path("/x/{service.name}-{service.name}-{service.name}.jsonl", $0)
        }
        #expect(Set(paths).count == 3)
        #expect(paths[2] == "/x/s-s-s.jsonl")
        for path in paths {
            #expect(path.hasPrefix("/x/") && path.hasSuffix(".jsonl"))
            let closed = RotationNames(path: path).backup(at: 1_700_000_000_000, localTime: false) + ".zst.tmp"
            #expect(closed.dropFirst("/x/".count).utf8.count <= 255)
        }
    }

    @Test func `different values have different files`() {
        let values = ["a/b", "a%2Fb", "a_b", ".a", "%2Ea", String(repeating: "y", count: 200), "y"]
        #expect(Set(values.map { PathTemplate.safe(Array($0.utf8)) }).count == values.count)
        #expect(PathTemplate.safe(Array("gpt-4.1_mini".utf8)) == "gpt-4.1_mini")
    }

    @Test func `no group that nobody knows hides the resources behind it, and each file has it`() async throws {
        let exporter = try await exporter("path: \"\(directory.path)/{service.name}.jsonl\"")
        var batch = request(["a"])
        batch.bytes += WireWalkerTests.group + request(["b"]).bytes
        #expect(await exporter.export(batch) == .delivered)
        await exporter.shutdown()
        #expect(try found() == ["a.jsonl", "b.jsonl"])
        for name in ["a", "b"] {
            #expect(directory.contents("\(name).jsonl").contains("step of \(name)"))
            #expect(directory.contents("\(name).jsonl").contains("@unknown"))
        }
    }

    @Test func `what nobody knows of a request goes to one file where there would be too much of it`() throws {
        let services = (0..<2_000).map { "s\($0)" as String? }
        let unknown = ProtoBytes.build { $0.data(99, [UInt8](repeating: 1, count: 1 << 20)) }
        let request = request(services).bytes + unknown
        let groups = ResourceGroups.split(request, try PathTemplate("/x/{service.name}"), seconds: 0)
        #expect(groups.count == services.count)
        #expect(groups.reduce(0) { $0 + $1.bytes.count } == request.count)
        #expect(groups[0].bytes.suffix(unknown.count) == unknown[...])
    }

    @Test func `a part that is written is not written again while another one fails`() async throws {
        let clock = Atomic<Int64>(1_700_000_000_000)
        let read = options(FileOptions.self, "path: \"\(directory.path)/{service.name}/{%Y-%m-%d}.jsonl\"")
        var effects = FileEffects.system
        effects.wallClock = { clock.load(ordering: .relaxed) }
        let exporter = FileExporter(options: read.options, build: exporterBuild(), effects: effects)
        try await exporter.start()
        // Where the folder of `b` should be lies a file.
        try Data().write(to: URL(fileURLWithPath: directory.path + "/b"))
        var (batch, other) = (request(["a", "b", "c"]), request(["a", "b"]))
        (batch.number, other.number) = (7, 8)
        for _ in 0..<3 {
            for batch in [batch, other] {
                guard case .retry = await exporter.export(batch) else {
                    Issue.record("the part of b was written")
                    return
                }
            }
            clock.add(86_400_000, ordering: .relaxed)
        }
        // The same number with other records, as after a start that delivers them together with others.
        var longer = request(["a", "a", "c"])
        longer.number = 7
        #expect(await exporter.export(longer) == .delivered)
        try FileManager.default.removeItem(atPath: directory.path + "/b")
        #expect(await exporter.export(other) == .delivered)
        #expect(await exporter.export(other) == .delivered)
        await exporter.shutdown()
        let counts = try found().map { ($0, directory.contents($0).split(separator: "\n").count) }
        let expected = [
            "a/2023-11-14.jsonl": 3, "a/2023-11-17.jsonl": 1, "b/2023-11-14.jsonl": 1, "b/2023-11-17.jsonl": 1,
            "c/2023-11-14.jsonl": 1,
        ]
        #expect(Dictionary(uniqueKeysWithValues: counts) == expected)
    }

    @Test func `a full disk gets no empty file for each date`() async throws {
        let clock = Atomic<Int64>(1_700_000_000_000)
        let isFull = Atomic(true)
        let read = options(FileOptions.self, "path: \"\(directory.path)/{%Y-%m-%d}.jsonl\"")
        var effects = FileEffects.system
        effects.wallClock = { clock.load(ordering: .relaxed) }
        effects.write = { descriptor, bytes in
            if isFull.load(ordering: .relaxed) { return (-1, ENOSPC) }
            return FileEffects.system.write(descriptor, bytes)
        }
        let exporter = FileExporter(options: read.options, build: exporterBuild(), effects: effects)
        try await exporter.start()
        // The file of the second day was there before.
        _ = FileManager.default.createFile(atPath: directory.file("2023-11-15.jsonl"), contents: Data())
        for _ in 0..<3 {
            #expect(await exporter.export(request(["a"])) != .delivered)
            clock.add(86_400_000, ordering: .relaxed)
        }
        #expect(try found() == ["2023-11-15.jsonl"])
        isFull.store(false, ordering: .relaxed)
        #expect(await exporter.export(request(["a"])) == .delivered)
        await exporter.shutdown()
        #expect(try found() == ["2023-11-15.jsonl", "2023-11-17.jsonl"])
    }

    @Test func `keeps no more files open than it may, and loses nothing by it`() async throws {
        let exporter = try await exporter(
            "path: \"\(directory.path)/*.jsonl\"\n"
                + "group_by: {enabled: true, resource_attribute: service.name, max_open_files: 3}")
        for round in 0..<3 {
            #expect(await exporter.export(request((0..<20).map { "s\($0)" })) == .delivered, "\(round)")
        }
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter { name in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)")
            return target?.hasPrefix(directory.path) == true
        }
        #expect(open.count == 3)
        await exporter.shutdown()
        #expect(try found().count == 20)
        for file in try found() { #expect(directory.contents(file).split(separator: "\n").count == 3) }
    }

    @Test func `syncs when told to be durable, and leaves it to the kernel when told to write`() async throws {
        for (word, expected) in [("sync_data", 1), ("write", 0)] {
            let syncs = Mutex(0)
            let read = options(FileOptions.self, "path: \(directory.file(word))\ndurability: \(word)")
            var effects = FileEffects.system
            effects.sync = { _ in
                syncs.withLock { $0 += 1 }
                return 0
            }
            let exporter = FileExporter(options: read.options, build: exporterBuild(), effects: effects)
            try await exporter.start()
            #expect(await exporter.export(request(["a"])) == .delivered)
            await exporter.shutdown()
            #expect(syncs.withLock { $0 } == expected)
        }
    }

    @Test(arguments: ["{a", "{}", "{{a}}"]) func `refuses places that are none`(_ path: String) {
        #expect(!options(FileOptions.self, "path: \"/tmp/\(path)\"").problems.isEmpty)
    }

    @Test func `refuses what does not go with places`() {
        #expect(!options(FileOptions.self, "path: \"/tmp/{a}\"\nappend: false").problems.isEmpty)
        #expect(!options(FileOptions.self, "path: /tmp/a\ngroup_by: {enabled: true}").problems.isEmpty)
    }
}
