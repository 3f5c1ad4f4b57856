import Foundation
import Testing

/// A file system that turns read-only, a disk that is full at a start.
@Suite(.serialized, .timeLimit(.minutes(15))) struct MachineFaultTests {
    @Test(.enabled(if: SmallDisk.isPossible, "needs the right to mount"))
    func `refuses while its file system is read-only and takes again when it is not`() async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        let clients = bench.load(padding: 2_000)
        try await bench.wait("some load") { bench.ledger.all.count > 200 }
        let folder = bench.gateway.folder.appending(path: "journal/traces").path
        let lock = try ReadOnlyMount(folder)
        defer { lock.remove() }
        try await bench.wait("a refusal") { clients.statuses[503] ?? 0 > 5 }
        #expect(clients.statuses.keys.allSatisfy { $0 == 200 || $0 == 503 }, "\(clients.statuses)")
        #expect(await bench.health() == 503)
        try await bench.wait("its reason") { bench.gateway.logText.contains("Read-only file system") }
        lock.remove()
        let refused = bench.ledger.all.count
        try await bench.wait("new requests") { bench.ledger.all.count > refused + 100 }
        try await bench.wait("health") { await bench.health() == 200 }
        _ = bench.gateway.end(SIGKILL)
        await clients.stop()
        try await bench.expectNothingLost(restart: true)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(.enabled(if: SmallDisk.isPossible, "needs the right to mount"))
    func `looks a name up again for a new connection`() async throws {
        let bench = try FaultBench()
        let hosts = bench.gateway.folder.appending(path: "hosts")
        try "127.0.0.2 backend.test\n".write(to: hosts, atomically: false, encoding: .utf8)
        bench.gateway.wrapper = [
            "unshare", "-m", "sh", "-c", "mount --bind \(hosts.path) /etc/hosts && exec \"$@\"", "sh",
        ]
        bench.gateway.replace("http://127.0.0.1:\(bench.sink.port)", with: "http://backend.test:\(bench.sink.port)")
        try await bench.gateway.start()
        let first = bench.ledger.reserve()
        #expect(LoopbackConnection(port: bench.gateway.port)?.post(NumberedSpans.request(first)) == 200)
        bench.ledger.accepted(first)
        try await bench.wait("a failed attempt") { bench.gateway.logText.contains("will try again") }
        // In place: the mount shows the file, not its name.
        try "127.0.0.1 backend.test\n".write(to: hosts, atomically: false, encoding: .utf8)
        try await bench.wait("the other address") { bench.sink.received.count == bench.ledger.all.count }
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(.enabled(if: SmallDisk.isPossible, "needs the right to mount a tmpfs"))
    func `starts on a full disk, delivers, and fills its database when there is room again`() async throws {
        let bench = try FaultBench()
        bench.gateway.configure(Self.withDatabase(sink: bench.sink.port))
        let journals = try SmallDisk(bench.gateway.folder.appending(path: "small").path, megabytes: 8)
        defer { journals.remove() }
        let folder = bench.gateway.folder.appending(path: "database").path
        let databases = try SmallDisk(folder, megabytes: 64)
        defer { databases.remove() }
        databases.fill()
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        try await bench.wait("a word of it") {
            bench.gateway.logText.contains("will be tried again with each batch")
        }
        let clients = bench.load(padding: 2_000)
        try await bench.wait("a refusal") { clients.statuses[503] ?? 0 > 5 }
        _ = bench.gateway.end(SIGKILL)
        await clients.stop()
        journals.fill()
        bench.sink.behave(.accept)
        try await bench.gateway.start()
        let missing = try await bench.sink.wait(for: bench.ledger.all)
        #expect(missing.isEmpty, "\(missing.count) spans are missing beside full disks")
        #expect(try await bench.gateway.metric("sluice_exporter_held_items") > 0)
        try FileManager.default.removeItem(atPath: folder + "/filler")
        try await bench.gateway.waitUntilDelivered()
        try FileManager.default.removeItem(atPath: bench.gateway.folder.appending(path: "small/filler").path)
        try await bench.wait("a request that is taken") {
            LoopbackConnection(port: bench.gateway.port)?.post(NumberedSpans.request(bench.ledger.reserve())) == 200
        }
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    private static func withDatabase(sink: Int) -> String {
        """
        receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:PORT"}}}}
        exporters:
          otlp_http:
            endpoint: "http://127.0.0.1:\(sink)"
            compression: none
            retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
            sending_queue: {storage: file_storage}
          sqlite:
            path: FOLDER/database/spans.db
            retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}
            sending_queue: {storage: file_storage}
        extensions: {file_storage: {directory: FOLDER/small/journal, create_directory: true, segment_size: 1MiB}}
        service:
          extensions: [file_storage]
          telemetry:
            metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: METRICS}}}}]}
          pipelines:
            traces: {receivers: [otlp], exporters: [otlp_http, sqlite]}
        """
    }
}

/// Makes what is opened below a path read-only, as a file system does that the kernel has given up; files that are open
/// stay as they are.
private final class ReadOnlyMount {
    private let path: String
    private let stage: String
    private var isThere = true

    init(_ path: String) throws {
        self.path = path
        stage = path + ".stage"
        try FileManager.default.createDirectory(atPath: stage, withIntermediateDirectories: true)
        // Made where nobody writes, since what is written through cannot turn read-only, and then put over the folder.
        let isDone =
            runs("/bin/mount", ["--bind", path, stage]) && runs("/bin/mount", ["-o", "remount,bind,ro", stage])
            && runs("/bin/mount", ["--bind", stage, path])
        guard isDone, access(path, W_OK) != 0, errno == EROFS else {
            remove()
            throw RunningGateway.Fault(text: "no read-only mount")
        }
    }

    func remove() {
        if isThere {
            _ = runs("/bin/umount", ["-l", path])
            _ = runs("/bin/umount", ["-l", stage])
            rmdir(stage)
        }
        isThere = false
    }
}
