import NIOCore
import NIOEmbedded
import Testing

@testable import Receivers

@Suite struct BodyCollectorTests {
    @Test func `joins the parts of a body of known length`() throws {
        let ticket = AdmissionTicket(budget: AdmissionBudget(limitBytes: 100))
        var collector = BodyCollector(declared: 6, sizeMax: 10)
        try collector.reserve(ticket)
        #expect(ticket.held == 6)
        for part in ["ab", "", "cde", "f"] {
            try collector.append(ByteBuffer(string: part), ticket: ticket)
        }
        guard case .gathered(let bytes) = collector.finish() else { throw Unexpected() }
        #expect(bytes == Array("abcdef".utf8))
    }

    @Test func `a body that comes whole is not copied`() throws {
        let ticket = AdmissionTicket(budget: AdmissionBudget(limitBytes: 100))
        var collector = BodyCollector(declared: 3, sizeMax: 10)
        try collector.reserve(ticket)
        let part = ByteBuffer(string: "abc")
        try collector.append(part, ticket: ticket)
        let same = collector.finish().withBytes { mine, whole in
            part.withUnsafeReadableBytes { $0.baseAddress == mine.baseAddress } && whole == nil
        }
        #expect(same)
    }

    @Test func `a gathered body can be kept without a copy`() throws {
        let ticket = AdmissionTicket(budget: AdmissionBudget(limitBytes: 1 << 20))
        var collector = BodyCollector(declared: 200_000, sizeMax: 1 << 20)
        try collector.reserve(ticket)
        for _ in 0..<4 { try collector.append(ByteBuffer(repeating: 7, count: 50_000), ticket: ticket) }
        let (address, kept) = collector.finish().withBytes { bytes, whole in (bytes.baseAddress, whole) }
        let bytes = try #require(kept)
        #expect(bytes == [UInt8](repeating: 7, count: 200_000))
        #expect(bytes.withUnsafeBytes { $0.baseAddress } == address)
        #expect(bytes.capacity < 220_000)
    }

    @Test func `a body of no bytes is empty`() throws {
        let ticket = AdmissionTicket(budget: AdmissionBudget(limitBytes: 100))
        var collector = BodyCollector(declared: 0, sizeMax: 10)
        try collector.reserve(ticket)
        #expect(collector.finish().count == 0)
        try collector.append(ByteBuffer(), ticket: ticket)
        #expect(collector.finish().count == 0)
    }

    @Test func `a body does not keep a read buffer that is much larger`() throws {
        for (size, capacity, stays) in [
            (100_000, 1 << 17, true), (20_000, 1 << 16, false), (700, 4 << 10, true), (700, 1 << 17, false),
        ] {
            let ticket = AdmissionTicket(budget: AdmissionBudget(limitBytes: 1 << 20))
            var collector = BodyCollector(declared: size, sizeMax: 1 << 20)
            try collector.reserve(ticket)
            var bytes = ByteBufferAllocator().buffer(capacity: capacity)
            bytes.writeRepeatingByte(1, count: size)
            try collector.append(bytes, ticket: ticket)
            switch collector.finish() {
            case .read(let bytes): #expect(stays && bytes.readableBytes == size, "\(size) of \(capacity)")
            case .gathered(let bytes): #expect(!stays && bytes.count == size, "\(size) of \(capacity)")
            }
        }
    }

    @Test func `what is left of a body says in how many reads it is taken at once`() throws {
        let size = OTLPReceiver.readSizeMax
        let reads = [0, 1, size, size + 1, 3 * size, 8 * size, 8 * size + 1, .max].map { BodyCollector.reads(for: $0) }
        #expect(reads == [1, 1, 1, 2, 3, 8, 9, 16])
        let ticket = AdmissionTicket(budget: AdmissionBudget(limitBytes: 1 << 20))
        var collector = BodyCollector(declared: 90, sizeMax: 100)
        try collector.reserve(ticket)
        try collector.append(ByteBuffer(repeating: 1, count: 60), ticket: ticket)
        #expect(collector.left == 30)
        #expect(BodyCollector(declared: nil, sizeMax: 100).left == 0)
    }

