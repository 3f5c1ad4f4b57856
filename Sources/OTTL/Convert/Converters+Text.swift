import Patterns
import Telemetry

extension Program {
    /// Converters that make texts of texts.
    func textResult(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch call.node.function {
        case .concat: return try concat(call, batch, place, &state)
        case .split: return try split(call, batch, place, &state)
        case .substring: return try substring(call, batch, place, &state)
        case .toLowerCase: return try caseValue(.lower, try call.text(0, batch, place, &state), &state)
        case .toUpperCase: return try caseValue(.upper, try call.text(0, batch, place, &state), &state)
        case .toSnakeCase: return try caseValue(.snake, try call.text(0, batch, place, &state), &state)
        case .toCamelCase: return try caseValue(.camel, try call.text(0, batch, place, &state), &state)
        case .convertCase:
            let text = try call.text(0, batch, place, &state)
            guard let style = LetterCase(rawValue: try call.text(1, batch, place, &state).string) else {
                throw EvaluationFailure(.invalidText)
            }
            return try caseValue(style, text, &state)
        case .trim:
            let text = try call.text(0, batch, place, &state)
            return .string(trimmed(text, try call.text(1, otherwise: " ", batch, place, &state)))
        case .trimPrefix:
            let text = try call.text(0, batch, place, &state)
            let prefix = try call.text(1, batch, place, &state)
            return .string(text.hasPrefix(prefix) ? text[prefix.count..<text.count] : text)
        case .trimSuffix:
            let text = try call.text(0, batch, place, &state)
            let suffix = try call.text(1, batch, place, &state)
            return .string(text.hasSuffix(suffix) ? text[0..<text.count - suffix.count] : text)
        case .extractPatterns: return try extract(call, batch, place, &state)
        default: return try coded(call, batch, place, &state)
        }
    }

    private func concat(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let delimiter = try call.text(1, batch, place, &state)
        let mark = state.scratch.count
        do throws(EvaluationFailure) {
            let list = nodes[Int(call.target(0))]
            if list.operation == .list {
                // Element by element, since ids and times would lose what they are in an encoded list.
                for child in 0..<list.second {
                    let item = try value(arguments[Int(list.first + child)], batch, place, &state)
                    if child > 0 { state.scratch.append(delimiter) }
                    appendPart(Nested(item), batch, &state.scratch)
                }
            } else {
                var reader = ListReader(try call.list(0, batch, place, &state))
                var isFirst = true
                while let item = reader.nextItem() {
                    if !isFirst { state.scratch.append(delimiter) }
                    isFirst = false
                    appendPart(item.nested, batch, &state.scratch)
                }
            }
        } catch {
            state.scratch.truncate(to: mark)
            throw error
        }
        return .string(try state.take(from: mark))
    }

    /// Lists and maps are JSON, and nil has its Go name.
    private func appendPart(_ part: Nested, _ batch: borrowing RecordBatch, _ output: inout ByteColumn) {
        switch part.value {
        case .none: output.append("<nil>")
        case .bytes(let text): ValueText.appendHex(text, to: &output)
        default: ValueText.append(part, batch, to: &output)
        }
    }

    private func split(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let text = try call.text(0, batch, place, &state)
        let delimiter = try call.text(1, batch, place, &state)
        let mark = state.scratch.count
        var start = 0
        while let end = delimiter.isEmpty ? nextCharacter(text, start) : text.find(delimiter, from: start) {
            try state.scratch.appendValue(tag: 0x0A, .string(text[start..<end]), batch)
            start = end + delimiter.count
        }
        if !delimiter.isEmpty || start < text.count {
            try state.scratch.appendValue(tag: 0x0A, .string(text[start..<text.count]), batch)
        }
        return .list(try state.take(from: mark))
    }

    /// End of the UTF-8 character at `start`, nil when it is the last one.
    private func nextCharacter(_ text: Text, _ start: Int) -> Int? {
        var end = start + 1
        while end < text.count, text[end] & 0xC0 == 0x80 { end += 1 }
        return end < text.count ? end : nil
    }

    private func substring(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let text = try call.text(0, batch, place, &state)
        let first = try call.int(1, batch, place, &state)
        let length = try call.int(2, batch, place, &state)
        guard first >= 0, length > 0, first <= Int64(text.count), length <= Int64(text.count) - first else {
            throw EvaluationFailure(.outOfRange)
        }
        var (start, end) = (Int(first), Int(first + length))
        if try call.flag(3, otherwise: false, batch, place, &state) {
            while start < end, start < text.count, text[start] & 0xC0 == 0x80 { start += 1 }
            while end > start, end < text.count, text[end] & 0xC0 == 0x80 { end -= 1 }
        }
        return .string(text[start..<end])
    }

    private func trimmed(_ text: Text, _ set: Text) -> Text {
        var (low, high) = (0, text.count)
        while low < high, set.firstIndex(of: text[low]) != nil { low += 1 }
        while high > low, set.firstIndex(of: text[high - 1]) != nil { high -= 1 }
        return text[low..<high]
    }

