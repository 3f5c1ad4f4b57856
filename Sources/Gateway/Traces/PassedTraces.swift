import CSupport
import Glibc
import OTLP
import Pipeline
import Telemetry

/// Remembers on disk which traces a stage has passed on though it cannot acknowledge them yet, because older frames of
/// its journal hold spans of traces that are still open. After a restart they are not passed on again.
///
/// A record is written before the second journal gets the trace and tells where that journal will end then; it counts
/// only if the journal does reach there, so neither order of a crash passes a trace twice or not at all. The stage
/// syncs records before it gives the second journal their traces. Files, `NAME.N.passed`, are numbers in little
/// endian:
///
///     head     magic u64 | version u32 | crc u32 | first journal 16 | second journal 16
///     record   trace 16 | tenant u64 | from u64 | to u64 | end u64 | crc u32 | 0 u32
///
/// A record says that the spans of the trace are passed that lie in frames of the first journal with ends in
/// `from...to`, provided that the second journal reaches `end`. For one task.
struct PassedTraces: ~Copyable {
    /// Where the files are, and which journal the stage reads.
    struct Place: Sendable {
        var folder: String
        var name: String
        var input: JournalPosition
        /// Makes what was written to a descriptor durable; false when that failed.
        var sync: @Sendable (Int32) -> Bool = { fdatasync($0) == 0 }
        /// Writes all of some bytes to a descriptor; false when that failed.
        var write: @Sendable ([UInt8], Int32) -> Bool = { Descriptor.writeAll($0, to: $1) }
    }

    struct Record: Equatable {
        var trace: TraceID
        var tenant: UInt64
        var from: UInt64
        var to: UInt64
        var end: UInt64

        init(_ key: TraceBuffer.Key, from: Sequence, to: Sequence, end: Sequence) {
            trace = key.trace
            tenant = Record.hash(key.tenant)
            (self.from, self.to, self.end) = (from.value, to.value, end.value)
        }

        fileprivate init(trace: TraceID, tenant: UInt64, from: UInt64, to: UInt64, end: UInt64) {
            (self.trace, self.tenant, self.from, self.to, self.end) = (trace, tenant, from, to, end)
        }

        /// Holds for no frame.
        fileprivate static let nothing = Record(
            trace: TraceID(high: 0, low: 0), tenant: 0, from: .max, to: 0, end: 0)

        static func hash(_ tenant: String) -> UInt64 { FNV.hash(tenant.utf8) }
    }

    private struct File {
        var number: UInt64
        var records: Int
        /// The highest `to` in it: acknowledged, the file is of no use.
        var to: UInt64
    }

    private static let recordsPerFile = 32_768
    /// Beyond it the oldest are forgotten: 56 bytes each.
    private static let recordsMax = 4_000_000
    /// Files of other journals that stay, the newest: a configuration may come back to where they lie.
    private static let othersMax = 16
    /// What was acknowledged this long ago is saved by the journal.
    private static let saveTime = Duration.seconds(2)

    private let place: Place
    private let output: JournalPosition
    private let log: (String) -> Void
    private var files: [File] = []
    /// Of all files of this name, other journals' too.
    private var highestNumber: UInt64 = 0
    private var descriptor: Int32 = -1
    private var isSynced = true
    /// What earlier runs have passed, sorted; empty once the journal is read beyond it.
    private var earlier: [Record] = []
    private var earlierTo: UInt64 = 0
    private var acknowledged: (time: Duration, position: Sequence, before: Sequence) = (.zero, Sequence(0), Sequence(0))
    private var hasFailed = false

