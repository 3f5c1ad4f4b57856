import Pipeline
import Synchronization

/// Lets several threads share the files of an exporter.
final class SharedFiles: Sendable {
    let storage: Mutex<OpenFiles>

    init(_ files: sending OpenFiles) { storage = Mutex(files) }
}

/// The files that one exporter writes to. Those that wait longest for data are closed when there are too many.
///
/// Used by one thread at a time.
final class OpenFiles {
    /// Keeps a writer, which has one owner, in a dictionary.
    private final class Slot {
        var writer: FileWriter<OTLPForm>
        var lastUse = 0
        /// The dates in its path.
        var dates: [String] = []

        init(_ writer: consuming FileWriter<OTLPForm>) { self.writer = writer }
    }

    private let options: FileOptions
    private let effects: FileEffects
    private let compressor: ClosedFileCompressor?
    private let log: @Sendable (LogLevel, String) -> Void
    private var slots: [String: Slot] = [:]
    private var uses = 0
    /// Those of the present in paths.
    private var dates: [String]
    /// Whether a file of other dates is open, for a batch that comes again.
    private var hasEarlier = false
    private var hasOver = false
    /// Of batches that come again because a part of them was not written, by their number.
    private var begun: [UInt64: Begun] = [:]

    /// More are forgotten, which costs a copy of what is written.
    private static let begunMax = 256

    private struct Begun {
        /// Unix seconds of the first attempt, by which the paths are made.
        var seconds: Int
        /// Parts that are written, by path and content.
        var written: Set<Part> = []

        struct Part: Hashable {
            var path: String
            var hash: String

            init(_ path: String, _ batch: ExportBatch) {
                self.path = path
                hash = AWSSignature.hash(batch.bytes)
            }
        }
    }

    init(
        _ options: FileOptions, effects: FileEffects, compressor: ClosedFileCompressor? = nil,
        log: @escaping @Sendable (LogLevel, String) -> Void
    ) {
        self.options = options
        self.effects = effects
        self.compressor = compressor
        self.log = log
        dates = options.path.dates(Int(effects.wallClock() / 1_000))
    }

    /// Opens the file of a path without places; others are opened by what they get.
    func open() -> FileFailure? {
        guard options.path.isFixed else { return nil }
        do throws(FileFailure) { try slot(options.path.fixedPath, []).writer.open() } catch { return error }
        return nil
    }

    /// Writes batches to their files. A batch whose part for one file fails comes again, and that part is written then.
    func append(_ batches: [ExportBatch]) -> [ExportOutcome] {
        var outcomes = [ExportOutcome](repeating: .delivered, count: batches.count)
        let seconds = Int(effects.wallClock() / 1_000)
        let files = parts(of: batches, at: seconds)
        closeOver(seconds, but: files)
        var settled: [Int] = []
        for (path, dates, parts) in files {
            let result = slot(path, dates).writer.append(parts.map(\.batch))
            settled.append(result.settled)
            for (index, part) in parts.enumerated() where index >= result.settled {
                outcomes[part.index] = .retry(reason: result.failure?.description ?? "not written", after: nil)
            }
        }
        for batch in zip(batches, outcomes) where batch.1 == .delivered { begun[batch.0.number] = nil }
        guard !options.path.isFixed, outcomes.contains(where: { $0 != .delivered }) else { return outcomes }
        for (file, count) in zip(files, settled) {
            for part in file.parts[..<count] where part.batch.number != 0 && outcomes[part.index] != .delivered {
                if begun.count >= Self.begunMax { begun = [:] }
                begun[part.batch.number, default: Begun(seconds: seconds)].written.insert(
                    Begun.Part(file.path, part.batch))
            }
        }
        return outcomes
    }

    /// Closes the files whose date has passed, but for those that get a batch of then.
    private func closeOver(_ seconds: Int, but used: [FileParts]) {
        let now = options.path.dates(seconds)
        guard now != dates || hasEarlier else { return }
        if now != dates { hasOver = true }
        (dates, hasEarlier) = (now, false)
        let used = Set(used.map(\.path))
        for (path, slot) in slots where slot.dates != now {
            if used.contains(path) {
                hasEarlier = true
            } else {
                slot.writer.close()
                slots[path] = nil
                hasOver = true
            }
        }
    }

    /// Whether a date has passed since the last call, so that there may be files that get no more data.
    func takeOver() -> Bool {
        defer { hasOver = false }
        return hasOver
    }

    /// Whether something was written to this file, which then sees to its end by itself.
    func isInUse(_ path: String) -> Bool { slots[path] != nil }

    func close() {
        for slot in slots.values { slot.writer.close() }
        slots = [:]
    }

    /// What a file gets, with the numbers of the batches it comes from, and the dates in its path.
    private typealias FileParts = (path: String, dates: [String], parts: [(index: Int, batch: ExportBatch)])

    /// What each file gets, but for what earlier attempts have written.
    private func parts(of batches: [ExportBatch], at seconds: Int) -> [FileParts] {
        if options.path.isFixed {
            return [(options.path.fixedPath, [], batches.enumerated().map { ($0.offset, $0.element) })]
        }
        let now = options.path.dates(seconds)
        var files: [FileParts] = []
        var indexes: [String: Int] = [:]
        for (number, batch) in batches.enumerated() {
            let begun = begun[batch.number]
            for group in ResourceGroups.split(batch.bytes, options.path, seconds: begun?.seconds ?? seconds) {
                var part = batch
                part.bytes = group.bytes
                if let begun, begun.written.contains(Begun.Part(group.path, part)) { continue }
                if let index = indexes[group.path] {
                    files[index].parts.append((number, part))
                } else {
                    indexes[group.path] = files.count
                    let dates = begun.map { options.path.dates($0.seconds) } ?? now
                    files.append((group.path, dates, [(number, part)]))
                }
            }
        }
        return files
    }

    private func slot(_ path: String, _ dates: [String]) -> Slot {
        uses += 1
        if let slot = slots[path] {
            slot.lastUse = uses
            return slot
        }
        if slots.count >= options.openFilesMax, let oldest = slots.min(by: { $0.value.lastUse < $1.value.lastUse }) {
            oldest.value.writer.close()
            slots[oldest.key] = nil
        }
        var place = options.place
        place.path = path
        let slot = Slot(
            FileWriter(
                place: place, form: OTLPForm(format: options.format), effects: effects, compressor: compressor,
                log: log))
        slot.lastUse = uses
        slot.dates = dates
        if dates != self.dates { hasEarlier = true }
        slots[path] = slot
        return slot
    }
}
