import FoundationEssentials
import OTLP
import Pipeline
import Telemetry

/// Reads what a backend answered to an OTLP/HTTP request and says how the delivery ended.
///
/// The rules are those of the OTLP specification, "OTLP/HTTP Response": a 2xx is final whatever its body holds, and
/// whether or not it can be read; 429, 502, 503 and 504 and a missing answer are passing; every other status is for
/// good. 413 alone says that a smaller request would do.
enum OTLPAnswer {
    /// Longest text of a backend that is told.
    static let textMax = 300
    /// Statuses after which the specification lets a client send again.
    static let retryable = [429, 502, 503, 504]
    /// Longest time that is read from Retry-After; the retry options cap it further.
    private static let retryAfterMax = 86_400

    /// `exchange` is what the HTTP client saw; `signal` says which response message to expect.
    static func outcome(
        _ exchange: HTTPResult, signal: Signal, retryOn: Set<Int> = Set(retryable)
    ) -> ExportOutcome {
        switch exchange {
        case .failed(let reason):
            return .retry(reason: reason, after: nil)
        case .cancelled:
            return .retry(reason: "stopped before the answer came", after: nil)
        case .unreadable(let status, let reason, let seconds):
            // The backend has said that it has the data: sending it again would only double it.
            if (200...299).contains(status) { return .delivered }
            let text = "\(describe(status, [], "")), its answer cannot be read: \(reason)"
            return refusal(status, text, seconds, retryOn)
        case .answered(let status, let body, let type, let seconds):
            if (200...299).contains(status) { return success(body, type, signal) }
            return refusal(status, describe(status, body, type), seconds, retryOn)
        }
    }

    private static func refusal(_ status: Int, _ text: String, _ seconds: Int, _ retryOn: Set<Int>) -> ExportOutcome {
        if retryOn.contains(status) {
            return .retry(reason: text, after: seconds > 0 ? .seconds(min(seconds, retryAfterMax)) : nil)
        }
        return status == 413 ? .tooLarge(reason: text) : .permanent(reason: text)
    }

    private static func success(_ body: [UInt8], _ type: String, _ signal: Signal) -> ExportOutcome {
        guard !body.isEmpty else { return .delivered }
        let partial: (rejected: Int64, message: String)?
        switch Media(type) {
        case .protobuf:
            partial = ControlMessages.decodeExportResponse(signal: signal, bytes: body) ?? CutAnswer.partial(body)
        case .json: partial = body.count <= 2 ? nil : JSONAnswer.partialSuccess(body, signal: signal)
        case .other: partial = nil
        }
        guard let partial, partial.rejected > 0 || !partial.message.isEmpty else { return .delivered }
        let message = QuotedWords.quote(EscapedText.make(partial.message, limit: textMax))
        return .partial(rejected: Int(clamping: max(0, partial.rejected)), message: message)
    }

    private static func describe(_ status: Int, _ body: [UInt8], _ type: String) -> String {
        var text = "HTTP \(status)"
        if (300...399).contains(status) { text += " (redirects are not followed: put the final URL into endpoint)" }
        if status == 413 { text += " (too large for the backend: lower max_request_body_size)" }
        if status == 401 || status == 403 { text += " (check the credentials in headers)" }
        let detail: String
        switch Media(type) {
        case .protobuf:
            let message = ControlMessages.decodeStatus(bytes: body)?.message ?? ""
            detail = EscapedText.make(message, limit: textMax)
        case .json:
            detail =
                JSONAnswer.statusMessage(body).map { EscapedText.make($0, limit: textMax) }
                ?? EscapedText.make(utf8: body, limit: textMax)
        case .other: detail = EscapedText.make(utf8: body, limit: textMax)
        }
        return detail.isEmpty ? text : "\(text), \(QuotedWords.quote(detail))"
    }

    /// What a Content-Type says about the body; parameters and case do not matter.
    private enum Media {
        case protobuf, json, other

        init(_ type: String) {
            let name = type.prefix { $0 != ";" && $0 != " " }.lowercased()
            switch name {
            case "application/x-protobuf", "application/protobuf": self = .protobuf
            case "application/json": self = .json
            default: self = .other
            }
        }
    }
}

/// The protobuf form of an answer whose message is longer than what is kept of an answer.
enum CutAnswer {
    /// Bytes that gRPC has put before the message.
    private static let frameHead = 5

    /// What the beginning tells: `{partial_success = 1: {rejected = 1, error_message = 2}}`, the same in all signals.
    static func partial(_ body: [UInt8]) -> (rejected: Int64, message: String)? {
        guard body.count >= CurlTarget.keptMax - frameHead else { return nil }
        return body.withUnsafeBytes { bytes in
            var cursor = WireCursor(Text(bytes))
            guard (try? cursor.tag()) == 1 << 3 | 2, (try? cursor.varint()) != nil else { return nil }
            var rejected: Int64 = 0
            while let tag = try? cursor.tag() {
                switch tag {
                case 1 << 3:
                    guard let count = try? cursor.varint() else { return nil }
                    rejected = Int64(bitPattern: count)
                case 2 << 3 | 2:
                    guard (try? cursor.varint()) != nil else { return nil }
                    return (rejected, String(decoding: bytes[cursor.at...].prefix(2_000), as: UTF8.self))
                default: return nil
                }
            }
            return nil
        }
    }
}

/// The JSON forms of the same answers. Numbers may be strings, as OTLP/JSON writes them, or plain.
private enum JSONAnswer {
    private struct Export: Decodable {
        var partialSuccess: Partial?
    }

    private struct Partial: Decodable {
        var rejectedSpans: Count?
        var rejectedLogRecords: Count?
        var rejectedDataPoints: Count?
        var errorMessage: String?
    }

    private struct Status: Decodable {
        var message: String
    }

    private struct Count: Decodable {
        var value: Int64

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int64.self) {
                value = number
            } else {
                value = Int64(try container.decode(String.self)) ?? 0
            }
        }
    }

    static func partialSuccess(_ body: [UInt8], signal: Signal) -> (rejected: Int64, message: String)? {
        let answer = try? JSONDecoder().decode(Export.self, from: Data(body))
        guard let partial = answer?.partialSuccess ?? cut(body)?.partialSuccess else { return nil }
        let count: Count? =
            switch signal {
            case .traces: partial.rejectedSpans
            case .logs: partial.rejectedLogRecords
            case .metrics: partial.rejectedDataPoints
            }
        return (count?.value ?? 0, partial.errorMessage ?? "")
    }

    /// The same of an answer whose message is longer than what is kept of an answer.
    private static func cut(_ body: [UInt8]) -> Export? {
        guard body.count >= CurlTarget.keptMax else { return nil }
        // The cut may have gone through a character, which as an escape has twelve bytes at most.
        for length in 0..<12 {
            var text = Data(body.prefix(body.count - length))
            text.append(contentsOf: Array("\"}}".utf8))
            if let answer = try? JSONDecoder().decode(Export.self, from: text) { return answer }
        }
        return nil
    }

    static func statusMessage(_ body: [UInt8]) -> String? {
        (try? JSONDecoder().decode(Status.self, from: Data(body)))?.message
    }
}
