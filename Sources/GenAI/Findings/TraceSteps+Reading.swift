import Telemetry

extension TraceSteps {
    /// Index of a fact's attribute in the batch, nil when the step has none.
    @inline(__always)
    func place(_ slot: Slot, _ step: Step) -> Int? {
        let place = places[Int(step.row) * Slot.count + Int(slot.rawValue)]
        return place > 0 ? Int(place) - 1 : nil
    }

    /// A fact's text, empty when it is none.
    func text(_ slot: Slot, _ step: Step, _ batch: borrowing RecordBatch) -> Text {
        guard let place = place(slot, step), batch.attributes[place].kind == .string else { return .empty }
        return batch.text(batch.attributes[place].text)
    }

    /// Content of a fact: text, or the bytes of an array or map.
    func value(_ slot: Slot, _ step: Step, _ batch: borrowing RecordBatch) -> StepValue {
        guard let place = place(slot, step) else { return StepValue(kind: .empty, text: .empty) }
        let record = batch.attributes[place]
        switch record.kind {
        case .string, .array, .map: return StepValue(kind: record.kind, text: batch.text(record.text))
        default: return StepValue(kind: .empty, text: .empty)
        }
    }

    func number(_ slot: Slot, _ step: Step, _ batch: borrowing RecordBatch) -> Double? {
        guard let place = place(slot, step) else { return nil }
        switch batch.attributes[place].value {
        case .int(let number): return Double(number)
        case .double(let number): return number.isFinite ? number : nil
        default: return nil
        }
    }

    /// Whether all spans above a step came: the topmost of them has no parent.
    func isWhole(above step: Int) -> Bool {
        guard var node = nodes.indices.first(where: { Int(nodes[$0].step) == step }) else { return true }
        var guardian = 0
        while nodes[node].parent >= 0 && guardian < 256 {
            node = Int(nodes[node].parent)
            guardian += 1
        }
        return nodes[node].parent >= 0 || nodes[node].parentID == 0
    }

    /// By step: its node, for walking up to spans that are no steps.
    func nodesOfSteps() -> [Int32] {
        var found = [Int32](repeating: -1, count: steps.count)
        for node in nodes.indices where nodes[node].step >= 0 {
            found[Int(nodes[node].step)] = Int32(truncatingIfNeeded: node)
        }
        return found
    }

    /// Whether `step` lies below `ancestor`.
    func isBelow(_ step: Int, _ ancestor: Int) -> Bool {
        var above = Int(steps[step].parent)
        var guardian = 0
        while above >= 0 && guardian < 256 {
            if above == ancestor { return true }
            above = Int(steps[above].parent)
            guardian += 1
        }
        return false
    }
}
