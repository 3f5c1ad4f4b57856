import GenAI
import OTLP
import Synchronization
import Telemetry

/// Renders requests of normalized spans in the vocabulary of a backend, before they are encoded.
final class DialectRendering: Sendable {
    private let dialect: ExportDialect
    private let idle = Mutex<[Scratch]>([])

    /// Working memory of one request.
    // Unchecked because it is handed to one request at a time and nobody else holds it.
    private final class Scratch: @unchecked Sendable {
        var renderer: DialectRenderer
        var batch: RecordBatch
        var output = ByteColumn()

        init(_ dialect: ExportDialect) {
            renderer = DialectRenderer(dialect)
            batch = RecordBatch(keys: renderer.keys)
        }
    }

    /// Nil when spans go as they are.
    init?(_ dialect: ExportDialect) {
        guard dialect != .genAI else { return nil }
        self.dialect = dialect
    }

    /// The rendered request; the request itself when nothing in it is of GenAI or it cannot be read.
    func render(_ request: [UInt8]) -> [UInt8] {
        let scratch = idle.withLock { $0.popLast() } ?? Scratch(dialect)
        defer { idle.withLock { if $0.count < 8 { $0.append(scratch) } } }
        return request.withUnsafeBytes { bytes in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(
                    Text(bytes), signal: .traces, keys: scratch.renderer.keys, into: &scratch.batch)
            } catch { return request }
            guard scratch.renderer.render(&scratch.batch) else { return request }
            scratch.output.removeAll()
            OTLPWriter.write(scratch.batch, into: &scratch.output)
            return [UInt8](scratch.output.bytes)
        }
    }
}
