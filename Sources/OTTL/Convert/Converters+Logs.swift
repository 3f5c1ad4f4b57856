import Telemetry

extension Program {
    /// `ParseCLF`, `ParseCEF`, `ParseLEEF` and `ParseELF`.
    func logFormat(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let line = try call.text(0, batch, place, &state).string
        let found: LogValue?
        switch call.node.function {
        case .parseCEF: found = LogFormat.commonEvent(line)
        case .parseLEEF: found = LogFormat.extendedEvent(line)
        case .parseELF: found = LogFormat.extendedLog(line)
        default:
            let format = try call.text(1, otherwise: "clf", batch, place, &state)
            guard format == "clf" || format == "combined" else { throw EvaluationFailure(.invalidText) }
            found = LogFormat.access(line, isCombined: format == "combined")
        }
        guard let found else { throw EvaluationFailure(.invalidText) }
        return try encoded(found, batch, &state)
    }

    /// Three levels at most.
    private func encoded(
        _ value: LogValue, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch value {
        case .text(let text): return .string(try state.keep(text))
        case .int(let number): return .int(number)
        case .list(let items):
            var values: [Value] = []
            for item in items { values.append(try encoded(item, batch, &state)) }
            let mark = state.scratch.count
            for value in values { try state.scratch.appendValue(tag: 0x0A, value, batch) }
            return .list(try state.take(from: mark))
        case .map(let members):
            var pairs: [(key: Text, value: Value)] = []
            for member in members {
                pairs.append((try state.keep(member.key), try encoded(member.value, batch, &state)))
            }
            let mark = state.scratch.count
            for pair in pairs { try state.scratch.appendMember(pair.key, pair.value, batch) }
            return .map(try state.take(from: mark))
        }
    }
}
