import Telemetry

extension TraceAnalyzer {
    /// Collects the trace's tool calls from model answers, tool spans and later requests, each once.
    mutating func collectCalls(_ batch: borrowing RecordBatch) {
        let first = firstStepOfCalls()
        for turn in turns.indices where Int(turns[turn].step) >= first { announce(turn) }
        for index in trace.steps.indices where index >= first && isToolRun(index) { attach(index, batch) }
        if calls.count == 0 && turns.count == 0 { collectFromAgents(batch) }
        joinHandoffs(batch)
        joinResponses(batch)
        for index in calls.indices { finish(index, batch) }
    }

    // MARK: The latest calls

    private func isToolRun(_ index: Int) -> Bool {
        trace.steps[index].kind == .tool && !trace.steps[index].isWrapper
    }

    /// The step from which on models and tools are looked at, so that the latest calls are, however many came before.
    /// Those left out are noted as not assessable.
    private mutating func firstStepOfCalls() -> Int {
        skippedCalls = 0
        var (announced, ran) = (0, 0)
        for turn in turns.indices { announced += Int(turns[turn].calls) }
        for index in trace.steps.indices where isToolRun(index) { ran += 1 }
        if max(announced, ran) <= options.maxCalls { return 0 }
        var asked = [Int](repeating: 0, count: trace.steps.count)
        for turn in turns.indices { asked[Int(turns[turn].step)] = Int(turns[turn].calls) }
        (announced, ran) = (0, 0)
        var first = trace.steps.count
        while first > 0, max(announced, ran) < options.maxCalls {
            first -= 1
            announced += asked[first]
            if isToolRun(first) { ran += 1 }
        }
        // A single answer may ask for more.
        skippedCalls = max(0, announced - options.maxCalls)
        var (left, leftRan) = (skippedCalls, 0)
        for index in 0..<first {
            left += asked[index]
            if isToolRun(index) { leftRan += 1 }
        }
        noteOmitted(max(left, leftRan))
        return first
    }

    /// Counts calls that are not looked at, for each pattern that judges calls.
    private mutating func noteOmitted(_ count: Int) {
        guard count > 0 else { return }
        for pattern: FindingPattern in [
            .wrongToolSelection, .malformedToolArguments, .argumentAnomaly, .silentEmptyResponse, .softError, .loop,
            .retryStorm,
        ] {
            unassessable[pattern.index] += count
        }
    }

    /// Notes a call. One that was announced and one that ran may be two, so twice as many as `maxCalls` fit.
    private mutating func append(_ call: ToolCall) {
        guard calls.count < 2 * options.maxCalls else { return noteOmitted(1) }
        if !call.id.isEmpty {
            let hash = ContentHash.of(call.id)
            if callsByID[hash] == nil { callsByID[hash] = calls.count }
        }
        calls.append(call)
    }

    // MARK: What models ask for

    private mutating func announce(_ turn: Int) {
        guard turns[turn].calls > 0 else { return }
        var message = tree.first(turns[turn].output)
        while message.exists {
            announce(message: message, model: turns[turn].step)
            message = tree.next(message)
        }
    }

    private mutating func announce(message: JSONRef, model: Int32) {
        var part = tree.first(tree.member(message, "parts"))
        while part.exists {
            if tree.string(tree.member(part, "type")) == "tool_call" { announce(part: part, model: model) }
            part = tree.next(part)
        }
    }

    private mutating func announce(part: JSONRef, model: Int32) {
        if skippedCalls > 0 {
            skippedCalls -= 1
            return
        }
        var call = ToolCall()
        call.model = model
        call.isAnnounced = true
        call.name = tree.string(tree.member(part, "name"))
        call.id = tree.string(tree.member(part, "id"))
        if TraceAnalyzer.isNotCaptured(call.id) { call.id = .empty }
        let arguments = tree.member(part, "arguments")
        if tree.isString(arguments) {
            readArguments(tree.string(arguments), into: &call)
        } else if arguments.exists {
            take(arguments, into: &call, depth: 0)
        }
        if !call.id.isEmpty, let known = self.call(withID: call.id) {
            // Streams announce a call before its arguments are known.
            if lacksArguments(calls[known]) { takeArguments(of: call, into: known) }
            return
        }
        call.time = trace.steps[Int(model)].end
        call.signature = tree.canonicalHash(call.arguments)
        append(call)
    }

