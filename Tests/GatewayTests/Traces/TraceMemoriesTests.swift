import FoundationEssentials
@testable import Gateway
import OTLP
import Pipeline
import Synchronization
import Telemetry
import TestSupport
import Testing

/// The file of what processors remember, and what becomes of it.
@Suite final class TraceMemoriesTests {
    private let folder = FileManager.default.temporaryDirectory.path + "/memory-\(UInt64.random(in: 0 ... .max))"
    private let log = Mutex<[String]>([])
    private var path: String { folder + "/traces.memory" }

    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func place() -> PassedTraces.Place {
        PassedTraces.Place(folder: folder, name: "traces", input: JournalPosition(high: 7, low: 8, next: Sequence(0)))
    }

    private func memories(
        _ probe: MemoryProbe, next: UInt64, journal: UInt64 = 9, id: String = "probe",
        _ place: PassedTraces.Place? = nil
    ) -> TraceMemories {
        TraceMemories(
            ProcessorChain(signal: .traces, steps: [probe], names: [id]), place ?? self.place(),
            output: JournalPosition(high: journal, low: 9, next: Sequence(next)),
            log: { line in self.log.withLock { $0.append(line) } })
    }

    /// What a start that finds the second journal at `next` knows.
    private func known(next: UInt64) -> [String: UInt8] {
        let probe = MemoryProbe()
        _ = memories(probe, next: next)
        return probe.counts
    }

    /// Traces of one span each; the journal ends at 1, 2, 3 with them.
    private func see(_ names: [String], from start: UInt64 = 0, _ place: PassedTraces.Place? = nil) {
        let probe = MemoryProbe()
        var memories = memories(probe, next: start, place)
        for (number, name) in names.enumerated() {
            probe.see([name])
            memories.note(memories.take(), end: Sequence(start + UInt64(number) + 1))
        }
    }

    private func bytes() throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

    @Test func `what a trace changed counts once the second journal holds it, and not before`() throws {
        see(["a", "b", "c"])
        #expect(known(next: 2) == ["a": 1, "b": 1])
        // What did not come true is forgotten for good, though the journal gets there with other spans.
        #expect(known(next: 9) == ["a": 1, "b": 1])
        #expect(log.withLock { $0 } == [])
        let rights = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(rights == 0o600)
    }

    @Test func `damage anywhere costs what is behind it, is told, and the file is kept`() throws {
        see(["a", "b"])
        _ = known(next: 2)
        see(["c", "d", "e"], from: 2)
        let whole = try bytes()
        let states: [[String: UInt8]] = [
            [:], ["a": 1], ["a": 1, "b": 1], ["a": 1, "b": 1, "c": 1], ["a": 1, "b": 1, "c": 1, "d": 1],
        ]
        for index in whole.indices {
            var damaged = whole
            damaged[index] ^= 0x40
            try Data(damaged).write(to: URL(fileURLWithPath: path))
            log.withLock { $0 = [] }
            #expect(states.contains(known(next: 5)), "byte \(index)")
            #expect(log.withLock { $0.count } == 1, "byte \(index): \(log.withLock { $0 })")
            #expect([UInt8](try Data(contentsOf: URL(fileURLWithPath: path + ".damaged"))) == damaged)
            log.withLock { $0 = [] }
            #expect(states.contains(known(next: 5)))
            #expect(log.withLock { $0 } == [])
        }
    }

