import Telemetry

extension TraceAnalyzer {
    /// Reads the answer and the tool definitions of each model call.
    mutating func readTurns(_ batch: borrowing RecordBatch) {
        for index in trace.steps.indices where trace.steps[index].kind == .model && !trace.steps[index].isWrapper {
            let step = trace.steps[index]
            var turn = ModelTurn(step: Int32(truncatingIfNeeded: index))
            turn.finish = finish(step, batch)
            turn.definitions = readDefinitions(trace.value(.definitions, step, batch))
            turn.output = document(trace.value(.output, step, batch))
            readAnswer(&turn)
            turns.append(turn)
        }
    }

    /// Finish reasons are a list of strings; some senders write one string.
    private mutating func finish(_ step: Step, _ batch: borrowing RecordBatch) -> Finish {
        let value = trace.value(.finish, step, batch)
        guard value.exists, value.text.count <= 512 else { return .unknown }
        if value.kind == .string { return Finish(value.text) }
        let list = tree.read(value.text, isMap: false)
        return Finish(tree.string(tree.first(list)))
    }

    private mutating func readAnswer(_ turn: inout ModelTurn) {
        var message = tree.first(turn.output)
        while message.exists {
            let reason = tree.member(message, "finish_reason")
            if turn.finish == .unknown, tree.isString(reason) { turn.finish = Finish(tree.string(reason)) }
            var part = tree.first(tree.member(message, "parts"))
            while part.exists {
                let type = tree.string(tree.member(part, "type"))
                if type == "tool_call" {
                    turn.calls += 1
                } else if turn.text.isEmpty, type == "text" {
                    turn.text = tree.string(tree.member(part, "content")).trimmed
                }
                part = tree.next(part)
            }
            message = tree.next(message)
        }
    }

    /// The request of a turn, read when it is first asked for.
    mutating func input(ofTurn index: Int, _ batch: borrowing RecordBatch) -> JSONRef {
        if turns[index].didReadInput { return turns[index].input }
        turns[index].didReadInput = true
        let ref = document(trace.value(.input, trace.steps[Int(turns[index].step)], batch))
        turns[index].input = ref
        return ref
    }

    // MARK: Definitions

    /// The set of definitions in an attribute; the same bytes are read once per trace.
    mutating func readDefinitions(_ value: StepValue) -> Int32 {
        guard value.exists else { return -1 }
        for index in definitionSets.indices where definitionSets[index].source == value.text {
            return Int32(truncatingIfNeeded: index)
        }
        let list = document(value)
        guard list.exists else { return -1 }
        let start = definitions.count
        var item = tree.first(list)
        while item.exists, definitions.count < 4_096 {
            let name = tree.string(tree.member(item, "name"))
            if !name.isEmpty {
                definitions.append(
                    ToolDefinition(
                        name: name, schema: tree.member(item, "parameters"),
                        description: tree.member(item, "description")))
            }
            item = tree.next(item)
        }
        guard definitions.count > start else { return -1 }
        definitionSets.append(
            DefinitionSet(source: value.text, range: IndexRange(start: start, count: definitions.count - start)))
        return Int32(truncatingIfNeeded: definitionSets.count - 1)
    }

    /// When a trace brings no definitions, those last seen for its agent serve.
    mutating func recallDefinitions(_ memory: inout FindingsMemory) {
        guard definitions.count == 0, let key = agentKey, let bytes = memory.definitions.use(key) else { return }
        // The tree's texts must outlive the array.
        let copy = bytes.withUnsafeBytes { tree.arena.copy(Text($0)) }
        _ = readDefinitions(StepValue(kind: .string, text: copy))
    }

    /// Name of the trace's first agent, hashed.
    var agentKey: UInt64? {
        for index in trace.steps.indices where !trace.steps[index].agentName.isEmpty {
            return ContentHash.of(trace.steps[index].agentName)
        }
        return nil
    }

    /// The definition of a tool: in the set of the model call that asked for it, else anywhere in the trace.
    func definition(of call: ToolCall) -> ToolDefinition? {
        if let turn = turn(of: call), turns[turn].definitions >= 0 {
            for index in definitionSets[Int(turns[turn].definitions)].range.range
            where TraceAnalyzer.isSameTool(definitions[index].name, call.name) {
                return definitions[index]
            }
        }
        for index in definitions.indices where TraceAnalyzer.isSameTool(definitions[index].name, call.name) {
            return definitions[index]
        }
        return nil
    }

    /// The turn that asked for a call.
    func turn(of call: ToolCall) -> Int? {
        guard call.model >= 0 else { return nil }
        for index in turns.indices where turns[index].step == call.model { return index }
        return nil
    }

    /// Equal names; a plug-in's or server's name may stand before one of them: `shop-lookup`, `shop.lookup`.
    static func isSameTool(_ left: Text, _ right: Text) -> Bool {
        if left == right { return true }
        let (long, short) = left.count > right.count ? (left, right) : (right, left)
        guard short.count >= 3, long.count > short.count + 1, long.hasSuffix(short) else { return false }
        switch long[long.count - short.count - 1] {
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: ":"): return true
        case UInt8(ascii: "_"): return long.count > short.count + 2 && long[long.count - short.count - 2] == 0x5F
        default: return false
        }
    }
}
