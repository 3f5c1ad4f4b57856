import Pipeline

/// What the server said to a statement.
enum ClickHouseAnswer: Equatable {
    case done(String)
    /// This very data can never be stored.
    case refused(String)
    case retry(String, after: Duration?)

    init(_ result: HTTPResult) {
        switch result {
        case .failed(let reason): self = .retry(reason, after: nil)
        case .cancelled: self = .retry("stopped before the answer came", after: nil)
        case .unreadable(let status, let reason, _):
            self = .retry("HTTP \(status) with an answer that cannot be read: \(reason)", after: nil)
        case .answered(let status, let body, _, let seconds):
            let text = String(decoding: body.prefix(8_192), as: UTF8.self)
            // An exception that comes up while the answer is under way stands in it, behind a status of 200.
            let code = Self.code(in: text)
            if status == 200 && code == nil {
                self = .done(text)
                return
            }
            let hint = seconds > 0 ? Duration.seconds(min(seconds, 86_400)) : nil
            var advice = Self.advice(code, status)
            if advice.isEmpty, Self.isTooOld(text) { advice = Self.oldAdvice }
            let words = Self.words(status, code, Self.shown(text)) + advice
            self = code.map(Self.refusals.contains) == true ? .refused(words) : .retry(words, after: hint)
        }
    }

    /// Codes of ErrorCodes.cpp that speak of the data: cannot parse or read, type mismatch, too large string, incorrect
    /// data, NULL in a column that has none, violated constraint.
    private static let refusals: Set<Int> = [6, 26, 27, 33, 53, 72, 117, 131, 349, 469]

    /// The number in `Code: 60. DB::Exception: …`, nil when there is no exception.
    static func code(in text: String) -> Int? {
        guard text.hasPrefix("Code: ") || text.contains("DB::Exception") else { return nil }
        guard let start = text.firstRange(of: "Code: ")?.upperBound else { return nil }
        return Int(text[start...].prefix { $0.isNumber })
    }

    private static func words(_ status: Int, _ code: Int?, _ shown: String) -> String {
        let lead = code.map { "Code: \($0)" } ?? ""
        let rest = shown.hasPrefix(lead) ? shown.dropFirst(lead.count).drop { "., ".contains($0) } : shown[...]
        let parts = ["HTTP \(status)", lead, QuotedWords.quote(String(rest))]
        return parts.filter { !$0.isEmpty }.joined(separator: ", ")
    }

    /// The exception without what may quote a row.
    private static func shown(_ text: String) -> String {
        var line = String(text.prefix { $0 != "\n" })
        for mark in [": (at row", ": While executing", " (at row", "Row 1:"] {
            if let cut = line.firstRange(of: mark) { line = String(line[..<cut.lowerBound]) }
        }
        return EscapedText.make(line, limit: 200)
    }

    /// Servers wrote exceptions in this form up to 21.10, so no statement of theirs needs to be asked for the version.
    private static func isTooOld(_ text: String) -> Bool { text.contains("e.displayText() = ") }

    private static let oldAdvice = "; this server is too old: ClickHouse 22.3 or later is needed"

    private static func advice(_ code: Int?, _ status: Int) -> String {
        switch code {
        case 60, 16: "; run `sluice sql migrate`, or set create_schema: true"
        case 81: "; create the database"
        case 516, 192, 193, 194: "; check username and password"
        case 89: "; the server does not know that compression: set compress: gzip"
        case 252: "; raise sending_queue.batch.min_size, so that inserts are larger"
        default: status == 401 || status == 403 ? "; check username and password" : ""
        }
    }
}
