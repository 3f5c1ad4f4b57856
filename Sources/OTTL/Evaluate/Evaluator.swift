import Patterns
import Telemetry

extension Program {
    /// The truth of a node. Failures carry the place of the innermost node that failed.
    func isTrue(
        _ index: Int32, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Bool {
        let node = nodes + Int(index)
        switch node.pointee.operation {
        case .and:
            guard try isTrue(node.pointee.first, batch, place, &state) else { return false }
            return try isTrue(node.pointee.second, batch, place, &state)
        case .or:
            if try isTrue(node.pointee.first, batch, place, &state) { return true }
            return try isTrue(node.pointee.second, batch, place, &state)
        case .not: return try !isTrue(node.pointee.first, batch, place, &state)
        case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual:
            let left = try value(node.pointee.first, batch, place, &state)
            let right = try value(node.pointee.second, batch, place, &state)
            return Comparison.holds(node.pointee.operation, left, right, batch)
        default:
            guard case .bool(let flag) = try value(index, batch, place, &state) else {
                throw failure(.notBoolean, node)
            }
            return flag
        }
    }

    func failure(_ reason: EvaluationFailure.Reason, _ node: UnsafeMutablePointer<Node>) -> EvaluationFailure {
        var failure = EvaluationFailure(reason)
        failure.offset = node.pointee.offset
        return failure
    }

    func value(
        _ index: Int32, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let node = nodes + Int(index)
        switch node.pointee.operation {
        case .literal: return node.pointee.value
        case .attribute:
            let set = self.set(node.pointee.owner, batch, place)
            guard let found = batch.find(node.pointee.key, in: set) else { return .none }
            return Value(batch.attributes[found].kind, batch.attributes[found].payload, batch)
        case .field: return try field(node.pointee.field, batch, place, &state)
        default: return try otherValue(node, index, batch, place, &state)
        }
    }

    /// What is rarer than literals, attributes and fields.
    @inline(never)
    private func otherValue(
        _ node: UnsafeMutablePointer<Node>, _ index: Int32, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        do throws(EvaluationFailure) {
            switch node.pointee.operation {
            case .set: return .set(set(node.pointee.owner, batch, place))
            case .namedAttribute:
                let name = try text(node.pointee.first, batch, place, &state)
                return Members.find(name, in: set(node.pointee.owner, batch, place), batch) ?? .none
            case .traceStateMember:
                let key = try text(node.pointee.first, batch, place, &state)
                let member = TraceStateText.member(key, of: batch.text(batch.spans[Int(place.item)].traceState))
                return member.map { .string($0) } ?? .none
            case .cache: return .map(try state.keep(state.cache.text))
            case .request:
                let name = try text(node.pointee.first, batch, place, &state).string.lowercased()
                guard let fact = state.request.first(where: { $0.name.lowercased() == name }) else { return .none }
                let mark = state.scratch.count
                state.scratch.append(string: fact.value)
                return .string(try state.take(from: mark))
            case .index:
                let container = try value(node.pointee.first, batch, place, &state)
                let key = try value(node.pointee.second, batch, place, &state)
                return try member(key, of: container, batch, &state)
            case .list: return try list(node, batch, place, &state)
            case .map: return try map(node, batch, place, &state)
            case .add, .subtract, .multiply, .divide:
                let left = try value(node.pointee.first, batch, place, &state)
                let right = try value(node.pointee.second, batch, place, &state)
                return try Arithmetic.result(node.pointee.operation, left, right)
            case .negate: return try Arithmetic.negated(try value(node.pointee.first, batch, place, &state))
            case .call: return try call(node.pointee, batch, place, &state)
            // Calls ask for the compiled pattern instead.
            case .pattern: throw EvaluationFailure(.wrongType)
            default: return .bool(try isTrue(index, batch, place, &state))
            }
        } catch {
            var failure = error
            if failure.offset < 0 { failure.offset = node.pointee.offset }
            throw failure
        }
    }

    /// The attributes of an owner of this kind at or above a place.
    @inline(__always)
    func set(_ owner: OwnerKind, _ batch: borrowing RecordBatch, _ place: Place) -> SetIndex {
        switch owner {
        case .span: batch.spans[Int(place.item)].set
        case .resource: batch.resources[Int(place.resource)].set
        case .scope: batch.scopes[Int(place.scope)].set
        case .event: batch.events[Int(place.part)].set
        case .link: SetIndex(0)
        case .log: batch.logs[Int(place.item)].set
        case .metric: batch.metrics[Int(place.item)].set
        case .point: batch.points[Int(place.part)].set
        }
    }

    // MARK: Parts

    /// A member of a map by text, an element of a list by number. A missing member is nil, as is one of nil.
    func member(
        _ key: Value, of container: Value, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch (container, key) {
        case (.none, _): return .none
        case (.set(let set), .string(let name)): return Members.find(name, in: set, batch) ?? .none
        case (.map(let content), .string(let name)):
            var last: MapReader.Member?
            var reader = MapReader(content)
            while let member = reader.next() { if member.key == name { last = member } }
            if let found = last { return try state.whole(found) }
            return .none
        case (.list(let content), .int(let wanted)):
            var reader = ListReader(content)
            var index: Int64 = 0
            while let item = reader.nextItem() {
                if index == wanted { return try state.whole(item) }
                index += 1
            }
            throw EvaluationFailure(.outOfRange)
        default: throw EvaluationFailure(.notIndexable)
        }
    }

    private func list(
        _ node: UnsafeMutablePointer<Node>, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let mark = state.scratch.count
        do throws(EvaluationFailure) {
            for child in 0..<node.pointee.second {
                let item = try value(arguments[Int(node.pointee.first + child)], batch, place, &state)
                try state.scratch.appendValue(tag: 0x0A, item, batch)
            }
        } catch {
            state.scratch.truncate(to: mark)
            throw error
        }
        return .list(try state.take(from: mark))
    }

    private func map(
        _ node: UnsafeMutablePointer<Node>, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let mark = state.scratch.count
        do throws(EvaluationFailure) {
            for child in 0..<node.pointee.second {
                let first = Int(node.pointee.first + child * 2)
                guard case .string(let key) = try value(arguments[first], batch, place, &state) else { continue }
                let member = try value(arguments[first + 1], batch, place, &state)
                try state.scratch.appendMember(key, member, batch)
            }
        } catch {
            state.scratch.truncate(to: mark)
            throw error
        }
        return .map(try state.take(from: mark))
    }

    // MARK: Arguments

    func text(
        _ index: Int32, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        guard case .string(let text) = try value(index, batch, place, &state) else {
            throw EvaluationFailure(.wrongType)
        }
        return text
    }
}

/// Arithmetic on numbers, times and durations. Overflow wraps, as in Go; beside a double an integer becomes one, as in
/// the Collector (pkg/ottl/math.go).
enum Arithmetic {
    static func result(_ operation: Operation, _ left: Value, _ right: Value) throws(EvaluationFailure) -> Value {
        switch (left, right) {
        case (.int(let one), .int(let other)):
            switch operation {
            case .add: return .int(one &+ other)
            case .subtract: return .int(one &- other)
            case .multiply: return .int(one &* other)
            default:
                if other == 0 { throw EvaluationFailure(.divisionByZero) }
                return .int(one.dividedReportingOverflow(by: other).partialValue)
            }
        case (.double(let one), .double(let other)):
            switch operation {
            case .add: return .double(one + other)
            case .subtract: return .double(one - other)
            case .multiply: return .double(one * other)
            default:
                if other == 0 { throw EvaluationFailure(.divisionByZero) }
                return .double(one / other)
            }
        case (.time(let one), .time(let other)) where operation == .subtract: return .duration(one &- other)
        case (.time(let one), .duration(let other)) where operation == .add: return .time(one &+ other)
        case (.time(let one), .duration(let other)) where operation == .subtract: return .time(one &- other)
        case (.duration(let one), .time(let other)) where operation == .add: return .time(one &+ other)
        case (.duration(let one), .duration(let other)) where operation == .add: return .duration(one &+ other)
        case (.duration(let one), .duration(let other)) where operation == .subtract: return .duration(one &- other)
        case (.int(let one), .double): return try result(operation, .double(Double(one)), right)
        case (.double, .int(let other)): return try result(operation, left, .double(Double(other)))
        default: throw EvaluationFailure(.wrongType)
        }
    }

    static func negated(_ value: Value) throws(EvaluationFailure) -> Value {
        switch value {
        case .int(let number): .int(0 &- number)
        case .double(let number): .double(-number)
        case .duration(let number): .duration(0 &- number)
        default: throw EvaluationFailure(.wrongType)
        }
    }
}
