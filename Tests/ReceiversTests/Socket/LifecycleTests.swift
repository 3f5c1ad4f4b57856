import NIOCore
import NIOPosix
import Pipeline
import Telemetry
import Testing

@testable import Receivers

/// Load, start and end, on a real socket.
@Suite struct LifecycleTests {
    @Test func `a body that finds the budget used up is 503 with Retry-After before it is read`() async throws {
        let ingest = FakeIngest(.hold)
        try await withServer(ingest, budgetBytes: 100_000) { server in
            let first = try server.connect()
            first.send(post(body: [UInt8](repeating: 1, count: 80_000)))
            #expect(ingest.hasCalls(1))
            let second = try server.connect()
            second.send(
                "POST /v1/logs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 30000\r\n\r\n")
            let refusal = try second.response()
            #expect(refusal.status == 503)
            #expect(Int(refusal.headers["retry-after"] ?? "").map { (1...60).contains($0) } == true)
            #expect(refusal.headers["content-type"] == "application/json")
            ingest.release(.accepted)
            #expect(try first.response().status == 200)
            #expect(eventually { server.budget.used == 0 })
            #expect(server.value("sluice_receiver_refused_requests_total", "overload") == 1)
        }
    }

    @Test func `a body larger than the whole budget is 413, since trying again cannot help`() async throws {
        try await withServer(budgetBytes: 1000) { server in
            let client = try server.connect()
            client.send(post(body: [UInt8](repeating: 1, count: 2000)))
            #expect(try client.response().status == 413)
        }
    }

