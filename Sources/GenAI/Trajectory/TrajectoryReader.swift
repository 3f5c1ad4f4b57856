package import Telemetry

/// Reads the traces of a batch as trajectories, through the analysis that findings are made with. Not for use by two
/// threads at once.
package struct TrajectoryReader: ~Copyable {
    private var analyzer: TraceAnalyzer
    private var groups = TraceGroups()
    private var memory = FindingsMemory(sessions: 16, tools: 256)
    private var keys: FindingKeys?

    /// Longest attribute that is read.
    package init(maxValueBytes: Int = 1 << 20) {
        var options = FindingsOptions()
        options.enabled = []
        options.maxValueBytes = maxValueBytes
        analyzer = TraceAnalyzer(options: options)
    }

    /// The keys that batches must resolve.
    package static func intern(_ builder: inout KeyTable.Builder) { FindingKeys.intern(&builder) }

    /// One trajectory for each trace that has GenAI steps, in the order in which they began.
    package mutating func read(_ batch: borrowing RecordBatch) -> [Trajectory] {
        if keys?.isFor(batch.keys) != true { keys = FindingKeys(batch.keys) }
        guard let keys else { return [] }
        groups.group(batch)
        var result: [Trajectory] = []
        for range in groups.ranges {
            let spans = Array(groups.spans[range])
            analyzer.analyze(batch, spans: spans, keys: keys, memory: &memory)
            guard var trajectory = analyzer.trajectory(batch) else { continue }
            trajectory.spans = spans
            result.append(trajectory)
        }
        return result
    }
}

extension TraceAnalyzer {
    /// The trace that was analyzed last; nil when it has no GenAI steps. Before the batch is changed.
    mutating func trajectory(_ batch: borrowing RecordBatch) -> Trajectory? {
        guard trace.steps.count > 0 else { return nil }
        var result = Trajectory()
        result.rootSpan = rootSpan ?? 0
        let root = batch.spans[result.rootSpan]
        result.trace = batch.text(root.traceID).hexDigits
        result.root = batch.text(root.spanID).hexDigits
        result.conversation = trace.conversation.string
        result.model = trace.model.string
        addSteps(batch, &result)
        addInput(batch, &result)
        for index in definitions.indices {
            let name = definitions[index].name.string
            guard !result.tools.contains(where: { $0.name == name }) else { continue }
            let schema = definitions[index].schema
            result.tools.append((name, schema.exists ? json(schema) : "{}"))
            let description = tree.string(definitions[index].description)
            if !description.isEmpty { result.toolDescriptions[name] = description.string }
        }
        for index in calls.indices { result.calls.append(call(index, batch)) }
        if let last = lastTurn { result.output = turns[last].text.string }
        if result.output.isEmpty { result.output = agentAnswer(batch) }
        return result
    }

    private mutating func addSteps(_ batch: borrowing RecordBatch, _ result: inout Trajectory) {
        result.start = .max
        for index in trace.steps.indices {
            let step = trace.steps[index]
            result.start = min(result.start, step.start)
            result.end = max(result.end, step.end)
            if result.agent.isEmpty { result.agent = step.agentName.string }
            if step.isWrapper { continue }
            result.steps += 1
            if step.isFailed { result.failedSteps += 1 }
            if step.kind == .retrieval {
                let documents = document(trace.value(.documents, step, batch))
                if documents.exists { result.documents.append(json(documents)) }
            }
            guard step.kind == .model else { continue }
            result.modelCalls += 1
            result.inputTokens += max(0, trace.number(.inputTokens, step, batch) ?? 0)
            result.outputTokens += max(0, trace.number(.outputTokens, step, batch) ?? 0)
            result.cost += trace.number(.cost, step, batch) ?? 0
        }
        for node in trace.nodes.indices {
            let span = batch.spans[Int(trace.nodes[node].span)]
            for event in span.events.range where batch.text(batch.events[event].name) == "gen_ai.evaluation.result" {
                result.findings.append(TraceAnalyzer.event(batch.events[event].set, span, batch))
            }
        }
        result.findings.sort { ($0.span, $0.name, $0.rule) < ($1.span, $1.name, $1.rule) }
    }

