@testable import Exporters
import Pipeline
import Telemetry
import Testing

@Suite struct BatcherTests {
    private func part(_ items: Int, bytes: Int = 10, tenant: String = "", signal: Signal = .traces) -> BatchPart {
        var tracker = AcknowledgementTracker()
        return BatchPart(
            signal: signal, tenant: tenant, items: items, bytes: [UInt8](repeating: UInt8(items & 255), count: bytes),
            ticket: tracker.register(Sequence(0)..<Sequence(1), parts: 1))
    }

    private func batcher(min: Int = 10, max: Int = 0, sizer: BatchOptions.Sizer = .items) -> Batcher {
        let options = BatchOptions(flushTimeout: .milliseconds(200), minSize: min, maxSize: max, sizer: sizer)
        return Batcher(options, bytesMax: 1_000)
    }

    @Test func `passes frames through when batching is off`() {
        var batcher = Batcher(nil, bytesMax: 1)
        var ready: [PreparedBatch] = []
        batcher.add(part(1), now: .zero, ready: &ready)
        batcher.add(part(2), now: .zero, ready: &ready)
        #expect(ready.map(\.batch.itemCount) == [1, 2])
        #expect(batcher.deadline == nil)
    }

    @Test func `waits for the minimum size and joins bytes in order`() {
        var batcher = batcher()
        var ready: [PreparedBatch] = []
        batcher.add(part(4, bytes: 2), now: .zero, ready: &ready)
        #expect(ready.isEmpty)
        batcher.add(part(6, bytes: 1), now: .zero, ready: &ready)
        #expect(ready.map(\.batch.itemCount) == [10])
        #expect(ready[0].batch.bytes == [4, 4, 6])
        #expect(ready[0].parts.map(\.items) == [0..<4, 0..<6])
    }

    @Test func `lets an old group leave at its deadline and not before`() {
        var batcher = batcher()
        var ready: [PreparedBatch] = []
        batcher.add(part(1), now: .seconds(1), ready: &ready)
        #expect(batcher.deadline == .milliseconds(1_200))
        batcher.flush(now: .milliseconds(1_199), ready: &ready)
        #expect(ready.isEmpty)
        batcher.flush(now: .milliseconds(1_200), ready: &ready)
        #expect(ready.count == 1)
        #expect(batcher.deadline == nil)
    }

    @Test func `never exceeds the maximum by adding`() {
        var batcher = batcher(min: 10, max: 12)
        var ready: [PreparedBatch] = []
        batcher.add(part(8), now: .zero, ready: &ready)
        batcher.add(part(8), now: .zero, ready: &ready)
        #expect(ready.map(\.batch.itemCount) == [8])
        batcher.flushAll(ready: &ready)
        #expect(ready.map(\.batch.itemCount) == [8, 8])
    }

    @Test func `counts bytes when told to and respects the exporter's own limit`() {
        var batcher = batcher(min: 30, sizer: .bytes)
        var ready: [PreparedBatch] = []
        batcher.add(part(1, bytes: 29), now: .zero, ready: &ready)
        #expect(ready.isEmpty)
        batcher.add(part(1, bytes: 990), now: .zero, ready: &ready)
        #expect(ready.map(\.batch.bytes.count) == [29, 990])
    }

