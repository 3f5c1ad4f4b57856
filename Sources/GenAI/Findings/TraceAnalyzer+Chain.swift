#if canImport(Glibc)
    import Glibc
#endif
import Telemetry

extension TraceAnalyzer {
    /// Marks where the trace first went wrong and counts what came after; brings the findings into the trace's order.
    mutating func chain(_ batch: borrowing RecordBatch) {
        if findings.isEmpty { return }
        var place: [Int: Int] = [:]
        for index in trace.steps.indices { place[Int(trace.steps[index].span)] = index }
        func order(_ span: Int) -> Int { place[span] ?? Int.max }
        let found = findings.sorted { left, right in
            let one = (order(left.span), right.tier.rawValue, left.pattern.rawValue, left.rule.rawValue)
            let two = (order(right.span), left.tier.rawValue, right.pattern.rawValue, right.rule.rawValue)
            return one != two ? one < two : (left.call, left.ruleName) < (right.call, right.ruleName)
        }
        findings = found
        for index in findings.indices {
            guard let step = place[findings[index].span] else { continue }
            findings[index].agent = inheritedAgent(trace.steps[step], batch)
        }
        // A hint alone does not make a step bad; one that explains another finding does, through that one's cause.
        var first: Int?
        var at = Int.max
        for (index, finding) in findings.enumerated() where finding.tier > .hint && isStep(finding.pattern) {
            let step = min(order(finding.span), finding.cause.map(order) ?? Int.max)
            if step < at {
                at = step
                first = index
            }
        }
        guard let first, at < trace.steps.count else { return }
        findings[first].isFirstBadStep = true
        findings[first].stepsAfter = stepsAfter(at)
        let flagged = findings.enumerated().filter {
            $0.offset != first && $0.element.tier > .hint && order($0.element.span) > at
        }.count
        findings[first].evidence += " steps_after=\(findings[first].stepsAfter) findings_after=\(flagged)"
    }

    /// The agent that a step belongs to, where its own span does not name it.
    private func inheritedAgent(_ step: Step, _ batch: borrowing RecordBatch) -> String {
        trace.text(.agentName, step, batch).isEmpty ? step.agentName.string : ""
    }

    /// Budgets and durations are about the whole trace.
    private func isStep(_ pattern: FindingPattern) -> Bool {
        switch pattern {
        case .stepBudget, .tokenBudget, .costBudget, .latencyOutlier: false
        default: true
        }
    }

    private func stepsAfter(_ step: Int) -> Int {
        var count = 0
        for index in trace.steps.indices where index > step && !trace.steps[index].isWrapper {
            switch trace.steps[index].kind {
            case .model, .tool, .retrieval, .embedding: count += 1
            default: continue
            }
        }
        return count
    }

    // MARK: Sessions

    /// The session that the trace names; else that of the trace that its spans link to, since some frameworks split a
    /// run into traces joined by links.
    mutating func joinSession(_ batch: borrowing RecordBatch, _ memory: inout FindingsMemory) {
        let first = batch.spans[Int(trace.nodes[0].span)]
        traceKey = ContentHash.of(batch.text(first.traceID))
        sessionKey = traceKey
        if !trace.conversation.isEmpty {
            sessionKey = ContentHash.of(trace.conversation)
        } else if let linked = linkedTrace(batch) {
            sessionKey = memory.groups.use(linked) ?? linked
        } else if let known = memory.groups.use(traceKey) {
            // An earlier piece of the trace said it.
            sessionKey = known
        }
        memory.groups.set(traceKey, sessionKey)
    }

    /// The other trace that the earliest linking span links to.
    private func linkedTrace(_ batch: borrowing RecordBatch) -> UInt64? {
        var found: UInt64?
        var order: (start: UInt64, id: UInt64) = (.max, .max)
        for node in trace.nodes.indices {
            let span = batch.spans[Int(trace.nodes[node].span)]
            guard span.links.count > 0, (span.start, trace.nodes[node].id) < order else { continue }
            for link in span.links.range where !batch.links[link].edits.contains(.removed) {
                let id = batch.text(batch.links[link].traceID)
                guard id.count == 16, !(id == batch.text(span.traceID)) else { continue }
                found = ContentHash.of(id)
                order = (span.start, trace.nodes[node].id)
                break
            }
        }
        return found
    }

    // MARK: What later traces need

