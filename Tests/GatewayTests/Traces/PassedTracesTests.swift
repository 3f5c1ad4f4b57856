import FoundationEssentials
@testable import Gateway
import OTLP
import Pipeline
import Telemetry
import Testing

/// Starts at which what is remembered cannot be written anew.
@Suite struct PassedTracesTests {
    private let folder = FileManager.default.temporaryDirectory.path + "/passed-\(UInt64.random(in: 0 ... .max))"
    private let keys = (1...2).map { TraceBuffer.Key(trace: TraceID(high: 0, low: $0), tenant: "t") }

    private func place() -> PassedTraces.Place {
        PassedTraces.Place(folder: folder, name: "p", input: JournalPosition(high: 7, low: 8, next: Sequence(0)))
    }

    private func output(_ next: UInt64) -> JournalPosition {
        JournalPosition(high: 9, low: 9, next: Sequence(next))
    }

    /// Which of the keys are passed for a frame, by a start that finds the second journal at `next`.
    private func passed(_ place: PassedTraces.Place, next: UInt64, frameEnd: UInt64 = 3) -> [Bool] {
        var passed = PassedTraces(place, output: output(next)) { _ in }
        var answers: [Bool] = []
        for key in keys { answers.append(passed.isPassed(key, frameEnd: Sequence(frameEnd))) }
        return answers
    }

    private func writeBoth() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        var passed = PassedTraces(place(), output: output(10)) { _ in }
        // The second does not come true: the journal is found at 12.
        passed.note([.init(keys[0], from: Sequence(1), to: Sequence(5), end: Sequence(12))])
        passed.note([.init(keys[1], from: Sequence(2), to: Sequence(6), end: Sequence(20))])
    }

    @Test func `files of other journals stay for a configuration that comes back to these`() throws {
        try writeBoth()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var elsewhere = place()
        elsewhere.input.low = 1
        for number in 0..<40 {
            // Each note makes a file of its own journal.
            var other = elsewhere
            other.input.high = UInt64(number % 10)
            var passed = PassedTraces(other, output: output(10)) { _ in }
            passed.note([.init(keys[1], from: Sequence(1), to: Sequence(5), end: Sequence(1))])
        }
        #expect(passed(place(), next: 12) == [true, false])
        elsewhere.input.high = 3
        #expect(passed(elsewhere, next: 12) == [false, true])
        // However many there were, few stay.
        for number in 0..<40 {
            elsewhere.input.high = UInt64(100 + number)
            var passed = PassedTraces(elsewhere, output: output(10)) { _ in }
            passed.note([.init(keys[1], from: Sequence(1), to: Sequence(5), end: Sequence(1))])
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count <= 17)
    }

    private enum Fault: CaseIterable {
        case writesNothing
        case writesHalf
        case doesNotSync
    }

    private func place(with fault: Fault) -> PassedTraces.Place {
        var place = place()
        switch fault {
        case .writesNothing: place.write = { _, _ in false }
        case .writesHalf:
            place.write = { bytes, descriptor in
                _ = Descriptor.writeAll(Array(bytes.prefix(60)), to: descriptor)
                return bytes.count <= 48
            }
        case .doesNotSync: place.sync = { _ in false }
        }
        return place
    }

    @Test(arguments: 0..<3) func `a start on a full disk knows what passed, and so does the next one`(
        number: Int
    ) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try writeBoth()
        let broken = place(with: Fault.allCases[number])
        #expect(passed(broken, next: 12) == [true, false])
        #expect(passed(broken, next: 12) == [true, false])
        // The journal gets to 25 with other spans: what did not come true must not count then.
        #expect(passed(place(), next: 25) == [true, false])
    }

    @Test(arguments: 0..<3) func `files of a rewrite that failed stay until they are not needed`(number: Int) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try writeBoth()
        do {
            var passed = PassedTraces(place(with: Fault.allCases[number]), output: output(12)) { _ in }
            for second in 1...9 { passed.acknowledge(before: Sequence(2), now: .seconds(second)) }
        }
        #expect(passed(place(), next: 12) == [true, false])
        var passed = PassedTraces(place(with: Fault.allCases[number]), output: output(12)) { _ in }
        for second in 1...9 { passed.acknowledge(before: Sequence(6), now: .seconds(second)) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count <= 1)
    }

    @Test(arguments: ["18446744073709551615", "4611686018427387904", "99999999999999999999", "-1", ""])
    func `a foreign file with the highest number is left alone, and new ones are numbered as before`(
        number: String
    ) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try writeBoth()
        let foreign = "\(folder)/p.\(number).passed"
        try #require(FileManager.default.createFile(atPath: foreign, contents: nil))
        #expect(passed(place(), next: 12) == [true, false])
        var passed = PassedTraces(place(), output: output(12)) { _ in }
        let isNoted = passed.note([.init(keys[1], from: Sequence(2), to: Sequence(6), end: Sequence(12))])
        #expect(isNoted)
        let syncing = passed.syncing()
        let sync = try #require(syncing)
        #expect(sync())
        #expect(self.passed(place(), next: 12) == [true, true])
        #expect(FileManager.default.fileExists(atPath: foreign))
    }
}
