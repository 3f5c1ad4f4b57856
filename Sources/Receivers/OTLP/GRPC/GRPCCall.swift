import NIOCore
import NIOHPACK
import Pipeline
import Telemetry

/// What the head of a gRPC call asks for (gRPC over HTTP/2, "Requests").
struct GRPCCall: Equatable {
    var signal: Signal
    /// How messages with the compressed flag are to be inflated; nil when the sender named nothing we know.
    var coding: ContentCoding?
    var codingName: String
    /// Time that the sender gives the call.
    var timeout: TimeAmount?
    var tenant = ""
    var metadata = RequestMetadata()

    /// For a `grpc-accept-encoding` header.
    static let acceptedCodings = "identity, gzip, deflate, zstd, snappy"

    /// The path of each service's one method (opentelemetry-proto, collector/*/v1).
    static func path(_ signal: Signal) -> String {
        switch signal {
        case .traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        case .logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
        case .metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
        }
    }

    /// Judges a head: sender, then method, then how the message comes.
    init(
        _ headers: HPACKHeaders, accepted: Set<Signal>, auth: AuthCheck?, keepsMetadata: Bool = false
    ) throws(GRPCStatus) {
        if let excess = HTTP2Limits.excess(of: headers) {
            throw GRPCStatus(.resourceExhausted, .headersTooLarge, "the call has \(excess)")
        }
        if let auth {
            switch auth.verdict(headers[auth.authenticator.headerName]) {
            case .tenant(let tenant): self.tenant = tenant
            case .refused(let why): throw GRPCStatus(.unauthenticated, .unauthenticated, why)
            case .later(let why): throw GRPCStatus(.unavailable, .overload, why, retrySeconds: 1)
            }
        }
        let path = headers.first(name: ":path") ?? ""
        guard let signal = Signal.allCases.first(where: { Self.path($0) == path }) else {
            throw GRPCStatus(
                .unimplemented, .path,
                "nothing is served at \(PlainText.shown(path)); this receiver has the method Export of the OTLP "
                    + "services for traces, logs and metrics")
        }
        guard accepted.contains(signal) else {
            throw GRPCStatus(
                .unimplemented, .noPipeline,
                "no pipeline takes \(signal): add a pipeline of that kind with this receiver under service.pipelines, "
                    + "or stop sending \(signal)")
        }
        self.signal = signal
        codingName = headers.first(name: "grpc-encoding") ?? "identity"
        coding = Self.coding(codingName)
        timeout = nil
        if let text = headers.first(name: "grpc-timeout") {
            guard let given = Self.timeout(text) else {
                throw GRPCStatus(.invalidArgument, .malformed, "grpc-timeout: \(PlainText.shown(text)) is no timeout")
            }
            timeout = given
        }
        if keepsMetadata { metadata = RequestMetadata(headers.lazy.map { ($0.name, $0.value) }, without: auth) }
    }

    private static func coding(_ name: String) -> ContentCoding? {
        switch name {
        case "identity": .identity
        case "gzip": .gzip
        case "deflate": .zlib
        case "zstd": .zstd
        // gRPC's snappy is the framed form.
        case "snappy": .snappyFramed
        default: nil
        }
    }

    /// One to eight digits and a unit.
    static func timeout(_ text: String) -> TimeAmount? {
        guard let unit = text.last, (2...9).contains(text.utf8.count), let count = Int64(text.dropLast()),
            text.utf8.first != UInt8(ascii: "-"), text.utf8.first != UInt8(ascii: "+")
        else { return nil }
        switch unit {
        case "H": return .hours(count)
        case "M": return .minutes(count)
        case "S": return .seconds(count)
        case "m": return .milliseconds(count)
        case "u": return .microseconds(count)
        case "n": return .nanoseconds(count)
        default: return nil
        }
    }

    /// True for the content types of gRPC with protobuf messages.
    static func isGRPC(contentType: String) -> Bool {
        let type = ASCII.trimmed(contentType.utf8.prefix { $0 != UInt8(ascii: ";") })
        return ["application/grpc", "application/grpc+proto"].contains { ASCII.equal(type, $0) }
    }
}

/// Takes the one message of a unary call apart: a flag byte, four bytes length, the message.
struct GRPCFraming {
    enum Piece: Equatable {
        /// The five bytes are there: reserve for this message.
        case prefix(length: Int, isCompressed: Bool)
        case content(ByteBuffer)
    }

    static let prefixSize = 5
    private var prefix: [UInt8] = []
    private var left: Int?

    /// True when all of the message came.
    var isWhole: Bool { left == 0 }
    /// True before the first byte.
    var isEmpty: Bool { prefix.isEmpty }

    /// The next piece of `bytes`, nil when all of them are taken. Throws on what is no single message.
    mutating func next(_ bytes: inout ByteBuffer) throws(GRPCStatus) -> Piece? {
        guard bytes.readableBytes > 0 else { return nil }
        guard let left else {
            let wanted = min(Self.prefixSize - prefix.count, bytes.readableBytes)
            prefix += bytes.readBytes(length: wanted) ?? []
            guard prefix.count == Self.prefixSize else { return nil }
            guard prefix[0] <= 1 else {
                throw GRPCStatus(.internal, .malformed, "the message has the flag \(prefix[0]); 0 and 1 are known")
            }
            let length = prefix[1...].reduce(0) { $0 << 8 | Int($1) }
            self.left = length
            return .prefix(length: length, isCompressed: prefix[0] == 1)
        }
        guard left > 0, let content = bytes.readSlice(length: min(left, bytes.readableBytes)) else {
            throw GRPCStatus(.internal, .malformed, "the call has more than one message; Export takes one")
        }
        self.left = left - content.readableBytes
        return .content(content)
    }
}
