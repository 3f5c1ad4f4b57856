import FoundationEssentials

/// What the SQL API said (Snowflake SQL API reference, "Response").
enum SnowflakeAnswer: Equatable {
    /// Rows of the first partition.
    case done([[String?]])
    /// 202: asks again by the handle.
    case running(handle: String)
    /// This very data can never be stored.
    case refused(String)
    /// The statement ended without effect; it may work later.
    case failed(String)
    /// A table is not there.
    case missing(String)
    /// The token is not valid any more.
    case badToken(String)
    /// The request was not taken.
    case busy(String, after: Duration?)
    /// The request may have been taken.
    case unanswered(String)

    private struct Body: Decodable {
        var code: String?
        var message: String?
        var sqlState: String?
        var statementHandle: String?
        var data: [[String?]]?
    }

    init(_ result: HTTPResult) {
        switch result {
        case .failed(let reason): self = .unanswered(reason)
        case .cancelled: self = .unanswered("stopped before the answer came")
        case .unreadable(let status, let reason, _):
            self = .unanswered("HTTP \(status) with an answer that cannot be read: \(reason)")
        case .answered(let status, let bytes, _, let seconds):
            let body = (try? JSONDecoder().decode(Body.self, from: Data(bytes))) ?? Body()
            self = Self.make(status, body, seconds > 0 ? .seconds(min(seconds, 86_400)) : nil)
        }
    }

    private static func make(_ status: Int, _ body: Body, _ hint: Duration?) -> SnowflakeAnswer {
        let words = words(status, body)
        switch status {
        case 200: return body.data.map { .done($0) } ?? .unanswered("HTTP 200 without data: is this the SQL API?")
        case 202:
            guard let handle = body.statementHandle, isHandle(handle) else { return .failed("\(words), no handle") }
            return .running(handle: handle)
        case 401: return .badToken(words)
        case 413: return .refused(words)
        case 408: return .failed("\(words); raise statement_timeout, or take a larger warehouse")
        case 422: return failure(body, words)
        case 504: return .unanswered(words)
        case 403: return .busy("\(words); check account, role and network policies", after: hint)
        case 404: return .failed("\(words); check account and endpoint")
        default: return .busy(words, after: hint)
        }
    }

    /// By SQLSTATE: classes 22 and 23 are about the data, as are the codes 100000 and up; 42S02 is a missing object.
    private static func failure(_ body: Body, _ words: String) -> SnowflakeAnswer {
        let state = body.sqlState ?? ""
        let code = body.code ?? ""
        if state == "42S02" || code == "002003" {
            return .missing("\(words); run `sluice sql migrate`, or set create_schema: true")
        }
        if state == "02000" || code == "002043" { return .failed("\(words); check database, schema and role") }
        if code == "000606" { return .failed("\(words); name a warehouse") }
        let isAboutData =
            state.hasPrefix("22") || state.hasPrefix("23") || (code.utf8.count == 6 && code.hasPrefix("100"))
        return isAboutData ? .refused(words) : .failed(words)
    }

    /// The message up to the place where it may quote a value.
    private static func words(_ status: Int, _ body: Body) -> String {
        let message = (body.message ?? "no message").prefix { $0 != "'" && $0 != "\"" && $0 != "\n" }
        let code = body.code.map { " \($0)" } ?? ""
        return "HTTP \(status):\(EscapedText.make(code, limit: 20)) \(EscapedText.make(String(message), limit: 200))"
    }

    /// It becomes part of a path.
    private static func isHandle(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 0x2D
            }
    }
}