    @Test func `a chunked body reserves as it grows and stops at the cap`() throws {
        let budget = AdmissionBudget(limitBytes: 1 << 20)
        let ticket = AdmissionTicket(budget: budget)
        var collector = BodyCollector(declared: nil, sizeMax: 300_000)
        try collector.reserve(ticket)
        #expect(budget.used == BodyCollector.firstBytes)
        let part = ByteBuffer(repeating: 9, count: 50_000)
        for _ in 0..<6 { try collector.append(part, ticket: ticket) }
        #expect(collector.received == 300_000)
        #expect(budget.used == 300_000)
        #expect(throws: BodyFault.tooLarge(inflated: false)) {
            try collector.append(ByteBuffer(string: "x"), ticket: ticket)
        }
        ticket.release()
        #expect(budget.used == 0)
    }

    @Test func `a chunked body that outgrows the budget is refused`() throws {
        let budget = AdmissionBudget(limitBytes: 200_000)
        let other = AdmissionTicket(budget: budget)
        #expect(other.grow(by: 100_000) == .granted)
        let ticket = AdmissionTicket(budget: budget)
        var collector = BodyCollector(declared: nil, sizeMax: 1 << 20)
        try collector.reserve(ticket)
        #expect(throws: BodyFault.overBudget) {
            try collector.append(ByteBuffer(repeating: 0, count: 110_000), ticket: ticket)
        }
    }

    @Test func `a body reserves as it comes and not what it announces`() throws {
        let budget = AdmissionBudget(limitBytes: 100 << 20)
        let senders = try (0..<20).map { _ in
            let ticket = AdmissionTicket(budget: budget)
            var collector = BodyCollector(declared: 60 << 20, sizeMax: 64 << 20)
            try collector.reserve(ticket)
            try collector.append(ByteBuffer(repeating: 0, count: 10), ticket: ticket)
            return ticket
        }
        #expect(budget.used == 20 * BodyCollector.firstBytes && senders.count == 20)
        let ticket = AdmissionTicket(budget: budget)
        var collector = BodyCollector(declared: 60 << 20, sizeMax: 64 << 20)
        try collector.reserve(ticket)
        for part in 1...60 {
            try collector.append(ByteBuffer(repeating: UInt8(part), count: 1 << 20), ticket: ticket)
            #expect(ticket.held >= part << 20 && ticket.held <= max(1, 2 * (part - 1)) << 20)
        }
        #expect(ticket.held == 60 << 20)
        guard case .gathered(let bytes) = collector.finish() else { throw Unexpected() }
        #expect(bytes.count == 60 << 20 && bytes[1 << 20] == 2 && bytes.last == 60)
    }

    @Test func `of two half-read bodies that do not fit together one is refused and the other goes on`() throws {
        let budget = AdmissionBudget(limitBytes: 12 << 20)
        let tickets = [AdmissionTicket(budget: budget), AdmissionTicket(budget: budget)]
        var first = BodyCollector(declared: 10 << 20, sizeMax: 64 << 20)
        var second = BodyCollector(declared: 10 << 20, sizeMax: 64 << 20)
        try first.reserve(tickets[0])
        try second.reserve(tickets[1])
        let part = ByteBuffer(repeating: 0, count: 1 << 20)
        for _ in 0..<4 {
            try first.append(part, ticket: tickets[0])
            try second.append(part, ticket: tickets[1])
        }
        try first.append(part, ticket: tickets[0])
        #expect(throws: BodyFault.overBudget) { try second.append(part, ticket: tickets[1]) }
        // Behind its refusal it gives all back.
        tickets[1].release()
        for _ in 0..<5 { try first.append(part, ticket: tickets[0]) }
        #expect(budget.used == 10 << 20)
        // What is there already leaves no room for it: refused before it is read.
        #expect(throws: BodyFault.overBudget) { try second.reserve(tickets[1]) }
        #expect(budget.used == 10 << 20)
    }

    @Test func `a buffer of the loop is used again and large ones are not kept`() {
        let resources = LoopResources(of: EmbeddedEventLoop())
        let first = resources.takeBuffer(capacity: 1000)
        let address = first.withVeryUnsafeBytes { Int(bitPattern: $0.baseAddress) }
        resources.give(consume first)
        #expect(resources.takeBuffer(capacity: 500).withVeryUnsafeBytes { Int(bitPattern: $0.baseAddress) } == address)
        resources.give(ByteBufferAllocator().buffer(capacity: LoopResources.spareBytesMax * 2))
        #expect(resources.takeBuffer(capacity: 1).capacity < LoopResources.spareBytesMax)
    }
}

