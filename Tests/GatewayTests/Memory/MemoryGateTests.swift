import Testing

@testable import Gateway

/// What a memory_limiter makes of looks at the process' memory.
@Suite struct MemoryGateTests {
    private static let mib = 1 << 20
    /// 40 MiB by itself, 6 for a journal, so 154 beside that.
    private let shares = MemoryShares(softLimit: 200 << 20, resident: 40 << 20, journals: 1, workers: 1)

    private func look(
        _ gate: inout MemoryGate, _ resident: Int?, reserved: Int = 0, held: Int = 0, at milliseconds: Int = 0
    ) -> MemoryGate.Verdict {
        gate.look(
            resident: resident.map { $0 << 20 }, reserved: reserved << 20, held: held << 20,
            now: .milliseconds(milliseconds))
    }

    @Test func `an idle gateway has half of what it does not take by itself for requests`() {
        var gate = MemoryGate(shares)
        let verdict = look(&gate, 50)
        #expect(verdict.room == 77 << 20 && verdict.room == shares.requests)
        #expect(!verdict.givesBack && verdict.pause == MemoryGate.calm)
    }

    @Test func `nothing is taken from the soft limit on`() {
        var gate = MemoryGate(shares)
        #expect(look(&gate, 200).room == 0)
        #expect(look(&gate, 700, reserved: 60).room == 0)
        // What is in memory stays, and what comes until the next look fits whatever is made of it.
        let room = look(&gate, 170, reserved: 40).room
        #expect(room - (40 << 20) == (30 << 20) / 3 * 2)
        #expect(look(&gate, 170, reserved: 40).pause == MemoryGate.tense)
    }

    @Test func `what is held beside requests leaves less for them`() {
        var gate = MemoryGate(shares)
        #expect(look(&gate, 50, held: 54).room == 50 << 20)
        #expect(look(&gate, 50, held: 154).room == 0)
        #expect(look(&gate, 50, held: 500).room == 0)
    }

    @Test func `without the system's word what is held is what counts`() {
        var gate = MemoryGate(shares)
        let verdict = look(&gate, nil, held: 100)
        #expect(verdict.room == 27 << 20 && !verdict.givesBack && verdict.pause == MemoryGate.tense)
    }

    @Test func `memory is given back when it gets scarce, and less often when that does not help`() {
        var gate = MemoryGate(shares)
        #expect(!look(&gate, 160).givesBack)
        #expect(look(&gate, 170, at: 0).givesBack)
        #expect(!look(&gate, 170, at: 100).givesBack)
        // It helped nothing: 170 MiB are in use.
        #expect(!look(&gate, 170, at: 300).givesBack)
        #expect(look(&gate, 170, at: 2_000).givesBack)
        // It came back to less in between: it is worth doing soon.
        #expect(!look(&gate, 100, at: 2_100).givesBack)
        #expect(look(&gate, 164, at: 2_200).givesBack == false)
        #expect(look(&gate, 201, at: 2_250).givesBack)
        #expect(!look(&gate, 230, at: 2_400).givesBack)
        #expect(look(&gate, 230, at: 2_500).givesBack)
    }

    @Test func `a limit below what the gateway needs leaves enough to work with`() {
        let shares = MemoryShares(softLimit: 10 << 20, resident: 40 << 20, journals: 2, workers: 0)
        #expect(shares.soft == (52 << 20) + MemoryShares.usefulBytes)
        var gate = MemoryGate(shares)
        #expect(look(&gate, 52).room == MemoryShares.usefulBytes / 2)
    }

    @Test func `buffers follow the limit and are never larger than without one`() {
        #expect(shares.tail(32 << 20) == (154 << 20) / 8)
        #expect(shares.deliveries(128 << 20) == (154 << 20) / 8)
        #expect(shares.workspace(32 << 20, loops: 4) == (154 << 20) / 32)
        #expect(shares.delivery(16 << 20) == (154 << 20) / 32)
        #expect(MemoryShares(softLimit: 0, resident: 0, journals: 9, workers: 9).delivery(16 << 20) == 1 << 20)
        let large = MemoryShares(softLimit: 8 << 30, resident: 40 << 20, journals: 1, workers: 1)
        #expect(large.tail(32 << 20) == 32 << 20)
        #expect(large.queue(64 << 20) == 64 << 20)
        #expect(large.deliveries(128 << 20) == 128 << 20)
        #expect(large.workspace(32 << 20, loops: 2) == 32 << 20)
        #expect(large.delivery(16 << 20) == 16 << 20)
    }

    @Test func `resident memory is the second number`() {
        func pages(_ text: String) -> Int? {
            Array(text.utf8).withUnsafeBytes { ResidentMemory.pages($0) }
        }
        #expect(pages("30721 9345 8012 1 0 2 0\n") == 9345)
        #expect(pages("1 2") == 2)
        for broken in ["", "123", "12 ", "a b"] { #expect(pages(broken) == nil) }
        #expect(pages("1 " + String(repeating: "9", count: 100)) == 999_999_999_999_999)
        let resident = ResidentMemory()
        #expect(resident.bytes ?? 0 > 1 << 20)
    }
}
