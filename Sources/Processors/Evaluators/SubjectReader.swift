import GenAI
import Patterns
import Telemetry

/// Finds what an evaluator checks.
enum SubjectReader {
    static func subject(
        _ evaluator: Evaluator, _ span: Int, _ trajectory: Trajectory, _ session: EvaluatorsMemory.Session?,
        _ batch: borrowing RecordBatch
    ) -> Subject? {
        let name = evaluator.option.subject
        switch evaluator.option.level {
        case .span:
            if name == "latency" { return seconds(span, batch).map { .number($0) } }
            if name == "tokens" { return tokens(evaluator, span, batch).map { .number($0) } }
            if name == "empty_results" { return emptyResults(span, trajectory, batch).map { .number($0) } }
            if name == "cost" { return number(evaluator.cost, span, batch).map { .number($0) } }
        case .trace: if let subject = trace(name, trajectory) { return subject }
        case .session: if let session, let subject = sum(name, session, trajectory) { return subject }
        }
        return attribute(evaluator.attribute, span, batch)
    }

    /// 1 when the tool call that the span ran came back empty, 0 when it did not; nil when it has no result.
    private static func emptyResults(
        _ span: Int, _ trajectory: Trajectory, _ batch: borrowing RecordBatch
    ) -> Double? {
        let id = batch.text(batch.spans[span].spanID).hexDigits
        let call = trajectory.calls.first { $0.span == id && $0.result != nil }
        return call.map { $0.isEmpty ? 1 : 0 }
    }

    private static func trace(_ name: String, _ trajectory: Trajectory) -> Subject? {
        switch name {
        case "output": .text(trajectory.output)
        case "request": .text(trajectory.request)
        case "input": trajectory.inputJSON.isEmpty ? nil : .text(trajectory.inputJSON)
        case "tokens": .number(trajectory.tokens)
        case "input_tokens": .number(trajectory.inputTokens)
        case "output_tokens": .number(trajectory.outputTokens)
        case "cost": .number(trajectory.cost)
        case "latency": .number(trajectory.seconds)
        case "steps": .number(Double(trajectory.steps))
        case "model_calls": .number(Double(trajectory.modelCalls))
        case "tool_calls": .number(Double(trajectory.calls.count))
        case "empty_results": .number(Double(trajectory.calls.filter(\.isEmpty).count))
        case "failed_steps": .number(Double(trajectory.failedSteps))
        case "findings": .number(Double(trajectory.findings.filter { !$0.tier.isEmpty }.count))
        default: nil
        }
    }

    private static func sum(
        _ name: String, _ session: EvaluatorsMemory.Session, _ trajectory: Trajectory
    ) -> Subject? {
        switch name {
        case "output", "request", "input": trace(name, trajectory)
        case "turns": .number(session.turns)
        case "tokens": .number(session.inputTokens + session.outputTokens)
        case "input_tokens": .number(session.inputTokens)
        case "output_tokens": .number(session.outputTokens)
        case "cost": .number(session.cost)
        case "latency": .number(session.seconds)
        case "steps": .number(session.steps)
        case "model_calls": .number(session.modelCalls)
        case "tool_calls": .number(session.toolCalls)
        case "empty_results": .number(session.emptyResults)
        case "failed_steps": .number(session.failedSteps)
        case "findings": .number(session.findings)
        default: nil
        }
    }

    /// An attribute of the span, else of its resource.
    private static func attribute(_ key: KeyID, _ span: Int, _ batch: borrowing RecordBatch) -> Subject? {
        let record = batch.spans[span]
        let resource = batch.resources[batch.resource(ofScope: record.scope)].set
        guard let index = batch.find(key, in: record.set) ?? batch.find(key, in: resource) else { return nil }
        switch batch.attributes[index].value {
        case .string(let text): return .text(batch.text(text).string)
        case .int(let number): return .number(Double(number))
        case .double(let number): return .number(number)
        case .bool(let flag): return .text(flag ? "true" : "false")
        case .array(let content): return .text(json(batch.text(content), isMap: false))
        case .map(let content): return .text(json(batch.text(content), isMap: true))
        default: return nil
        }
    }

    private static func json(_ content: Text, isMap: Bool) -> String {
        var tree = JSONTree()
        var out = ByteColumn()
        tree.write(tree.read(content, isMap: isMap), into: &out)
        return String(decoding: out.bytes, as: UTF8.self)
    }

    private static func seconds(_ span: Int, _ batch: borrowing RecordBatch) -> Double? {
        let record = batch.spans[span]
        return record.end >= record.start ? Double(record.end - record.start) / 1e9 : nil
    }

    private static func number(_ key: KeyID, _ span: Int, _ batch: borrowing RecordBatch) -> Double? {
        guard let index = batch.find(key, in: batch.spans[span].set) else { return nil }
        switch batch.attributes[index].value {
        case .int(let number): return Double(number)
        case .double(let number): return number
        default: return nil
        }
    }

