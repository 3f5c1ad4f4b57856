import Exporters
import Pipeline
import Testing

@Suite struct AcknowledgementTrackerTests {
    @Test func `acknowledges only up to the first open frame`() {
        var tracker = AcknowledgementTracker()
        let first = tracker.register(Sequence(0)..<Sequence(10), parts: 1)
        let second = tracker.register(Sequence(10)..<Sequence(20), parts: 1)
        let third = tracker.register(Sequence(20)..<Sequence(30), parts: 1)
        #expect(tracker.settle(third, items: 10) == .aside(Sequence(20)..<Sequence(30)))
        #expect(tracker.settledItems == 10)
        #expect(tracker.settle(first, items: 10) == .acknowledge(Sequence(10)))
        #expect(tracker.settle(second, items: 10) == .acknowledge(Sequence(30)))
        #expect(tracker.settledItems == 0)
        #expect(tracker.openFrames == 0)
    }

    @Test func `settles a split frame with its last part`() {
        var tracker = AcknowledgementTracker()
        let ticket = tracker.register(Sequence(0)..<Sequence(9), parts: 3)
        #expect(tracker.settle(ticket, items: 4) == .none)
        #expect(tracker.settle(ticket, items: 4) == .none)
        #expect(tracker.settledItems == 8)
        #expect(tracker.settle(ticket, items: 1) == .acknowledge(Sequence(9)))
        #expect(tracker.settle(ticket, items: 1) == .none, "a part too many changes nothing")
    }

    @Test func `tells which items of a split frame are settled`() {
        var tracker = AcknowledgementTracker()
        let first = tracker.register(Sequence(0)..<Sequence(1), parts: 1)
        let ticket = tracker.register(Sequence(1)..<Sequence(10), parts: 2)
        #expect(tracker.settle(ticket, someAt: 5..<7) == .aside(Sequence(6)..<Sequence(8)))
        #expect(tracker.settle(ticket, items: 2, at: 7..<9) == .aside(Sequence(8)..<Sequence(10)))
        #expect(tracker.settledItems == 4)
        #expect(tracker.settle(ticket, items: 5, at: 0..<5) == .aside(Sequence(1)..<Sequence(10)))
        #expect(tracker.settled == HeldAmount(frames: 1, items: 9))
        #expect(tracker.settle(first, items: 1, at: 0..<1) == .acknowledge(Sequence(10)))
        #expect(tracker.settled == HeldAmount())
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `ends contiguous and complete for any order of completion`(seed: UInt64) {
        let random = SeededRandom(seed)
        var tracker = AcknowledgementTracker()
        var open: [(ticket: AcknowledgementTracker.Ticket, number: UInt64)] = []
        var settled: Set<UInt64> = []
        var acknowledged: UInt64 = 0
        var read: UInt64 = 0
        while acknowledged < 500 {
            if read < 500 && (open.isEmpty || random.next() % 3 != 0) {
                open.append((tracker.register(Sequence(read)..<Sequence(read + 1), parts: 1), read))
                read += 1
                continue
            }
            let pick = Int(random.next() % UInt64(open.count))
            let entry = open.remove(at: pick)
            settled.insert(entry.number)
            if case .acknowledge(let sequence) = tracker.settle(entry.ticket, items: 1) {
                #expect(sequence.value > acknowledged)
                acknowledged = sequence.value
                #expect((0..<acknowledged).allSatisfy { settled.contains($0) })
                #expect(!settled.contains(acknowledged))
            }
        }
        #expect(tracker.settledItems == 0)
    }
}