    @Test func `nothing is read while a reply is pending`() async throws {
        let ingest = FakeIngest(.hold)
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(post(body: [1]) + post(body: [2]))
            #expect(ingest.hasCalls(1))
            #expect(ingest.calls.count == 1)
            ingest.release(.accepted)
            #expect(ingest.hasCalls(2))
            ingest.release(.accepted)
            #expect(try client.response().status == 200)
            #expect(try client.response().status == 200)
        }
    }

    @Test func `connections over the limit are told so and the others go on`() async throws {
        try await withServer(http: ["max_connections: 2"]) { server in
            let first = try server.connect()
            let second = try server.connect()
            for client in [first, second] {
                client.send(post())
                #expect(try client.response().status == 200)
            }
            let third = try server.connect()
            let answer = try third.response()
            #expect(answer.status == 503)
            #expect(answer.headers["retry-after"] == "1")
            first.send(post())
            #expect(try first.response().status == 200)
            #expect(server.value("sluice_receiver_refused_requests_total", "connections") == 1)
        }
    }

    @Test func `silent connections make room when another one is turned away`() async throws {
        try await withServer(http: ["max_connections: 3"]) { server in
            let silent = try server.connect()
            let half = try server.connect()
            half.send(Array("POST /v1/traces HTTP/1.1\r\nHost: loc".utf8))
            let idle = try server.connect()
            idle.send(post())
            #expect(try idle.response().status == 200)
            let answered = ContinuousClock.now
            #expect(eventually { server.receiver.connectionCount == 3 })
            // One of the two may have been silent for less than five seconds when the other one makes room.
            var (statuses, served): ([Int], [RawClient]) = ([], [])
            for _ in 0..<120 where served.count < 2 {
                if !statuses.isEmpty { try await Task.sleep(for: .milliseconds(500)) }
                let other = try server.connect()
                other.send(post())
                statuses.append((try? other.response().status) ?? 0)
                if statuses.last == 200 { served.append(other) }
            }
            #expect(statuses.first == 503 && served.count == 2, "\(statuses)")
            #expect(silent.isEnded && half.isEnded)
            // Who has brought a request may be silent for longer.
            if ContinuousClock.now - answered < .seconds(14) {
                idle.send(post())
                #expect(try idle.response().status == 200)
            }
        }
    }

    @Test func `those that have brought requests make room later, and when memory is short too`() async throws {
        try await withServer(http: ["max_connections: 2"]) { server in
            let idle = try (0..<2).map { _ in try server.connect() }
            for client in idle {
                client.send(post())
                #expect(try client.response().status == 200)
            }
            var statuses: [Int] = []
            for _ in 0..<120 where statuses.last != 200 {
                if !statuses.isEmpty { try await Task.sleep(for: .milliseconds(500)) }
                let other = try server.connect()
                other.send(post())
                statuses.append((try? other.response().status) ?? 0)
            }
            #expect(statuses.first == 503 && statuses.last == 200, "\(statuses)")
            for client in idle { #expect(client.isEnded) }
        }
        try await withServer { server in
            let idle = try server.connect()
            idle.send(post())
            #expect(try idle.response().status == 200)
            for _ in 0..<600 where server.receiver.connectionCount > 0 {
                server.budget.wantRoom()
                try await Task.sleep(for: .milliseconds(100))
            }
            #expect(idle.isEnded)
        }
    }

    @Test func `one address cannot take all connections`() async throws {
        try await withServer(http: ["max_connections: 10", "max_connections_per_address: 2"]) { server in
            let served = try (0..<2).map { _ in try server.connect() }
            for client in served {
                client.send(post())
                #expect(try client.response().status == 200)
            }
            let turnedAway = try server.connect()
            let answer = try turnedAway.response()
            #expect(answer.status == 503)
            #expect(answer.text.contains("max_connections_per_address"))
            #expect(eventually { server.value("sluice_receiver_refused_requests_total", "connections") == 1 })
            served[0].send(post(headers: ["Connection: close"]))
            #expect(try served[0].response().status == 200)
            #expect(served[0].isEnded && turnedAway.isEnded)
            served[0].finishSending()
            turnedAway.finishSending()
            #expect(eventually { server.receiver.connectionCount == 1 })
            let next = try server.connect()
            next.send(post())
            #expect(try next.response().status == 200)
        }
    }

    @Test func `shutting down lets a request finish and ends idle connections`() async throws {
        let ingest = FakeIngest(.hold)
        try await withServer(ingest) { server in
            let busy = try server.connect()
            let idle = try server.connect()
            busy.send(post())
            #expect(ingest.hasCalls(1))
            async let done: Void = server.receiver.shutdown(deadline: .seconds(10))
            #expect(idle.isEnded)
            ingest.release(.accepted)
            // Each loop hears of the end by itself, so the answer may be on its way before its connection knows.
            #expect(try busy.response().status == 200)
            #expect(busy.isEnded)
            busy.finishSending()
            await done
            #expect(server.receiver.connectionCount == 0)
            #expect(throws: RawClient.Failure.self) { try server.connect() }
            await server.receiver.shutdown(deadline: .seconds(1))
        }
    }

    @Test func `the deadline cuts a request that does not finish`() async throws {
        let ingest = FakeIngest(.hold)
        try await withServer(ingest) { server in
            let client = try server.connect()
            client.send(post())
            #expect(ingest.hasCalls(1))
            await server.receiver.shutdown(deadline: .milliseconds(20))
            #expect(client.isEnded)
            ingest.release(.accepted)
        }
    }

    @Test func `a port that is taken is told with what to do`() async throws {
        try await withServer { server in
            let (second, _) = try makeReceiver("protocols: {http: {endpoint: 127.0.0.1:\(server.port)}}")
            let failure = await #expect(throws: ReceiverStartFailure.self) { try await second.start() }
            #expect(failure?.description.contains("taken by another process") == true)
            await second.shutdown(deadline: .zero)
        }
    }

    @Test func `localhost listens on both loopback addresses with one port`() async throws {
        let (receiver, _) = try makeReceiver("protocols: {http: {endpoint: localhost:0}}")
        let addresses = try await receiver.start().http
        #expect(Set(addresses.map(\.port)).count == 1)
        for address in addresses {
            let client = try RawClient(port: address.port ?? 0, isIPv6: address.protocol == .inet6)
            client.send(post())
            #expect(try client.response().status == 200)
        }
        await receiver.shutdown(deadline: .zero)
    }

    @Test func `many clients at once are all answered`() async throws {
        let ingest = FakeIngest(.elsewhere(.accepted))
        try await withServer(ingest) { server in
            let clients = try (0..<40).map { _ in try server.connect() }
            let body = [UInt8](repeating: 5, count: 200_000)
            for client in clients { client.send(post(body: body)) }
            for client in clients { #expect(try client.response().status == 200) }
            #expect(ingest.calls.count == 40)
            #expect(ingest.calls.allSatisfy { $0.body == body })
            #expect(eventually { server.budget.used == 0 })
        }
    }
}
