import Pipeline
import Testing

@testable import Journal

/// How fast a backlog is read.
@Suite struct CatchUpPacingTests {
    private static let millisecond: UInt64 = 1_000_000
    private static let chunk = 1 << 20

    /// Reads chunk after chunk for a second, while `perChunk` bytes are appended before each. Gives the bytes read.
    private func readForASecond(
        _ pacing: inout CatchUpPacing, cursors: [String] = ["a"], appendedPerSecond: Int, from start: UInt64 = 0
    ) -> Int {
        var now = start
        var read = 0
        var turn = 0
        while now < start + 1_000 * Self.millisecond {
            if pacing.isOver(at: now) {
                let appended = Int(now / Self.millisecond) * appendedPerSecond / 1_000
                pacing.didRead(Self.chunk, for: cursors[turn % cursors.count], appended: appended, at: now)
                read += Self.chunk
                turn += 1
            }
            // A read takes a moment, so that no rate is without an end.
            now += Self.millisecond / 10
        }
        return read
    }

    @Test(arguments: [1 << 20, 100 << 20, 400 << 20])
    func `what comes in and the rate beyond it are read while appends come in`(appended: Int) {
        var pacing = CatchUpPacing(bytesPerSecond: 160 << 20)
        let read = readForASecond(&pacing, appendedPerSecond: appended)
        #expect(read > appended + (150 << 20))
        #expect(read < appended + (180 << 20))
    }

    @Test func `each cursor gets what comes in, and all together the rate`() {
        var pacing = CatchUpPacing(bytesPerSecond: 160 << 20)
        let read = readForASecond(&pacing, cursors: ["a", "b", "c"], appendedPerSecond: 100 << 20)
        #expect(read > (300 << 20) + (150 << 20))
        #expect(read < (300 << 20) + (180 << 20))
    }

    @Test func `nothing slows it once no append has come for a while, or without a rate`() {
        var pacing = CatchUpPacing(bytesPerSecond: 10 << 20)
        _ = readForASecond(&pacing, appendedPerSecond: 1 << 20)
        let quiet = 1_200 * Self.millisecond
        let appended = 999 * (1 << 20) / 1_000
        pacing.didRead(Self.chunk, for: "a", appended: appended, at: quiet)
        for step in 1..<1_000 {
            let now = quiet + CatchUpPacing.quietTime * 2 + UInt64(step) * Self.millisecond / 10
            let isOver = pacing.isOver(at: now)
            #expect(isOver)
            pacing.didRead(Self.chunk, for: "a", appended: appended, at: now)
        }
        var free = CatchUpPacing(bytesPerSecond: 0)
        #expect(readForASecond(&free, appendedPerSecond: 1 << 20) > 9_000 * Self.chunk)
    }

    @Test func `reads are short while appends come in, and as large as may be otherwise`() {
        var pacing = CatchUpPacing(bytesPerSecond: 160 << 20)
        #expect(pacing.most(at: 0) == .max)
        pacing.didRead(Self.chunk, for: "a", appended: 1, at: 1)
        #expect(pacing.most(at: CatchUpPacing.quietTime) == CatchUpPacing.shortRead)
        #expect(pacing.most(at: 1 + CatchUpPacing.quietTime) == .max)
        var free = CatchUpPacing(bytesPerSecond: 0)
        free.didRead(Self.chunk, for: "a", appended: 1, at: 1)
        #expect(free.most(at: 1) == .max)
    }

    @Test func `what was appended before a cursor fell behind does not count for it`() throws {
        var pacing = CatchUpPacing(bytesPerSecond: 1 << 20)
        pacing.didRead(Self.chunk, for: "a", appended: 1 << 40, at: Self.millisecond)
        let pause = try #require(pacing.pause)
        #expect(pause >= 900 * Self.millisecond)
        let isOver = [pacing.isOver(at: pause - 1), pacing.isOver(at: pause)]
        #expect(isOver == [false, true])
    }

    @Test func `who reads in time for the rate is at its pace, who is late or spares nobody is not`() {
        var pacing = CatchUpPacing(bytesPerSecond: 1 << 20)
        var atPace: [Bool] = []
        func read(appended: Int, at milliseconds: UInt64) {
            pacing.didRead(2 << 10, for: "a", appended: appended, at: milliseconds * Self.millisecond)
            atPace.append(pacing.isAtPace)
        }
        read(appended: 1, at: 50)
        for time in [51, 52, 53] as [UInt64] { read(appended: 2, at: time) }
        #expect(atPace == [false, true, true, true])
        read(appended: 2, at: 60)
        read(appended: 2, at: 61)
        #expect(atPace.suffix(2) == [false, true])
        read(appended: 2, at: 161)
        #expect(atPace.last == false)
        var free = CatchUpPacing(bytesPerSecond: 0)
        for time in 1...3 as ClosedRange<UInt64> { free.didRead(1, for: "a", appended: 1, at: time) }
        #expect(!free.isAtPace)
    }

    @Test(arguments: [0, 1 << 20])
    func `frames of a backlog that is read at its pace say so`(rate: Int) async throws {
        var options = smallOptions()
        options.catchUpBytesPerSecond = rate
        let journal = try openFake(FakeDisk(), options: options)
        await journal.storeAll(0..<40, bytes: 1000)
        let frames = await (try journal.cursor(named: "a")).drain()
        #expect(frames.count == 40)
        #expect(frames.first?.isPaced == false && frames.contains(where: \.isPaced) == (rate > 0))
        journal.close()
    }

    @Test func `the largest read and a counter that goes back trap nowhere`() {
        var pacing = CatchUpPacing(bytesPerSecond: 1)
        pacing.didRead(.max, for: "a", appended: 1, at: 0)
        pacing.didRead(1 << 40, for: "a", appended: 2, at: 1)
        pacing.didRead(0, for: "a", appended: 0, at: 5)
        pacing.retain { $0 == "b" }
        let isOver = pacing.isOver(at: 1 << 40)
        #expect(!isOver)
    }
}