    /// Reads what earlier runs have left. Without a folder nothing is remembered, and the log says so.
    init(_ place: Place, output: JournalPosition, log: @escaping (String) -> Void) {
        self.place = place
        self.output = output
        self.log = log
        recover()
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    // MARK: Asking

    /// Whether the spans of a trace in the frame that ends at `end` were passed on by an earlier run. To be asked in
    /// the order of the journal.
    mutating func isPassed(_ key: TraceBuffer.Key, frameEnd end: Sequence) -> Bool {
        guard !earlier.isEmpty else { return false }
        if end.value > earlierTo {
            earlier = []
            return false
        }
        let tenant = Record.hash(key.tenant)
        var low = 0
        var high = earlier.count
        while low < high {
            let middle = (low + high) / 2
            if PassedTraces.precedes(earlier[middle], key.trace, tenant) { low = middle + 1 } else { high = middle }
        }
        while low < earlier.count, earlier[low].trace == key.trace, earlier[low].tenant == tenant {
            if earlier[low].from <= end.value, end.value <= earlier[low].to { return true }
            low += 1
        }
        return false
    }

    private static func precedes(_ record: Record, _ trace: TraceID, _ tenant: UInt64) -> Bool {
        record.trace != trace ? record.trace < trace : record.tenant < tenant
    }

    // MARK: Writing

    /// False when they are not on their way to the disk, so that they may pass again after a restart.
    @discardableResult
    mutating func note(_ records: [Record]) -> Bool {
        if records.isEmpty { return true }
        // Only a file that is on the disk is left for the next one.
        if isSynced, let last = files.last, last.records >= PassedTraces.recordsPerFile { finish() }
        guard open() else { return false }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(records.count * PassedFormat.recordBytes)
        for record in records { PassedFormat.append(record, to: &bytes) }
        let last = files.count - 1
        // Some of them may be there when writing fails.
        files[last].records += records.count
        files[last].to = records.reduce(files[last].to) { max($0, $1.to) }
        guard place.write(bytes, descriptor) else {
            fail("cannot be written")
            return false
        }
        isSynced = false
        while files.count > 1, files.reduce(0, { $0 + $1.records }) > PassedTraces.recordsMax { removeFirst() }
        return true
    }

    /// The sync of what was noted, to be called from any thread before anything else is noted; nil when all is synced.
    mutating func syncing() -> (@Sendable () -> Bool)? {
        guard !isSynced, descriptor >= 0 else { return nil }
        isSynced = true
        let (sync, descriptor) = (place.sync, descriptor)
        return { sync(descriptor) }
    }

    mutating func didNotSync() { fail("cannot be synced") }

    /// Everything before `position` of the first journal is acknowledged.
    mutating func acknowledge(before position: Sequence, now: Duration) {
        if now - acknowledged.time >= PassedTraces.saveTime {
            acknowledged = (now, position, acknowledged.position)
        }
        while let first = files.first, first.to <= acknowledged.before.value {
            if files.count == 1 { finish() }
            removeFirst()
        }
    }

    /// Opens the file that takes records.
    private mutating func open() -> Bool {
        if descriptor >= 0 { return true }
        highestNumber += 1
        let number = highestNumber
        let path = path(number)
        descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0, place.write(PassedFormat.head(place.input, output), descriptor) else {
            fail("cannot be made")
            return false
        }
        files.append(File(number: number, records: 0, to: 0))
        _ = Descriptor.syncFolder(place.folder)
        return true
    }

    private mutating func finish() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        isSynced = true
    }

    private mutating func removeFirst() { unlink(path(files.removeFirst().number)) }

    private mutating func fail(_ what: String) {
        finish()
        guard !hasFailed else { return }
        hasFailed = true
        let files = "\(place.folder)/\(place.name).*.passed"
        log("\(files) \(what): traces that are passed on now may pass again after a restart")
    }

    private func path(_ number: UInt64) -> String { "\(place.folder)/\(place.name).\(number).passed" }

    // MARK: Recovery

    private mutating func recover() {
        let numbers = PassedFormat.numbers(in: place.folder, of: place.name)
        highestNumber = numbers.last ?? 0
        let others = numbers.filter { PassedFormat.isOthers(path($0), place.input, output) }
        for number in others.dropLast(Self.othersMax) { unlink(path(number)) }
        for number in numbers where !others.contains(number) {
            var file = File(number: number, records: 0, to: 0)
            PassedFormat.read(path(number), place.input, output) { record in
                file.records += 1
                file.to = max(file.to, record.to)
                if record.end <= output.next.value, record.from <= record.to { earlier.append(record) }
            }
            files.append(file)
        }
        earlierTo = earlier.reduce(0) { max($0, $1.to) }
        earlier.sort {
            $0.trace != $1.trace || $0.tenant != $1.tenant
                ? PassedTraces.precedes($0, $1.trace, $1.tenant) : $0.from < $1.from
        }
        // Written anew, so that a record that did not come true cannot seem to later.
        let old = files
        if note(earlier), syncRewritten() {
            for file in old { remove(file.number) }
        } else {
            // On a full disk: the old files stay, and what did not come true is written over in them.
            for file in old where !PassedFormat.void(path(file.number), place.input, output) { remove(file.number) }
        }
    }

    private mutating func syncRewritten() -> Bool {
        guard let sync = syncing(), !sync() else { return true }
        fail("cannot be synced")
        return false
    }

    private mutating func remove(_ number: UInt64) {
        unlink(path(number))
        files.removeAll { $0.number == number }
    }
}

