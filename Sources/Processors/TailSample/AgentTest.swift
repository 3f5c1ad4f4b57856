import GenAI
import OTTL
import Telemetry

/// Policies on what an agent did, by the GenAI conventions of its spans.
struct AgentTest: Sendable {
    private enum Rule: Sendable {
        case toolError([[UInt8]])
        case toolEmptyResult([[UInt8]])
        case loop(repeats: Int)
        case sum([KeyID], above: Double)
        case finishReason([[UInt8]])
        case noFinalAnswer
        case finding(names: [[UInt8]], labels: [[UInt8]])
    }

    private let rule: Rule
    private let operation, toolName, toolResult, toolArguments, errorType, reasons, outputMessages, findingName,
        findingLabel: KeyID

    /// `rule` is one of the agent policies.
    init(_ rule: PolicyRule, _ keys: inout KeyTable.Builder) {
        func bytes(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }
        switch rule {
        case .toolError(let tools): self.rule = .toolError(bytes(tools))
        case .toolEmptyResult(let tools): self.rule = .toolEmptyResult(bytes(tools))
        case .loop(let repeats): self.rule = .loop(repeats: repeats)
        case .sum(let names, let above):
            var found: [KeyID] = []
            for name in names { found.append(keys.intern(name)) }
            self.rule = .sum(found, above: above)
        case .finishReason(let values): self.rule = .finishReason(bytes(values))
        case .finding(let names, let labels): self.rule = .finding(names: bytes(names), labels: bytes(labels))
        default: self.rule = .noFinalAnswer
        }
        operation = keys.intern("gen_ai.operation.name")
        toolName = keys.intern("gen_ai.tool.name")
        toolResult = keys.intern("gen_ai.tool.call.result")
        toolArguments = keys.intern("gen_ai.tool.call.arguments")
        errorType = keys.intern("error.type")
        reasons = keys.intern("gen_ai.response.finish_reasons")
        outputMessages = keys.intern("gen_ai.output.messages")
        findingName = keys.intern("gen_ai.evaluation.name")
        findingLabel = keys.intern("gen_ai.evaluation.score.label")
    }

