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

/// Puts answers into bytes.
final class AnswerEncoder: Sendable {
    /// Headers that every answer carries, besides Date.
    let headers: [Refusal.Header]
    private let fixedLines: String

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
        fixedLines = headers.map { "\($0.name): \($0.value)\r\n" }.joined()
    }

    /// The bytes of an answer that is sent at `date`, the value of a Date header.
    func encode(_ answer: Answer, _ context: Context, date: String) -> ByteBuffer {
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
        text += "Date: \(date)\r\n\r\n"
        var buffer = ByteBufferAllocator().buffer(capacity: text.utf8.count + answer.body.count)
        buffer.writeString(text)
        if !context.omitsBody { buffer.writeBytes(answer.body) }
        return buffer
    }
}

/// The usual answer, everything accepted on a connection that stays open, made once a second. One per event loop.
struct UsualAnswers {
    private var encoder: AnswerEncoder?
    private var second = Int.min
    /// By media type; the body is the same for all signals.
    private var answers: [ByteBuffer] = []

    mutating func accepted(_ type: MediaType, by encoder: AnswerEncoder, _ date: inout DateText) -> ByteBuffer {
        let text = date.value()
        if second != date.second || self.encoder !== encoder {
            answers = MediaType.allCases.map { type in
                let answer = Answer.success(.traces, rejected: 0, message: "", type)
                return encoder.encode(answer, AnswerEncoder.Context(), date: text)
            }
            (second, self.encoder) = (date.second, encoder)
        }
        return answers[Int(type.rawValue)]
    }
}
