import NIOCore
import OTLP
import Pipeline
import Telemetry

/// One answer before it is put into bytes.
struct Answer {
    var status: AnswerStatus
    /// Nil when there is no body.
    var mediaType: MediaType?
    var body: [UInt8] = []
    var headers: [Refusal.Header] = []
    /// Whole seconds.
    var retryAfter: Int?

    /// The google.rpc.Status that explains a refusal.
    static func refusal(_ refusal: Refusal, _ type: MediaType) -> Answer {
        Answer(
            status: refusal.status, mediaType: type,
            body: ControlMessages.status(
                code: refusal.status.rpcCode, message: refusal.message, json: type == .json
            )
            .adding(refusal.reason.violatedField, json: type == .json),
            headers: refusal.headers, retryAfter: refusal.retryAfter)
    }

    /// The Export…ServiceResponse of a request that was taken, whole or in part.
    static func success(_ signal: Signal, rejected: Int64, message: String, _ type: MediaType) -> Answer {
        Answer(
            status: .ok, mediaType: type,
            body: ControlMessages.exportResponse(
                signal: signal, rejected: rejected, message: message, json: type == .json))
    }

    /// What the pipeline's reply becomes.
    static func reply(_ reply: IngestReply, _ plan: RequestPlan) -> Result<Answer, Refusal> {
        switch reply {
        case .accepted: return .success(.success(plan.signal, rejected: 0, message: "", plan.mediaType))
        case .partial(let rejected, let message):
            return .success(.success(plan.signal, rejected: rejected, message: message, plan.mediaType))
        case .invalid(let message):
            return .failure(Refusal(status: .badRequest, reason: .invalidData, message: message))
        case .tooLarge(let message):
            return .failure(Refusal(status: .contentTooLarge, reason: .bodyTooLarge, message: message))
        case .unavailable(let message, let hint):
            return .failure(
                Refusal(
                    status: .serviceUnavailable, reason: .unavailable, message: message,
                    retryAfter: retrySeconds(hint)))
        }
    }

    /// Seconds for a Retry-After header: rounded up, at least 1, at most a day.
    static func retrySeconds(_ hint: Duration) -> Int {
        let (seconds, attoseconds) = hint.components
        let whole = Int(clamping: seconds)
        let up = attoseconds > 0 && whole < 86_400 ? whole + 1 : whole
        return min(max(up, 1), 86_400)
    }
}

/// Puts answers into bytes. The usual one, everything accepted on a connection that stays open, is made once.
struct AnswerEncoder: Sendable {
    /// Headers that every answer carries.
    let headers: [Refusal.Header]
    private let fixedLines: String
    private let usual: [ByteBuffer]

    /// What the connection does to an answer.
    struct Context {
        /// The connection ends behind the answer.
        var closes = false
        /// An HTTP/1.0 sender has to be told that the connection stays.
        var saysKeepAlive = false
        /// The answer to HEAD has a length but no body.
        var omitsBody = false
    }

    /// An encoder that adds these headers to every answer. Names and values must be valid header text.
    init(headers: [(name: String, value: String)] = []) {
        self.headers = headers.map { Refusal.Header(name: $0.name, value: $0.value) }
        let lines = headers.map { "\($0.name): \($0.value)\r\n" }.joined()
        fixedLines = lines
        usual = MediaType.allCases.map { type in
            let answer = Answer.success(.traces, rejected: 0, message: "", type)
            return Self.bytes(answer, Context(), fixedLines: lines)
        }
    }

    /// The answer to a request that was accepted whole, whose body is the same for all signals.
    func accepted(_ type: MediaType) -> ByteBuffer { usual[Int(type.rawValue)] }

    func encode(_ answer: Answer, _ context: Context) -> ByteBuffer {
        Self.bytes(answer, context, fixedLines: fixedLines)
    }

    private static func bytes(_ answer: Answer, _ context: Context, fixedLines: String) -> ByteBuffer {
        var text = "HTTP/1.1 \(answer.status.rawValue) \(answer.status.phrase)\r\n"
        if let type = answer.mediaType { text += "Content-Type: \(type.name)\r\n" }
        if answer.status != .noContent { text += "Content-Length: \(answer.body.count)\r\n" }
        if let seconds = answer.retryAfter { text += "Retry-After: \(seconds)\r\n" }
        if context.closes {
            text += "Connection: close\r\n"
        } else if context.saysKeepAlive {
            text += "Connection: keep-alive\r\n"
        }
        for header in answer.headers where ASCII.isFieldValue(header.value) {
            text += "\(header.name): \(header.value)\r\n"
        }
        text += fixedLines
        text += "\r\n"
        var buffer = ByteBufferAllocator().buffer(capacity: text.utf8.count + answer.body.count)
        buffer.writeString(text)
        if !context.omitsBody { buffer.writeBytes(answer.body) }
        return buffer
    }
}