    /// Whether a call's arguments are unknown, or empty as those of a stream that was not put together.
    private func lacksArguments(_ call: ToolCall) -> Bool {
        switch call.state {
        case .missing, .limited, .empty: true
        case .object: tree.count(call.arguments) == 0
        default: false
        }
    }

    private mutating func takeArguments(of other: ToolCall, into index: Int) {
        guard other.state != .missing else { return }
        calls[index].state = other.state
        calls[index].arguments = other.arguments
        calls[index].argumentsText = other.argumentsText
        calls[index].signature = tree.canonicalHash(other.arguments)
    }

    private func call(withID id: Text) -> Int? {
        guard let found = callsByID[ContentHash.of(id)] else { return nil }
        return calls[found].id == id ? found : nil
    }

    // MARK: What ran

    private mutating func attach(_ index: Int, _ batch: borrowing RecordBatch) {
        let step = trace.steps[index]
        var own = ToolCall()
        own.step = Int32(truncatingIfNeeded: index)
        own.name = trace.text(.toolName, step, batch)
        own.id = trace.text(.toolCallID, step, batch)
        if TraceAnalyzer.isNotCaptured(own.id) { own.id = .empty }
        own.isFailed = step.isFailed
        own.time = step.start
        readArguments(of: step, into: &own, batch)
        readResult(trace.value(.result, step, batch), into: &own)
        if isMerelyMarked(step, batch), own.hasResult {
            own.isFailed = false
            own.isMarkedError = true
        }
        own.errorText = errorText(step, own, batch)
        guard let found = announced(own) else {
            own.model = modelBefore(index)
            append(own)
            return
        }
        var call = calls[found]
        call.step = own.step
        call.isFailed = own.isFailed
        call.time = own.time
        call.errorText = own.errorText
        call.hasResult = own.hasResult
        call.isResultHidden = own.isResultHidden
        call.result = own.result
        call.resultText = own.resultText
        call.resultHash = own.resultHash
        call.isMarkedError = own.isMarkedError
        calls[found] = call
        // The model's own words count; the span's only where those are missing.
        if lacksArguments(call) { takeArguments(of: own, into: found) }
    }

    private mutating func readArguments(of step: Step, into call: inout ToolCall, _ batch: borrowing RecordBatch) {
        let value = trace.value(.arguments, step, batch)
        guard value.exists else { return }
        guard admit(value.text) else {
            call.state = .limited
            return
        }
        switch value.kind {
        case .string: readArguments(value.text, into: &call)
        case .array, .map: take(tree.read(value.text, isMap: value.kind == .map), into: &call, depth: 0)
        default: return
        }
    }

    /// The announced call that a tool span ran: by id, else the oldest open one of that name with these arguments, else
    /// the oldest open one of that name.
    private mutating func announced(_ own: ToolCall) -> Int? {
        if !own.id.isEmpty, let found = call(withID: own.id) { return calls[found].step < 0 ? found : nil }
        let start = trace.steps[Int(own.step)].start
        let signature = tree.canonicalHash(own.arguments)
        var byName: Int?
        for index in calls.indices
        where calls[index].step < 0 && calls[index].isAnnounced && calls[index].name == own.name
            && trace.steps[Int(calls[index].model)].start <= start
        {
            if own.arguments.exists, calls[index].signature == signature { return index }
            if byName == nil { byName = index }
        }
        return byName
    }

    /// The last model call that ended before a tool step and belongs to the same agent, else to the trace.
    private func modelBefore(_ index: Int) -> Int32 {
        let step = trace.steps[index]
        var any: Int32 = -1
        var own: Int32 = -1
        for turn in turns.indices {
            guard Int(turns[turn].step) < index else { break }
            let model = trace.steps[Int(turns[turn].step)]
            any = turns[turn].step
            if model.agent == step.agent { own = turns[turn].step }
        }
        return own >= 0 ? own : any
    }

    /// Whether only what stood around a tool's result says that it failed, as `isError` of MCP does: the normalizer
    /// writes that down as an error type, and the span itself is well.
    private func isMerelyMarked(_ step: Step, _ batch: borrowing RecordBatch) -> Bool {
        batch.spans[Int(step.span)].statusCode != 2 && trace.text(.errorType, step, batch) == "tool_error"
    }