    private mutating func addInput(_ batch: borrowing RecordBatch, _ result: inout Trajectory) {
        var list = JSONRef.none
        if turns.count > 0 { list = input(ofTurn: 0, batch) }
        for index in trace.steps.indices where !list.exists {
            let kind = trace.steps[index].kind
            if kind == .agent || kind == .workflow { list = document(trace.value(.input, trace.steps[index], batch)) }
        }
        guard tree.isArray(list) else { return }
        result.inputJSON = json(list)
        var message = tree.first(list)
        while message.exists {
            let text = texts(of: message)
            if !text.isEmpty {
                result.input.append(
                    Trajectory.Message(role: tree.string(tree.member(message, "role")).string, text: text))
            }
            message = tree.next(message)
        }
    }

    private mutating func texts(of message: JSONRef) -> String {
        var texts: [String] = []
        var part = tree.first(tree.member(message, "parts"))
        while part.exists {
            if tree.string(tree.member(part, "type")) == "text" {
                texts.append(tree.string(tree.member(part, "content")).string)
            }
            part = tree.next(part)
        }
        return texts.joined(separator: "\n")
    }

    private mutating func agentAnswer(_ batch: borrowing RecordBatch) -> String {
        for index in trace.steps.indices {
            let kind = trace.steps[index].kind
            guard kind == .agent || kind == .workflow else { continue }
            let list = document(trace.value(.output, trace.steps[index], batch))
            var text = ""
            var message = tree.first(list)
            while message.exists {
                let own = texts(of: message)
                if !own.isEmpty { text = own }
                message = tree.next(message)
            }
            if !text.isEmpty { return text }
        }
        return ""
    }

    private func call(_ index: Int, _ batch: borrowing RecordBatch) -> Trajectory.Call {
        let call = calls[index]
        var result = Trajectory.Call()
        result.id = call.id.string
        result.name = call.name.string
        if call.arguments.exists {
            result.arguments = .json(json(call.arguments))
        } else if !call.argumentsText.isEmpty {
            result.arguments = .text(call.argumentsText.string)
        } else if call.state == .empty {
            result.arguments = .json("{}")
        }
        if call.hasResult {
            result.result = call.result.exists ? .json(json(call.result)) : .text(call.resultText.string)
        }
        result.error = call.errorText.string
        result.isFailed = call.isFailed || call.isSoftError
        result.isEmpty = call.emptiness != .none
        result.span = batch.text(batch.spans[span(of: call)].spanID).hexDigits
        if call.step >= 0 {
            let step = trace.steps[Int(call.step)]
            result.seconds = step.end > step.start ? Double(step.end - step.start) / 1e9 : 0
        }
        return result
    }

    private func json(_ ref: JSONRef) -> String {
        var out = ByteColumn()
        tree.write(ref, into: &out)
        return String(decoding: out.bytes, as: UTF8.self)
    }

    private static func event(
        _ set: SetIndex, _ span: SpanRecord, _ batch: borrowing RecordBatch
    ) -> Trajectory.Event {
        var event = Trajectory.Event()
        event.span = batch.text(span.spanID).hexDigits
        for index in batch.range(of: set) {
            let key = batch.text(batch.attributes[index].key)
            switch batch.attributes[index].value {
            case .string(let reference): event.take(key, batch.text(reference).string)
            case .double(let number) where key == "gen_ai.evaluation.score.value": event.score = number
            case .int(let number) where key == "gen_ai.evaluation.score.value": event.score = Double(number)
            case .bool(let flag) where key == "sluice.finding.first_bad_step": event.isFirstBadStep = flag
            default: continue
            }
        }
        return event
    }
}

extension Trajectory.Event {
    fileprivate mutating func take(_ key: Text, _ text: String) {
        if key == "gen_ai.evaluation.name" { name = text }
        if key == "gen_ai.evaluation.score.label" { label = text }
        if key == "gen_ai.evaluation.explanation" { explanation = text }
        if key == "sluice.finding.rule" { rule = text }
        if key == "sluice.finding.tier" { tier = text }
        if key == "sluice.finding.evidence" { evidence = text }
        if key == "sluice.finding.cause_span_id" { cause = text }
    }
}