private struct Unexpected: Error {}

@Suite struct AdmissionBudgetTests {
    @Test func `grants up to the limit and takes back`() {
        let budget = AdmissionBudget(limitBytes: 100)
        let first = AdmissionTicket(budget: budget)
        let second = AdmissionTicket(budget: budget)
        #expect(first.grow(by: 60) == .granted)
        #expect(second.grow(by: 41) == .refused)
        #expect(second.grow(by: 40) == .granted)
        first.release()
        first.release()
        #expect(budget.used == 40)
        #expect(second.grow(by: 61) == .neverFits)
        #expect(first.grow(by: .max) == .neverFits)
    }

    @Test func `less room refuses until enough is given back`() {
        let budget = AdmissionBudget(limitBytes: 100)
        let ticket = AdmissionTicket(budget: budget)
        #expect(ticket.grow(by: 90) == .granted)
        budget.setRoom(50)
        #expect(AdmissionTicket(budget: budget).grow(by: 10) == .refused)
        ticket.release()
        #expect(AdmissionTicket(budget: budget).grow(by: 50) == .granted)
        // It is passing, so what would fit at other times may be tried again; and never more than the limit.
        budget.setRoom(0)
        #expect(AdmissionTicket(budget: budget).grow(by: 1) == .refused)
        budget.setRoom(1_000)
        #expect(AdmissionTicket(budget: budget).grow(by: 101) == .neverFits)
    }

    @Test func `a request that is alone gets what others would not`() {
        let budget = AdmissionBudget(limitBytes: 100)
        budget.setRoom(10, alone: 60)
        let first = AdmissionTicket(budget: budget)
        let second = AdmissionTicket(budget: budget)
        #expect(first.grow(by: 61) == .refused)
        // It stays alone while it grows, and nobody comes beside it.
        #expect(first.grow(by: 40) == .granted)
        #expect(first.grow(by: 20) == .granted)
        #expect(second.grow(by: 1) == .refused)
        first.release()
        #expect(second.grow(by: 5) == .granted)
        #expect(first.grow(by: 6) == .refused)
        #expect(first.grow(by: 5) == .granted)
        // Never more than the limit, and never less than there is room for anyway.
        first.release()
        second.release()
        budget.setRoom(50, alone: 1_000)
        #expect(first.grow(by: 101) == .neverFits)
        #expect(first.grow(by: 100) == .granted)
        first.release()
        budget.setRoom(50, alone: -1)
        #expect(first.grow(by: 50) == .granted)
    }

    @Test func `tells when a request was refused though others hold little`() {
        let budget = AdmissionBudget(limitBytes: 100)
        let first = AdmissionTicket(budget: budget)
        let second = AdmissionTicket(budget: budget)
        budget.setRoom(30)
        #expect(first.grow(by: 20) == .granted)
        #expect(!budget.takeStarved())
        #expect(first.grow(by: 30) == .refused)
        #expect(budget.takeStarved() && !budget.takeStarved())
        #expect(second.grow(by: 20) == .refused)
        #expect(budget.takeStarved())
        // Here others have most of it; and what never fits says nothing about memory.
        budget.setRoom(90)
        #expect(first.grow(by: 60) == .granted)
        #expect(second.grow(by: 20) == .refused)
        #expect(second.grow(by: 101) == .neverFits)
        #expect(!budget.takeStarved())
    }

    @Test func `a ticket that is dropped gives back its bytes`() {
        let budget = AdmissionBudget(limitBytes: 100)
        do {
            let ticket = AdmissionTicket(budget: budget)
            #expect(ticket.grow(by: 10) == .granted)
        }
        #expect(budget.used == 0)
    }

    @Test func `many threads never get more than the limit`() async {
        let budget = AdmissionBudget(limitBytes: 1000)
        let over = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var over = 0
                    for _ in 0..<2000 {
                        let ticket = AdmissionTicket(budget: budget)
                        _ = ticket.grow(by: 300)
                        if budget.used > 1000 { over += 1 }
                        ticket.release()
                    }
                    return over
                }
            }
            return await group.reduce(0, +)
        }
        #expect(over == 0)
        #expect(budget.used == 0)
    }
}