    /// What a failed span says: status message, exception, error type.
    private func errorText(_ step: Step, _ call: ToolCall, _ batch: borrowing RecordBatch) -> Text {
        guard call.isFailed else { return .empty }
        let span = batch.spans[Int(step.span)]
        for event in span.events.range where batch.text(batch.events[event].name) == "exception" {
            if let message = batch.string(keys.exceptionMessage, in: batch.events[event].set), !message.isEmpty {
                return message
            }
        }
        if !span.statusMessage.isEmpty { return batch.text(span.statusMessage) }
        if !call.resultText.isEmpty { return call.resultText }
        return trace.text(.errorType, step, batch)
    }

    // MARK: Traces without model spans

    /// Some senders put a whole run on one span: its messages hold the calls and their results.
    private mutating func collectFromAgents(_ batch: borrowing RecordBatch) {
        for index in trace.steps.indices
        where trace.steps[index].kind == .agent || trace.steps[index].kind == .workflow {
            for slot in [Slot.output, .input] {
                let list = document(trace.value(slot, trace.steps[index], batch))
                skippedCalls = max(0, countCalls(list) - options.maxCalls)
                noteOmitted(skippedCalls)
                var message = tree.first(list)
                while message.exists {
                    announce(message: message, model: Int32(truncatingIfNeeded: index))
                    message = tree.next(message)
                }
                if list.exists { readResponses(list) }
            }
            if calls.count > 0 { return }
        }
    }

    private mutating func countCalls(_ list: JSONRef) -> Int {
        var count = 0
        var message = tree.first(list)
        while message.exists {
            var part = tree.first(tree.member(message, "parts"))
            while part.exists {
                if tree.string(tree.member(part, "type")) == "tool_call" { count += 1 }
                part = tree.next(part)
            }
            message = tree.next(message)
        }
        return count
    }

    // MARK: Results in later requests

    /// Results of calls without a tool span stand in the requests that follow; the last one of an agent has them all.
    private mutating func joinResponses(_ batch: borrowing RecordBatch) {
        var isOpen = false
        for index in calls.indices where calls[index].step < 0 && !calls[index].hasResult && !calls[index].id.isEmpty {
            isOpen = true
        }
        guard isOpen else { return }
        // Agents whose last known request has been read.
        var isRead: Set<Int32> = []
        for turn in turns.indices.reversed() {
            let agent = trace.steps[Int(turns[turn].step)].agent
            if isRead.contains(agent) { continue }
            let list = input(ofTurn: turn, batch)
            isRead.insert(agent)
            if list.exists { readResponses(list) }
        }
    }

    private mutating func readResponses(_ list: JSONRef) {
        var message = tree.first(list)
        while message.exists {
            var part = tree.first(tree.member(message, "parts"))
            while part.exists {
                if tree.string(tree.member(part, "type")) == "tool_call_response" { readResponse(part) }
                part = tree.next(part)
            }
            message = tree.next(message)
        }
    }

    private mutating func readResponse(_ part: JSONRef) {
        let id = tree.string(tree.member(part, "id"))
        guard !id.isEmpty, let index = call(withID: id), calls[index].step < 0, !calls[index].hasResult else { return }
        let response = tree.member(part, "response")
        var call = calls[index]
        if tree.isString(response) {
            readResult(tree.string(response), into: &call)
        } else if response.exists {
            readResult(response, .empty, into: &call)
        }
        calls[index] = call
    }

    // MARK: Facts of a call

    private mutating func finish(_ index: Int, _ batch: borrowing RecordBatch) {
        var call = calls[index]
        if call.arguments.exists {
            call.signature = tree.canonicalHash(call.arguments)
        } else if !call.argumentsText.isEmpty {
            call.signature = ContentHash.of(call.argumentsText)
        } else if call.state == .empty {
            call.signature = 1
        }
        call.isMasked = isMasked(call)
        if call.isMasked { call.signature = signature(ofMasked: index, call) }
        call.isOpenEnded = TraceAnalyzer.isOpenEnded(call.name)
        if call.hasResult && !call.isFailed {
            let error = softError(call)
            if !error.isEmpty {
                call.isSoftError = true
                call.errorText = error
            } else {
                call.emptiness = emptiness(of: call)
                if call.isOpenEnded, TraceAnalyzer.isQuiet(call) { call.emptiness = .none }
            }
        }
        if call.isFailed || call.isSoftError { call.errorHash = call.errorText.isEmpty ? 2 : call.errorText.errorHash }
        calls[index] = call
    }
}
