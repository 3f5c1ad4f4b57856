import Foundation
import Testing

/// When senders are answered: `ack` of a pipeline.
@Suite(.serialized, .timeLimit(.minutes(15))) struct AcknowledgementTests {
    @Test func `answers on delivery only when told to`() async throws {
        let bench = try FaultBench(pipeline: ["ack: delivered", "ack_timeout: 10s"])
        try await bench.gateway.start()
        guard let connection = LoopbackConnection(port: bench.gateway.port) else {
            throw RunningGateway.Fault(text: "no connection")
        }
        for number in 0..<20 {
            #expect(connection.post(NumberedSpans.request(UInt64(number) * 10 + 1)) == 200)
            #expect(bench.sink.received.count == (number + 1) * 10)
        }
        bench.sink.behave(.status(503))
        #expect(connection.post(NumberedSpans.request(901)) == 503)
        // Kept all the same: the sender was told that it comes later.
        bench.sink.behave(.accept)
        #expect(try await bench.sink.wait(for: Set(901...910)).isEmpty)
        // What the sink refuses for good is no reason to send it again.
        bench.sink.behave(.status(400))
        #expect(connection.post(NumberedSpans.request(951)) == 200)
        #expect(connection.lastBody.contains("HTTP 400"))
        #expect(bench.gateway.end(SIGTERM) == 0)
    }

    @Test(.enabled(if: Tracer.isPossible, "needs strace and the right to use it"))
    func `answers before the disk has it only when told to`() async throws {
        for (ack, limit) in [("received", 0.0...3.5), ("durable", 4.0...600.0)] {
            let bench = try FaultBench(pipeline: ["ack: \(ack)"])
            bench.gateway.wrapper = Tracer.injecting("fdatasync:delay_exit=4000000")
            try await bench.gateway.start()
            guard let connection = LoopbackConnection(port: bench.gateway.port) else {
                throw RunningGateway.Fault(text: "no connection")
            }
            let start = ContinuousClock.now
            #expect(connection.post(NumberedSpans.request(1)) == 200)
            let seconds = start.duration(to: .now) / .seconds(1)
            #expect(limit.contains(seconds), "\(ack): \(seconds) s")
            #expect(try await bench.sink.wait(for: Set(1...10)).isEmpty)
            #expect(bench.gateway.end(SIGTERM) == 0)
        }
    }

    @Test(.enabled(if: Tracer.isPossible, "needs strace and the right to use it"))
    func `counts what is lost after an early answer`() async throws {
        let bench = try FaultBench(pipeline: ["ack: received"])
        bench.gateway.wrapper = Tracer.injecting("fdatasync:error=EIO:when=10..30")
        try await bench.gateway.start()
        let clients = bench.load(2)
        try await bench.wait("a loss") { try await bench.gateway.metric("sluice_pipeline_lost_spans") > 0 }
        try await bench.wait("the disk's recovery") { await bench.health() == 200 }
        await clients.stop()
        try await bench.gateway.waitUntilDelivered()
        // What was answered early may wait for the disk still.
        try await bench.wait("the rest") {
            let lost = Int(try await bench.gateway.metric("sluice_pipeline_lost_spans"))
            return bench.sink.received.count + lost == bench.ledger.all.count
        }
        let lost = try await bench.gateway.metric("sluice_pipeline_lost_spans")
        #expect(bench.sink.received.count + Int(lost) == bench.ledger.all.count)
        #expect(bench.gateway.end(SIGTERM) == 0)
    }
}
