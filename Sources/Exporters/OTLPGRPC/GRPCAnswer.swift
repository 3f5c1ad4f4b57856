import FoundationEssentials
import OTLP
import Pipeline
import Telemetry

/// Reads how a gRPC call ended: the status from the trailers, or from a head without a body.
///
/// The rules are those of the OTLP specification, "OTLP/gRPC Response" and "Failures".
struct GRPCAnswer {
    private static let statusField = "grpc-status"
    private static let messageField = "grpc-message"
    private static let detailsField = "grpc-status-details-bin"
    /// What has to be kept of a head and its trailers.
    static let fields: Set<String> = [statusField, messageField, detailsField]

    /// CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS.
    private static let retryable: Set<Int> = [1, 4, 10, 11, 14, 15]
    private static let resourceExhausted = 8
    private static let unauthenticated = 16
    /// Longest pause that is read from a RetryInfo; the retry options cap it further.
    private static let delayMax = 86_400

    private static let names = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ]

    private let exchange: HTTPExchange
    /// Nil when the server has told none.
    private let code: Int?

    init(_ exchange: HTTPExchange) {
        self.exchange = exchange
        code = exchange.fields[Self.statusField].flatMap { Int($0) }
    }

    /// Whether it refuses the credentials.
    var isUnauthorized: Bool {
        if code == nil, case .answered(401, _, _, _) = exchange.result { return true }
        return code == Self.unauthenticated
    }

    /// How the delivery ended.
    func outcome(signal: Signal) -> ExportOutcome {
        // A server that refuses early ends the stream while we send; its status counts, not libcurl's complaint.
        if let code { return code == 0 ? success(signal) : failure(code) }
        switch exchange.result {
        case .cancelled, .failed: return withoutAnswer(signal)
        case .unreadable(let status, let reason, _) where (200...299).contains(status):
            return .retry(reason: "the call broke off: \(reason)", after: nil)
        case .answered(let status, _, let type, _) where (200...299).contains(status):
            if type.lowercased().hasPrefix("application/grpc") {
                return .retry(reason: "the call ended without a status", after: nil)
            }
            return .permanent(
                reason: "HTTP \(status) without gRPC: the endpoint is another kind of server; OTLP over HTTP is sent "
                    + "by otlp_http")
        case .answered, .unreadable: return OTLPAnswer.outcome(exchange.result, signal: signal)
        }
    }

    private func withoutAnswer(_ signal: Signal) -> ExportOutcome {
        // What libcurl says when the other side does not understand HTTP/2.
        let signs = ["HTTP2 framing", "HTTP/0.9", "returned nothing"]
        guard case .failed(let reason) = exchange.result, signs.contains(where: { reason.contains($0) }) else {
            return OTLPAnswer.outcome(exchange.result, signal: signal)
        }
        return .retry(
            reason: "\(reason) (does the endpoint speak gRPC? Port 4318 and URLs are for otlp_http)", after: nil)
    }

    private func success(_ signal: Signal) -> ExportOutcome {
        guard case .answered(_, let body, _, _) = exchange.result, let message = Self.message(body),
            let partial = ControlMessages.decodeExportResponse(signal: signal, bytes: message)
                ?? CutAnswer.partial(message),
            partial.rejected > 0 || !partial.message.isEmpty
        else { return .delivered }
        return .partial(
            rejected: Int(clamping: max(0, partial.rejected)),
            message: QuotedWords.quote(EscapedText.make(partial.message, limit: OTLPAnswer.textMax)))
    }

    /// The one message of a body: a byte that says whether it is compressed, four of length, then its bytes, of a long
    /// one as many as are kept of an answer. Nil when it broke off, or is compressed, which nobody has asked for.
    private static func message(_ body: [UInt8]) -> [UInt8]? {
        guard body.count >= 5, body[0] == 0 else { return nil }
        let length = body[1..<5].reduce(0) { $0 << 8 | Int($1) }
        if length <= body.count - 5 { return Array(body[5..<(5 + length)]) }
        return body.count >= CurlTarget.keptMax ? Array(body[5...]) : nil
    }

    private func failure(_ code: Int) -> ExportOutcome {
        // gRPC over HTTP/2, "Status-Message".
        let raw = PercentEncoding.decoded(exchange.fields[Self.messageField] ?? "")
        let message = EscapedText.make(raw, limit: OTLPAnswer.textMax)
        var text = Self.names.indices.contains(code) ? Self.names[code] : "gRPC status \(code)"
        if code == Self.unauthenticated || code == 7 { text += " (check the credentials in headers)" }
        if !message.isEmpty { text += ", \(QuotedWords.quote(message))" }
        let delay = exchange.fields[Self.detailsField].flatMap(Self.retryDelay)
        // A RetryInfo without a delay leaves the pause to us.
        let hint = delay == .zero ? nil : delay
        if Self.retryable.contains(code) { return .retry(reason: text, after: hint) }
        guard code == Self.resourceExhausted else { return .permanent(reason: text) }
        if delay != nil { return .retry(reason: text, after: hint) }
        return Self.saysTooLarge(raw) ? .tooLarge(reason: text) : .permanent(reason: text)
    }

    /// Whether a message is one of those that the gRPC libraries give for a message over their limit.
    private static func saysTooLarge(_ message: String) -> Bool {
        let text = message.lowercased()
        return ["larger than", "exceeds maximum size", "exceeds the maximum", "too large"].contains {
            text.contains($0)
        }
    }

    /// The pause that `grpc-status-details-bin` asks for: google.rpc.Status `{details = 3: Any {type_url = 1, value =
    /// 2}}` with a google.rpc.RetryInfo `{retry_delay = 1: Duration {seconds = 1, nanos = 2}}`.
    static func retryDelay(_ field: String) -> Duration? {
        guard field.utf8.count <= 64 << 10 else { return nil }
        // Padding may be left out.
        let padded = field + String(repeating: "=", count: (4 - field.utf8.count % 4) % 4)
        guard let data = Data(base64Encoded: padded) else { return nil }
        return [UInt8](data).withUnsafeBytes { bytes in
            var walker = WireWalker(Text(bytes))
            while let field = walker.next() {
                if field.tag == 3 << 3 | 2, let delay = retryInfo(field.content) { return delay }
            }
            return nil
        }
    }

    private static func retryInfo(_ any: Text) -> Duration? {
        var isRetryInfo = false
        var value = Text.empty
        var walker = WireWalker(any)
        while let field = walker.next() {
            if field.tag == 1 << 3 | 2 { isRetryInfo = field.content.string.hasSuffix("/google.rpc.RetryInfo") }
            if field.tag == 2 << 3 | 2 { value = field.content }
        }
        guard isRetryInfo else { return nil }
        var info = WireWalker(value)
        while let field = info.next() {
            guard field.tag == 1 << 3 | 2 else { continue }
            var (seconds, nanoseconds) = (0, 0)
            var delay = WireWalker(field.content)
            while let part = delay.next() {
                if part.tag == 1 << 3 { seconds = Int(truncatingIfNeeded: part.number) }
                if part.tag == 2 << 3 { nanoseconds = Int(truncatingIfNeeded: part.number) }
            }
            return .seconds(min(max(seconds, 0), delayMax)) + .nanoseconds(min(max(nanoseconds, 0), 999_999_999))
        }
        return .zero
    }
}
