import Telemetry

/// The steps of one trace with where their facts stand: the tree of agents, model calls, tool calls and retrievals.
///
/// Built anew for each trace in memory that is kept. Texts point into the batch and are good until it is changed.
struct TraceSteps: ~Copyable {
    var nodes = Column<SpanNode>()
    var steps = Column<Step>()
    /// Per step row and slot: 1 + index of the attribute in the batch, 0 for none.
    var places = Column<Int32>()
    /// Open addressing over span ids: 1 + node.
    private var table = Column<Int32>()
    private var mask = 0
    private var sorted: [Step] = []
    /// The session that the trace belongs to, empty when it names none.
    var conversation = Text.empty
    /// Model of the trace's first model call that names one.
    var model = Text.empty
    /// Bytes of content that were not looked at because of a limit.
    var skippedBytes = 0

    /// Steps deep; a longer chain of parents ends there.
    private static let maxDepth = 256

    // MARK: Building

    /// Reads the spans, in any order; spans that were removed are left out, and those that came twice are read once:
    /// senders and journals repeat what was not acknowledged, which is no repetition by the agent.
    mutating func build(
        _ batch: borrowing RecordBatch, spans: some Collection<Int>, keys: FindingKeys
    ) {
        nodes.removeAll()
        steps.removeAll()
        places.removeAll()
        conversation = .empty
        model = .empty
        skippedBytes = 0
        makeTable(for: spans.count)
        for span in spans where !batch.spans[span].edits.contains(.removed) { read(span, batch, keys) }
        if steps.count == 0 { return }
        for node in nodes.indices where nodes[node].parentID != 0 { nodes[node].parent = find(nodes[node].parentID) }
        link()
        inherit(batch)
        markWrappers(batch)
    }

    private mutating func read(_ span: Int, _ batch: borrowing RecordBatch, _ keys: FindingKeys) {
        let record = batch.spans[span]
        var node = SpanNode(
            id: TraceSteps.id(batch.text(record.spanID)), parentID: TraceSteps.id(batch.text(record.parentID)),
            span: Int32(truncatingIfNeeded: span))
        if !insert(node.id, record, batch) { return }
        var row = -1
        for index in batch.range(of: record.set) {
            let slot = keys.slots[Int(batch.attributes[index].keyID.value)]
            if slot == 0 { continue }
            if row < 0 { row = newRow() }
            places[row * Slot.count + Int(slot)] = Int32(truncatingIfNeeded: index + 1)
        }
        if row >= 0 {
            var step = Step(
                span: Int32(truncatingIfNeeded: span), kind: .other, start: record.start, end: record.end,
                row: Int32(truncatingIfNeeded: row), id: node.id)
            step.kind = kind(step, batch)
            // An error type alone is no GenAI fact.
            if step.kind != .other || hasFacts(step) {
                step.isFailed = record.statusCode == 2 || place(.errorType, step) != nil
                step.service = service(of: record, batch, keys)
                node.step = Int32(truncatingIfNeeded: steps.count)
                steps.append(step)
            } else {
                places.truncate(to: row * Slot.count)
            }
        }
        nodes.append(node)
    }

    private func service(of record: SpanRecord, _ batch: borrowing RecordBatch, _ keys: FindingKeys) -> UInt64 {
        let resource = batch.resources[batch.resource(ofScope: record.scope)].set
        guard let name = batch.string(keys.serviceName, in: resource), !name.isEmpty else { return 0 }
        return ContentHash.of(name)
    }

    private mutating func newRow() -> Int {
        let row = places.count / Slot.count
        for _ in 0..<Slot.count { places.append(0) }
        return row
    }

    private func hasFacts(_ step: Step) -> Bool {
        for slot in Slot.allCases where slot != .errorType && place(slot, step) != nil { return true }
        return false
    }

