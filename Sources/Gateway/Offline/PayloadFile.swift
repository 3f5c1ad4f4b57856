import FoundationEssentials
import Glibc
package import OTLP
import Telemetry

/// Reads recorded telemetry: one request in protobuf or OTLP/JSON, or many as JSON lines, as the file exporter and the
/// Collector's write them.
package enum PayloadFile {
    package struct Fault: Error, CustomStringConvertible {
        package var description: String

        package init(description: String) { self.description = description }

        /// Why a file cannot be read.
        package init(unreadable path: String) {
            let reason = access(path, R_OK) == 0 ? "it is no file" : String(cString: strerror(errno))
            description = "\(path) cannot be read: \(reason)"
        }
    }

    /// Largest file that is read.
    private static let sizeMax = 1 << 30

    /// The requests of a file. The signal comes from the first key of JSON, else from the file's name (traces, logs,
    /// metrics), else it is traces.
    package static func read(_ path: String) throws(Fault) -> [OfflineInput] {
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            throw Fault(unreadable: path)
        }
        guard data.count <= sizeMax else { throw Fault(description: "\(path): is larger than 1 GiB") }
        let bytes = [UInt8](data)
        let name = path.split(separator: "/").last.map(String.init) ?? path
        guard bytes.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") else {
            let signal = Signal.allCases.first { name.contains($0.description) } ?? .traces
            return [OfflineInput(signal: signal, bytes: bytes)]
        }
        // One document may stand on many lines: only when the first line is none by itself is the file one document.
        if let whole = try? request(bytes) { return [whole] }
        var inputs: [OfflineInput] = []
        for (number, line) in bytes.split(separator: UInt8(ascii: "\n")).enumerated() {
            guard line.contains(where: { $0 > 0x20 }) else { continue }
            do throws(DecodeFailure) { inputs.append(try request(Array(line))) } catch {
                throw Fault(description: "\(path): line \(number + 1): \(error.message)")
            }
        }
        return inputs
    }

    /// A request from one JSON document.
    package static func request(_ json: [UInt8]) throws(DecodeFailure) -> OfflineInput {
        let signal = signal(of: json)
        var output = ByteColumn()
        let failure: DecodeFailure? = json.withUnsafeBytes { bytes in
            do throws(DecodeFailure) {
                try OTLPJSONReader.transcode(Text(bytes), signal: signal, into: &output)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
        return OfflineInput(signal: signal, bytes: [UInt8](output.bytes))
    }

    private static func signal(of json: [UInt8]) -> Signal {
        let start = String(decoding: json.prefix(200), as: UTF8.self)
        if start.contains("resourceLogs") { return .logs }
        return start.contains("resourceMetrics") ? .metrics : .traces
    }
}
