import Crypto
import FoundationEssentials
package import GenAI

/// One example of a dataset: what an agent was asked, what it had, what it did, and what is wrong with that.
package struct DatasetRecord: Codable, Sendable, Equatable {
    package static let formatName = "sluice.dataset/1"

    /// A tool that the agent had; `parameters` is its JSON Schema, `description` nil when none was captured.
    package struct Tool: Codable, Sendable, Equatable {
        var name: String
        var description: String?
        var parameters: JSONValue
    }

    /// A tool call, in order of time; arguments and result are nil when they were not captured.
    package struct Call: Codable, Sendable, Equatable {
        var id: String
        var name: String
        var arguments: JSONValue?
        var result: JSONValue?
        var error: String?
        var is_failed: Bool
        var span_id: String
    }

    /// What `agent_findings`, an evaluator or a judge found in the trace; ids are hexadecimal digits.
    package struct Finding: Codable, Sendable, Equatable {
        package var name: String
        package var rule: String
        package var tier: String
        var label: String
        var score: Double?
        var explanation: String
        var evidence: String
        package var span_id: String
        var cause_span_id: String
        var is_first_bad_step: Bool
    }

    /// What the whole run took; `cost` in US dollars.
    package struct Usage: Codable, Sendable, Equatable {
        var input_tokens: Double
        var output_tokens: Double
        var cost: Double
        var seconds: Double
        var steps: Int
    }

    package var format = DatasetRecord.formatName
    /// Hash of everything that makes the example: equal examples of different runs have the same.
    package var id = ""
    package var split = ""
    package var trace_id: String
    package var span_id: String
    package var conversation_id: String
    package var agent: String
    package var model: String
    /// Unix nanoseconds.
    package var time: UInt64
    /// Turns up to and with the one that the run answers.
    package var input: JSONValue
    package var context: [JSONValue]
    package var tools: [Tool]
    package var calls: [Call]
    package var output: String
    package var findings: [Finding]
    /// What the answer should have been; empty until somebody fills it in.
    package var expected: JSONValue?
    package var usage: Usage

    package init(_ trajectory: Trajectory) {
        trace_id = trajectory.trace
        span_id = trajectory.root
        conversation_id = trajectory.conversation
        agent = trajectory.agent
        model = trajectory.model
        time = trajectory.start
        input = Self.parsed(trajectory.inputJSON) ?? .list([])
        context = trajectory.documents.compactMap(Self.parsed)
        tools = trajectory.tools.map {
            Tool(
                name: $0.name, description: trajectory.toolDescriptions[$0.name],
                parameters: Self.parsed($0.definition) ?? .null)
        }
        calls = trajectory.calls.map(Self.call)
        output = trajectory.output
        findings = trajectory.findings.map { event in
            Finding(
                name: event.name, rule: event.rule, tier: event.tier, label: event.label, score: event.score,
                explanation: event.explanation, evidence: event.evidence, span_id: event.span,
                cause_span_id: event.cause, is_first_bad_step: event.isFirstBadStep)
        }
        usage = Usage(
            input_tokens: trajectory.inputTokens, output_tokens: trajectory.outputTokens, cost: trajectory.cost,
            seconds: trajectory.seconds, steps: trajectory.steps)
        id = hash
    }

    private static func call(_ call: Trajectory.Call) -> Call {
        func value(_ content: Trajectory.Content?) -> JSONValue? {
            switch content {
            case .json(let text): parsed(text) ?? .string(text)
            case .text(let text): .string(text)
            case nil: nil
            }
        }
        return Call(
            id: call.id, name: call.name, arguments: value(call.arguments), result: value(call.result),
            error: call.error.isEmpty ? nil : call.error, is_failed: call.isFailed, span_id: call.span)
    }

    private static func parsed(_ text: String) -> JSONValue? {
        text.isEmpty ? nil : try? JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
    }

    // MARK: Identity

    /// Ids, times and usage differ between runs and are left out; so are findings, which a later version may improve,
    /// and what tools say of themselves, which examples of before do not have.
    private struct Content: Encodable {
        struct Call: Encodable {
            var name: String
            var arguments: JSONValue?
            var result: JSONValue?
            var error: String?
        }

        var agent: String
        var input: JSONValue
        var context: [JSONValue]
        var tools: [Tool]
        var calls: [Call]
        var output: String
    }

    private var hash: String {
        let content = Content(
            agent: agent, input: input, context: context,
            tools: tools.map { Tool(name: $0.name, parameters: $0.parameters) },
            calls: calls.map {
                Content.Call(name: $0.name, arguments: $0.arguments, result: $0.result, error: $0.error)
            }, output: output)
        return DatasetText.hash(DatasetText.encode(content))
    }

    /// Names of the tools that were called, in order.
    package var toolNames: [String] { calls.map(\.name) }

    /// What keeps examples of one session in one split.
    var splitKey: String { conversation_id.isEmpty ? id : conversation_id }
}

/// Encoding that gives equal bytes for equal values.
enum DatasetText {
    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? [UInt8](encoder.encode(value))) ?? []
    }

    /// The first 32 hexadecimal digits of the SHA-256.
    static func hash(_ bytes: some Swift.Sequence<UInt8>) -> String {
        SHA256.hash(data: Array(bytes)).prefix(16).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// Shares of examples by name; an example's place depends only on its session.
package struct DatasetSplits: Sendable, Equatable {
    package var shares: [(name: String, share: Double)]

    package init(_ shares: [(name: String, share: Double)]) { self.shares = shares }

    package static let usual = DatasetSplits([("train", 0.8), ("validation", 0.1), ("test", 0.1)])

    /// Reads `train=0.8,test=0.2`; nil when the shares do not add up to 1.
    package init?(text: String) {
        var shares: [(name: String, share: Double)] = []
        for part in text.split(separator: ",") {
            let sides = part.split(separator: "=")
            guard sides.count == 2, let share = Double(sides[1]) else { return nil }
            shares.append((sides[0].filter { $0 != " " }, share))
        }
        self.init(shares)
        guard isValid else { return nil }
    }

    /// Names that can be files, each once, and shares that add up to 1.
    package var isValid: Bool {
        let names = shares.map(\.name)
        let areNames = names.allSatisfy { name in
            !name.isEmpty && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "-") }
        }
        return areNames && Set(names).count == names.count && shares.allSatisfy { $0.share > 0 && $0.share <= 1 }
            && abs(shares.reduce(0) { $0 + $1.share } - 1) < 1e-6
    }

    package static func == (left: DatasetSplits, right: DatasetSplits) -> Bool {
        left.shares.elementsEqual(right.shares) { $0 == $1 }
    }

    /// The split by the hash of the record's split key, so that a record stays where it is as others come.
    package func split(of record: DatasetRecord) -> String {
        let digits = DatasetText.hash(Array(record.splitKey.utf8)).prefix(8)
        var place = Double(Int(digits, radix: 16) ?? 0) / 4_294_967_296
        for (name, share) in shares {
            if place < share { return name }
            place -= share
        }
        return shares.last?.name ?? ""
    }
}
