import Telemetry

extension Program {
    /// Runs an editor.
    func edit(
        _ index: Int32, _ batch: inout RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let call = Call(program: self, node: nodes[Int(index)])
        do throws(EvaluationFailure) {
            switch call.node.function {
            case .set:
                let value = try call.value(1, batch, place, &state)
                if !value.isNone { try assign(call.target(0), value, &batch, place, &state) }
            case .append: try append(call, &batch, place, &state)
            case .deleteIndex: try deleteIndex(call, &batch, place, &state)
            case .replacePattern, .replaceMatch: try replaceOne(call, &batch, place, &state)
            case .route: return
            case .setSemconvSpanName: try setSemconvName(call, &batch, place, &state)
            case let function where function.isMetricEditor:
                state.metricChange = try metricChange(call, batch, place, &state)
            default: try editMap(call, &batch, place, &state)
            }
        } catch {
            var failure = error
            if failure.offset < 0 { failure.offset = call.node.offset }
            throw failure
        }
    }

    // MARK: Lists

    private func append(
        _ call: Call, _ batch: inout RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let old = try value(call.target(0), batch, place, &state)
        let mark = state.scratch.count
        do throws(EvaluationFailure) {
            switch old {
            case .none: break
            case .list(let content): state.scratch.append(content)
            case .map, .set: throw EvaluationFailure(.wrongType)
            default: try state.scratch.appendValue(tag: 0x0A, old, batch)
            }
            for argument in 1...2 where call.isGiven(argument) {
                switch try call.value(argument, batch, place, &state) {
                case .none: continue
                case .list(let content): state.scratch.append(content)
                case let item: try state.scratch.appendValue(tag: 0x0A, item, batch)
                }
            }
        } catch {
            state.scratch.truncate(to: mark)
            throw error
        }
        try assign(call.target(0), .list(try state.take(from: mark)), &batch, place, &state)
    }

    private func deleteIndex(
        _ call: Call, _ batch: inout RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        guard case .list(let content) = try value(call.target(0), batch, place, &state) else {
            throw EvaluationFailure(.wrongType)
        }
        let start = try call.int(1, batch, place, &state)
        let end = try call.isGiven(2) ? call.int(2, batch, place, &state) : start &+ 1
        guard start >= 0, end >= start else { throw EvaluationFailure(.outOfRange) }
        let mark = state.scratch.count
        var reader = ListReader(content)
        var index: Int64 = 0
        while let item = reader.nextItem() {
            if index < start || index >= end { state.scratch.append(item.field) }
            index += 1
        }
        guard end <= index else {
            state.scratch.truncate(to: mark)
            throw EvaluationFailure(.outOfRange)
        }
        if start < end {
            state.scratch.appendOthers(of: content)
            try assign(call.target(0), .list(try state.take(from: mark)), &batch, place, &state)
        } else {
            state.scratch.truncate(to: mark)
        }
    }

    // MARK: Texts

    private func replaceOne(
        _ call: Call, _ batch: inout RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        guard case .string(let text) = try value(call.target(0), batch, place, &state) else { return }
        let replacement = try self.replacement(call, first: 1, batch, place, &state)
        let isWhole = call.node.function == .replaceMatch
        let new = try isWhole ? replacement.whole(text, &state) : replacement.all(in: text, &state)
        if let new { try assign(call.target(0), .string(new), &batch, place, &state) }
    }

    /// The replacement of an editor whose pattern is the argument `first`.
    func replacement(
        _ call: Call, first: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Replacement {
        let pattern = try call.pattern(first, batch, place, &state)
        let template = try pinned(try call.text(first + 1, batch, place, &state), batch, &state)
        let format = try call.isGiven(first + 3) ? call.text(first + 3, batch, place, &state) : nil
        return Replacement(
            program: self, pattern: pattern, template: template, function: call.function(first + 2), format: format)
    }
}