/// The bytes of the files of `PassedTraces`.
enum PassedFormat {
    private static let magic: UInt64 = 0x5350_4543_4955_4C53  // "SLUICEPS"
    private static let version: UInt32 = 1
    private static let headBytes = 48
    static let recordBytes = 56
    /// A larger file is none of ours.
    private static let fileBytesMax = 1 << 30

    static func head(_ input: JournalPosition, _ output: JournalPosition) -> [UInt8] {
        var bytes: [UInt8] = []
        for word in [input.high, input.low, output.high, output.low] { append(word, to: &bytes) }
        var head: [UInt8] = []
        append(magic, to: &head)
        append(UInt64(version) | UInt64(sum(bytes[...])) << 32, to: &head)
        return head + bytes
    }

    static func append(_ record: PassedTraces.Record, to bytes: inout [UInt8]) {
        let start = bytes.count
        append(record.trace.high, to: &bytes)
        append(record.trace.low, to: &bytes)
        append(record.tenant, to: &bytes)
        append(record.from, to: &bytes)
        append(record.to, to: &bytes)
        append(record.end, to: &bytes)
        append(UInt64(sum(bytes[start...])), to: &bytes)
    }

    /// Whether a file is of other journals than these.
    static func isOthers(_ path: String, _ input: JournalPosition, _ output: JournalPosition) -> Bool {
        let own = head(input, output)
        guard let front = contents(path, atMost: headBytes), front.count == headBytes, front != own else {
            return false
        }
        return front.starts(with: own[..<8]) && word(front, 8) == UInt64(version) | UInt64(sum(front[16...])) << 32
    }

    /// Visits the records of a file between these journals, up to the first that is not whole.
    static func read(
        _ path: String, _ input: JournalPosition, _ output: JournalPosition, _ visit: (PassedTraces.Record) -> Void
    ) {
        if let bytes = contents(path) { read(bytes, input, output, visit) }
    }

    private static func read(
        _ bytes: [UInt8], _ input: JournalPosition, _ output: JournalPosition, _ visit: (PassedTraces.Record) -> Void
    ) {
        guard bytes.starts(with: head(input, output)) else { return }
        var at = headBytes
        while at + recordBytes <= bytes.count {
            let body = bytes[at..<at + recordBytes - 8]
            guard word(bytes, at + recordBytes - 8) == UInt64(sum(body)) else { return }
            visit(
                PassedTraces.Record(
                    trace: TraceID(high: word(bytes, at), low: word(bytes, at + 8)), tenant: word(bytes, at + 16),
                    from: word(bytes, at + 24), to: word(bytes, at + 32), end: word(bytes, at + 40)))
            at += recordBytes
        }
    }

    /// Writes over the records of a file between these journals that did not come true, which needs no room. False
    /// when that failed.
    static func void(_ path: String, _ input: JournalPosition, _ output: JournalPosition) -> Bool {
        guard let bytes = contents(path) else { return false }
        var places: [Int] = []
        var at = headBytes
        read(bytes, input, output) { record in
            if record.end > output.next.value { places.append(at) }
            at += recordBytes
        }
        if places.isEmpty { return true }
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var nothing: [UInt8] = []
        append(PassedTraces.Record.nothing, to: &nothing)
        for place in places {
            let size = nothing.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, place) }
            guard size == nothing.count else { return false }
        }
        return fdatasync(descriptor) == 0
    }

    /// The numbers of the files of a name, rising.
    static func numbers(in folder: String, of name: String) -> [UInt64] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var numbers: [UInt64] = []
        while let entry = readdir(directory) {
            let file = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard file.hasPrefix(name + "."), file.hasSuffix(".passed") else { continue }
            // The limit leaves room to count on; no file of ours gets there.
            if let number = UInt64(file.dropFirst(name.utf8.count + 1).dropLast(7)), number < 1 << 62 {
                numbers.append(number)
            }
        }
        return numbers.sorted()
    }

    /// A file's bytes, the first `most` of them; nil when it cannot be read or is larger than `bytesMax`.
    static func contents(_ path: String, bytesMax: Int = fileBytesMax, atMost most: Int = .max) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_size <= bytesMax else { return nil }
        let size = min(Int(facts.st_size), most)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size, let base = buffer.baseAddress {
                let got = Glibc.read(descriptor, base + count, size - count)
                if got < 0, errno == EINTR { continue }
                guard got > 0 else { return }
                count += got
            }
        }
    }

    private static func append(_ word: UInt64, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private static func word(_ bytes: [UInt8], _ at: Int) -> UInt64 {
        UInt64(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: UInt64.self) })
    }

    private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.withUnsafeBytes { sluice_crc32c(0, $0.baseAddress, $0.count) }
    }
}
