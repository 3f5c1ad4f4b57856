import FoundationEssentials
import Glibc
package import OTLP
import Telemetry

/// Reads recorded telemetry: one request in protobuf or OTLP/JSON, or many as JSON lines or behind their lengths, as
/// the file exporter and the Collector's write them.
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

    /// The requests of a file, all of which can be read. The signal comes from the first key of JSON, else from the
    /// file's name (traces, logs, metrics), else it is traces.
    package static func read(_ path: String) throws(Fault) -> [OfflineInput] {
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            throw Fault(unreadable: path)
        }
        guard data.count <= sizeMax else { throw Fault(description: "\(path): is larger than 1 GiB") }
        let bytes = [UInt8](data)
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let signal = Signal.allCases.first { name.contains($0.description) } ?? .traces
        let inputs =
            try isJSON(bytes, signal)
            ? documents(bytes, path) : binary(bytes, path).map { OfflineInput(signal: signal, bytes: $0) }
        for (index, input) in inputs.enumerated() {
            guard let failure = Self.failure(input.bytes, input.signal) else { continue }
            let place = inputs.count > 1 ? "request \(index + 1): " : ""
            throw Fault(description: "\(path): \(place)\(failure.message); \(formats)")
        }
        return inputs
    }

    private static let formats =
        "what can be read is an Export request in protobuf or JSON, JSON lines, and what the file exporter writes, "
        + "without compression"

    /// A newline and a brace are also how a request in protobuf begins whose first resource has 123 bytes.
    private static func isJSON(_ bytes: [UInt8], _ signal: Signal) -> Bool {
        let start = bytes.first { $0 != 0x20 && !(0x09...0x0D).contains($0) }
        guard start == UInt8(ascii: "{") else { return false }
        return bytes.first != 0x0A || failure(bytes, signal) != nil
    }

    private static func documents(_ bytes: [UInt8], _ path: String) throws(Fault) -> [OfflineInput] {
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

    /// The one request of a file, or those of the file exporter's `format: proto`, each behind its length: four bytes,
    /// the highest first. Such a file begins with a zero, as no request does, or its lengths lead to its very end.
    private static func binary(_ bytes: [UInt8], _ path: String) throws(Fault) -> [[UInt8]] {
        guard bytes.count >= 4 else { return [bytes] }
        var requests: [[UInt8]] = []
        var at = 0
        while bytes.count - at >= 4 {
            let length = bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
            guard length <= bytes.count - at - 4 else { break }
            at += 4
            if length > 0 { requests.append(Array(bytes[at..<at + length])) }
            at += length
        }
        if at == bytes.count { return requests }
        guard bytes[0] == 0 else { return [bytes] }
        throw Fault(
            description: "\(path): the request of the file exporter that begins at byte \(at) is cut off; \(formats)")
    }

    /// Why a request in protobuf cannot be read.
    private static func failure(_ request: [UInt8], _ signal: Signal) -> DecodeFailure? {
        var batch = RecordBatch()
        let failure: DecodeFailure? = request.withUnsafeBytes { bytes in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(bytes), signal: signal, keys: .empty, into: &batch)
                return nil
            } catch { return error }
        }
        return failure
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
