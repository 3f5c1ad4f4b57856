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

    @Test(arguments: [
        (pipeline: ["ack: delivered", "ack_timeout: 600s"], queue: ""), ([], "block_on_overflow: true, "),
        (["ack: received"], "block_on_overflow: true, "),
    ])
    func `a sender that waits when the gateway ends is asked to come again`(
        pipeline: [String], queue: String
    ) async throws {
        let bench = try FaultBench(pipeline: pipeline)
        bench.gateway.arguments = ["--shutdown-timeout", "4"]
        bench.gateway.replace("num_consumers: 4", with: "\(queue)queue_size: 1, sizer: requests, num_consumers: 4")
        bench.sink.behave(.status(503))
        try await bench.gateway.start()
        if !queue.isEmpty {
            #expect(try await bench.gateway.post(NumberedSpans.request(1), path: "/v1/traces") == 200)
            // With `received` it may have been answered before it takes the queue's room.
            try await bench.wait("its attempt") { bench.sink.requests > 0 }
        }
        let gateway = bench.gateway
        async let status = gateway.post(NumberedSpans.request(11), path: "/v1/traces")
        if queue.isEmpty { try await bench.wait("an attempt") { bench.sink.requests > 0 } }
        try await bench.wait("the request") {
            try await bench.gateway.metric("sluice_receiver_inflight_bytes") > 0
        }
        bench.gateway.signal(SIGTERM)
        #expect(try await status == 503)
        #expect(bench.gateway.end(0) == 0)
        let left = queue.isEmpty ? Set(11...20) : Set(1...10)
        bench.sink.behave(.accept)
        bench.gateway.arguments = []
        try await bench.gateway.start()
        #expect(try await bench.sink.wait(for: Set(left.map(UInt64.init))).isEmpty)
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
