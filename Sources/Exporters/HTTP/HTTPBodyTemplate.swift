import FoundationEssentials
import OTLP
import Pipeline
import Telemetry

/// The body of a webhook: a text with places for the batch.
struct HTTPBodyTemplate: Sendable, Equatable {
    /// What stands in double braces in the configuration.
    enum Place: String, CaseIterable, Sendable {
        /// The records in the chosen format.
        case records
        /// The same as a JSON string with its quotes.
        case recordsString = "records_string"
        case count, signal, exporter, tenant
    }

    private enum Piece: Equatable {
        case text(String)
        case place(Place)
    }

    private var pieces: [Piece] = []

    /// The message says which place is unknown.
    struct Fault: Error { var message: String }

    init(_ text: String) throws(Fault) {
        var rest = Substring(text)
        while let open = rest.range("{{") {
            pieces.append(.text(String(rest[..<open])))
            rest = rest[rest.index(open, offsetBy: 2)...]
            guard let close = rest.range("}}") else { throw Fault(message: "has {{ without }}") }
            let name = rest[..<close].filter { $0 != " " }
            guard let place = Place(rawValue: name) else {
                let known = Place.allCases.map(\.rawValue).joined(separator: ", ")
                throw Fault(message: "names {{\(EscapedText.make(name, limit: 30))}}: there are \(known)")
            }
            pieces.append(.place(place))
            rest = rest[rest.index(close, offsetBy: 2)...]
        }
        pieces.append(.text(String(rest)))
    }

    /// Whether the records stand in it as they are.
    var holdsRecords: Bool { pieces.contains(.place(.records)) }

    /// The body for a batch. `records` is what its format made of it.
    func fill(_ records: [UInt8], batch: ExportBatch, exporter: String) -> [UInt8] {
        var body: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let text): body += Array(text.utf8)
            case .place(.records): body += records
            case .place(.recordsString): body += Self.quoted(String(decoding: records, as: UTF8.self))
            case .place(.count): body += Array(String(batch.itemCount).utf8)
            case .place(.signal): body += Array(batch.signal.description.utf8)
            case .place(.exporter): body += Self.escaped(exporter)
            case .place(.tenant): body += Self.escaped(batch.tenant)
            }
        }
        return body
    }

    private static func quoted(_ text: String) -> [UInt8] { Array((try? JSONEncoder().encode(text)) ?? Data()) }

    /// Fit for the inside of a JSON string.
    private static func escaped(_ text: String) -> [UInt8] { Array(quoted(text).dropFirst().dropLast()) }
}

extension Substring {
    fileprivate func range(_ mark: String) -> Index? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(mark) { return index }
            index = self.index(after: index)
        }
        return nil
    }
}

/// How a webhook gets its records.
package enum HTTPBodyFormat: String, CaseIterable, Sendable {
    /// One OTLP/JSON request with one record per line.
    case ndjson
    /// The same as a JSON array.
    case array
    /// One OTLP/JSON request with all records.
    case otlpJSON = "otlp_json"
    /// The protobuf bytes.
    case otlpProto = "otlp_proto"

    /// The records of a batch. Every line and element is itself a valid OTLP/JSON request, with resource and scope.
    func records(_ batch: ExportBatch) -> [UInt8] {
        switch self {
        case .otlpProto: return batch.bytes
        case .otlpJSON: return Self.json(batch.bytes, batch.signal)
        case .ndjson, .array:
            let parts = OTLPSplitter.split(batch.bytes, signal: batch.signal, maxItems: 1)
            var body: [UInt8] = self == .array ? [UInt8(ascii: "[")] : []
            for (index, part) in parts.enumerated() {
                if self == .array, index > 0 { body.append(UInt8(ascii: ",")) }
                body += Self.json(part.bytes, batch.signal)
                if self == .ndjson { body.append(0x0A) }
            }
            if self == .array { body.append(UInt8(ascii: "]")) }
            return body
        }
    }

    private static func json(_ bytes: [UInt8], _ signal: Signal) -> [UInt8] {
        var text = ByteColumn()
        bytes.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: signal, into: &text) }
        return [UInt8](text.bytes)
    }

    var contentType: String {
        switch self {
        case .ndjson: "application/x-ndjson"
        case .array, .otlpJSON: "application/json"
        case .otlpProto: "application/x-protobuf"
        }
    }
}
