import Telemetry

/// Keys that the alert rules read.
struct AlertKeys: Sendable {
    let inputTokens: KeyID
    let outputTokens: KeyID
    let cost: KeyID
    let evaluation: KeyID
    let score: KeyID
    let tier: KeyID
    let explanation: KeyID
    let conversation: KeyID
    let session: KeyID

    init(_ keys: inout KeyTable.Builder) {
        inputTokens = keys.intern("gen_ai.usage.input_tokens")
        outputTokens = keys.intern("gen_ai.usage.output_tokens")
        cost = keys.intern("gen_ai.usage.cost")
        evaluation = keys.intern("gen_ai.evaluation.name")
        score = keys.intern("gen_ai.evaluation.score.value")
        tier = keys.intern("sluice.finding.tier")
        explanation = keys.intern("gen_ai.evaluation.explanation")
        conversation = keys.intern("gen_ai.conversation.id")
        session = keys.intern("session.id")
    }
}

/// What a record is worth for a rule.
enum AlertValues {
    private static let evaluationEvent: StaticString = "gen_ai.evaluation.result"

    /// Spans with tokens or a cost below which no other span has any: frameworks repeat the sums on the spans above.
    static func innermost(_ records: borrowing RecordBatch, _ names: AlertKeys) -> Set<Int> {
        var places: [[UInt8]: Int] = [:]
        var bearers: [Int] = []
        for index in records.spans.indices where !records.isRemoved(span: index) {
            let set = records.spans[index].set
            places[[UInt8](records.text(records.spans[index].spanID).bytes)] = index
            let hasUsage = [names.inputTokens, names.outputTokens, names.cost].contains {
                records.find($0, in: set) != nil
            }
            if hasUsage { bearers.append(index) }
        }
        var result = Set(bearers)
        for bearer in bearers {
            var above = records.spans[bearer].parentID
            for _ in 0..<256 {
                guard !above.isEmpty, let index = places[[UInt8](records.text(above).bytes)], index != bearer else {
                    break
                }
                result.remove(index)
                above = records.spans[index].parentID
            }
        }
        return result
    }

    /// The values of one span, with the event that each comes from.
    static func values(
        _ rule: AlertRule, span index: Int, _ inner: Set<Int>, _ records: borrowing RecordBatch, _ names: AlertKeys
    ) -> [(value: Double, event: SetIndex?)] {
        let span = records.spans[index]
        switch rule.metric {
        case .throughput: return [(1, nil)]
        case .errorRate: return [(span.statusCode == 2 ? 1 : 0, nil)]
        case .latency: return span.end >= span.start ? [(Double(span.end - span.start) / 1e9, nil)] : []
        case .tokens, .inputTokens, .outputTokens, .cost:
            guard inner.contains(index) else { return [] }
            return usage(rule.metric, span.set, records, names).map { [($0, nil)] } ?? []
        case .findings, .findingRate, .score:
            var values: [(value: Double, event: SetIndex?)] = []
            for event in span.events.range where !records.events[event].edits.contains(.removed) {
                guard records.text(records.events[event].name) == evaluationEvent else { continue }
                let set = records.events[event].set
                if let value = evaluation(rule, set, records, names) { values.append((value, set)) }
            }
            return values
        }
    }

    /// The value of one log record, nil when it does not count.
    static func value(
        _ rule: AlertRule, log index: Int, _ records: borrowing RecordBatch, _ names: AlertKeys
    ) -> Double? {
        let log = records.logs[index]
        switch rule.metric {
        case .throughput: return 1
        case .errorRate: return log.severityNumber >= 17 ? 1 : 0
        case .latency, .findingRate: return nil
        case .tokens, .inputTokens, .outputTokens, .cost: return usage(rule.metric, log.set, records, names)
        case .findings, .score:
            guard records.text(log.eventName) == evaluationEvent else { return nil }
            return evaluation(rule, log.set, records, names)
        }
    }

    private static func usage(
        _ metric: AlertMetric, _ set: SetIndex, _ records: borrowing RecordBatch, _ names: AlertKeys
    ) -> Double? {
        func tokens(_ key: KeyID) -> Double? { number(key, set, records).flatMap { $0 < 0 ? nil : $0 } }
        switch metric {
        case .inputTokens: return tokens(names.inputTokens)
        case .outputTokens: return tokens(names.outputTokens)
        case .cost: return number(names.cost, set, records)
        default:
            let input = tokens(names.inputTokens)
            let output = tokens(names.outputTokens)
            return input == nil && output == nil ? nil : (input ?? 0) + (output ?? 0)
        }
    }

    /// The score of an evaluation result, or 1 for a finding; nil when the rule does not ask for it.
    private static func evaluation(
        _ rule: AlertRule, _ set: SetIndex, _ records: borrowing RecordBatch, _ names: AlertKeys
    ) -> Double? {
        let name = records.string(names.evaluation, in: set)?.string ?? ""
        if !rule.evaluations.isEmpty && !rule.evaluations.contains(name) { return nil }
        let tier = records.string(names.tier, in: set)?.string
        if rule.metric == .score {
            if let tier, !rule.tiers.isEmpty, !rule.tiers.contains(tier) { return nil }
            return number(names.score, set, records)
        }
        guard let tier else { return nil }
        return rule.tiers.isEmpty || rule.tiers.contains(tier) ? 1 : nil
    }

    private static func number(_ key: KeyID, _ set: SetIndex, _ records: borrowing RecordBatch) -> Double? {
        guard let index = records.find(key, in: set) else { return nil }
        switch records.attributes[index].value {
        case .int(let number): return Double(number)
        case .double(let number): return number
        default: return nil
        }
    }

    // MARK: Where it comes from

    static func origin(
        _ point: AlertReader.Point, _ signal: Signal, _ records: borrowing RecordBatch, _ names: AlertKeys
    ) -> AlertOrigin {
        var origin = AlertOrigin()
        if signal == .logs {
            origin.trace = records.text(records.logs[point.span].traceID).hexDigits
            origin.span = records.text(records.logs[point.span].spanID).hexDigits
        } else {
            origin.trace = records.text(records.spans[point.span].traceID).hexDigits
            origin.span = records.text(records.spans[point.span].spanID).hexDigits
        }
        for set in (point.event.map { [$0] } ?? []) + point.sets where origin.conversation.isEmpty {
            let text = records.string(names.conversation, in: set) ?? records.string(names.session, in: set)
            if let text { origin.conversation = shown(text, 200) }
        }
        if let event = point.event, let text = records.string(names.explanation, in: event) {
            origin.explanation = shown(text, 500)
        }
        return origin
    }

    /// A text of at most so many bytes, cut between characters.
    static func shown(_ text: Text, _ bytesMax: Int) -> String {
        guard text.count > bytesMax else { return text.string }
        var end = bytesMax
        while end > 0 && text[end] & 0xC0 == 0x80 { end -= 1 }
        return text[0..<end].string + "…"
    }
}
