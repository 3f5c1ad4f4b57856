import Foundation
import Pipeline
import Synchronization
import Telemetry
import Testing

@testable import Gateway

/// Takes requests, and answers them at once or when it is told to.
private final class Target: Ingest {
    private struct State {
        var bodies: [[UInt8]] = []
        var flushes = 0
    }

    private let state = Mutex(State())
    /// Runs within each call.
    private let during: @Sendable () -> Void
    private let waits: Bool

    init(waits: Bool = false, during: @escaping @Sendable () -> Void = {}) {
        self.waits = waits
        self.during = during
    }

    var bodies: [[UInt8]] { state.withLock { $0.bodies } }
    var flushes: Int { state.withLock { $0.flushes } }

    func accepts(_ signal: Signal) -> Bool { true }
    func waitsForDisk(_ signal: Signal) -> Bool { waits }

    func ingest(_ request: IngestRequest, reply: @escaping @Sendable (IngestReply) -> Void) {
        during()
        let body = [UInt8](request.body)
        #expect(request.whole.map { $0 == body } ?? true)
        state.withLock { $0.bodies.append(body) }
        reply(.accepted)
    }

    func flush() { state.withLock { $0.flushes += 1 } }
}

@Suite struct SwitchedIngestTests {
    private let replies = Replies()

    private final class Replies: Sendable {
        private let all = Mutex<[IngestReply]>([])
        var count: Int { all.withLock { $0.count } }
        func add(_ reply: IngestReply) { all.withLock { $0.append(reply) } }
    }

    private final class Gate: Sendable {
        let began = Atomic(false)
        let mayEnd = Atomic(false)
    }

    private func post(_ body: [UInt8], to ingest: SwitchedIngest) {
        let replies = replies
        body.withUnsafeBytes { bytes in
            ingest.ingest(IngestRequest(signal: .traces, encoding: .protobuf, body: bytes)) { replies.add($0) }
        }
        ingest.flush()
    }

    @Test func `requests wait, with bodies of their own, until there is a target`() {
        let ingest = SwitchedIngest([.traces])
        #expect(ingest.accepts(.traces) && !ingest.accepts(.logs))
        post([1, 2], to: ingest)
        post([3], to: ingest)
        #expect(replies.count == 0)
        let target = Target()
        ingest.release(to: target)
        #expect(target.bodies == [[1, 2], [3]] && replies.count == 2)
        #expect(target.flushes == 1, "what waited is stored without another request")
        post([4], to: ingest)
        #expect(target.bodies.count == 3 && target.flushes == 2)
    }

    @Test func `a hold ends what came before, and flushes it, and the next target gets what comes`() async {
        let (ingest, first, second) = (SwitchedIngest([.traces]), Target(), Target())
        ingest.release(to: first)
        post([1], to: ingest)
        await ingest.hold()
        #expect(first.flushes == 2)
        post([2], to: ingest)
        #expect(first.bodies == [[1]])
        await ingest.hold()
        ingest.release(to: second)
        #expect(second.bodies == [[2]] && replies.count == 2)
    }

    @Test(arguments: [false, true]) func `a hold waits for the calls under way`(waits: Bool) async {
        let gate = Gate()
        let ingest = SwitchedIngest([.traces])
        let target = Target(waits: waits) {
            gate.began.store(true, ordering: .sequentiallyConsistent)
            while !gate.mayEnd.load(ordering: .sequentiallyConsistent) {}
        }
        ingest.release(to: target)
        // On a thread of its own: two that spin would hold all of the pool.
        async let posted: Void = withCheckedContinuation { continuation in
            Thread.detachNewThread {
                post([1], to: ingest)
                continuation.resume()
            }
        }
        while !gate.began.load(ordering: .sequentiallyConsistent) { await Task.yield() }
        async let held: Int = {
            await ingest.hold()
            return target.bodies.count
        }()
        await Task.yield()
        gate.mayEnd.store(true, ordering: .sequentiallyConsistent)
        #expect(await held == 1)
        await posted
    }

    @Test(arguments: [false, true])
    func `nothing is lost or handed on twice, whoever posts while targets change`(waits: Bool) async {
        let ingest = SwitchedIngest([.traces])
        let targets = (0..<50).map { _ in Target(waits: waits) }
        await withTaskGroup(of: Void.self) { tasks in
            for poster in 0..<2 {
                tasks.addTask {
                    for number in 0..<2_000 { post([UInt8(poster), UInt8(number % 256)], to: ingest) }
                }
            }
            tasks.addTask {
                for target in targets {
                    ingest.release(to: target)
                    await Task.yield()
                    await ingest.hold()
                }
                ingest.release(to: targets[0])
            }
        }
        // What is on its way comes before this.
        await ingest.hold()
        #expect(targets.reduce(0) { $0 + $1.bodies.count } == 4_000)
        #expect(replies.count == 4_000)
    }
}