    private func kind(_ step: Step, _ batch: borrowing RecordBatch) -> StepKind {
        if let kind = StepKind.named(text(.operation, step, batch)) { return kind }
        let word = text(.kind, step, batch)
        if word == "llm" || word == "chat_model" { return .model }
        if word == "tool" { return .tool }
        if word == "agent" { return .agent }
        if word == "retriever" { return .retrieval }
        if word == "chain" || word == "workflow" || word == "task" { return .other }
        if place(.toolName, step) != nil && place(.arguments, step) != nil { return .tool }
        if place(.documents, step) != nil { return .retrieval }
        if place(.output, step) != nil && place(.requestModel, step) != nil { return .model }
        return .other
    }

    static func id(_ text: Text) -> UInt64 {
        text.count == 8 ? UInt64(bigEndian: text.start.loadUnaligned(as: UInt64.self)) : 0
    }

    private mutating func makeTable(for spans: Int) {
        var size = 16
        while size < spans * 2 { size *= 2 }
        mask = size - 1
        table.removeAll()
        for _ in 0..<size { table.append(0) }
    }

    private func home(_ id: UInt64) -> Int { Int(truncatingIfNeeded: id &* 0x9E37_79B9_7F4A_7C15 >> 32) & mask }

    /// Notes the next node by its span id; false when the same span is there. Spans that share an id but not their
    /// times are different ones, of a sender that makes bad ids.
    private mutating func insert(_ id: UInt64, _ record: SpanRecord, _ batch: borrowing RecordBatch) -> Bool {
        var slot = home(id)
        while table[slot] != 0 {
            let other = nodes[Int(table[slot]) - 1]
            if id != 0, other.id == id {
                let known = batch.spans[Int(other.span)]
                if known.start == record.start && known.end == record.end { return false }
            }
            slot = (slot + 1) & mask
        }
        table[slot] = Int32(truncatingIfNeeded: nodes.count + 1)
        return true
    }

    /// The node with this span id, -1 for none.
    private func find(_ id: UInt64) -> Int32 {
        var slot = home(id)
        while table[slot] != 0 {
            let node = table[slot] - 1
            if nodes[Int(node)].id == id { return node }
            slot = (slot + 1) & mask
        }
        return -1
    }

    /// Brings the steps into the order of the trace and ties them to their parents.
    private mutating func link() {
        for node in nodes.indices where nodes[node].step >= 0 {
            var depth = 0
            var above = nodes[node].parent
            var guardian = 0
            while above >= 0 && guardian < TraceSteps.maxDepth {
                if nodes[Int(above)].step >= 0 { depth += 1 }
                above = nodes[Int(above)].parent
                guardian += 1
            }
            steps[Int(nodes[node].step)].depth = Int16(truncatingIfNeeded: depth)
        }
        sorted.removeAll(keepingCapacity: true)
        for step in steps.indices { sorted.append(steps[step]) }
        sorted.sort(by: TraceSteps.isBefore)
        for (index, step) in sorted.enumerated() { steps[index] = step }
        // Until here a node knew its step by the order of reading, which is the step's row.
        var byRow = [Int32](repeating: -1, count: steps.count)
        for step in steps.indices { byRow[Int(steps[step].row)] = Int32(truncatingIfNeeded: step) }
        for node in nodes.indices where nodes[node].step >= 0 {
            nodes[node].step = byRow[Int(nodes[node].step)]
        }
        for node in nodes.indices where nodes[node].step >= 0 {
            var above = nodes[node].parent
            var guardian = 0
            while above >= 0, nodes[Int(above)].step < 0, guardian < TraceSteps.maxDepth {
                above = nodes[Int(above)].parent
                guardian += 1
            }
            if above >= 0 { steps[Int(nodes[node].step)].parent = nodes[Int(above)].step }
        }
    }

    /// The order of the trace. Where a clock counts seconds or nothing, spans of one time are in the order in which
    /// they came, which is that of their ends; the order of their ids says nothing, but is always the same.
    private static func isBefore(_ left: Step, _ right: Step) -> Bool {
        let one = (left.start, left.depth, left.end)
        let two = (right.start, right.depth, right.end)
        if one != two { return one < two }
        let isCoarse = left.start.isMultiple(of: 1_000_000_000)
        return isCoarse ? left.span < right.span : (left.id, left.span) < (right.id, right.span)
    }

