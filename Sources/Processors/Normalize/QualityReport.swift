import Pipeline
import Synchronization
import Telemetry

/// Counts what the GenAI spans of a service lack, so that its owner sees which instrumentation to repair.
final class QualityReport: Sendable {
    /// What a span can lack.
    enum Gap: Int, CaseIterable {
        case operation, provider, model, usage, input, output, arguments, result, toolName, agentName, conversation,
            parent

        /// The word on the metric.
        var word: String {
            switch self {
            case .operation: "no_operation"
            case .provider: "no_provider"
            case .model: "no_model"
            case .usage: "no_usage"
            case .input: "no_input"
            case .output: "no_output"
            case .arguments: "no_tool_arguments"
            case .result: "no_tool_result"
            case .toolName: "no_tool_name"
            case .agentName: "no_agent_name"
            case .conversation: "no_conversation"
            case .parent: "parent_elsewhere"
            }
        }
    }

    /// Counters of one service and instrumentation.
    private final class Entry: Sendable {
        let spans: Counter
        let gaps: [Counter]

        init(_ metrics: SelfMetrics, _ labels: [(name: String, value: String)]) {
            spans = metrics.counter(
                "sluice_gen_ai_quality_spans_total", "GenAI spans looked at, by service and instrumentation.", labels)
            gaps = Gap.allCases.map { gap in
                metrics.counter(
                    "sluice_gen_ai_quality_gaps_total",
                    "GenAI spans that lack what their operation should have, by service and instrumentation.",
                    [("gap", gap.word)] + labels)
            }
        }
    }

    private struct Name: Hashable {
        var service: String
        var instrumentation: String
    }

    /// Services and instrumentations with series of their own; the rest counts as `other`, as do names that could hold
    /// an address or a key.
    private static let namesMax = 200
    /// Spans of one request whose parents are looked for.
    private static let parentsMax = 10_000

    private let metrics: SelfMetrics
    private let labels: [(name: String, value: String)]
    private let service: KeyID
    /// What each attribute tells, by key number; nothing for those beyond the end.
    private let facts: [Fact]
    private let operation: KeyID
    private let known = Mutex<[Name: Entry]>([:])

    private struct Fact: OptionSet {
        var rawValue: UInt16
        static let kind = Fact(rawValue: 1)
        static let provider = Fact(rawValue: 2)
        static let model = Fact(rawValue: 4)
        static let usage = Fact(rawValue: 8)
        static let input = Fact(rawValue: 16)
        static let output = Fact(rawValue: 32)
        static let arguments = Fact(rawValue: 64)
        static let result = Fact(rawValue: 128)
        static let toolName = Fact(rawValue: 256)
        static let agentName = Fact(rawValue: 512)
        static let conversation = Fact(rawValue: 1024)
    }

    init(_ build: inout ProcessorBuild) {
        metrics = build.metrics
        labels = build.labels
        service = build.keys.intern("service.name")
        operation = build.keys.intern("gen_ai.operation.name")
        var facts: [Fact] = []
        for (name, fact) in [
            ("sluice.genai.kind", Fact.kind), ("gen_ai.provider.name", .provider), ("gen_ai.request.model", .model),
            ("gen_ai.response.model", .model), ("gen_ai.usage.input_tokens", .usage),
            ("gen_ai.usage.output_tokens", .usage), ("gen_ai.input.messages", .input),
            ("gen_ai.output.messages", .output), ("gen_ai.tool.call.arguments", .arguments),
            ("gen_ai.tool.call.result", .result), ("gen_ai.tool.name", .toolName), ("gen_ai.agent.name", .agentName),
            ("gen_ai.conversation.id", .conversation),
        ] {
            let number = Int(build.keys.intern(name).value)
            while facts.count <= number { facts.append([]) }
            facts[number].insert(fact)
        }
        self.facts = facts
    }

    // MARK: One request

    /// Looks at all GenAI spans of a normalized request.
    func note(_ batch: borrowing RecordBatch) {
        var spanIDs: [UInt64]?
        for scope in batch.scopes.indices {
            var entry: Entry?
            for span in batch.scopes[scope].items.range where !batch.isRemoved(span: span) {
                guard let seen = look(batch.spans[span].set, batch) else { continue }
                if spanIDs == nil { spanIDs = ids(batch) }
                let counters = entry ?? self.entry(scope, batch)
                entry = counters
                counters.spans.add()
                count(seen.operation, seen.facts, batch.spans[span], counters, batch)
                if isOrphan(batch.spans[span], spanIDs ?? [], batch) { counters.gaps[Gap.parent.rawValue].add() }
            }
        }
    }

