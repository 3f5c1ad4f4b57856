import Foundation
import TestSupport
import Testing

/// Disks that are full, broken, slow or gone, too few descriptors, more load than the sink takes.
@Suite(.serialized, .timeLimit(.minutes(15))) struct ResourceFaultTests {
    @Test(.enabled(if: SmallDisk.isPossible, "needs the right to mount a tmpfs"))
    func `refuses on a full disk, delivers meanwhile, and takes again without a restart`() async throws {
        let bench = try FaultBench(storage: ["segment_size: 1MiB", "create_directory: true"])
        let disk = try SmallDisk(bench.gateway.folder.appending(path: "journal").path, megabytes: 6)
        defer { disk.remove() }
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        let clients = bench.load(padding: 2_000)
        try await bench.wait("a refusal") { clients.statuses[503] ?? 0 > 5 }
        disk.fill()
        #expect(clients.statuses.keys.allSatisfy { $0 == 200 || $0 == 503 }, "\(clients.statuses)")
        #expect(await bench.health() == 503)
        // Nothing is free but what deliveries give back.
        bench.sink.behave(.accept)
        let refused = bench.ledger.all.count
        try await bench.wait("new requests") { bench.ledger.all.count > refused + 100 }
        try await bench.wait("health") { await bench.health() == 200 }
        bench.sink.behave(.status(503))
        try await bench.wait("a second refusal") { clients.statuses[503] ?? 0 > 50 }
        _ = bench.gateway.end(SIGKILL)
        await clients.stop()
        try await bench.expectNothingLost(restart: true)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `refuses while its directory is gone and takes again when it is back`() async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        let clients = bench.load(padding: 2_000)
        let journal = bench.gateway.folder.appending(path: "journal/traces")
        let away = bench.gateway.folder.appending(path: "away")
        try FileManager.default.moveItem(at: journal, to: away)
        try await bench.wait("a refusal") { clients.statuses[503] ?? 0 > 5 }
        #expect(await bench.health() == 503)
        try FileManager.default.moveItem(at: away, to: journal)
        let refused = bench.ledger.all.count
        try await bench.wait("new requests") { bench.ledger.all.count > refused + 100 }
        _ = bench.gateway.end(SIGKILL)
        await clients.stop()
        try await bench.expectNothingLost(restart: true)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(arguments: ["journal/traces", "journal"])
    func `makes its directory anew when it is removed, and takes again without a restart`(
        _ folder: String
    ) async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        let clients = bench.load(padding: 2_000)
        try await bench.wait("some load") { bench.ledger.all.count > 100 }
        // Moved away first, so that nothing comes into it while it is removed.
        let away = bench.gateway.folder.appending(path: "away")
        try FileManager.default.moveItem(at: bench.gateway.folder.appending(path: folder), to: away)
        try FileManager.default.removeItem(at: away)
        try await bench.wait("a refusal") { clients.statuses[503] ?? 0 > 0 }
        let refused = bench.ledger.all.count
        try await bench.wait("new requests") { bench.ledger.all.count > refused + 100 }
        try await bench.wait("health") { await bench.health() == 200 }
        await clients.stop()
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(
        .enabled(if: Tracer.isPossible, "needs strace and the right to use it"),
        arguments: [("fdatasync:error=EIO:when=15+9", 5), ("io_getevents:error=EIO:when=9", 0)])
    func `acknowledges nothing that a failed sync was to keep`(_ fault: String, _ refusals: Int) async throws {
        let bench = try FaultBench()
        bench.gateway.wrapper = Tracer.injecting(fault)
        try await bench.gateway.start()
        let clients = bench.load()
        try await bench.wait("refusals and acceptances") {
            clients.statuses[503] ?? 0 > refusals && clients.statuses[200] ?? 0 > 50
        }
        _ = bench.gateway.end(SIGKILL)
        await clients.stop()
        bench.gateway.wrapper = []
        try await bench.expectNothingLost(restart: true)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(
        .enabled(if: Tracer.isPossible, "needs strace and the right to use it"),
        arguments: ["fdatasync", "io_getevents"])
    func `serves many with one sync of a slow disk`(_ call: String) async throws {
        let bench = try FaultBench()
        bench.gateway.wrapper = Tracer.injecting("\(call):delay_exit=500000")
        try await bench.gateway.start()
        let start = ContinuousClock.now
        let clients = bench.load(16)
        try await bench.wait("some load") { clients.statuses[200] ?? 0 >= 96 }
        let syncs = (ContinuousClock.now - start) / .milliseconds(500)
        await clients.stop()
        // Each sync took half a second at least: one request each would be no more than that many.
        #expect(
            clients.statuses.count == 1 && (clients.statuses[200] ?? 0) > Int(3 * syncs), "\(clients.statuses) \(syncs)"
        )
        try await bench.expectNothingLost(restart: false)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `takes as many descriptors as it is allowed to`() async throws {
        let bench = try FaultBench()
        bench.gateway.wrapper = ["/usr/bin/prlimit", "--nofile=256:777"]
        try await bench.gateway.start()
        let limits = try String(contentsOfFile: "/proc/\(bench.gateway.pid)/limits", encoding: .utf8)
        let line = limits.split(separator: "\n").first { $0.hasPrefix("Max open files") }
        #expect(line?.split(separator: " ").dropFirst(3).first == "777")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `serves those it knows when it is out of descriptors, and others afterwards`() async throws {
        let bench = try FaultBench()
        bench.gateway.wrapper = ["/usr/bin/prlimit", "--nofile=80:80"]
        try await bench.gateway.start()
        let clients = bench.load()
        try await bench.wait("some load") { bench.ledger.all.count > 100 }
        var idle = (0..<200).compactMap { _ in LoopbackConnection(port: bench.gateway.port) }
        #expect(idle.count == 200)
        let before = bench.ledger.all.count
        try await bench.wait("load beside idle connections") { bench.ledger.all.count > before + 200 }
        #expect(bench.gateway.isRunning)
        // Of those that are kept for the journal and the runtime, some are free.
        let descriptors = { try FileManager.default.contentsOfDirectory(atPath: "/proc/\(bench.gateway.pid)/fd").count }
        try await bench.wait("descriptors to spare") { try descriptors() <= 78 }
        idle = []
        await clients.stop()
        try await bench.wait("a new connection") {
            let first = bench.ledger.reserve()
            guard LoopbackConnection(port: bench.gateway.port)?.post(NumberedSpans.request(first)) == 200 else {
                return false
            }
            bench.ledger.accepted(first)
            return true
        }
        try await bench.expectNothingLost(restart: false)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `stays within its memory under four times the load that the sink takes`() async throws {
        let capMiB = 128
        let bench = try FaultBench(
            exporter: ["sizer: bytes", "queue_size: 32MiB"],
            processors: ["memory_limiter: {limit_mib: \(capMiB), check_interval: 1s}"])
        bench.sink.behave(.slow(200))
        try await bench.gateway.start()
        // The sink takes 20 requests of 200 kB a second.
        let clients = bench.load(8, padding: 20_000, pause: 5_000)
        try await bench.wait("overload") { clients.statuses[503] ?? 0 > 400 }
        await clients.stop()
        let sent = clients.statuses.values.reduce(0, +)
        #expect(sent > 4 * bench.sink.requests, "\(clients.statuses), \(bench.sink.requests) taken")
        #expect(clients.statuses.keys.allSatisfy { [0, 200, 429, 503].contains($0) }, "\(clients.statuses)")
        // A refusal that overtakes the body now and then meets a sender that only sees the connection end.
        #expect(clients.statuses[0] ?? 0 <= sent / 100, "\(clients.statuses)")
        try await bench.expectNothingLost(restart: false)
        let peak = try ProcessMemory.peak(bench.gateway.pid) >> 20
        #expect(peak < capMiB * 12 / 10, "\(peak) MiB")
        print("overload: \(clients.statuses), peak \(peak) MiB of \(capMiB)")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `stays within its memory when many senders come with large bodies at once`() async throws {
        let capMiB = 256
        let bench = try FaultBench(processors: ["memory_limiter: {limit_mib: \(capMiB), check_interval: 1s}"])
        try await bench.gateway.start()
        let clients = bench.load(40, padding: 400_000, pause: 5_000)
        try await bench.wait("load") { clients.statuses[200] ?? 0 > 150 }
        await clients.stop()
        try await bench.expectNothingLost(restart: false)
        let peak = try ProcessMemory.peak(bench.gateway.pid) >> 20
        #expect(peak < capMiB * 12 / 10, "\(peak) MiB")
        print("large bodies: \(clients.statuses), peak \(peak) MiB of \(capMiB)")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `serves one sender of large bodies each time, however little its memory leaves`() async throws {
        let capMiB = 100
        let bench = try FaultBench(processors: ["memory_limiter: {limit_mib: \(capMiB), check_interval: 1s}"])
        try await bench.gateway.start()
        var statuses: [[Int]] = []
        for _ in 0..<8 {
            let first = bench.ledger.reserve()
            let body = NumberedSpans.request(first, padding: 1_250_000)
            var tries: [Int] = []
            try await bench.wait("a large body") {
                if !tries.isEmpty {
                    try await bench.gateway.waitUntilDelivered()
                    try await Task.sleep(for: .seconds(3))
                }
                tries.append(LoopbackConnection(port: bench.gateway.port)?.post(body) ?? 0)
                return tries.last == 200
            }
            bench.ledger.accepted(first)
            statuses.append(tries)
        }
        // Refused twice at most: then memory was given back, and nothing else is in flight.
        #expect(statuses.allSatisfy { $0.count <= 3 && $0.last == 200 }, "\(statuses)")
        try await bench.expectNothingLost(restart: false)
        let peak = try ProcessMemory.peak(bench.gateway.pid) >> 20
        #expect(peak < capMiB * 12 / 10, "\(peak) MiB")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }
}

/// strace, which lets system calls of the gateway fail or take their time.
enum Tracer {
    private static let path = "/usr/bin/strace"

    static let isPossible =
        FileManager.default.isExecutableFile(atPath: path) && runs(path, ["-o", "/dev/null", "true"])

    /// The gateway keeps the process's id; only the calls that are changed are slowed down.
    static func injecting(_ what: String) -> [String] {
        let call = what.prefix { $0 != ":" }
        var arguments = [path, "-D", "-f", "-q", "--seccomp-bpf", "-o", "/dev/null", "-e", "inject=\(what)"]
        var calls = String(call)
        if call == "fdatasync" {
            // A system that carries out no write and sync by itself, so that each sync is a call.
            arguments += ["-e", "inject=io_setup:error=ENOSYS"]
            calls += ",io_setup"
        }
        arguments += ["-e", "trace=\(calls)"]
        return arguments
    }
}

/// A file system of a few megabytes.
final class SmallDisk: Sendable {
    private let path: String

    static let isPossible: Bool = {
        let path = FileManager.default.temporaryDirectory.appending(path: "sluice-mount-\(UUID().uuidString)").path
        guard let disk = try? SmallDisk(path, megabytes: 1) else { return false }
        disk.remove()
        return true
    }()

    init(_ path: String, megabytes: Int) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard runs("/bin/mount", ["-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path]) else {
            throw RunningGateway.Fault(text: "no mount")
        }
    }

    /// Takes all that is left.
    func fill() {
        let file = open(path + "/filler", O_WRONLY | O_CREAT, 0o600)
        defer { close(file) }
        let block = [UInt8](repeating: 1, count: 4_096)
        while write(file, block, block.count) > 0 {}
    }

    func remove() {
        _ = runs("/bin/umount", ["-l", path])
    }
}

/// Whether a program ends well.
func runs(_ program: String, _ arguments: [String]) -> Bool {
    (try? ChildProcess.runBlocking(program, arguments))?.status == 0
}
