import Foundation
import Testing

/// What a destination that is away, and a reader of the log that has stopped, may cost: their own share, and no more.
@Suite(.serialized, .timeLimit(.minutes(15))) struct OutageTests {
    /// A request of some 10 KB.
    private func post(_ bench: FaultBench, _ connection: LoopbackConnection, _ count: Int) -> [Int] {
        (0..<count).map { _ in
            let first = bench.ledger.reserve()
            let status = connection.post(NumberedSpans.request(first, padding: 1_000)) ?? 0
            if status == 200 { bench.ledger.accepted(first) }
            return status
        }
    }

    @Test func `drop_newest bounds the backlog of a dead sink, its disk and what comes after a restart`() async throws {
        let bench = try FaultBench(
            exporter: ["sizer: bytes", "queue_size: 256KiB", "overflow: drop_newest"],
            storage: ["segment_size: 1MiB", "max_size: 8MiB"])
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        guard let connection = LoopbackConnection(port: bench.gateway.port) else {
            throw RunningGateway.Fault(text: "no connection")
        }
        let size = NumberedSpans.request(0, padding: 1_000).count
        // Four times what the journal may hold.
        let statuses = post(bench, connection, (32 << 20) / size)
        #expect(statuses.allSatisfy { $0 == 200 }, "\(statuses.count { $0 != 200 }) refused")
        let held = try await bench.gateway.metric("sluice_exporter_held_items")
        let dropped = try await bench.gateway.metric("sluice_exporter_dropped_items_total")
        #expect(try await bench.gateway.metric("otelcol_exporter_queue_size") < Double(256 << 10 + 2 * size))
        #expect(held > 0 && Int(held + dropped) == bench.ledger.all.count)
        #expect(bench.gateway.end(SIGKILL) != 0)

        try await bench.gateway.start()
        #expect(try await bench.gateway.metric("sluice_exporter_held_items") == held)
        #expect(try await bench.gateway.metric("otelcol_exporter_queue_size") < Double(512 << 10))
        bench.sink.behave(.accept)
        try await bench.gateway.waitUntilDelivered()
        #expect(bench.sink.received.count == Int(held))
        #expect(try await bench.gateway.metric("sluice_exporter_dropped_items_total") == 0, "counted once")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(arguments: [[SIGTERM], [SIGHUP, SIGTERM]])
    func `an exporter that waits for its disk does not keep the gateway from ending`(signals: [Int32]) async throws {
        let bench = try FaultBench()
        let path = bench.gateway.folder.appending(path: "out.jsonl").path
        #expect(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDWR | O_NONBLOCK)
        defer { close(reader) }
        bench.addExporter("file", "{path: \"\(path)\", durability: write}")
        bench.gateway.arguments = ["--shutdown-timeout", "1"]
        try await bench.gateway.start()
        let clients = bench.load(2, padding: 20_000)
        try await bench.wait("more than a pipe holds") { bench.ledger.all.count > 100 }
        await clients.stop()
        try await bench.expectNothingLost(restart: false)
        for signal in signals.dropLast() {
            bench.gateway.signal(signal)
            try await bench.wait("the reload") { bench.gateway.logText.contains("SIGHUP: reading") }
        }
        let begin = ContinuousClock.now
        #expect(bench.gateway.end(SIGTERM) == 0)
        #expect(ContinuousClock.now - begin < .seconds(20))
        // A reload goes on without it, and so does the end.
        let expected = "exporter file of pipeline traces has not ended its attempts to deliver: the gateway ends"
        #expect(bench.gateway.logText.contains(expected), "\(bench.gateway.logText)")
        #expect(!bench.gateway.logText.contains("still waits for its disk"))
    }

    @Test func `a reader of the log that has stopped stops nothing, and is told what it has missed`() async throws {
        let bench = try FaultBench(logLevel: "debug")
        let path = bench.gateway.folder.appending(path: "log.txt").path
        #expect(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDWR | O_NONBLOCK)
        defer { close(reader) }
        #expect(reader >= 0)
        let setPipeSize: Int32 = 1031
        #expect(fcntl(reader, setPipeSize, 4_096) >= 0)
        bench.sink.behave(.status(400))
        try await bench.gateway.start()
        guard let connection = LoopbackConnection(port: bench.gateway.port) else {
            throw RunningGateway.Fault(text: "no connection")
        }
        // A line each, until nothing more fits: the pipe, what waits, what is being written.
        var lost = 0.0
        for _ in 0..<100 where lost == 0 {
            for _ in 0..<200 where connection.post([0xFF]) != 400 { Issue.record("not refused as invalid") }
            #expect(post(bench, connection, 2).allSatisfy { $0 == 200 })
            lost = try await bench.gateway.metric("sluice_log_lost_lines")
        }
        #expect(lost > 0)
        try await bench.gateway.waitUntilDelivered()
        var text = ""
        try await bench.wait("the line that tells it") {
            text += drain(reader)
            return text.contains("lines of the log were lost: nobody read it")
        }
        // Nobody reads again, and it ends all the same.
        #expect(post(bench, connection, 50).allSatisfy { $0 == 200 })
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    private func drain(_ descriptor: Int32) -> String {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return String(decoding: text, as: UTF8.self) }
            text += buffer[..<count]
        }
    }
}
