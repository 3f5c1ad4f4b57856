package import Pipeline
import Synchronization
import OTLP
import Telemetry

/// Writes batches to a file as OTLP JSON lines or length-prefixed protobuf.
///
/// A batch counts as delivered when it is on disk.
package final class FileExporter: Exporter {
    /// Several deliveries may wait for one sync of the file.
    package let maxConcurrency = GroupLane.groupMax
    private let writer: SharedWriter
    private let lane: GroupLane

    /// Lets the lane's thread and the exporter share the writer.
    private final class SharedWriter: Sendable {
        let storage: Mutex<FileWriter<OTLPForm>>

        init(_ writer: consuming sending FileWriter<OTLPForm>) { storage = Mutex(writer) }
    }

    /// Opens nothing yet; `start` does.
    package init(options: FileOptions, build: ExporterBuild, effects: FileEffects = .system) {
        let id = build.id
        let log = build.log
        let shared = SharedWriter(
            FileWriter(
                place: options.place, form: OTLPForm(format: options.format), effects: effects,
                log: { log($0, "exporter \(id): \($1)") }))
        writer = shared
        lane = GroupLane(label: "sluice.file") { batches in
            let result = shared.storage.withLock { $0.append(batches) }
            return batches.indices.map { index in
                if index < result.settled { return .delivered }
                return .retry(reason: result.failure?.description ?? "not written", after: nil)
            }
        }
    }

    package func start() async throws {
        let writer = writer
        let failure = await lane.run { () -> FileFailure? in
            writer.storage.withLock { writer in
                do throws(FileFailure) { try writer.open() } catch { return error }
                return nil
            }
        }
        if let failure { throw ExporterStartFailure(failure.description) }
    }

    package func export(_ batch: ExportBatch) async -> ExportOutcome { await lane.submit(batch) }

    package func shutdown() async {
        let writer = writer
        await lane.run {
            writer.storage.withLock { writer in
                writer.close()
                writer.finishCompressing()
            }
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
