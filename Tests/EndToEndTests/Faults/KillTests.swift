import Foundation
import TestSupport
import Testing

/// SIGKILL, SIGSTOP and second instances against the real binary.
@Suite(.serialized, .timeLimit(.minutes(60))) struct KillTests {
    @Test func `loses nothing that was answered 200 when it is killed at any moment, while it starts too`() async throws
    {
        let bench = try FaultBench()
        var random = SeededRandom(FaultRounds.seed)
        let clients = bench.load()
        var seen = 0
        var worst = 0
        for round in 0..<FaultRounds.count {
            let before = bench.ledger.all.count
            try bench.gateway.launch()
            // Every other one while it starts, the rest under load.
            if round % 2 == 1 { try await bench.wait("some load") { bench.ledger.all.count > before + 20 } }
            worst = max(worst, try await duplicates(of: bench, killedAfter: 0...350, &random, since: &seen))
        }
        await clients.stop()
        try await bench.expectNothingLost(restart: true, "(seed \(FaultRounds.seed))")
        let accepted = bench.ledger.all.count
        #expect(accepted > FaultRounds.count * 10)
        // What was under way at a kill comes again, and nothing else.
        let requests = bench.sink.duplicates / Int(NumberedSpans.perRequest)
        #expect(requests <= FaultRounds.count * FaultBench.consumers, "\(requests) requests came twice")
        let most = worst / Int(NumberedSpans.perRequest)
        #expect(most <= FaultBench.consumers, "\(most) requests came twice behind one kill")
        print(
            "\(FaultRounds.count) kills: \(accepted) spans accepted, 0 lost, \(requests) requests twice, "
                + "\(most) at most behind one kill")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    /// Kills the gateway within some milliseconds. Gives how many spans came twice since `seen` of them had: what the
    /// kill before has left.
    private func duplicates(
        of bench: FaultBench, killedAfter milliseconds: ClosedRange<Int>, _ random: inout SeededRandom,
        since seen: inout Int
    ) async throws -> Int {
        try await Task.sleep(for: .milliseconds(Int.random(in: milliseconds, using: &random)))
        _ = bench.gateway.end(SIGKILL)
        // What lies in its sockets counts for this round.
        try await bench.wait("the sink's end of reading") { bench.sink.connections == 0 }
        defer { seen = bench.sink.duplicates }
        return bench.sink.duplicates - seen
    }

    @Test func `of a request that is split only the parts come twice that were under way at a kill`() async throws {
        let part = 2
        let bench = try FaultBench(exporter: ["batch: {min_size: 1, max_size: \(part), flush_timeout: 1ms}"])
        var random = SeededRandom(FaultRounds.seed)
        let clients = bench.load()
        var (seen, worst) = (0, 0)
        let rounds = max(15, FaultRounds.count / 10)
        for _ in 0..<rounds {
            try await bench.gateway.start()
            worst = max(worst, try await duplicates(of: bench, killedAfter: 20...300, &random, since: &seen))
        }
        await clients.stop()
        try await bench.expectNothingLost(restart: true, "(seed \(FaultRounds.seed))")
        worst = max(worst, bench.sink.duplicates - seen)
        print(
            "\(rounds) kills of requests in parts: \(bench.ledger.all.count) spans accepted, 0 lost, "
                + "\(bench.sink.duplicates) spans twice, \(worst) at most behind one kill")
        #expect(worst <= FaultBench.consumers * part, "\(worst) spans came twice behind one kill")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `a batch that keeps failing makes no later one come twice`() async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        let stuck = bench.ledger.reserve()
        bench.sink.behave(.takesAllBut(stuck))
        let first = try #require(LoopbackConnection(port: bench.gateway.port))
        #expect(first.post(NumberedSpans.request(stuck)) == 200)
        bench.ledger.accepted(stuck)
        let clients = bench.load()
        for round in 1...4 {
            let enough = 2_000 * round
            try await bench.wait("deliveries behind the stuck one") { bench.sink.received.count > enough }
            _ = bench.gateway.end(SIGKILL)
            try await bench.gateway.start()
        }
        await clients.stop()
        let missing = try await bench.sink.wait(for: bench.ledger.all.subtracting(stuck..<stuck + 10))
        #expect(missing.isEmpty)
        #expect(bench.sink.received[stuck] == nil)
        let twice = bench.sink.duplicates / Int(NumberedSpans.perRequest)
        print("4 kills behind a stuck batch: \(bench.sink.received.count) spans delivered, \(twice) requests twice")
        #expect(twice <= 4 * FaultBench.consumers, "\(twice) requests came twice")
        try await bench.expectNothingLost(restart: false)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `recovers however often its recovery is killed`() async throws {
        let bench = try FaultBench()
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        let clients = bench.load(padding: 2_000)
        try await bench.wait("some load") { bench.ledger.all.count > 1_000 }
        _ = bench.gateway.end(SIGKILL)
        await clients.stop()
        var random = SeededRandom(FaultRounds.seed)
        for _ in 0..<max(20, FaultRounds.count / 10) {
            try bench.gateway.launch()
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...120, using: &random)))
            _ = bench.gateway.end(SIGKILL)
        }
        try await bench.expectNothingLost(restart: true, "(seed \(FaultRounds.seed))")
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `goes on after a pause of the machine`() async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        let clients = bench.load()
        for _ in 0..<3 {
            try await Task.sleep(for: .milliseconds(200))
            kill(bench.gateway.pid, SIGSTOP)
            try await Task.sleep(for: .milliseconds(700))
            kill(bench.gateway.pid, SIGCONT)
        }
        try await Task.sleep(for: .milliseconds(300))
        await clients.stop()
        #expect(clients.statuses[0] == nil, "\(clients.statuses)")
        try await bench.expectNothingLost(restart: false)
        // A delivery may pass its time limit in a pause on a crowded machine: those in flight then, and no others.
        let inFlight = 3 * FaultBench.consumers * Int(NumberedSpans.perRequest)
        #expect(bench.sink.duplicates <= inFlight)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test func `refuses a second gateway on the same journal and names the first`() async throws {
        let bench = try FaultBench()
        try await bench.gateway.start()
        let file = bench.gateway.folder.appending(path: "config.yaml")
        let other = bench.gateway.folder.appending(path: "other.yaml")
        var text = try String(contentsOf: file, encoding: .utf8)
        for port in [bench.gateway.port, bench.gateway.metricsPort, bench.gateway.grpcPort] {
            text = text.replacingOccurrences(of: ":\(port)", with: ":\(FreePort.next())")
            text = text.replacingOccurrences(of: "port: \(port)", with: "port: \(FreePort.next())")
        }
        try text.write(to: other, atomically: true, encoding: .utf8)
        let clients = bench.load()
        let second = try bench.gateway.command(
            ["run", "--config", other.path, "--data-directory", bench.gateway.folder.appending(path: "b").path])
        #expect(second.status == 3)
        #expect(second.text.contains("in use by") && second.text.contains("\(bench.gateway.pid)"), "\(second.text)")
        await clients.stop()
        try await bench.expectNothingLost(restart: false)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }
}
