import Pipeline

/// The files that one exporter writes to. Those that wait longest for data are closed when there are too many.
///
/// Used by one thread at a time.
final class OpenFiles {
    /// Keeps a writer, which has one owner, in a dictionary.
    private final class Slot {
        var writer: FileWriter<OTLPForm>
        var lastUse = 0

        init(_ writer: consuming FileWriter<OTLPForm>) { self.writer = writer }
    }

    private let options: FileOptions
    private let effects: FileEffects
    private let log: @Sendable (LogLevel, String) -> Void
    private var slots: [String: Slot] = [:]
    private var uses = 0

    init(_ options: FileOptions, effects: FileEffects, log: @escaping @Sendable (LogLevel, String) -> Void) {
        self.options = options
        self.effects = effects
        self.log = log
    }

    /// Opens the file of a path without places; others are opened by what they get.
    func open() -> FileFailure? {
        guard options.path.isFixed else { return nil }
        do throws(FileFailure) { try slot(options.path.fixedPath).writer.open() } catch { return error }
        return nil
    }

    /// Writes batches to their files. A batch whose part for one file fails is written again whole, to the others too.
    func append(_ batches: [ExportBatch]) -> [ExportOutcome] {
        var outcomes = [ExportOutcome](repeating: .delivered, count: batches.count)
        for (path, parts) in parts(of: batches) {
            let result = slot(path).writer.append(parts.map(\.batch))
            for (index, part) in parts.enumerated() where index >= result.settled {
                outcomes[part.index] = .retry(reason: result.failure?.description ?? "not written", after: nil)
            }
        }
        return outcomes
    }

    func close() {
        for slot in slots.values {
            slot.writer.close()
            slot.writer.finishCompressing()
        }
        slots = [:]
    }

    /// What each file gets, with the numbers of the batches it comes from.
    private func parts(of batches: [ExportBatch]) -> [(path: String, parts: [(index: Int, batch: ExportBatch)])] {
        if options.path.isFixed {
            return [(options.path.fixedPath, batches.enumerated().map { ($0.offset, $0.element) })]
        }
        let seconds = Int(effects.wallClock() / 1_000)
        var files: [(path: String, parts: [(index: Int, batch: ExportBatch)])] = []
        var indexes: [String: Int] = [:]
        for (number, batch) in batches.enumerated() {
            for group in ResourceGroups.split(batch.bytes, options.path, seconds: seconds) {
                var part = batch
                part.bytes = group.bytes
                if let index = indexes[group.path] {
                    files[index].parts.append((number, part))
                } else {
                    indexes[group.path] = files.count
                    files.append((group.path, [(number, part)]))
                }
            }
        }
        return files
    }

    private func slot(_ path: String) -> Slot {
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
        let slot = Slot(FileWriter(place: place, form: OTLPForm(format: options.format), effects: effects, log: log))
        slot.lastUse = uses
        slots[path] = slot
        return slot
    }
}