    func holds(_ batch: borrowing RecordBatch) -> Bool {
        switch rule {
        case .loop(let repeats): return loops(batch, repeats)
        case .sum(let keys, let above): return sum(batch, keys) > above
        case .noFinalAnswer: return endsWithoutAnswer(batch)
        default: break
        }
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            if holds(batch, batch.spans[index]) { return true }
        }
        return false
    }

    private func holds(_ batch: borrowing RecordBatch, _ span: SpanRecord) -> Bool {
        switch rule {
        case .toolError(let tools): return isTool(batch, span, tools) && hasFailed(batch, span)
        case .toolEmptyResult(let tools):
            guard isTool(batch, span, tools), !hasFailed(batch, span) else { return false }
            guard let index = batch.find(toolResult, in: span.set) else { return false }
            switch batch.attributes[index].value {
            case .string(let text): return EmptyResult.isEmpty(batch.text(text))
            case .empty: return true
            case .array(let text), .map(let text): return batch.text(text).isEmpty
            default: return false
            }
        case .finishReason(let values): return isFinished(batch, span, by: values)
        case .finding(let names, let labels): return hasFinding(batch, span, names, labels)
        case .loop, .sum, .noFinalAnswer: return false
        }
    }

    // MARK: Tools

    private func isTool(_ batch: borrowing RecordBatch, _ span: SpanRecord, _ tools: [[UInt8]]) -> Bool {
        let name = batch.string(toolName, in: span.set)
        if let operation = batch.string(operation, in: span.set) {
            guard operation == "execute_tool" else { return false }
        } else if name == nil {
            return false
        }
        guard !tools.isEmpty else { return true }
        guard let name else { return false }
        return tools.contains { name.bytes.elementsEqual($0) }
    }

    private func hasFailed(_ batch: borrowing RecordBatch, _ span: SpanRecord) -> Bool {
        span.statusCode == 2 || batch.find(errorType, in: span.set) != nil
    }

    /// What a span counts for: senders and journals repeat what was not acknowledged, which counts once. Spans that
    /// share an id but not their times, or what they say, are different ones. There are no more than a trace has spans.
    private struct Share: Hashable {
        var id: UInt64
        var start: UInt64
        var end: UInt64
        var facts: UInt64
    }

    /// Equal calls are those of one tool with the same arguments; JSON in another spelling is the same.
    private func loops(_ batch: borrowing RecordBatch, _ repeats: Int) -> Bool {
        var counts: [UInt64: Int] = [:]
        var known: Set<Share> = []
        var tree = JSONTree()
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let span = batch.spans[index]
            guard isTool(batch, span, []), let name = batch.string(toolName, in: span.set) else { continue }
            var hash = Hasher()
            hash.combine(bytes: name.bytes)
            if let found = batch.find(toolArguments, in: span.set) {
                AgentTest.combine(batch.attributes[found], batch, &tree, into: &hash)
            }
            let key = UInt64(bitPattern: Int64(hash.finalize()))
            guard isFirst(key, of: span, batch, &known) else { continue }
            let count = (counts[key] ?? 0) + 1
            if count >= repeats { return true }
            counts[key] = count
        }
        return false
    }

    /// Whether what a span says is not a copy; one without a usable id is none.
    private func isFirst(
        _ facts: UInt64, of span: SpanRecord, _ batch: borrowing RecordBatch, _ known: inout Set<Share>
    ) -> Bool {
        let id = AgentTest.id(batch.text(span.spanID))
        return id == 0 || known.insert(Share(id: id, start: span.start, end: span.end, facts: facts)).inserted
    }

    /// Adds arguments as findings compare them: by what they mean when they can be read as JSON, else by their bytes.
    private static func combine(
        _ attribute: AttributeRecord, _ batch: borrowing RecordBatch, _ tree: inout JSONTree, into hash: inout Hasher
    ) {
        tree.reset()
        switch attribute.value {
        case .string(let reference):
            let text = batch.text(reference)
            if case .value(let root) = tree.parse(text) { return hash.combine(tree.canonicalHash(root)) }
            hash.combine(bytes: text.bytes)
        case .array(let reference), .map(let reference):
            let root = tree.read(batch.text(reference), isMap: attribute.kind == .map)
            if root.exists { return hash.combine(tree.canonicalHash(root)) }
            hash.combine(bytes: batch.text(reference).bytes)
        case .bytes: hash.combine(bytes: batch.text(attribute.text).bytes)
        default: hash.combine(attribute.payload)
        }
    }

    // MARK: Model calls

    /// Spans of agents and workflows often repeat the sums of the calls below them.
    private func isModelCall(_ batch: borrowing RecordBatch, _ span: SpanRecord) -> Bool {
        guard let operation = batch.string(operation, in: span.set) else { return true }
        return
            !(operation == "invoke_agent" || operation == "create_agent" || operation == "execute_tool"
            || operation == "invoke_workflow")
    }

    /// Added up from the smallest number on: in another order the last digit of a sum of fractions may differ.
    private func sum(_ batch: borrowing RecordBatch, _ keys: [KeyID]) -> Double {
        var numbers: [Double] = []
        var known: Set<Share> = []
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let span = batch.spans[index]
            guard isModelCall(batch, span) else { continue }
            var own: [Double] = []
            for key in keys {
                if let value = number(batch, span, key) { own.append(value) }
            }
            if own.isEmpty { continue }
            var hash = Hasher()
            hash.combine(own)
            guard isFirst(UInt64(bitPattern: Int64(hash.finalize())), of: span, batch, &known) else { continue }
            numbers += own
        }
        return numbers.sorted().reduce(0, +)
    }

    private func number(_ batch: borrowing RecordBatch, _ span: SpanRecord, _ key: KeyID) -> Double? {
        guard let found = batch.find(key, in: span.set) else { return nil }
        switch batch.attributes[found].value {
        case .int(let number): return Double(number)
        case .double(let number) where number.isFinite: return number
        default: return nil
        }
    }

    private func isFinished(_ batch: borrowing RecordBatch, _ span: SpanRecord, by values: [[UInt8]]) -> Bool {
        guard let index = batch.find(reasons, in: span.set) else { return endsMessage(batch, span, by: values) }
        switch batch.attributes[index].value {
        case .string(let reference):
            let text = batch.text(reference)
            return values.contains { text.bytes.elementsEqual($0) }
        case .array(let reference):
            let content = batch.text(reference)
            return values.contains { value in
                value.withUnsafeBytes { ListText.contains(content, Text($0)) }
            }
        default: return false
        }
    }

    /// The same for a span that says why it ended in its output messages alone: the first reason there counts.
    private func endsMessage(_ batch: borrowing RecordBatch, _ span: SpanRecord, by values: [[UInt8]]) -> Bool {
        guard let index = batch.find(outputMessages, in: span.set) else { return false }
        var tree = JSONTree()
        let list: JSONRef
        switch batch.attributes[index].value {
        case .string(let reference):
            guard case .value(let root) = tree.parse(batch.text(reference)) else { return false }
            list = root
        case .array(let reference): list = tree.read(batch.text(reference), isMap: false)
        default: return false
        }
        var message = tree.first(list)
        while message.exists {
            let reason = tree.member(message, "finish_reason")
            if tree.isString(reason) {
                let text = tree.string(reason)
                return values.contains { text.bytes.elementsEqual($0) }
            }
            message = tree.next(message)
        }
        return false
    }

    private static let openEnds = ["tool_calls", "tool_call", "function_call", "length", "content_filter", "error"]
        .map { Array($0.utf8) }

    /// Whether the model call that ended last failed, was cut off, or asked for a tool that nobody called. A piece of a
    /// trace does not tell.
    private func endsWithoutAnswer(_ batch: borrowing RecordBatch) -> Bool {
        var last: SpanRecord?
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let span = batch.spans[index]
            guard isModelCall(batch, span), batch.find(operation, in: span.set) != nil else { continue }
            if let other = last, other.end > span.end || other.end == span.end && isLater(other, span, batch) {
                continue
            }
            last = span
        }
        guard let last, last.statusCode == 2 || isFinished(batch, last, by: AgentTest.openEnds) else { return false }
        return isWhole(above: last, batch)
    }

    /// Spans above one that are looked up to, as findings do.
    private static let depthMax = 256

    /// Whether all spans above one have come, by which findings tell too whether the end of a run is known: of a trace
    /// in pieces, or whose callers report elsewhere, it may be in another piece.
    private func isWhole(above span: SpanRecord, _ batch: borrowing RecordBatch) -> Bool {
        var parents: [UInt64: UInt64] = [:]
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let other = batch.spans[index]
            let parent = AgentTest.id(batch.text(other.parentID))
            // Of spans that share an id one is taken whatever the order of arrival.
            let id = AgentTest.id(batch.text(other.spanID))
            parents[id] = min(parents[id] ?? parent, parent)
        }
        var parent = AgentTest.id(batch.text(span.parentID))
        var depth = 0
        while parent != 0, depth < AgentTest.depthMax {
            guard let above = parents[parent] else { return false }
            parent = above
            depth += 1
        }
        return true
    }

    private static func id(_ text: Text) -> UInt64 {
        text.count == 8 ? text.start.loadUnaligned(as: UInt64.self) : 0
    }

    /// Ties are broken by span id, so that the order of arrival does not matter.
    private func isLater(_ one: SpanRecord, _ other: SpanRecord, _ batch: borrowing RecordBatch) -> Bool {
        other.spanID == one.spanID
            || batch.text(other.spanID).bytes.lexicographicallyPrecedes(batch.text(one.spanID).bytes)
    }

    // MARK: Findings

    private func hasFinding(
        _ batch: borrowing RecordBatch, _ span: SpanRecord, _ names: [[UInt8]], _ labels: [[UInt8]]
    ) -> Bool {
        for index in span.events.range where !batch.events[index].edits.contains(.removed) {
            let event = batch.events[index]
            guard batch.text(event.name) == "gen_ai.evaluation.result" else { continue }
            if has(batch, event.set, findingName, names), has(batch, event.set, findingLabel, labels) { return true }
        }
        return false
    }

    private func has(
        _ batch: borrowing RecordBatch, _ set: SetIndex, _ key: KeyID, _ wanted: [[UInt8]]
    ) -> Bool {
        if wanted.isEmpty { return true }
        guard let text = batch.string(key, in: set) else { return false }
        return wanted.contains { text.bytes.elementsEqual($0) }
    }
}

