import Exporters
@testable import Gateway
import OTLP
import Pipeline
import Telemetry
import TestSupport
import Testing

@Suite struct TraceBufferTests {
    private let wait = TraceWait(
        idle: .seconds(30), afterRoot: .seconds(2), maxAge: .seconds(100), maxTraces: 4, maxBytes: 1 << 20,
        maxTraceBytes: 500)

    private struct Bench {
        var buffer: TraceBuffer
        var store = PieceStore()
        var tracker = AcknowledgementTracker()
        var frames: UInt64 = 0

        /// `heads` are a resource and a scope around the span.
        mutating func add(
            _ trace: UInt64, at now: Int, bytes: Int = 10, root: Bool = false, tenant: String = "",
            heads: (resource: String, scope: String)? = nil
        ) {
            frames += 1
            let ticket = tracker.register(Sequence(frames - 1)..<Sequence(frames), parts: 1)
            let body = [UInt8](repeating: UInt8(truncatingIfNeeded: trace), count: bytes)
            let key = TraceBuffer.Key(trace: TraceID(high: 0, low: trace), tenant: tenant)
            let frame = store.addFrame(
                FramePlace(file: 0, offset: frames), RequestMetadata(), ticket, pieces: 1)
            let resource = heads.map { store.head(text($0.resource).text) } ?? -1
            let scope = heads.map { store.head(text($0.scope).text) } ?? -1
            let list = body.withUnsafeBytes {
                store.add(
                    TraceIndex.Run(
                        trace: key.trace, bytes: 0..<bytes, resource: -1, scope: -1, items: 1, hasRoot: root),
                    of: Text($0), frame: frame, resource: resource, scope: scope)
            }
            let piece = TraceBuffer.Piece(
                list: list, items: 1, bytes: bytes, shared: PieceStore.frameCost, hasRoot: root)
            buffer.add(key, piece, in: &store, now: .seconds(now))
        }

        private func text(_ string: String) -> ByteColumn {
            var column = ByteColumn()
            Array(string.utf8).withUnsafeBytes { column.append(Text($0)) }
            return column
        }

        mutating func take(at now: Int) -> [TraceBuffer.Complete] {
            let complete = buffer.takeComplete(now: .seconds(now), others: buffer.orphans(in: store, leaving: 0))
            for trace in complete { _ = store.release(trace.pieces, settling: &tracker) }
            return complete
        }

        mutating func complete(at now: Int) -> [String] {
            take(at: now).map { "\($0.key.trace.low) \($0.items) \($0.reason)" }
        }
    }

    @Test func `waits for the rest after the root and for a root that never comes`() {
        var bench = Bench(buffer: TraceBuffer(wait: wait))
        bench.add(1, at: 0)
        bench.add(2, at: 0)
        bench.add(1, at: 1, root: true)
        #expect(bench.complete(at: 2) == [])
        #expect(bench.complete(at: 3) == ["1 2 root"])
        #expect(bench.complete(at: 29) == [])
        #expect(bench.complete(at: 30) == ["2 1 idle"])
        #expect(bench.buffer.count == 0 && bench.buffer.bytes == 0 && bench.buffer.items == 0)
    }

    @Test func `waits anew with every span, up to the greatest age`() {
        var bench = Bench(buffer: TraceBuffer(wait: wait))
        for second in stride(from: 0, to: 100, by: 20) { bench.add(1, at: second) }
        #expect(bench.complete(at: 99) == [])
        #expect(bench.complete(at: 100) == ["1 5 age"])
        bench.add(1, at: 101)
        #expect(bench.complete(at: 131) == ["1 1 idle"])
    }

    @Test func `holds no more traces than it may`() {
        var bench = Bench(buffer: TraceBuffer(wait: wait))
        for trace in 1...6 { bench.add(UInt64(trace), at: trace) }
        #expect(bench.complete(at: 7) == ["1 1 full", "2 1 full"])
    }

    @Test(arguments: [false, true])
    func `holds no more memory than it may, whatever comes`(countsBytes: Bool) {
        var wait = TraceWait(maxTraces: 1_000_000, maxBytes: 1 << 20, maxTraceBytes: 100_000)
        wait.maxTraceSpans = 500
        var bench = Bench(buffer: TraceBuffer(wait: wait, countsBytes: countsBytes))
        var random = SeededRandom(11)
        var early = 0
        for now in 0..<20_000 {
            bench.add(random.next() % 3_000, at: now / 10_000, bytes: Int(random.next() % 2_000) + 1)
            early += bench.take(at: now / 10_000).count
            #expect(bench.buffer.cost <= 1 << 20)
            if bench.buffer.cost > 1 << 20 { return }
        }
        #expect(early > 100 && bench.buffer.count > 100)
        #expect(bench.store.sharedCost == bench.buffer.takeAll().reduce(0) { $0 + $1.shared })
    }

    @Test func `ends one trace that is too large and leaves the others alone`() {
        var bench = Bench(buffer: TraceBuffer(wait: wait))
        bench.add(1, at: 0)
        bench.add(2, at: 0, bytes: 500)
        #expect(bench.complete(at: 0) == ["2 1 size"])
        #expect(bench.buffer.count == 1)
    }

    @Test func `what stands around spans counts as often as it is written`() {
        var bench = Bench(buffer: TraceBuffer(wait: wait))
        let large = String(repeating: "x", count: 300)
        for scope in ["a", "b", "b", "c"] { bench.add(1, at: 0, heads: (large, scope)) }
        #expect(bench.complete(at: 0) == [])
        for resource in ["y", large] { bench.add(2, at: 0, heads: (resource, large)) }
        #expect(bench.complete(at: 0) == ["2 2 size"])
        for resource in [large, "y", large] { bench.add(3, at: 0, heads: (resource, "a")) }
        #expect(bench.complete(at: 0) == ["3 3 size"])
    }

    @Test func `keeps tenants apart`() {
        var bench = Bench(buffer: TraceBuffer(wait: wait))
        bench.add(1, at: 0, tenant: "a")
        bench.add(1, at: 0, root: true, tenant: "b")
        #expect(bench.complete(at: 2) == ["1 1 root"])
        #expect(bench.buffer.count == 1)
    }

    @Test func `gives all back at the end, nearest to its end first`() {
        var bench = Bench(buffer: TraceBuffer(wait: wait))
        bench.add(1, at: 0)
        bench.add(2, at: 5, root: true)
        #expect(bench.buffer.takeAll().map(\.key.trace.low) == [2, 1])
        #expect(bench.buffer.deadline == nil)
    }

    @Test func `tells a time at which something may be complete, never too late`() {
        var bench = Bench(buffer: TraceBuffer(wait: wait))
        var random = SystemRandomNumberGenerator()
        for now in 0..<2_000 {
            if Bool.random(using: &random) {
                bench.add(UInt64.random(in: 0..<3, using: &random), at: now, root: now % 7 == 0)
            }
            let deadline = bench.buffer.deadline
            let complete = bench.complete(at: now)
            if let deadline, deadline > .seconds(now) { #expect(complete == []) }
        }
    }
}