    private func extract(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let text = try call.text(0, batch, place, &state)
        let pattern = try call.pattern(1, batch, place, &state)
        if !pattern.groupNames.contains(where: { $0 != nil }) { throw EvaluationFailure(.invalidPattern) }
        let mark = state.scratch.count
        switch pattern.find(in: text, from: 0, state.matcher) {
        case .none: break
        case .undecided: throw EvaluationFailure(.undecided)
        case .found:
            for (index, name) in pattern.groupNames.enumerated() {
                guard let name else { continue }
                let range = state.matcher.range(index + 1) ?? 0..<0
                let start = state.scratch.count
                state.scratch.append(string: name)
                let key = try state.take(from: start)
                try state.scratch.appendMember(key, .string(text[range]), batch)
            }
        }
        return .map(try state.take(from: mark))
    }

    private func coded(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let content: Text
        switch try call.value(0, batch, place, &state) {
        case .string(let text), .bytes(let text): content = text
        default: throw EvaluationFailure(.wrongType)
        }
        let isEncoding = call.node.function == .base64Encode
        let form =
            try call.node.function == .base64Decode
            ? Text("base64") : call.text(1, otherwise: "base64", batch, place, &state)
        let isURL = form == "base64-url" || form == "base64-raw-url"
        let isPadded = form == "base64" || form == "base64-url"
        let isBase64 = isURL || isPadded || form == "base64-raw"
        let mark = state.scratch.count
        if isEncoding {
            guard isBase64 else { throw EvaluationFailure(.invalidText) }
            Base64.append(content, isURL: isURL, isPadded: isPadded, to: &state.scratch)
        } else if isBase64 {
            guard Base64.decode(content, isURL: isURL, isPadded: isPadded, to: &state.scratch) else {
                state.scratch.truncate(to: mark)
                throw EvaluationFailure(.invalidText)
            }
        } else {
            // Texts of this gateway are UTF-8; of the other encodings only those that are part of it are known.
            guard ["utf-8", "utf8", "us-ascii", "ascii"].contains(form.string.lowercased()), content.isValidUTF8 else {
                throw EvaluationFailure(.invalidText)
            }
            state.scratch.append(content)
        }
        let text = try state.take(from: mark)
        guard isEncoding || text.isValidUTF8 else { throw EvaluationFailure(.invalidText) }
        return .string(text)
    }

    // MARK: Cases

    private func caseValue(
        _ style: LetterCase, _ text: Text, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        .string(try casedText(style, text, &state))
    }

    func casedText(
        _ style: LetterCase, _ text: Text, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        let mark = state.scratch.count
        switch style {
        case .lower, .upper:
            if text.bytes.allSatisfy({ $0 < 0x80 }) {
                let first: UInt8 = style == .lower ? 0x41 : 0x61
                for byte in text.bytes { state.scratch.append(byte &- first < 26 ? byte ^ 0x20 : byte) }
            } else {
                state.scratch.append(string: style == .lower ? text.string.lowercased() : text.string.uppercased())
            }
        case .snake: LetterCase.appendSnake(text, to: &state.scratch)
        case .camel: LetterCase.appendCamel(text, to: &state.scratch)
        }
        return try state.take(from: mark)
    }
}

/// Ways to write a name.
enum LetterCase: String {
    case lower, upper, snake, camel

    private static func isUpper(_ byte: UInt8) -> Bool { byte &- 0x41 < 26 }
    private static func isSeparator(_ byte: UInt8) -> Bool {
        byte == 0x5F || byte == 0x2D || byte == 0x20 || byte == 0x2E
    }

    /// `myMetric` becomes `my_metric`, `HTTPServer` `http_server`.
    static func appendSnake(_ text: Text, to output: inout ByteColumn) {
        for index in 0..<text.count {
            let byte = text[index]
            if isSeparator(byte) {
                output.append(0x5F as UInt8)
                continue
            }
            if isUpper(byte), index > 0, !isSeparator(text[index - 1]) {
                let followsLower = !isUpper(text[index - 1])
                let startsWord = index + 1 < text.count && text[index + 1] &- 0x61 < 26
                if followsLower || startsWord { output.append(0x5F as UInt8) }
            }
            output.append(isUpper(byte) ? byte | 0x20 : byte)
        }
    }

    /// `my_metric` becomes `MyMetric`.
    static func appendCamel(_ text: Text, to output: inout ByteColumn) {
        var isStart = true
        for byte in text.bytes {
            if isSeparator(byte) {
                isStart = true
            } else {
                output.append(isStart && byte &- 0x61 < 26 ? byte ^ 0x20 : byte)
                isStart = false
            }
        }
    }
}

extension Text {
    /// Index of the first occurrence of a text that is not empty, at or behind `from`.
    func find(_ part: Text, from: Int) -> Int? {
        guard part.count > 0 else { return nil }
        var index = from
        while let hit = firstIndex(of: part[0], from: index) {
            guard hit + part.count <= count else { return nil }
            if self[hit..<hit + part.count] == part { return hit }
            index = hit + 1
        }
        return nil
    }
}
