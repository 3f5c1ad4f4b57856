import Patterns
import Telemetry

/// The arguments of a call, evaluated when they are asked for.
struct Call {
    let program: Program
    let node: Node

    private func child(_ argument: Int) -> Int32 { program.arguments[Int(node.first) + argument] }

    func isGiven(_ argument: Int) -> Bool { argument < node.second && child(argument) >= 0 }

    func value(
        _ argument: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        guard isGiven(argument) else { return .none }
        return try program.value(child(argument), batch, place, &state)
    }

    func text(
        _ argument: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        guard case .string(let text) = try value(argument, batch, place, &state) else {
            throw EvaluationFailure(.wrongType)
        }
        return text
    }

    /// The text of an optional argument.
    func text(
        _ argument: Int, otherwise: StaticString, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        try isGiven(argument) ? text(argument, batch, place, &state) : Text(otherwise)
    }

    func int(
        _ argument: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Int64 {
        guard case .int(let number) = try value(argument, batch, place, &state) else {
            throw EvaluationFailure(.wrongType)
        }
        return number
    }

    func flag(
        _ argument: Int, otherwise: Bool, _ batch: borrowing RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Bool {
        guard isGiven(argument) else { return otherwise }
        guard case .bool(let flag) = try value(argument, batch, place, &state) else {
            throw EvaluationFailure(.wrongType)
        }
        return flag
    }

    func list(
        _ argument: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        guard case .list(let content) = try value(argument, batch, place, &state) else {
            throw EvaluationFailure(.wrongType)
        }
        return content
    }

    /// The compiled pattern of a pattern argument; one that is no literal is made from its text.
    @inline(__always)
    func pattern(
        _ argument: Int, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> CompiledPattern {
        let node = program.nodes + Int(child(argument))
        if node.pointee.operation == .literal, case .int(let index) = node.pointee.value {
            return program.patterns[Int(index)]
        }
        return try made(node.pointee, batch, place, &state)
    }

    @inline(never)
    private func made(
        _ node: Node, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> CompiledPattern {
        let text = try program.text(node.first, batch, place, &state)
        return try state.patterns.pattern(text, isGlob: node.second == 1)
    }

    /// The time zone of a zone argument; UTC when it is left out.
    func zone(_ argument: Int) -> ZoneRules {
        guard isGiven(argument), case .int(let index) = program.nodes[Int(child(argument))].value else { return .utc }
        return program.zones[Int(index)]
    }

    /// The converter of a function argument.
    func function(_ argument: Int) -> Function? {
        guard isGiven(argument), case .int(let raw) = program.nodes[Int(child(argument))].value else { return nil }
        return Function(rawValue: UInt8(truncatingIfNeeded: raw))
    }

    /// The node of a target argument.
    func target(_ argument: Int) -> Int32 { child(argument) }
}

extension Program {
    /// The result of a converter.
    func call(
        _ node: Node, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let call = Call(program: self, node: node)
        switch node.function {
        case .isMatch, .isMap, .isString, .isInt, .isDouble, .isBool, .isList, .isEmpty, .isRootSpan, .isValidLuhn,
            .hasPrefix, .hasSuffix, .containsValue, .hasAttributeOnPoint, .hasAttributeKeyOnPoint:
            return .bool(try test(call, batch, place, &state))
        case .coalesce:
            var reader = ListReader(try call.list(0, batch, place, &state))
            while let item = reader.nextItem() { if !item.value.isNone { return try state.whole(item) } }
            return .none
        case .uuid, .uuidOfTime: return .string(try uuid(isOfTime: call.node.function == .uuidOfTime, &state))
        case .format: return try formatted(call, batch, place, &state)
        case .url, .isInCIDR, .communityID: return try network(call, batch, place, &state)
        case .parseXML, .parseSimplifiedXML: return try xml(call, batch, place, &state)
        case .parseCLF, .parseCEF, .parseLEEF, .parseELF: return try logFormat(call, batch, place, &state)
        case .parseSeverity: return try severity(call, batch, place, &state)
        case .now: return .time(state.effects.now())
        case .concat, .split, .substring, .toLowerCase, .toUpperCase, .toSnakeCase, .toCamelCase, .convertCase, .trim,
            .trimPrefix, .trimSuffix, .base64Encode, .base64Decode, .decode, .extractPatterns:
            return try textResult(call, batch, place, &state)
        case .parseJSON, .parseKeyValue, .parseCSV, .keys, .values, .sort, .sliceToMap, .toKeyValueString:
            return try collection(call, batch, place, &state)
        case .len, .int, .double, .bool, .string, .parseInt, .log, .index, .hex, .sha1, .sha256, .sha512, .md5, .fnv,
            .murmur3, .murmur3Wide, .spanID, .traceID:
            return try scalar(call, batch, place, &state)
        default: return try timeResult(call, batch, place, &state)
        }
    }

    // MARK: Tests

    private func test(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Bool {
        switch call.node.function {
        case .isMatch: return try isMatch(call, batch, place, &state)
        case .isRootSpan: return batch.spans[Int(place.item)].parentID.isEmpty
        case .hasPrefix:
            let text = try call.text(0, batch, place, &state)
            return text.hasPrefix(try call.text(1, batch, place, &state))
        case .hasSuffix:
            let text = try call.text(0, batch, place, &state)
            return text.hasSuffix(try call.text(1, batch, place, &state))
        case .containsValue:
            let content = try call.list(0, batch, place, &state)
            let wanted = try call.value(1, batch, place, &state)
            var reader = ListReader(content)
            while let item = reader.nextItem() {
                if Comparison.isSame(item.nested, Nested(wanted), batch) { return true }
            }
            return false
        case .hasAttributeOnPoint, .hasAttributeKeyOnPoint:
            let key = try call.text(0, batch, place, &state)
            let wanted = try call.node.function == .hasAttributeOnPoint ? call.text(1, batch, place, &state) : nil
            for point in batch.metrics[Int(place.item)].points.range where !batch.isRemoved(point: point) {
                guard let found = Members.find(key, in: batch.points[point].set, batch) else { continue }
                guard let wanted else { return true }
                if case .string(let text) = found, text == wanted { return true }
            }
            return false
        default: return try kindTest(call, batch, place, &state)
        }
    }

    private func kindTest(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Bool {
        let value = try call.value(0, batch, place, &state)
        switch (call.node.function, value) {
        case (.isMap, .map), (.isMap, .set), (.isString, .string), (.isInt, .int), (.isDouble, .double),
            (.isBool, .bool), (.isList, .list):
            return true
        case (.isEmpty, _):
            switch value {
            case .none: return true
            case .bool(let flag): return !flag
            case .int(let number), .time(let number), .duration(let number): return number == 0
            case .double(let number): return number == 0
            case .string(let text), .bytes(let text), .list(let text): return text.isEmpty
            case .identifier(let text): return Identifier.isZero(text)
            case .map, .set: return Members.count(value, batch) == 0
            }
        case (.isValidLuhn, .int(let number)):
            let mark = state.scratch.count
            ValueText.append(.int(number), batch, to: &state.scratch)
            return try Luhn.isValid(try state.take(from: mark))
        case (.isValidLuhn, .string(let text)): return try Luhn.isValid(text)
        case (.isValidLuhn, _): throw EvaluationFailure(.wrongType)
        default: return false
        }
    }

    @inline(__always)
    private func isMatch(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Bool {
        let value = try call.value(0, batch, place, &state)
        let text: Text
        switch value {
        case .none: return false
        case .string(let own): text = own
        default:
            let mark = state.scratch.count
            ValueText.append(value, batch, to: &state.scratch)
            text = try state.take(from: mark)
        }
        let pattern = try call.pattern(1, batch, place, &state)
        switch pattern.find(in: text, from: 0, state.matcher) {
        case .none: return false
        case .found: return true
        case .undecided: throw EvaluationFailure(.undecided)
        }
    }

    private func uuid(isOfTime: Bool, _ state: inout EvaluationState) throws(EvaluationFailure) -> Text {
        // RFC 9562 version 4: four bits say the version, two the variant. Version 7 begins with the milliseconds.
        var high = state.effects.random() & ~0xF000 | 0x4000
        if isOfTime {
            let milliseconds = UInt64(clamping: state.effects.now() / 1_000_000)
            high = milliseconds << 16 | 0x7000 | high & 0xFFF
        }
        let low = state.effects.random() & ~(3 << 62) | 2 << 62
        let mark = state.scratch.count
        var bytes = [UInt8]()
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: high >> UInt64(shift)))
        }
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: low >> UInt64(shift)))
        }
        bytes.withUnsafeBytes { all in
            for range in [0..<4, 4..<6, 6..<8, 8..<10, 10..<16] {
                if range.lowerBound > 0 { state.scratch.append("-") }
                ValueText.appendHex(Text(UnsafeRawBufferPointer(rebasing: all[range])), to: &state.scratch)
            }
        }
        return try state.take(from: mark)
    }
}

/// The check digit of card numbers.
enum Luhn {
    static func isValid(_ text: Text) throws(EvaluationFailure) -> Bool {
        guard text.count > 0 else { throw EvaluationFailure(.invalidText) }
        var sum = 0
        for index in 0..<text.count {
            let digit = Int(text[text.count - 1 - index]) - 0x30
            guard digit >= 0, digit <= 9 else { throw EvaluationFailure(.invalidText) }
            let weighted = index % 2 == 1 ? digit * 2 : digit
            sum += weighted > 9 ? weighted - 9 : weighted
        }
        return sum % 10 == 0
    }
}