    /// The operation and the facts of a set; nil when it is none of GenAI.
    private func look(_ set: SetIndex, _ batch: borrowing RecordBatch) -> (operation: Text?, facts: Fact)? {
        var found: Fact = []
        var word: Text?
        for index in batch.range(of: set) {
            let key = batch.attributes[index].keyID
            if key == .unknown { continue }
            if key == operation, batch.attributes[index].kind == .string {
                word = batch.text(batch.attributes[index].text)
                continue
            }
            if Int(key.value) < facts.count { found.insert(facts[Int(key.value)]) }
        }
        return word == nil && found.isEmpty ? nil : (word, found)
    }

    private func count(
        _ operation: Text?, _ facts: Fact, _ span: SpanRecord, _ entry: Entry, _ batch: borrowing RecordBatch
    ) {
        func gap(_ gap: Gap, unless fact: Fact) { if !facts.contains(fact) { entry.gaps[gap.rawValue].add() } }
        gap(.conversation, unless: .conversation)
        guard let operation else {
            if !facts.contains(.kind) { entry.gaps[Gap.operation.rawValue].add() }
            return
        }
        if operation == "chat" || operation == "generate_content" || operation == "text_completion" {
            gap(.provider, unless: .provider)
            gap(.model, unless: .model)
            gap(.input, unless: .input)
            // A failed call has neither usage nor an answer.
            guard span.statusCode != 2 else { return }
            gap(.usage, unless: .usage)
            gap(.output, unless: .output)
        } else if operation == "embeddings" {
            gap(.provider, unless: .provider)
            gap(.model, unless: .model)
            gap(.usage, unless: .usage)
        } else if operation == "execute_tool" {
            gap(.toolName, unless: .toolName)
            gap(.arguments, unless: .arguments)
            if span.statusCode != 2 { gap(.result, unless: .result) }
        } else if operation == "invoke_agent" {
            gap(.agentName, unless: .agentName)
        }
    }

    // MARK: Parents

    private func number(_ reference: TextRef, _ batch: borrowing RecordBatch) -> UInt64 {
        var value: UInt64 = 0
        for byte in batch.text(reference).bytes.prefix(8) { value = value << 8 | UInt64(byte) }
        return value
    }

    /// The span ids of the request, in order.
    private func ids(_ batch: borrowing RecordBatch) -> [UInt64] {
        var ids: [UInt64] = []
        guard batch.spans.count <= QualityReport.parentsMax else { return ids }
        ids.reserveCapacity(batch.spans.count)
        for span in batch.spans.indices { ids.append(number(batch.spans[span].spanID, batch)) }
        ids.sort()
        return ids
    }

    private func isOrphan(_ span: SpanRecord, _ ids: [UInt64], _ batch: borrowing RecordBatch) -> Bool {
        guard !span.parentID.isEmpty, !ids.isEmpty else { return false }
        let wanted = number(span.parentID, batch)
        var low = 0
        var high = ids.count
        while low < high {
            let middle = (low + high) / 2
            if ids[middle] < wanted { low = middle + 1 } else { high = middle }
        }
        return low == ids.count || ids[low] != wanted
    }

    // MARK: Names

    private func entry(_ scope: Int, _ batch: borrowing RecordBatch) -> Entry {
        let record = batch.scopes[scope]
        let resource = batch.resources[Int(record.resource)].set
        var name = Name(
            service: batch.string(service, in: resource).map { QualityReport.label($0) } ?? "",
            instrumentation: QualityReport.label(batch.text(record.name)))
        return known.withLock { known in
            if let entry = known[name] { return entry }
            if known.count >= QualityReport.namesMax { name = Name(service: "other", instrumentation: "other") }
            if let entry = known[name] { return entry }
            let entry = Entry(
                metrics, [("service", name.service), ("instrumentation", name.instrumentation)] + labels)
            known[name] = entry
            return entry
        }
    }

    private static let detectors = DetectorScan(.all)
    private static let labelBytesMax = 100

    /// A name as it may stand on a page of metrics, which no redaction sees: what does not look like the name of a
    /// service or library, or holds what a detector of `redaction` finds, is `other`.
    static func label(_ text: Text) -> String {
        guard text.count <= labelBytesMax, looksLikeName(text) else { return "other" }
        var finds = Column<Match>()
        detectors.scan(text, into: &finds)
        return finds.count == 0 ? text.string : "other"
    }

    /// Letters, digits, blanks and the signs of paths and packages; an `@` before them, as npm's scopes have one.
    private static func looksLikeName(_ text: Text) -> Bool {
        for index in 0..<text.count {
            switch text[index] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: " "), 0x80...:
                continue
            case UInt8(ascii: "@") where index == 0: continue
            default: return false
            }
        }
        return true
    }
}
