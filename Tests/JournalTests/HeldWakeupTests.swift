import Pipeline
import Testing

@testable import Journal

@Suite(.timeLimit(.minutes(1))) struct HeldWakeupTests {
    /// Whether a reader was woken.
    private func isFired(_ wakeup: Wakeup) async -> Bool { await wakeup.wait(until: 0) }

    @Test func `readers of a small group wait for the second one behind it`() async {
        var held = HeldWakeups(bytesMax: 6 << 20)
        let (first, second) = (Wakeup(), Wakeup())
        held.add([first], appends: 8, bytes: 1000, at: 1)
        held.fireInWait()
        #expect(held.deadline == 1 + HeldWakeups.longestWait)
        held.add([second], appends: 8, bytes: 1000, at: 300_000)
        #expect(held.deadline == 300_000 + HeldWakeups.longestWait)
        held.fireInWait()
        #expect(held.deadline == nil)
        #expect(await isFired(first))
        #expect(await isFired(second))
    }

    @Test func `readers of a large group wait for the next one only`() async {
        var held = HeldWakeups(bytesMax: 6 << 20)
        let reader = Wakeup()
        held.add([reader], appends: 8, bytes: HeldWakeups.fewBytes, at: 1)
        #expect(held.deadline != nil)
        held.fireInWait()
        #expect(held.deadline == nil)
        #expect(await isFired(reader))
    }

    @Test(arguments: [(HeldWakeups.fewAppends - 1, 1000), (16, (6 << 20) + 1)])
    func `nobody waits behind few appends or very many bytes`(appends: Int, bytes: Int) async {
        var held = HeldWakeups(bytesMax: 6 << 20)
        let reader = Wakeup()
        held.add([reader], appends: appends, bytes: bytes, at: 1)
        #expect(held.deadline == nil)
        #expect(await isFired(reader))
    }

    @Test func `when no group follows readers wait half a millisecond`() async {
        var held = HeldWakeups(bytesMax: 6 << 20)
        let reader = Wakeup()
        held.add([reader], appends: 8, bytes: 1000, at: 1)
        held.fire(at: HeldWakeups.longestWait)
        #expect(held.deadline != nil)
        held.fire(at: HeldWakeups.longestWait + 1)
        #expect(held.deadline == nil)
        #expect(await isFired(reader))
    }

    @Test func `a slow disk is not waited for twice`() async {
        var held = HeldWakeups(bytesMax: 6 << 20)
        let reader = Wakeup()
        held.add([reader], appends: 8, bytes: 1000, at: 1, took: HeldWakeups.longWrite + 1)
        held.fireInWait()
        #expect(held.deadline == nil)
        #expect(await isFired(reader))
    }

    @Test func `an append wakes nobody who waits for a read from disk`() throws {
        var index = JournalIndex(segments: [], nextSequence: 0, tailBytes: 100)
        index.begin(1, seed: 0)
        var cursor = CursorState(position: 0, place: .start(of: 1))
        let handle = cursor.renew()
        index.cursors["a"] = cursor
        func store(_ number: UInt64) -> [Wakeup] {
            let place = Place(segment: 1, offset: JournalFormat.dataOffset + Int(number) * 200, frame: Int(number))
            let next = Place(segment: 1, offset: place.offset + 200, frame: place.frame + 1)
            let stored = StoredFrame(sequence: Sequence(number), frame: frame(Int(number)))
            return index.publish([PlacedFrame(stored: stored, place: place, next: next)])
        }
        #expect(store(0).isEmpty)
        #expect(store(1).isEmpty)
        let reader = Wakeup()
        guard
            case .wait(.forDisk(isNew: true), nil) = index.read(
                "a", handle: handle, maxFrames: 9, maxBytes: 900, now: 1, wakeup: reader)
        else {
            Issue.record("the frames are in memory")
            return
        }
        #expect(store(2).isEmpty)
        let begun = index.beginFetch("a")
        let request = try #require(begun)
        #expect(store(3).isEmpty)
        let end = index.endFetch("a", request, .failed("later"))
        #expect(end === reader)
    }

    @Test func `readers that senders wait for do not wait`() async {
        var held = HeldWakeups(bytesMax: 6 << 20)
        let reader = Wakeup()
        held.add([reader], appends: 8, bytes: 1000, at: 1, isAwaited: true)
        #expect(held.deadline == nil)
        #expect(await isFired(reader))
    }

    @Test func `a group without readers starts no wait`() {
        var held = HeldWakeups(bytesMax: 6 << 20)
        held.add([], appends: 8, bytes: 1000, at: 1)
        #expect(held.deadline == nil)
    }
}
