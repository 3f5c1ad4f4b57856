import FoundationEssentials
import NIOHPACK

/// Codes of gRPC that the receiver answers with. Their number bounds the labels of the request counter.
enum GRPCCode: Int32, CaseIterable {
    case ok = 0
    case invalidArgument = 3
    case deadlineExceeded = 4
    case resourceExhausted = 8
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
    case unauthenticated = 16

    /// As the gRPC documentation writes it.
    var name: String {
        switch self {
        case .ok: "OK"
        case .invalidArgument: "INVALID_ARGUMENT"
        case .deadlineExceeded: "DEADLINE_EXCEEDED"
        case .resourceExhausted: "RESOURCE_EXHAUSTED"
        case .unimplemented: "UNIMPLEMENTED"
        case .internal: "INTERNAL"
        case .unavailable: "UNAVAILABLE"
        case .unauthenticated: "UNAUTHENTICATED"
        }
    }
}

/// How a call ends.
struct GRPCStatus: Error, Equatable {
    var code: GRPCCode
    var reason: RefusalReason?
    var message = ""
    /// Seconds after which trying again may succeed; it makes the code retryable (OTLP specification, "Failures").
    var retrySeconds: Int?

    static let ok = GRPCStatus(code: .ok)
    /// Most of a message that is told: it stands in a head, which is to fit into one frame of HTTP/2.
    static let messageLengthMax = 1_000

    /// A refusal by the reason of the HTTP receiver.
    init(_ code: GRPCCode, _ reason: RefusalReason, _ message: String, retrySeconds: Int? = nil) {
        self.code = code
        self.reason = reason
        let scalars = message.unicodeScalars
        let isWhole = scalars.dropFirst(Self.messageLengthMax).isEmpty
        self.message = isWhole ? message : String(scalars.prefix(Self.messageLengthMax)) + "…"
        self.retrySeconds = retrySeconds
    }

    private init(code: GRPCCode) { self.code = code }

    /// Adds the fields that tell the status to trailers. Those that may repeat what the client sent enter no table.
    func add(to headers: inout HPACKHeaders) {
        headers.add(name: "grpc-status", value: String(code.rawValue))
        if !message.isEmpty {
            headers.add(name: "grpc-message", value: Self.percentEncoded(message), indexing: .nonIndexable)
        }
        let details = details
        if !details.isEmpty {
            headers.add(
                name: "grpc-status-details-bin", value: Data(details).base64EncodedString(), indexing: .nonIndexable)
        }
    }

    /// `grpc-message` holds printable ASCII but for the percent sign, all else as %XX of its UTF-8 (gRPC over HTTP/2,
    /// "Status-Message").
    static func percentEncoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if byte >= 0x20, byte <= 0x7E, byte != UInt8(ascii: "%") {
                bytes.append(byte)
            } else {
                let digits = Array("0123456789ABCDEF".utf8)
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The google.rpc.Status `{code = 1, message = 2, details = 3}` with what a sender can act on; empty when there is
    /// nothing of that kind.
    private var details: [UInt8] {
        let details: [UInt8]
        if let retrySeconds {
            details = StatusDetails.retryInfo(seconds: retrySeconds)
        } else if code == .invalidArgument, let field = reason?.violatedField {
            details = StatusDetails.badRequest(field)
        } else {
            return []
        }
        return StatusDetails.field(1, UInt64(code.rawValue)) + StatusDetails.field(2, Array(message.utf8)) + details
    }
}