/// Results of tools that say nothing.
enum EmptyResult {
    /// Empty, a word for nothing, or JSON in which every text and container is empty and every number 0.
    static func isEmpty(_ text: Text) -> Bool {
        let bytes = ByteCursor(text)
        var index = 0
        while ByteClass.isSpace(bytes[index]) { index += 1 }
        if index == text.count { return true }
        if bytes[index] != 0x7B, bytes[index] != 0x5B, bytes[index] != 0x22 {
            let word = text[index..<text.count].string.lowercased()
            return ["null", "none", "nil", "undefined", "n/a", "no results", "not found"].contains(
                word.trimmingSuffix())
        }
        var containers = Column<UInt8>()
        var tokens = JSONTokens(text, base: 0)
        while let token = tokens.next(&containers) {
            switch token.kind {
            case .key, .open, .close: continue
            case .string: if token.end > token.start { return false }
            case .scalar:
                let first = bytes[token.start]
                // null, true and false say nothing of what was found; a number but zero does.
                if first == 0x6E || first == 0x74 || first == 0x66 { continue }
                for place in token.start..<token.end where bytes[place] &- 0x31 < 9 { return false }
            case .end: return true
            }
        }
        return false
    }
}

extension String {
    fileprivate func trimmingSuffix() -> String {
        var text = Substring(self)
        while let last = text.last, last.isWhitespace || last == "." || last == "!" { text.removeLast() }
        return String(text)
    }
}
