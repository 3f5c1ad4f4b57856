package import Pipeline
import Synchronization
import OTLP
import Telemetry

/// Writes batches to files as OTLP JSON lines or length-prefixed protobuf.
package final class FileExporter: Exporter {
    /// Several deliveries may wait for one sync of the file.
    package let maxConcurrency = GroupLane.groupMax
    private let files: SharedFiles
    private let left: LeftFiles?
    private let compressor: ClosedFileCompressor?
    private let options: FileOptions
    private let lane: GroupLane
    private let log: @Sendable (LogLevel, String) -> Void

    /// Opens nothing yet; `start` does.
    package init(options: FileOptions, build: ExporterBuild, effects: FileEffects = .system) {
        // A replay adds to what the gateway has delivered.
        let options = build.isReplay ? options.appending : options
        self.options = options
        let id = build.id
        let log: @Sendable (LogLevel, String) -> Void = { build.log($0, "exporter \(id): \($1)") }
        self.log = log
        let compressor = ClosedFileCompressor(
            options.compression, graceMilliseconds: effects.graceMilliseconds
        ) { log(.warn, $0) }
        self.compressor = compressor
        let shared = SharedFiles(OpenFiles(options, effects: effects, compressor: compressor, log: log))
        files = shared
        let left = LeftFiles(options, shared, compressor, effects: effects, log: log)
        self.left = left
        lane = GroupLane(label: "sluice.file") { batches in
            let (outcomes, isOver) = shared.storage.withLock { files -> ([ExportOutcome], Bool) in
                let outcomes = files.append(batches)
                return (outcomes, files.takeOver())
            }
            if isOver { left?.look() }
            return outcomes
        }
    }

    package func check() throws {
        guard options.path.isFixed else { return }
        try ExporterStartFailure.check(file: options.path.fixedPath, makesFolder: options.createsDirectory)
    }

    package func start() async throws {
        let files = files
        compressor?.begin()
        let failure = await lane.run { files.storage.withLock { $0.open() } }
        if let failure {
            guard failure.isPassing else { throw ExporterStartFailure(failure.description) }
            log(.warn, "\(failure); will be tried again with each batch")
        }
        left?.begin()
    }

    package func export(_ batch: ExportBatch) async -> ExportOutcome { await lane.submit(batch) }

    package func shutdown() async {
        let (files, left, compressor) = (files, left, compressor)
        await lane.run {
            left?.finish()
            files.storage.withLock { $0.close() }
            compressor?.finish()
        }
    }
}

/// OTLP JSON lines, or requests in protobuf behind their lengths.
struct OTLPForm: FileForm {
    let format: FileOptions.Format

    var kind: String { "OTLP \(format.rawValue) records" }

    func appendHead(to output: inout ByteColumn) {}

    func append(_ batch: ExportBatch, to output: inout ByteColumn) -> String? {
        batch.bytes.withUnsafeBytes { bytes in
            switch format {
            case .json:
                OTLPJSONWriter.write(Text(bytes), signal: batch.signal, into: &output)
                output.append(UInt8(ascii: "\n"))
            case .proto:
                output.append(littleEndian: UInt32(truncatingIfNeeded: bytes.count).byteSwapped)
                output.append(bytes)
            }
        }
        return nil
    }

    func goodSize(_ descriptor: Int32, size: Int) -> Int? { TornTail.goodSize(descriptor, size: size, format: format) }
}
