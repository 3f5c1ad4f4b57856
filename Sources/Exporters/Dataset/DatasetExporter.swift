import Glibc
package import Pipeline
import Synchronization
import Telemetry

/// Adds failing traces to a file as examples to test and train agents with. An example that the file has is not added
/// again, whatever run it came from.
package final class DatasetExporter: Exporter {
    /// Several deliveries may wait for one sync of the file.
    package let maxConcurrency = GroupLane.groupMax
    private let options: DatasetOptions
    private let build: ExporterBuild
    private let effects: FileEffects
    private let lane: GroupLane
    private let shared: SharedFile

    /// Lets the lane's thread and the exporter share the file.
    private final class SharedFile: Sendable {
        let storage = Mutex<FileWriter<DatasetForm>?>(nil)

        func write(_ batches: [ExportBatch]) -> [ExportOutcome] {
            storage.withLock { writer in
                guard let result = writer?.append(batches) else {
                    return batches.map { _ in .retry(reason: "the file is not open", after: nil) }
                }
                return batches.indices.map { index in
                    if let reason = result.refused[index] { return .permanent(reason: reason) }
                    if index < result.settled { return .delivered }
                    return .retry(reason: result.failure?.description ?? "not written", after: nil)
                }
            }
        }
    }

    /// Opens nothing yet; `start` does.
    package init(options: DatasetOptions, build: ExporterBuild, effects: FileEffects = .system) {
        self.options = options
        self.build = build
        self.effects = effects
        let shared = SharedFile()
        self.shared = shared
        lane = GroupLane(label: "sluice.dataset") { shared.write($0) }
    }

    package func check() throws {
        _ = try DatasetReader(options.select, splits: options.splits, maxValueBytes: options.maxValueBytes)
        try ExporterStartFailure.check(file: DatasetExporter.path(options, build), makesFolder: true)
    }

    private static func path(_ options: DatasetOptions, _ build: ExporterBuild) -> String {
        options.path.hasPrefix("/") ? options.path : build.dataDirectory + "/" + options.path
    }

    package func start() async throws {
        let (shared, options, build, effects) = (shared, options, build, effects)
        let failure = await lane.run { () -> ExporterStartFailure? in
            do throws(ExporterStartFailure) {
                try DatasetExporter.open(shared, options, build, effects)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
    }

    private static func open(
        _ shared: SharedFile, _ options: DatasetOptions, _ build: ExporterBuild, _ effects: FileEffects
    ) throws(ExporterStartFailure) {
        let path = path(options, build)
        let place = FilePlace(
            path: path, appends: true, createsDirectory: true, directoryMode: 0o700, rotation: options.rotation)
        let labels = [(name: "exporter", value: build.id)]
        let added = build.metrics.counter("sluice_dataset_records_total", "Examples that were added.", labels)
        let repeated = build.metrics.counter(
            "sluice_dataset_repeated_records_total", "Examples that were there already.", labels)
        let (id, log) = (build.id, build.log)
        // Made under the lock, which owns it from then on.
        let failure: ExporterStartFailure? = shared.storage.withLock { writer in
            do throws(ExporterStartFailure) {
                let form = DatasetForm(
                    reader: try DatasetReader(
                        options.select, splits: options.splits, maxValueBytes: options.maxValueBytes),
                    format: options.format, known: KnownExamples(path: path), added: added, repeated: repeated)
                writer = FileWriter(
                    place: place, form: form, effects: effects, log: { log($0, "exporter \(id): \($1)") })
            } catch { return error }
            do throws(FileFailure) {
                try writer?.open()
                return nil
            } catch { return ExporterStartFailure(error.description) }
        }
        if let failure { throw failure }
    }

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        guard batch.signal == .traces else { return .permanent(reason: "examples are made of traces") }
        return await lane.submit(batch)
    }

    package func shutdown() async {
        let shared = shared
        await lane.run { shared.storage.withLock { writer in writer = nil } }
    }
}

/// The examples of traces, as lines.
struct DatasetForm: FileForm, ~Copyable {
    private var reader: DatasetReader
    private let format: DatasetFormat
    private var known: KnownExamples
    private let added: Counter
    private let repeated: Counter

    init(
        reader: consuming DatasetReader, format: DatasetFormat, known: KnownExamples, added: Counter, repeated: Counter
    ) {
        self.reader = reader
        self.format = format
        self.known = known
        self.added = added
        self.repeated = repeated
    }

    var kind: String { "examples in the format \(format.rawValue)" }

    func appendHead(to output: inout ByteColumn) { format.head.withUnsafeBytes { output.append($0) } }

    mutating func append(_ batch: ExportBatch, to output: inout ByteColumn) -> String? {
        guard let records = reader.records(batch.bytes) else { return "the batch cannot be read" }
        let origin = DatasetText.hash(batch.bytes)
        for record in records {
            guard known.add(record.id, from: origin) else {
                repeated.add()
                continue
            }
            added.add()
            format.line(record).withUnsafeBytes { output.append($0) }
        }
        return nil
    }

    func goodSize(_ descriptor: Int32, size: Int) -> Int? {
        guard format == .csv else { return TornTail.goodSize(descriptor, size: size, format: .json) }
        guard size > 0 else { return 0 }
        var head = [UInt8](repeating: 0, count: format.head.count)
        guard pread(descriptor, &head, head.count, 0) == head.count, head == Array(format.head) else { return nil }
        return TornTail.endOfLines(descriptor, size)
    }
}

/// Ids of the examples in a file, in memory; bounded.
struct KnownExamples {
    private static let limit = 1_000_000
    /// The batch that brought an example: it may come again when the file could not be written.
    private var origins: [String: String] = [:]

    /// Reads the ids of a file that is there.
    init(path: String) {
        guard let file = fopen(path, "re") else { return }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while origins.count < Self.limit {
            let count = getline(&line, &capacity, file)
            guard count > 0, let line else { return }
            let bytes = UnsafeRawBufferPointer(start: line, count: count)
            if let id = Self.id(in: bytes) { origins[id] = "" }
        }
    }

    /// The id in a line: the first cell of CSV, or the member `id` of an object, whose hash has 32 digits.
    private static func id(in line: UnsafeRawBufferPointer) -> String? {
        if line.first != UInt8(ascii: "{") {
            let digits = line.prefix(32)
            return digits.count == 32 ? String(decoding: digits, as: UTF8.self) : nil
        }
        // Members stand in the order of the alphabet; quotes within texts are escaped, so that no text looks like this.
        let mark = Array("\"id\":\"".utf8)
        let ends = [Array("\",\"input\":".utf8), Array("\",\"output\":".utf8)]
        var index = 0
        while index + mark.count + 32 < line.count {
            defer { index += 1 }
            guard line[index] == mark[0], line[index..<index + mark.count].elementsEqual(mark) else { continue }
            let start = index + mark.count
            let rest = line[(start + 32)...]
            guard ends.contains(where: { rest.prefix($0.count).elementsEqual($0) }) else { continue }
            return String(decoding: line[start..<start + 32], as: UTF8.self)
        }
        return nil
    }

    /// Whether the example is new, or comes again with the batch that first brought it.
    mutating func add(_ id: String, from origin: String) -> Bool {
        if let known = origins[id] { return known == origin }
        if origins.count < Self.limit { origins[id] = origin }
        return true
    }
}
