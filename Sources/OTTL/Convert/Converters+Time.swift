import Configuration
import Telemetry

extension Program {
    /// Converters of times and durations.
    func timeResult(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch call.node.function {
        case .time:
            let text = try call.text(0, batch, place, &state).string
            let format = try call.text(1, batch, place, &state).string
            guard let time = TimeParser.nanoseconds(text, format: format, in: call.zone(2)) else {
                throw EvaluationFailure(.invalidText)
            }
            return .time(time)
        case .formatTime:
            let time = CalendarTime(nanoseconds: try self.time(call, batch, place, &state))
            let format = try call.text(1, batch, place, &state).string
            let mark = state.scratch.count
            time.append(format: format.contains("%") ? format : GoLayout.format(format), to: &state.scratch)
            return .string(try state.take(from: mark))
        case .truncateTime:
            let time = try self.time(call, batch, place, &state)
            guard case .duration(let step) = try call.value(1, batch, place, &state), step > 0 else {
                throw EvaluationFailure(.wrongType)
            }
            let rest = time % step
            return .time(time - (rest < 0 ? rest + step : rest))
        case .duration:
            let text = try call.text(0, batch, place, &state).string
            guard let duration = DurationText.parse(text) else { throw EvaluationFailure(.invalidText) }
            let (seconds, attoseconds) = duration.components
            return .duration(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        case .unix:
            let seconds = try call.int(0, batch, place, &state)
            let nanoseconds = try call.isGiven(1) ? call.int(1, batch, place, &state) : 0
            return .time(seconds &* 1_000_000_000 &+ nanoseconds)
        case .hours, .minutes, .seconds, .milliseconds, .microseconds, .nanoseconds:
            return try durationPart(call, batch, place, &state)
        default:
            return try timePart(call.node.function, try time(call, batch, place, &state))
        }
    }

    private func time(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Int64 {
        guard case .time(let time) = try call.value(0, batch, place, &state) else {
            throw EvaluationFailure(.wrongType)
        }
        return time
    }

    private func durationPart(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        guard case .duration(let duration) = try call.value(0, batch, place, &state) else {
            throw EvaluationFailure(.wrongType)
        }
        switch call.node.function {
        case .hours: return .double(Double(duration) / 3.6e12)
        case .minutes: return .double(Double(duration) / 6e10)
        case .seconds: return .double(Double(duration) / 1e9)
        case .milliseconds: return .int(duration / 1_000_000)
        case .microseconds: return .int(duration / 1_000)
        default: return .int(duration)
        }
    }

    private func timePart(_ function: Function, _ time: Int64) throws(EvaluationFailure) -> Value {
        let parts = CalendarTime(nanoseconds: time)
        switch function {
        case .unixNano: return .int(time)
        case .unixMicro: return .int(time / 1_000)
        case .unixMilli: return .int(time / 1_000_000)
        case .unixSeconds: return .int(time / 1_000_000_000)
        case .year: return .int(parts.year)
        case .month: return .int(parts.month)
        case .day: return .int(parts.day)
        case .hour: return .int(parts.hour)
        case .minute: return .int(parts.minute)
        case .second: return .int(parts.second)
        case .nanosecond: return .int(parts.nanosecond)
        case .weekday: return .int(parts.weekday)
        default: throw EvaluationFailure(.wrongType)
        }
    }
}