    // MARK: Inheritance

    private mutating func inherit(_ batch: borrowing RecordBatch) {
        let firstAgent = adoptTraceFacts(batch)
        for index in steps.indices { inheritAgent(index, firstAgent, batch) }
    }

    /// Session and model of the trace. Returns the first agent's name, empty when none is named.
    private mutating func adoptTraceFacts(_ batch: borrowing RecordBatch) -> Text {
        conversation = firstText(.conversation, batch)
        model = firstText(.requestModel, batch)
        // The root's session wins over an earlier child's; sub-agents may carry one of their own.
        for index in steps.indices where steps[index].parent < 0 {
            let own = text(.conversation, steps[index], batch)
            if own.isEmpty { continue }
            conversation = own
            break
        }
        return firstText(.agentName, batch)
    }

    /// A fact's first text in the order of the trace, empty when no step has one.
    private func firstText(_ slot: Slot, _ batch: borrowing RecordBatch) -> Text {
        for index in steps.indices {
            let own = text(slot, steps[index], batch)
            if !own.isEmpty { return own }
        }
        return .empty
    }

    private mutating func inheritAgent(_ index: Int, _ firstAgent: Text, _ batch: borrowing RecordBatch) {
        var step = steps[index]
        let parent = Int(step.parent)
        // A child that started before its parent, by a skewed clock, walks up by itself.
        let above = parent >= 0 && parent < index ? steps[parent].agent : walkToAgent(parent)
        step.agent = step.kind == .agent ? Int32(truncatingIfNeeded: index) : above
        step.agentName = agentName(step, above: parent, firstAgent, batch)
        steps[index] = step
    }

    private func agentName(
        _ step: Step, above parent: Int, _ firstAgent: Text, _ batch: borrowing RecordBatch
    ) -> Text {
        let own = text(.agentName, step, batch)
        if !own.isEmpty { return own }
        if step.kind == .agent { return AgentName.ofSpan(named: batch.text(batch.spans[Int(step.span)].name)) }
        let inherited = parent >= 0 ? steps[parent].agentName : Text.empty
        return inherited.isEmpty ? firstAgent : inherited
    }

    private func walkToAgent(_ start: Int) -> Int32 {
        var index = start
        var guardian = 0
        while index >= 0 && guardian < TraceSteps.maxDepth {
            if steps[index].kind == .agent { return Int32(truncatingIfNeeded: index) }
            index = Int(steps[index].parent)
            guardian += 1
        }
        return -1
    }

    /// A model step around exactly one other model step, or a tool step inside the same tool, is the same call twice.
    private mutating func markWrappers(_ batch: borrowing RecordBatch) {
        var inner = [Int32](repeating: 0, count: steps.count)
        for index in steps.indices {
            let step = steps[index]
            var above = Int(step.parent)
            var guardian = 0
            while above >= 0 && guardian < TraceSteps.maxDepth {
                if step.kind == .model && steps[above].kind == .model {
                    inner[above] += 1
                    if inner[above] == 1 { adopt(from: above, to: index) }
                    break
                }
                if step.kind == .tool && steps[above].kind == .tool {
                    let name = text(.toolName, step, batch)
                    steps[index].isWrapper = name.isEmpty || text(.toolName, steps[above], batch) == name
                    break
                }
                if steps[above].kind == .agent { break }
                above = Int(steps[above].parent)
                guardian += 1
            }
        }
        for index in steps.indices where inner[index] > 0 { steps[index].isWrapper = true }
    }

    /// Facts that the outer span of a doubled model call has and the inner one lacks.
    private mutating func adopt(from outer: Int, to inner: Int) {
        let source = Int(steps[outer].row) * Slot.count
        let target = Int(steps[inner].row) * Slot.count
        for slot in [Slot.input, .output, .definitions, .finish, .requestModel] {
            let offset = Int(slot.rawValue)
            if places[target + offset] == 0 { places[target + offset] = places[source + offset] }
        }
    }
}
