import Telemetry

/// Rules that give a value to another name as it is: most rules of most dialects. They are run without the rule itself,
/// which is large, and without the views of a value that the others need.
extension Normalizer {
    /// Runs a rule that only moves a value. False when the value is not of the rule's kind, or may not go to the
    /// target: then nothing has happened yet, and the rule is to be run as a whole.
    mutating func move(_ index: Int, _ head: RuleHead, from local: Int, _ batch: borrowing RecordBatch) -> Bool {
        let place = facts.start + local
        let kind = batch.attributes[place].kind
        let bits = batch.attributes[place].payload
        var value = MadeValue(kind: kind, bits: bits)
        switch head.move {
        case .none: return false
        case .text:
            guard kind == .string else { return false }
            value = .string(batch.text(batch.attributes[place].text))
            if isBlank(value.text) { return false }
        case .int: guard kind == .int, Int64(bitPattern: bits) >= 0 else { return false }
        case .double: guard kind == .double, Double(bitPattern: bits) >= 0, bits != infinity else { return false }
        }
        guard mayFill(head.claim, state(head.target, batch)) else { return false }
        facts.rule = Int32(index)
        if head.hasConditions {
            let source = source(at: local, batch)
            guard holds(tables.layout.rules[index].conditions, head.target, source, batch) else { return true }
        }
        fill(head.target, value)
        if head.usesUp, facts.removes, spending[local] == .unspent { spending[local] = .spent }
        return true
    }

    /// Gives a target a value that may fill it.
    @inline(__always)
    mutating func fill(_ target: TargetID, _ value: MadeValue) {
        let index = Int(target.value)
        if removesAny, drafts[index].isMade { replace(index, value) }
        drafts[index].state = .mapped
        drafts[index].value = value
        drafts[index].rule = facts.rule
        if target == tables.layout.known.outputMessages {
            facts.isFinished = false
            facts.isWritten = false
        }
        if missedNames.isMarked(tables.layout.targetNames[index], stamp) { isUnsettled = true }
    }

    private var infinity: UInt64 { @inline(__always) get { 0x7FF0_0000_0000_0000 } }
}
