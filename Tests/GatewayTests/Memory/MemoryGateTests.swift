import Testing

@testable import Gateway

/// What a memory_limiter makes of looks at the process' memory.
@Suite struct MemoryGateTests {
    private static let mib = 1 << 20
    /// 40 MiB by itself, 6 for a journal, so 154 beside that.
    private let shares = MemoryShares(softLimit: 200 << 20, resident: 40 << 20, journals: 1, workers: 1)

    private func look(
        _ gate: inout MemoryGate, _ resident: Int?, reserved: Int = 0, held: Int = 0, isStarved: Bool = false,
        at milliseconds: Int = 0
    ) -> MemoryGate.Verdict {
        gate.look(
            resident: resident.map { $0 << 20 }, reserved: reserved << 20, held: held << 20, isStarved: isStarved,
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

    @Test func `a request that is alone may use what is kept for bursts`() {
        var gate = MemoryGate(shares)
        // 50 MiB more than the others may lead to, and never more than what requests may have at most.
        #expect(look(&gate, 190).room == (10 << 20) / 3 * 2)
        #expect(look(&gate, 190).alone == 30 << 20)
        #expect(look(&gate, 220).alone == 15 << 20)
        #expect(look(&gate, 250).alone == 0)
        #expect(look(&gate, 50).alone == shares.requests)
        #expect(look(&gate, 190, held: 134).alone == 10 << 20)
        for resident in stride(from: 40, through: 300, by: 10) {
            let verdict = look(&gate, resident, reserved: 7, at: 100_000)
            #expect(verdict.alone >= verdict.room)
        }
    }

    @Test func `a refusal while little is reserved gives memory back at once`() {
        var gate = MemoryGate(shares)
        #expect(!look(&gate, 120, at: 0).givesBack)
        let verdict = look(&gate, 120, isStarved: true, at: 100)
        #expect(verdict.givesBack && verdict.pause == MemoryGate.tense)
        // However many are refused, walking through the memory is not all that is done.
        #expect(!look(&gate, 120, isStarved: true, at: 200).givesBack)
        #expect(look(&gate, 120, isStarved: true, at: 300).givesBack)
        #expect(!look(&gate, 120, at: 900).givesBack)
    }

    @Test func `what fits when there is nothing else is let in when giving memory back did not help`() {
        var gate = MemoryGate(shares)
        #expect(look(&gate, 260, isStarved: true, at: 0).alone == 0)
        #expect(look(&gate, 260, isStarved: true, at: 400).alone == 0)
        let verdict = look(&gate, 260, isStarved: true, at: 1_000)
        #expect(verdict.alone == shares.requests && verdict.room == 0)
        // A sender that waits as long as it was told still finds it so, and what is held counts as ever.
        #expect(look(&gate, 260, at: 6_000).alone == shares.requests)
        #expect(look(&gate, 260, held: 154, at: 6_100).alone == 0)
        // It stays so until the one that is let in is through, and then memory is given back first.
        #expect(look(&gate, 290, reserved: 20, at: 6_200).alone == shares.requests)
        #expect(look(&gate, 290, at: 6_300).alone == 0)
        #expect(look(&gate, 290, isStarved: true, at: 6_400).alone == 0)
        #expect(look(&gate, 290, isStarved: true, at: 7_000).alone == shares.requests)
        // Much later it is another matter.
        #expect(look(&gate, 260, at: 17_100).alone == 0)
        #expect(look(&gate, 260, isStarved: true, at: 17_200).alone == 0)
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
