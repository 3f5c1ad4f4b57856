import Foundation
import Testing

/// `sluice where` and queues with a cap, beside a running gateway.
@Suite(.serialized, .timeLimit(.minutes(15))) struct WhereTests {
    private let trace = String(repeating: "a7", count: 16)

    private func ask(_ bench: FaultBench, _ id: String) throws -> (status: Int32, text: String) {
        let folder = bench.gateway.folder
        return try bench.gateway.command([
            "where", id, "--config", folder.appending(path: "config.yaml").path, "--data-directory",
            folder.appending(path: "data").path, "--endpoint", "http://127.0.0.1:\(bench.gateway.metricsPort)",
        ])
    }

    @Test func `tells what waits and why, what is delivered and what was refused`() async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        #expect(try ask(bench, trace).status == 1)
        guard let connection = LoopbackConnection(port: bench.gateway.port) else {
            throw RunningGateway.Fault(text: "no connection")
        }
        bench.sink.behave(.status(503))
        #expect(connection.post(NumberedSpans.request(1)) == 200)
        try await bench.wait("an attempt") { bench.sink.requests > 0 }
        let waiting = try ask(bench, trace)
        #expect(waiting.status == 0 && waiting.text.contains("otlp_http of traces: 1 waiting"), "\(waiting.text)")
        #expect(waiting.text.contains("last error: HTTP 503"), "\(waiting.text)")
        bench.sink.behave(.accept)
        try await bench.gateway.waitUntilDelivered()
        bench.sink.behave(.status(400))
        #expect(connection.post(NumberedSpans.request(11)) == 200)
        try await bench.gateway.waitUntilDelivered()
        let done = try ask(bench, trace)
        #expect(
            done.text.contains("1 request delivered, 1 request refused for good (rejected): HTTP 400"), "\(done.text)")
        #expect(!done.text.contains("delivered or dropped"), "\(done.text)")
        #expect(done.text.contains("rejected: HTTP 400") && done.text.contains("sluice dlq show "), "\(done.text)")
        #expect(try ask(bench, String(repeating: "b7", count: 16)).status == 1)
        #expect(try ask(bench, "xyz").status == 64)
        #expect(bench.gateway.end(SIGTERM) == 0)
        // Also when no gateway runs.
        let after = try ask(bench, trace)
        #expect(
            after.text.contains("rejected: HTTP 400") && after.text.contains("sluice dlq show "),
            "\(after.text)\n\(done.text)")
        if after.text.contains("delivered or dropped") { #expect(after.text.contains("no gateway at")) }
    }

    @Test func `tells what was dropped, expired, refused in part, and refused without a letter`() async throws {
        for (options, posts, text) in [
            (["max_age: 1s"], 1, "1 request dropped: expired"),
            (["queue_size: 1", "overflow: drop_newest"], 2, "1 request dropped: overflow_newest, 1 waiting"),
        ] {
            let bench = try FaultBench(exporter: options)
            bench.sink.behave(.status(503))
            try await bench.gateway.start()
            guard let connection = LoopbackConnection(port: bench.gateway.port) else {
                throw RunningGateway.Fault(text: "no connection")
            }
            for number in 0..<posts { #expect(connection.post(NumberedSpans.request(UInt64(number) * 10)) == 200) }
            try await bench.wait("the fate") { try ask(bench, trace).text.contains(text) }
            #expect(bench.gateway.end(SIGKILL) != 0)
        }
        let bench = try FaultBench()
        bench.gateway.replace("timeout: 60s", with: "timeout: 60s\n    dead_letters: {enabled: false}")
        bench.sink.behave(.status(400))
        try await bench.gateway.start()
        #expect(LoopbackConnection(port: bench.gateway.port)?.post(NumberedSpans.request(1)) == 200)
        try await bench.wait("the fate") {
            try ask(bench, trace).text.contains("1 request refused for good and not kept (rejected): HTTP 400")
        }
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `says of letters that were replayed that they are gone`() async throws {
        let bench = try FaultBench()
        bench.sink.behave(.status(400))
        try await bench.gateway.start()
        #expect(LoopbackConnection(port: bench.gateway.port)?.post(NumberedSpans.request(1)) == 200)
        let (refused, gone) = ("1 request refused for good (rejected)", "its dead letters are gone")
        try await bench.wait("the fate") { try ask(bench, trace).text.contains(refused) }
        #expect(try !ask(bench, trace).text.contains(gone))
        bench.sink.behave(.accept)
        let folder = bench.gateway.folder
        let replay = try bench.gateway.command([
            "dlq", "replay", "--all", "--config", folder.appending(path: "config.yaml").path, "--data-directory",
            folder.appending(path: "data").path,
        ])
        #expect(replay.status == 0, "\(replay.text)")
        let after = try ask(bench, trace).text
        #expect(after.contains(refused) && after.contains(gone), "\(after)")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `what was gathered was neither delivered nor dropped`() async throws {
        let bench = try FaultBench(processors: ["groupbytrace: {wait_duration: 100ms}"])
        try await bench.gateway.start()
        #expect(LoopbackConnection(port: bench.gateway.port)?.post(NumberedSpans.request(1)) == 200)
        try await bench.wait("the fate") {
            let text = try ask(bench, trace).text
            return text.contains("otlp_http of traces: 1 request delivered")
                && text.contains("gathering of traces (gathering): 1 request gathered and passed on")
        }
        #expect(try !ask(bench, trace).text.contains("delivered or dropped"))
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `says that a queue in memory cannot be looked into`() async throws {
        let bench = try FaultBench()
        bench.gateway.replace("storage: file_storage", with: "storage: memory")
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        #expect(LoopbackConnection(port: bench.gateway.port)?.post(NumberedSpans.request(1)) == 200)
        let answer = try ask(bench, trace)
        #expect(answer.status == 1 && answer.text.contains("traces keeps its queues in memory"), "\(answer.text)")
        #expect(!answer.text.contains("never came"), "\(answer.text)")
        #expect(bench.gateway.end(SIGKILL) != 0)
    }

    @Test func `lets senders wait for room only when told to`() async throws {
        for blocks in [false, true] {
            let bench = try FaultBench(exporter: ["queue_size: 2", "block_on_overflow: \(blocks)"])
            bench.sink.behave(.status(503))
            try await bench.gateway.start()
            guard let connection = LoopbackConnection(port: bench.gateway.port) else {
                throw RunningGateway.Fault(text: "no connection")
            }
            for number in 0..<2 { #expect(connection.post(NumberedSpans.request(UInt64(number) * 10 + 1)) == 200) }
            // A thread of its own: the request waits on one of the few that tasks share with all other tests.
            if blocks {
                Thread.detachNewThread {
                    Thread.sleep(forTimeInterval: 0.3)
                    bench.sink.behave(.accept)
                }
            }
            #expect(connection.post(NumberedSpans.request(31)) == (blocks ? 200 : 503))
            bench.sink.behave(.accept)
            try await bench.gateway.waitUntilDelivered()
            #expect(bench.sink.received.count == (blocks ? 30 : 20))
            #expect(bench.gateway.end(SIGTERM) == 0)
        }
    }
}