    @Test func `keeps tenants and signals apart`() {
        var batcher = batcher()
        var ready: [PreparedBatch] = []
        for tenant in ["a", "b"] {
            for signal in [Signal.traces, .logs] {
                batcher.add(part(5, tenant: tenant, signal: signal), now: .zero, ready: &ready)
                batcher.add(part(5, tenant: tenant, signal: signal), now: .zero, ready: &ready)
            }
        }
        #expect(
            ready.map { "\($0.batch.tenant) \($0.batch.signal) \($0.batch.itemCount)" }
                == ["a traces 10", "a logs 10", "b traces 10", "b logs 10"])
    }

    @Test func `keeps requests with different headers apart and carries what they share`() {
        var batcher = batcher()
        var ready: [PreparedBatch] = []
        for round in 0..<2 {
            for value in ["a", "b", nil] {
                var part = part(5, bytes: round + 1)
                part.metadata = RequestMetadata(value.map { [.init(name: "x-team", value: $0)] } ?? [])
                batcher.add(part, now: .zero, ready: &ready)
            }
        }
        #expect(ready.map(\.batch.metadata["x-team"]) == ["a", "b", nil])
        #expect(ready.map(\.batch.itemCount) == [10, 10, 10])
    }

    @Test func `keeps a bounded number of groups open`() {
        var batcher = batcher()
        var ready: [PreparedBatch] = []
        for tenant in 0..<200 { batcher.add(part(1, tenant: "t\(tenant)"), now: .zero, ready: &ready) }
        #expect(ready.count == 200 - Batcher.openGroupsMax)
        #expect(ready.first?.batch.tenant == "t0")
        batcher.flushAll(ready: &ready)
        #expect(ready.count == 200)
    }

    @Test func `splits a frame that is too large and loses no record`() {
        let spans = (1...25).map { TestSpan(id: UInt8($0), name: "s\($0)") }
        let bytes = TestRequest.traces(spans)
        let frame = Frame(header: FrameHeader(signal: .traces, itemCount: 25), bytes: bytes)
        let options = BatchOptions(flushTimeout: .zero, minSize: 0, maxSize: 10)
        let stored = StoredFrame(sequence: Sequence(0), frame: frame)
        let pieces = FrameSplit.pieces(of: stored, batch: options, bytesMax: 1 << 20)
        #expect(pieces.map(\.place) == [0..<10, 10..<20, 20..<25])
        let small = FrameSplit.pieces(of: stored, batch: nil, bytesMax: bytes.count / 3)
        #expect(small.count > 3)
        #expect(small.reduce(0) { $0 + $1.items } == 25)
        #expect(small.allSatisfy { $0.bytes.count <= bytes.count / 3 })
    }

    @Test func `keeps bytes whole that are no request`() {
        let frame = Frame(header: FrameHeader(signal: .traces, itemCount: 9), bytes: [0xFF, 0xFF, 1, 2, 3])
        var stored = StoredFrame(sequence: Sequence(0), frame: frame)
        #expect(FrameSplit.pieces(of: stored, batch: nil, bytesMax: 2).map(\.bytes) == [frame.bytes])
        stored.done = [2..<4]
        #expect(FrameSplit.pieces(of: stored, batch: nil, bytesMax: 2).map(\.bytes) == [frame.bytes])
    }

    @Test func `cuts what is left of a frame where it was cut before`() {
        func request(_ places: Range<Int>) -> [UInt8] {
            TestRequest.traces(places.map { TestSpan(id: UInt8($0 + 1), name: "s\($0)") })
        }
        let frame = Frame(header: FrameHeader(signal: .traces, itemCount: 25), bytes: request(0..<25))
        var stored = StoredFrame(sequence: Sequence(100), frame: frame)
        stored.done = [0..<10, 13..<15]
        let options = BatchOptions(flushTimeout: .zero, minSize: 0, maxSize: 10)
        let left = [10..<13, 15..<20, 20..<25]
        let pieces = FrameSplit.pieces(of: stored, batch: options, bytesMax: 1 << 20)
        #expect(pieces.map(\.place) == left)
        #expect(pieces.map(\.bytes) == left.map(request))
        #expect(FrameSplit.places(of: pieces, in: stored).map(\.records) == [10..<13, 15..<20, 20..<25])
        #expect(FrameSplit.pieces(of: stored, batch: nil, bytesMax: 1 << 20).map(\.place) == [10..<13, 15..<25])
    }

    @Test func `cuts what is left of a frame of which every third item is done`() {
        func request(_ places: Range<Int>) -> [UInt8] {
            TestRequest.traces(places.map { TestSpan(id: UInt8($0 + 1), name: "s\($0)") })
        }
        let frame = Frame(header: FrameHeader(signal: .traces, itemCount: 200), bytes: request(0..<200))
        var stored = StoredFrame(sequence: Sequence(7), frame: frame)
        stored.done = stride(from: 0, to: 200, by: 3).map { $0..<$0 + 1 }
        let left = stride(from: 1, to: 199, by: 3).map { $0..<$0 + 2 } + [199..<200]
        let pieces = FrameSplit.pieces(of: stored, batch: nil, bytesMax: 1 << 20)
        #expect(pieces.map(\.place) == left)
        #expect(pieces.map(\.bytes) == left.map(request))
    }
}