    private static func tokens(_ evaluator: Evaluator, _ span: Int, _ batch: borrowing RecordBatch) -> Double? {
        let input = number(evaluator.inputTokens, span, batch)
        let output = number(evaluator.outputTokens, span, batch)
        return input == nil && output == nil ? nil : (input ?? 0) + (output ?? 0)
    }

    // MARK: Baselines

    static func measure(
        _ measure: BaselineOption.Measure, _ evaluator: Evaluator, _ span: Int, _ trajectory: Trajectory,
        _ batch: borrowing RecordBatch
    ) -> Double? {
        let isSpan = evaluator.option.level == .span
        switch measure {
        case .tokens: return isSpan ? tokens(evaluator, span, batch) : trajectory.tokens
        case .latency: return isSpan ? seconds(span, batch) : trajectory.seconds
        case .cost: return isSpan ? number(evaluator.cost, span, batch) : trajectory.cost
        case .steps: return Double(trajectory.steps)
        case .emptyRate: return nil
        }
    }

    /// Whose baseline a value belongs to.
    static func owner(
        _ key: BaselineOption.Key, _ evaluator: Evaluator, _ span: Int, _ trajectory: Trajectory,
        _ batch: borrowing RecordBatch
    ) -> String {
        let set = batch.spans[span].set
        switch key {
        case .agent: return trajectory.agent
        case .tool: return batch.string(evaluator.tool, in: set)?.string ?? ""
        case .model: return batch.string(evaluator.model, in: set)?.string ?? trajectory.model
        }
    }
}

/// Holds a value against a check.
enum SubjectCheck {
    /// Content of the value does not get into evidence and explanation.
    static func judge(_ option: EvaluatorOption, _ subject: Subject, _ matcher: borrowing PatternMatcher) -> Verdict {
        let name = option.subject
        switch option.check {
        case .range(let minimum, let maximum):
            guard let number = number(subject) else { return .notAssessable }
            let isWithin = number >= minimum ?? -.infinity && number <= maximum ?? .infinity
            let range: String
            switch (minimum, maximum) {
            case (let least?, let most?): range = "\(shown(least)) to \(shown(most))"
            case (let least?, nil): range = "at least \(shown(least))"
            case (nil, let most?): range = "at most \(shown(most))"
            case (nil, nil): range = "any"
            }
            return verdict(isWithin, "\(name)=\(shown(number))", "\(name) is \(shown(number)), wanted \(range).")
        case .schema(let schema):
            let faults = schema.faults(of: text(subject))
            let words = faults.joined(separator: ", ")
            return verdict(
                faults.isEmpty, faults.isEmpty ? "" : "faults=\(words)",
                faults.isEmpty ? "\(name) meets the schema." : "\(name) does not meet the schema: \(words).")
        case .pattern(let pattern, let isWanted):
            var value = text(subject)
            let isMatch = value.withUTF8 {
                pattern.matches(Text(UnsafeRawBufferPointer($0)), matcher, otherwise: !isWanted)
            }
            return verdict(
                isMatch == isWanted, "pattern=\(pattern.text)",
                "\(name) \(isMatch ? "matches" : "does not match") \(pattern.text).")
        case .contains(let texts, let isWanted):
            let value = text(subject).lowercased()
            let wrong = texts.filter { text in
                let isThere = text.isEmpty || value.contains(text.lowercased())
                return isThere != isWanted
            }
            let words = wrong.map { "\"\($0)\"" }.joined(separator: ", ")
            return verdict(
                wrong.isEmpty, wrong.isEmpty ? "" : "texts=\(words)",
                wrong.isEmpty ? "\(name) is as wanted." : "\(name) \(isWanted ? "lacks" : "contains") \(words).")
        case .equals(let wanted):
            let isEqual = text(subject) == wanted
            return verdict(isEqual, "", "\(name) is \(isEqual ? "" : "not ")\"\(wanted)\".")
        case .condition, .baseline: return .notAssessable
        }
    }

    private static func verdict(_ isPassed: Bool, _ evidence: String, _ words: String) -> Verdict {
        isPassed ? .passed(evidence: evidence, words) : .failed(evidence: evidence, words)
    }

    private static func number(_ subject: Subject) -> Double? {
        switch subject {
        case .number(let number): number
        case .text(let text): Double(text)
        }
    }

    private static func text(_ subject: Subject) -> String {
        switch subject {
        case .number(let number): shown(number)
        case .text(let text): text
        }
    }

    /// At most four digits behind the point.
    static func shown(_ value: Double) -> String {
        let rounded = (value * 10_000).rounded() / 10_000
        return rounded == rounded.rounded() && abs(rounded) < 1e15 ? String(Int(rounded)) : String(rounded)
    }
}