    @Test func `a folder in the file's place is not said to be kept`() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        #expect(known(next: 1) == [:])
        let lines = log.withLock { $0 }
        #expect(lines.contains { $0.contains("it could not be kept as \(path).damaged") }, "\(lines)")
        #expect(!lines.contains { $0.contains("is kept") })
    }

    @Test func `a file that ends anywhere is read as far as it goes`() throws {
        see(["a", "b", "c"])
        let whole = try bytes()
        for size in whole.indices {
            try Data(whole[..<size]).write(to: URL(fileURLWithPath: path))
            let counts = known(next: 3)
            #expect([[:], ["a": 1], ["a": 1, "b": 1]].contains(counts))
            #expect(known(next: 3) == counts)
        }
    }

    @Test func `another journal, version or processor begins anew`() throws {
        see(["a"])
        let probe = MemoryProbe()
        _ = memories(probe, next: 1, journal: 10)
        #expect(probe.counts == [:])
        #expect(log.withLock { $0.count } == 1)
        #expect(FileManager.default.fileExists(atPath: path + ".damaged"))

        see(["a"])
        let other = MemoryProbe(version: 2)
        _ = memories(other, next: 9)
        #expect(other.counts == [:])
        see(["a"])
        let renamed = MemoryProbe()
        _ = memories(renamed, next: 9, id: "other")
        #expect(renamed.counts == [:])
    }

    @Test func `a batch that is taken back or without a place is not remembered`() {
        let probe = MemoryProbe()
        var memories = memories(probe, next: 0)
        probe.see(["a"])
        memories.undo()
        #expect(probe.counts == [:])
        let isEmpty = memories.take().isEmpty
        #expect(isEmpty)
        probe.see(["b"])
        memories.note(memories.take(), end: Sequence(0))
        #expect(known(next: 0) == ["b": 1])

        let unkept = TraceMemories(
            ProcessorChain(signal: .traces, steps: [probe], names: ["probe"]), nil, output: nil, log: { _ in })
        probe.see(["c"])
        let nothing = unkept.take().isEmpty
        #expect(nothing)
        #expect(probe.counts == ["b": 1, "c": 1])
    }

    @Test func `the file is written anew when changes outgrow it, and stays within its bound`() throws {
        let probe = MemoryProbe()
        var memories = memories(probe, next: 0)
        let name = String(repeating: "n", count: 100_000)
        var most = 0
        for _ in 0..<120 {
            probe.see([name])
            memories.note(memories.take(), end: Sequence(0))
            if let fold = memories.folding(now: .zero) { memories.folded(fold()) }
            most = max(most, try bytes().count)
        }
        #expect(most > 4 << 20 && most < 5 << 20)
        #expect(known(next: 0) == [name: 120])
    }

    @Test func `on a full disk it goes on without, tells once, and is whole again when there is room`() throws {
        let isFull = Mutex(false)
        var place = place()
        place.write = { bytes, descriptor in isFull.withLock { $0 } ? false : Descriptor.writeAll(bytes, to: descriptor)
        }
        let probe = MemoryProbe()
        var memories = memories(probe, next: 0, place)
        probe.see(["a"])
        memories.note(memories.take(), end: Sequence(0))
        isFull.withLock { $0 = true }
        for name in ["b", "c"] {
            probe.see([name])
            memories.note(memories.take(), end: Sequence(0))
        }
        #expect(known(next: 0) == ["a": 1])
        if let fold = memories.folding(now: .seconds(100)) { memories.folded(fold()) }
        #expect(log.withLock { $0.count } == 1)
        isFull.withLock { $0 = false }
        let early = memories.folding(now: .seconds(101)) == nil
        #expect(early)
        if let fold = memories.folding(now: .seconds(200)) { memories.folded(fold()) }
        #expect(known(next: 0) == ["a": 1, "b": 1, "c": 1])
    }

    @Test func `a start on a full disk does not let come true what did not`() throws {
        see(["a", "b"])
        var place = place()
        place.write = { _, _ in false }
        let probe = MemoryProbe()
        _ = memories(probe, next: 1, place)
        #expect(probe.counts == ["a": 1])
        #expect(known(next: 5) == ["a": 1])
    }

    @Test func `syncs are a second apart`() {
        let probe = MemoryProbe()
        var memories = memories(probe, next: 0)
        var syncs = 0
        for tenth in 0..<100 {
            probe.see(["a"])
            memories.note(memories.take(), end: Sequence(0))
            if let sync = memories.syncing(now: .milliseconds(100 * (tenth + 10))) {
                syncs += 1
                #expect(sync())
            }
        }
        #expect(syncs == 10)
    }
}
