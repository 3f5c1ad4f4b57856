import Configuration
@testable import Exporters
import FoundationEssentials
import Glibc
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(15))) struct DeadLetterTests {
    private let directory = TemporaryDirectory()
    private var folder: DeadLetterFolder {
        DeadLetterFolder(path: DeadLetterFolder.root(directory.path) + "/otlp_http")
    }

    private func letter(_ number: Int, bytes: Int = 100) -> DeadLetter {
        DeadLetter(
            exporter: "otlp_http/a", pipeline: "traces", cause: .rejected, message: "HTTP 400: \"no\"\n\(number)",
            signal: .logs, itemCount: number, tenant: "t", bytes: [UInt8](repeating: 0x0A, count: bytes))
    }

    private func box(
        _ yaml: String = "{}", time: UInt64 = 1, metrics: SelfMetrics = SelfMetrics(), log: LogLines = LogLines()
    ) -> DeadLetterBox {
        DeadLetterBox(
            folder: folder, options: options(DeadLetterOptions.self, yaml).options, exporterID: "otlp_http/a",
            metrics: metrics, now: { time }, log: { log.add($0, $1) })
    }

    /// A clock that goes on by a nanosecond with each look.
    private final class TickingClock: Sendable {
        private let time = Atomic<UInt64>(1)
        func next() -> UInt64 { time.wrappingAdd(1, ordering: .relaxed).newValue }
    }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    @Test func `gives back a letter byte for byte, whatever its message and request hold`() throws {
        for bytes in [0, 1, 70_000] {
            let letter = letter(7, bytes: bytes)
            let encoded = DeadLetterFormat.encode(letter)
            #expect(DeadLetterFormat.decode(encoded) == letter)
            #expect(DeadLetterFormat.decode(encoded.dropLast()) == nil)
            #expect(DeadLetterFormat.decode(encoded + [0]) == nil)
            for count in [0, 10, 30, 100] { #expect(DeadLetterFormat.decode(Array(encoded.prefix(count))) == nil) }
        }
    }

    @Test func `a byte of the request that is not what was written damages it, and one of earlier releases is read`() {
        let letter = letter(7)
        var encoded = DeadLetterFormat.encode(letter)
        for index in encoded.indices.suffix(letter.bytes.count) {
            encoded[index] ^= 4
            #expect(DeadLetterFormat.decode(encoded) == nil)
            encoded[index] ^= 4
        }
        let text = String(decoding: encoded.dropLast(letter.bytes.count), as: UTF8.self)
        let old = text.replacing(/,"crc32c":\d+/, with: "")
        #expect(old != text)
        #expect(DeadLetterFormat.decode(Array(old.utf8) + letter.bytes) == letter)
    }

    @Test func `remembers where its records stood, as far as there is room`() {
        var letter = DeadLetter(
            exporter: "postgres", pipeline: "logs", cause: .rejected, message: "no", signal: .logs, itemCount: 2,
            tenant: "", bytes: [1, 2])
        letter.rowPlaces = [
            RowPlace(block: Array(0xF0...0xFF), position: 7), RowPlace(block: Array(0...15), position: .max),
        ]
        #expect(DeadLetterFormat.decode(DeadLetterFormat.encode(letter)) == letter)
        let place = letter.rowPlaces[0]
        letter.itemCount = 5_000
        letter.rowPlaces = Array(repeating: place, count: 5_000)
        let read = DeadLetterFormat.decode(DeadLetterFormat.encode(letter))
        #expect(read?.bytes == [1, 2] && read?.rowPlaces == [])
    }

    @Test func `keeps letters in order, for the owner alone, over a restart`() async throws {
        for number in 1...3 { _ = await box(time: 50).keep(letter(number)) }
        let entries = folder.list()
        #expect(entries.map(\.itemCount) == [1, 2, 3])
        #expect(entries.map(\.time) == [50, 51, 52], "letters of one moment have different names")
        #expect(entries.allSatisfy { $0.cause == .rejected && $0.message.hasPrefix("HTTP 400") && $0.signal == .logs })
        #expect(folder.read(entries[1].id) == letter(2))
        #expect(mode(folder.path) == 0o700)
        #expect(mode(folder.path + "/" + entries[0].id + ".letter") == 0o600)
        #expect(DeadLetterFolder.all(directory.path).map(\.path) == [folder.path])
        #expect(folder.remove(entries[0].id))
        #expect(!folder.remove(entries[0].id))
        #expect(folder.list().map(\.itemCount) == [2, 3])
    }

    /// A worker that is late under the next configuration, and one that came with it.
    @Test func `two boxes of one folder lose no letter to each other`() async {
        let boxes = [box(), box()]
        await withTaskGroup(of: Void.self) { tasks in
            for number in 1...200 {
                let (box, one) = (boxes[number % 2], self.letter(number))
                tasks.addTask {
                    if case .failure(let failure) = await box.keep(one) { Issue.record("\(failure)") }
                }
            }
        }
        #expect(folder.list().map(\.itemCount).sorted() == Array(1...200))
    }

    @Test func `removes the oldest for room and the old for their age`() async throws {
        let metrics = SelfMetrics()
        let clock = TickingClock()
        let box = DeadLetterBox(
            folder: folder, options: options(DeadLetterOptions.self, "{max_size: 1MiB, max_age: 60s}").options,
            exporterID: "otlp_http/a", metrics: metrics, now: { clock.next() })
        for number in 1...5 { _ = await box.keep(letter(number, bytes: 300_000)) }
        #expect(folder.list().map(\.itemCount) == [3, 4, 5])
        let values = Dictionary(metrics.series.map { ($0.name, $0.read()) }) { first, _ in first }
        #expect(values["sluice_dead_letters"] == 3)
        #expect(values["sluice_dead_letters_removed_total"] == 2)
        guard case .failure = await box.keep(letter(6, bytes: 2 << 20)) else {
            Issue.record("took a letter that is larger than all room")
            return
        }
        #expect(folder.list().map(\.itemCount) == [3, 4, 5])
        let later = self.box("{max_size: 1MiB, max_age: 60s}", time: 61_000_000_100)
        await later.start()
        #expect(folder.list().isEmpty)
    }

    @Test func `says that letters made room, once for many, and not that they were too old`() async throws {
        let log = LogLines()
        let crowded = box("{max_size: 1MiB, max_age: 60s}", log: log)
        for number in 1...3 { _ = await crowded.keep(letter(number, bytes: 300_000)) }
        #expect(log.lines == [])
        for number in 4...6 { _ = await crowded.keep(letter(number, bytes: 300_000)) }
        #expect(
            log.lines == [
                "warn exporter otlp_http/a: dead letters: 1 of the oldest were removed to make room "
                    + "(dead_letters.max_size, or 10000 letters); see `sluice dlq list`"
            ])
        let later = LogLines()
        await box("{max_size: 1MiB, max_age: 60s}", time: 61_000_000_100, log: later).start()
        #expect(folder.list().isEmpty)
        #expect(later.lines == [])
    }

    @Test func `a letter more than an exporter may keep is told too`() async throws {
        #expect(folder.makeFolder() == nil)
        for number in 1...DeadLetterBox.lettersMax {
            let digits = String(number)
            let id = String(repeating: "0", count: 20 - digits.utf8.count) + digits
            let descriptor = open(folder.path + "/\(id).letter", O_WRONLY | O_CREAT, 0o600)
            try #require(descriptor >= 0)
            close(descriptor)
        }
        let log = LogLines()
        _ = await box(time: 20_000, log: log).keep(letter(1))
        let sizes = folder.sizes()
        #expect(sizes.count < DeadLetterBox.lettersMax + 1 && sizes.first?.time != 1)
        #expect(log.lines.count == 1 && log.lines[0].contains("removed to make room"), "\(log.lines)")
    }

    @Test func `letters that are too old go without others that come`() async throws {
        let metrics = SelfMetrics()
        let time = Atomic<UInt64>(1_000_000_000)
        let box = DeadLetterBox(
            folder: folder, options: options(DeadLetterOptions.self, "{max_age: 60s}").options,
            exporterID: "otlp_http/a", metrics: metrics, sweepInterval: .milliseconds(1),
            now: { time.load(ordering: .relaxed) })
        await box.start()
        _ = await box.keep(letter(1))
        #expect(folder.list().count == 1)
        time.store(62_000_000_000, ordering: .relaxed)
        // Counted once it is gone.
        while metrics.series.first(where: { $0.name == "sluice_dead_letters_removed_total" })?.read() != 1 {
            usleep(1_000)
            await Task.yield()
        }
        #expect(folder.list().isEmpty)
    }

    @Test func `its figures follow what commands remove`() async throws {
        let metrics = SelfMetrics()
        let box = box("{max_size: 1MiB}", metrics: metrics)
        for number in 1...3 { _ = await box.keep(letter(number, bytes: 300_000)) }
        func figure(_ name: String) -> Double? { metrics.series.first { $0.name == name }?.read() }
        #expect(figure("sluice_dead_letters") == 3)
        for entry in folder.list().prefix(2) { folder.remove(entry.id) }
        #expect(figure("sluice_dead_letters") == 1)
        #expect(figure("sluice_dead_letters_bytes") == Double(folder.sizes().reduce(0) { $0 + $1.bytes }))
        // And their room can be had again.
        for number in 4...5 { _ = await box.keep(letter(number, bytes: 300_000)) }
        #expect(folder.list().map(\.itemCount).sorted() == [3, 4, 5])
    }

    @Test func `only one command at a time sends letters again`() async throws {
        #expect(ReplayLock(dataDirectory: directory.path) != nil, "there is no folder yet")
        _ = await box().keep(letter(1))
        // What one that was killed has left.
        let draft = try #require(DeadLetterFolder.all(directory.path).first).path + "/left"
        try Data("draft".utf8).write(to: URL(filePath: draft))
        var first = ReplayLock(dataDirectory: directory.path)
        #expect(first != nil && !FileManager.default.fileExists(atPath: draft))
        #expect(ReplayLock(dataDirectory: directory.path) == nil)
        first = nil
        #expect(ReplayLock(dataDirectory: directory.path) != nil)
    }

    @Test func `is not misled by leftovers, foreign files and hostile ids`() async throws {
        _ = await box().keep(letter(1))
        let entry = try #require(folder.list().first)
        let path = folder.path + "/" + entry.id + ".letter"
        // What a crash between the link and the unlink leaves: two names of one file.
        #expect(link(path, folder.path + "/new") == 0)
        _ = FileManager.default.createFile(
            atPath: folder.path + "/00000000000000000009.letter", contents: Data([1, 2]))
        _ = FileManager.default.createFile(atPath: folder.path + "/notes.txt", contents: Data())
        _ = await box(time: 70).keep(letter(2))
        #expect(folder.list().map(\.itemCount) == [1, 2])
        #expect(folder.damaged().map(\.id) == ["00000000000000000009"])
        #expect(folder.damaged().map(\.bytes) == [2])
        #expect(folder.read(entry.id) == letter(1))
        for id in ["../otlp_http/" + entry.id, "", "new", "1", String(repeating: "9", count: 30)] {
            #expect(folder.read(id) == nil)
            #expect(!folder.remove(id))
        }
    }

    @Test func `the list tells which letters are cut or have something behind them`() async throws {
        for number in 1...3 { _ = await box(time: 50).keep(letter(number, bytes: 70_000)) }
        let entries = folder.list()
        #expect(entries.map(\.isWhole) == [true, true, true])
        for (entry, change) in zip(entries, [-40_000, 1]) {
            #expect(truncate(folder.path + "/" + entry.id + ".letter", entry.fileBytes + change) == 0)
        }
        let changed = folder.list()
        #expect(changed.map(\.isWhole) == [false, false, true])
        #expect(changed.map { folder.read($0.id) != nil } == [false, false, true])
    }

    @Test func `says why a letter cannot be written`() async throws {
        _ = FileManager.default.createFile(atPath: DeadLetterFolder.root(directory.path), contents: Data())
        guard case .failure(let failure) = await box().keep(letter(1)) else {
            Issue.record("no failure")
            return
        }
        #expect(failure.description.contains("dead-letters"))
    }
}
