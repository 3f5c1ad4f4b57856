import Telemetry

/// Counts what rules could not do, by rule and reason, without touching the heap.
package struct RuleTally: ~Copyable {
    /// Why a rule's value did not arrive.
    package enum Reason: UInt8, CaseIterable, Sendable {
        /// The target has another value that ranks higher.
        case conflict
        /// The value cannot be had in the target's type.
        case wrongType
        case cut
        case tooLarge
        case tooDeep
        case malformed
        /// An index beyond `max_index`.
        case index
        /// With `remove_originals`: members of its source have no place, so the source stays.
        case partlyPlaced

        /// The word on the metric.
        package var word: String {
            switch self {
            case .conflict: "conflict"
            case .wrongType: "wrong_type"
            case .cut: "cut"
            case .tooLarge: "too_large"
            case .tooDeep: "too_deep"
            case .malformed: "malformed"
            case .index: "index"
            case .partlyPlaced: "partly_placed"
            }
        }

        init(_ failure: JSONFailure) {
            switch failure {
            case .invalid: self = .malformed
            case .truncated: self = .cut
            case .tooLarge: self = .tooLarge
            case .tooDeep: self = .tooDeep
            }
        }
    }

    private var counts = Column<UInt32>()
    private var touched = Column<Int32>()

    init(rules: Int) {
        for _ in 0..<rules * Reason.allCases.count { counts.append(0) }
    }

    mutating func reset() {
        for index in touched.indices { counts[Int(touched[index])] = 0 }
        touched.removeAll()
    }

    mutating func note(_ rule: Int32, _ reason: Reason) {
        guard rule >= 0 else { return }
        let index = Int(rule) * Reason.allCases.count + Int(reason.rawValue)
        guard index < counts.count else { return }
        if counts[index] == 0 { touched.append(Int32(index)) }
        counts[index] &+= 1
    }

    package var isEmpty: Bool { touched.count == 0 }

    /// Each rule and reason that occurred, with how often.
    package func eachOutcome(_ body: (_ rule: Int, _ reason: Reason, _ count: Int) -> Void) {
        let reasons = Reason.allCases.count
        for position in touched.indices {
            let index = Int(touched[position])
            guard let reason = Reason(rawValue: UInt8(index % reasons)) else { continue }
            body(index / reasons, reason, Int(counts[index]))
        }
    }
}

extension Tables {
    /// Dialect and name of a rule: `openinference` and `openinference:42`, which is the line of its table.
    package func ruleName(_ rule: Int) -> (dialect: String, rule: String) {
        guard layout.rules.indices.contains(rule) else { return ("", "") }
        return (layout.dialects[Int(layout.ruleDialects[rule])].name.string, layout.rules[rule].label.string)
    }
}

extension Normalizer {
    /// Counts a value that lost against another one. Equal values are no conflict.
    mutating func noteConflict(_ rule: Rule, _ source: SourceValue, _ batch: borrowing RecordBatch) {
        guard !saysNothing(source, to: rule.target) else { return }
        guard holds(rule.conditions, .none, source, batch) else { return }
        let start = output.count
        if case .value(let value) = outcome(rule.transform, rule.target, source, rule.drop, rule.names, batch),
            !equals(draft(rule.target, batch), value, batch)
        {
            tally.note(facts.rule, .conflict)
        }
        output.truncate(to: start)
    }

    private mutating func equals(_ draft: Draft, _ value: MadeValue, _ batch: borrowing RecordBatch) -> Bool {
        guard draft.state == .current, draft.origin >= 0 else {
            guard draft.value.kind == value.kind else { return false }
            return value.kind == .string ? bytes(draft.value) == bytes(value) : draft.value.bits == value.bits
        }
        let held = source(at: Int(draft.origin), batch)
        switch value.kind {
        case .string: return text(held) == bytes(value)
        case .double: return double(held) == Double(bitPattern: value.bits)
        default: return held.bits == value.bits
        }
    }

    /// Counts a number or flag that is none.
    mutating func noteFailure(_ rule: Rule, _ source: SourceValue, _ batch: borrowing RecordBatch) {
        switch rule.transform {
        case .int, .double, .scale, .sumInt: break
        case .copy where rule.target.exists:
            switch tables.layout.targetTypes[Int(rule.target.value)] {
            case .int, .double, .bool: break
            default: return
            }
        default: return
        }
        if rule.isRepair || draft(rule.target, batch).exists { return }
        if case .number(let dropped) = rule.drop, integer(source) == dropped { return }
        tally.note(facts.rule, .wrongType)
    }
}