    /// Writes the trace into the memory: how tools answered, the session's calls, definitions and durations.
    mutating func remember(_ batch: borrowing RecordBatch, _ memory: inout FindingsMemory) {
        for index in calls.indices {
            let call = calls[index]
            if call.hasResult, !call.isFailed, call.showsHabit {
                let key = call.name.looseHash
                var facts = memory.tools.use(key) ?? FindingsMemory.ToolFacts()
                facts.calls &+= 1
                if call.emptiness != .none { facts.empties &+= 1 }
                memory.tools.set(key, facts)
            }
            if call.step >= 0, !call.isHandoff {
                let step = trace.steps[Int(call.step)]
                remember(call.name.looseHash ^ 0x70, from: step.start, to: step.end, &memory)
            }
        }
        if let key = agentKey {
            if let root = rootSpan {
                remember(key ^ 0xA6, from: batch.spans[root].start, to: batch.spans[root].end, &memory)
            }
            if definitionSets.count > 0, definitionSets[0].source.count <= FindingsMemory.definitionBytes {
                let source = definitionSets[0].source
                // Only text can be read again; structured definitions are rare.
                if source.count > 0, source[0] == UInt8(ascii: "[") {
                    // They are long and seldom change; what is set is also written to disk.
                    let known = memory.definitions.use(key)
                    if known?.elementsEqual(source.bytes) != true {
                        memory.definitions.set(key, [UInt8](source.bytes))
                    }
                }
            }
        }
        rememberSession(batch, &memory)
    }

    private func remember(_ key: UInt64, from start: UInt64, to end: UInt64, _ memory: inout FindingsMemory) {
        guard end > start else { return }
        var durations = memory.durations.use(key) ?? FindingsMemory.Durations()
        durations.add(log(Double(end - start)))
        memory.durations.set(key, durations)
    }

    /// What is the same when a call comes again: the span that ran it, else the one that asked and the call's id.
    func spanKey(_ index: Int) -> UInt64 {
        let call = calls[index]
        var hash = ContentHash(seed: call.step >= 0 ? 0x51 : 0x52)
        if let step = call.step >= 0 ? call.step : call.model >= 0 ? call.model : nil {
            hash.add(trace.steps[Int(step)].id)
            hash.add(trace.steps[Int(step)].start)
        }
        if call.step < 0 {
            hash.add(call.id)
            hash.add(call.signature)
        }
        return hash.value
    }

    private func rememberSession(_ batch: borrowing RecordBatch, _ memory: inout FindingsMemory) {
        guard calls.count > 0 else { return }
        var seen = memory.sessions.use(sessionKey) ?? []
        let nodes = trace.nodesOfSteps()
        for index in calls.indices.sorted(by: { isBefore($0, $1) }).suffix(options.repeatWindow) {
            seen.take(seenCall(index, nodes, batch))
        }
        seen.keepLatest(options.repeatWindow)
        var tools = memory.sessionTools.use(sessionKey) ?? []
        for index in calls.indices {
            let tool = TraceAnalyzer.toolHash(calls[index].name)
            if !tools.contains(tool), tools.count < 64 { tools.append(tool) }
        }
        memory.sessions.set(sessionKey, seen)
        memory.sessionTools.set(sessionKey, tools)
    }

    /// A call as later pieces and traces need to know it. `nodes` are those of the steps.
    func seenCall(_ index: Int, _ nodes: [Int32], _ batch: borrowing RecordBatch) -> FindingsMemory.SeenCall {
        let call = calls[index]
        let owner = owner(of: call, nodes, batch)
        let isFailing = isFailing(call)
        let isEmpty = !isFailing && call.emptiness != .none
        return FindingsMemory.SeenCall(
            trace: traceKey, span: spanKey(index), id: call.step >= 0 ? trace.steps[Int(call.step)].id : 0,
            callID: call.id.isEmpty ? 0 : ContentHash.of(call.id), name: call.name.looseHash,
            signature: call.signature, result: call.resultHash, error: call.errorHash, agent: owner.agent,
            owner: owner.above.last ?? 0, service: owner.service, began: owner.began, ended: owner.ended,
            time: call.time, isFailed: isFailing || isEmpty, isEmpty: isEmpty, hasSpan: call.step >= 0,
            isChange: isChange(call), isOpenEnded: call.isOpenEnded, hasAgent: owner.hasAgent)
    }
}
