import CSupport
import Glibc
import Testing

@testable import Journal

@Suite struct WriterTurnsTests {
    /// Groups of appends, some time apart, with three turns each, and what the writer waited for these.
    private final class Writer {
        private static let turnsPerGroup: UInt64 = 3

        var turns = WriterTurns()
        var now: UInt64 = 1_000_000_000
        var waits: WriterTurns.Waits? = WriterTurns.Waits(time: 0, turns: 0)
        var looks = 0

        /// Gives whether the writer interrupts others behind so many groups.
        func write(
            _ groups: Int, waiting: UInt64, apart: UInt64 = 700_000, isAnswered: Bool = false, bytes: Int = 100
        ) -> Bool {
            for _ in 0..<groups {
                now += apart + waiting * Self.turnsPerGroup
                waits?.time += waiting * Self.turnsPerGroup
                waits?.turns += Self.turnsPerGroup
                _ = turns.next(isAnswered: isAnswered, bytes: bytes, of: 1000, at: now) {
                    looks += 1
                    return waits
                }
            }
            return turns.interrupts
        }
    }

    @Test func `a writer that waits for the gateway's own threads interrupts nobody`() {
        let writer = Writer()
        let begin = writer.now
        #expect(!writer.write(10_000, waiting: 650_000))
        #expect(UInt64(writer.looks) <= (writer.now - begin) / WriterTurns.interval + 1)
    }

    @Test func `a writer that waits long for its turns interrupts others, and tries again without later and later`() {
        let writer = Writer()
        #expect(writer.write(20, waiting: 1_800_000))
        let looks = writer.looks
        #expect(writer.write(1_000, waiting: 10_000))
        #expect(writer.looks == looks)
        while writer.write(1, waiting: 10_000) {}
        // The strangers are still there, then gone.
        #expect(writer.write(20, waiting: 1_800_000))
        #expect(writer.write(2_000, waiting: 10_000))
        #expect(!writer.write(1_000, waiting: 10_000))
    }

    @Test(arguments: [1_200_000, 2_000_000, 9_000_000, 20_000_000, 100_000_000])
    func `however long its turns are waited for and however few they are, the writer interrupts others`(wait: UInt64) {
        for apart: UInt64 in [150_000, 25_000_000, 1_000_000_000] {
            let writer = Writer()
            #expect((0..<20).contains { _ in writer.write(1, waiting: wait, apart: apart) })
        }
    }

    @Test func `the wait between two tries of a writer that interrupts others has an end`() {
        let writer = Writer()
        var patient = 0
        for _ in 0..<100_000 where !writer.write(1, waiting: 1_800_000) { patient += 1 }
        #expect(patient > 0 && patient < 1_000)
    }

    @Test func `a writer interrupts others while senders are answered first, and while its queue is half full`() {
        let writer = Writer()
        #expect(writer.write(1, waiting: 0, isAnswered: true))
        #expect(!writer.write(1, waiting: 0))
        #expect(writer.write(1, waiting: 0, bytes: 501))
        #expect(writer.write(1, waiting: 0, bytes: 300))
        #expect(!writer.write(1, waiting: 0, bytes: 124))
    }

    @Test func `where the system does not tell how long a thread waits, the writer interrupts nobody`() {
        let writer = Writer()
        writer.waits = nil
        #expect(!writer.write(1_000, waiting: 1_000_000))
        #expect(writer.looks <= 1_000 * 37 / 500 + 1)
    }

    @Test func `the system tells the turns of a thread`() throws {
        // A kernel without the numbers has no file of them.
        guard access("/proc/thread-self/schedstat", R_OK) == 0 else { return }
        var (time, turns): (UInt64, UInt64) = (0, 0)
        #expect(sluice_turn_waits(&time, &turns))
        #expect(turns > 0)
    }
}
