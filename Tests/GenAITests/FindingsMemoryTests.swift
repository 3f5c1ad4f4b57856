@testable import GenAI
import TestSupport
import Testing

/// What one trace leaves behind for the next, written and read again.
@Suite struct FindingsMemoryTests {
    /// A failing call with a definition, a prohibition and a retrieval; `number` makes it another one.
    private func trace(_ number: Int) -> TestTrace {
        var trace = TestTrace(session: "s\(number % 3)")
        let agent = trace.agent("shop", input: "Refund me, but do not use the original payment method \(number).")
        let definition = TestTrace.definition("refund", #""method":{"type":"string"}"#)
        trace.model(
            in: agent, input: TestTrace.user("Do not use the original payment method \(number)."),
            calls: [(id: "c1", name: "refund", arguments: #"{"method":"card"}"#)], tools: "[\(definition)]")
        trace.tool("refund", in: agent, id: "c1", arguments: #"{"method":"card"}"#, error: "timeout of upstream")
        trace.tool("lookup\(number % 5)", in: agent, arguments: "{}", result: "[]")
        return trace
    }

    private func lines(_ findings: [Finding]) -> [String] {
        findings.map { "\($0.rule.rawValue) \($0.tier.rawValue) \($0.span) \($0.evidence)" }
    }

    private func tracked(_ sessions: Int = 4_096) -> FindingsMemory {
        FindingsMemory(sessions: sessions, tracksChanges: true)
    }

    private func everything(_ memory: FindingsMemory) -> [UInt8] {
        var bytes: [UInt8] = []
        memory.writeAll { bytes += $0 }
        return bytes
    }

    @Test func `a memory that is brought back at any trace finds the same`() throws {
        let undisturbed = Detective()
        let wanted = try (0..<9).map { lines(try undisturbed.look(at: trace($0))) }
        #expect(
            wanted[6...8].allSatisfy { $0.contains { $0.contains("earlier") || $0.hasPrefix("repeat") } },
            "\(wanted[8])")
        for restart in 0..<9 {
            let detective = Detective()
            detective.memory = tracked()
            var log: [[UInt8]] = []
            for number in 0..<9 {
                if number == restart {
                    detective.memory = tracked()
                    for bytes in log {
                        let isRestored = detective.memory.restore(bytes[...])
                        #expect(isRestored)
                    }
                }
                #expect(lines(try detective.look(at: trace(number))) == wanted[number])
                log.append(detective.memory.changes())
                detective.memory.keep()
                // Either everything and what came since, or all that came.
                if number % 4 == 1 { log = [everything(detective.memory)] }
            }
        }
    }

    @Test func `what is taken back leaves no trace`() throws {
        let detective = Detective()
        detective.memory = tracked(16)
        for number in 0..<40 {
            try detective.look(at: trace(number))
            detective.memory.keep()
            let before = everything(detective.memory)
            try detective.look(at: trace(number + 1))
            #expect(!detective.memory.changes().isEmpty)
            detective.memory.undo()
            #expect(everything(detective.memory) == before)
            #expect(detective.memory.changes().isEmpty)
        }
    }

    @Test func `a definition that stays the same is not written again`() throws {
        let detective = Detective()
        detective.memory = tracked()
        try detective.look(at: trace(0))
        let first = detective.memory.changes()
        detective.memory.keep()
        try detective.look(at: trace(3))
        let second = detective.memory.changes()
        #expect(String(decoding: first, as: UTF8.self).contains("properties"))
        #expect(!String(decoding: second, as: UTF8.self).contains("properties"))
    }

    @Test func `bytes that are something else are refused, and none ends the process`() throws {
        let detective = Detective()
        detective.memory = tracked()
        for number in 0..<3 { try detective.look(at: trace(number)) }
        let bytes = detective.memory.changes()
        for size in 1..<bytes.count {
            var memory = tracked()
            // A part that ends between two entries is one.
            if !memory.restore(bytes[..<size]) { continue }
            #expect(everything(memory).count <= size)
        }
        var random = SeededRandom(5)
        for _ in 0..<2_000 {
            var memory = tracked()
            var damaged = bytes
            damaged[random.below(damaged.count)] = UInt8(random.below(256))
            _ = memory.restore(damaged[...])
        }
        var memory = tracked()
        let isRestored = memory.restore([9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(!isRestored)
    }

    @Test func `a map within its bound forgets the same ones after it was brought back`() {
        var map = BoundedMap<UInt64>(capacity: 32, tracksChanges: true)
        var again = BoundedMap<UInt64>(capacity: 32, tracksChanges: true)
        var random = SeededRandom(3)
        for step in 0..<2_000 as Range<UInt64> {
            let key = UInt64(random.below(80))
            if random.chance(percent: 50) { map.set(key, step) } else { _ = map.use(key) }
            guard random.chance(percent: 30) else { continue }
            var writer = MemoryWriter()
            map.writeChanges(as: 1, to: &writer)
            map.keep()
            var reader = MemoryReader(writer.bytes[...])
            while !reader.isAtEnd, let entry = MemoryEntry(&reader) {
                let isRestored = again.restore(entry)
                #expect(isRestored)
            }
            again.keep()
            #expect(map.count <= 32)
            #expect(map.all.map(\.key) == again.all.map(\.key))
            #expect(map.all.map(\.value) == again.all.map(\.value))
        }
    }
}
