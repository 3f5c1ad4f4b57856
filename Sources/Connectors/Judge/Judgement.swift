import FoundationEssentials

/// What a judge said.
struct Judgement: Sendable, Equatable {
    var score: Double
    var label: String
    var explanation: String

    private static let explanationMax = 1_000

    private struct Answer: Decodable {
        var score: Double
        var label: String?
        var explanation: String?
    }

    init(score: Double, label: String, explanation: String) {
        self.score = score
        self.label = label
        self.explanation = explanation
    }

    /// Reads the words of the model: one JSON object with a score from 0 to 1, within a code fence at most. Anything
    /// else is no judgement.
    init?(words: String) {
        var text = Self.trimmed(words)
        if text.hasPrefix("```") {
            text = text.split(separator: "\n", omittingEmptySubsequences: false).dropFirst().joined(separator: "\n")
            guard text.hasSuffix("```") else { return nil }
            text = Self.trimmed(String(text.dropLast(3)))
        }
        guard text.hasPrefix("{"), text.hasSuffix("}"),
            let answer = try? JSONDecoder().decode(Answer.self, from: Data(text.utf8)),
            answer.score >= 0, answer.score <= 1
        else { return nil }
        score = answer.score
        label = answer.label.map { String($0.prefix(60)) } ?? ""
        explanation = answer.explanation.map { String($0.prefix(Self.explanationMax)) } ?? ""
    }

    private static func trimmed(_ text: String) -> String {
        let start = text.drop(while: \.isWhitespace)
        let end = start.lastIndex { !$0.isWhitespace }
        return end.map { String(start[...$0]) } ?? ""
    }
}

/// The messages of an OpenAI-compatible service.
enum ChatExchange {
    private struct Request: Encodable {
        struct Message: Encodable {
            var role: String
            var content: String
        }
        struct Format: Encodable { var type: String }

        var model: String
        var messages: [Message]
        var temperature = 0
        var max_tokens: Int
        var response_format: Format?
    }

    private struct Answer: Decodable {
        struct Choice: Decodable { var message: Message }
        struct Message: Decodable { var content: String? }
        struct Usage: Decodable {
            var prompt_tokens: Int?
            var completion_tokens: Int?
        }

        var choices: [Choice]
        var usage: Usage?
    }

    static func request(system: String, user: String, _ options: JudgeOptions) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let request = Request(
            model: options.model,
            messages: [Request.Message(role: "system", content: system), Request.Message(role: "user", content: user)],
            max_tokens: options.tokensMax,
            response_format: options.answerFormat == .none ? nil : Request.Format(type: options.answerFormat.rawValue))
        return (try? [UInt8](encoder.encode(request))) ?? []
    }

    /// The words of the answer with the tokens that it cost; nil when it is no answer of such a service.
    static func read(_ body: [UInt8]) -> (words: String, input: Int, output: Int)? {
        guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(body)) else { return nil }
        let words = answer.choices.first?.message.content ?? ""
        return (words, answer.usage?.prompt_tokens ?? 0, answer.usage?.completion_tokens ?? 0)
    }
}

/// How much may still be asked in this hour. A value: told what was asked and what time it is.
struct JudgeBudget: Sendable, Equatable {
    let requestsMax: Int
    let costMax: Double
    private var hour: UInt64 = 0
    private(set) var requests = 0
    private(set) var cost = 0.0

    init(requestsMax: Int, costMax: Double) {
        self.requestsMax = requestsMax
        self.costMax = costMax
    }

    /// Takes one request out of the budget, if there is one. `time` in Unix nanoseconds.
    mutating func take(at time: UInt64) -> Bool {
        let now = time / 3_600_000_000_000
        if now != hour { (hour, requests, cost) = (now, 0, 0) }
        if requestsMax > 0 && requests >= requestsMax { return false }
        if costMax > 0 && cost >= costMax { return false }
        requests += 1
        return true
    }

    mutating func spend(_ amount: Double) { cost += max(0, amount) }
}
