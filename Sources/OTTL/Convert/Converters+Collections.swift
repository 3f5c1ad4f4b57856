import OTLP
import Telemetry

extension Program {
    /// Converters that make lists and maps, or texts of them.
    func collection(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let mark = state.scratch.count
        do throws(EvaluationFailure) {
            switch call.node.function {
            case .parseJSON:
                return try JSONValue.parse(try call.text(0, batch, place, &state), &state)
            case .parseKeyValue: try keyValues(call, batch, place, &state)
            case .parseCSV: try csv(call, batch, place, &state)
            case .keys, .values:
                try keysOrValues(call, batch, place, &state)
                return .list(try state.take(from: mark))
            case .sort:
                try sort(call, batch, place, &state)
                return .list(try state.take(from: mark))
            case .toKeyValueString:
                try keyValueString(call, batch, place, &state)
                return .string(try state.take(from: mark))
            default: try sliceToMap(call, batch, place, &state)
            }
            return .map(try state.take(from: mark))
        } catch {
            state.scratch.truncate(to: mark)
            throw error
        }
    }

    // MARK: Texts with pairs

    /// `k1=v1 k2="v 2"`: a delimiter inside quotes does not count, and quotes around keys and values fall away.
    private func keyValues(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let text = try call.text(0, batch, place, &state)
        let delimiter = try call.text(1, otherwise: "=", batch, place, &state)
        let pairDelimiter = try call.text(2, otherwise: " ", batch, place, &state)
        guard !text.isEmpty, !delimiter.isEmpty, !pairDelimiter.isEmpty, !(delimiter == pairDelimiter) else {
            throw EvaluationFailure(.invalidText)
        }
        var start = 0
        while start <= text.count {
            let end = PairText.end(of: text, from: start, pairDelimiter)
            let pair = PairText.trimmed(text[start..<end])
            start = end + pairDelimiter.count
            if pair.isEmpty { continue }
            guard let middle = pair.find(delimiter, from: 0) else { throw EvaluationFailure(.invalidText) }
            let key = PairText.unquoted(PairText.trimmed(pair[0..<middle]))
            let value = PairText.unquoted(PairText.trimmed(pair[middle + delimiter.count..<pair.count]))
            try state.scratch.appendMember(key, .string(value), batch)
        }
    }

    private func keyValueString(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let map = try call.value(0, batch, place, &state)
        let delimiter = try call.text(1, otherwise: "=", batch, place, &state)
        let pairDelimiter = try call.text(2, otherwise: " ", batch, place, &state)
        let isSorted = try call.flag(3, otherwise: false, batch, place, &state)
        var members = try Program.members(of: Nested(map), batch)
        if isSorted { members.sort { Comparison.order($0.key, $1.key) < 0 } }
        for (index, member) in members.enumerated() {
            if index > 0 { state.scratch.append(pairDelimiter) }
            Self.append(part: member.key, delimiter, pairDelimiter, to: &state.scratch)
            state.scratch.append(delimiter)
            var value = ByteColumn()
            ValueText.append(member.value, batch, to: &value)
            Self.append(part: value.text, delimiter, pairDelimiter, to: &state.scratch)
        }
    }

    /// Quotes are escaped, and what holds a delimiter stands in quotes.
    private static func append(
        part: Text, _ delimiter: Text, _ pairDelimiter: Text, to output: inout ByteColumn
    ) {
        let isQuoted = part.find(delimiter, from: 0) != nil || part.find(pairDelimiter, from: 0) != nil
        if isQuoted { output.append(UInt8(ascii: "\"")) }
        for byte in part.bytes {
            if byte == UInt8(ascii: "\"") { output.append(UInt8(ascii: "\\")) }
            output.append(byte)
        }
        if isQuoted { output.append(UInt8(ascii: "\"")) }
    }

    static func members(
        of map: Nested, _ batch: borrowing RecordBatch
    ) throws(EvaluationFailure) -> [(key: Text, value: Nested)] {
        guard let members = Members.all(of: map, batch) else { throw EvaluationFailure(.wrongType) }
        return members
    }

    private func csv(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let row = try call.text(0, batch, place, &state)
        let headers = try call.text(1, batch, place, &state)
        let delimiter = try call.text(2, otherwise: ",", batch, place, &state)
        let headerDelimiter = try call.isGiven(3) ? call.text(3, batch, place, &state) : delimiter
        let mode = try call.text(4, otherwise: "strict", batch, place, &state)
        guard delimiter.count == 1, headerDelimiter.count == 1 else { throw EvaluationFailure(.invalidText) }
        let names = PairText.fields(headers, headerDelimiter[0], ignoresQuotes: true)
        let ignoresQuotes = mode == "ignoreQuotes"
        let values = PairText.fields(PairText.withoutLineEnds(row), delimiter[0], ignoresQuotes: ignoresQuotes)
        guard names.count == values.count else { throw EvaluationFailure(.invalidText) }
        for (name, value) in zip(names, values) {
            if ignoresQuotes || value.firstIndex(of: 0x22) == nil {
                try state.scratch.appendMember(name, .string(value), batch)
            } else {
                var plain = value.string
                if plain.hasPrefix("\""), plain.hasSuffix("\""), plain.count >= 2 {
                    plain = String(plain.dropFirst().dropLast()).doubledQuotesMadeSingle
                } else if mode == "strict" {
                    throw EvaluationFailure(.invalidText)
                }
                let column = state.scratch.count
                state.scratch.append(string: plain)
                let text = try state.take(from: column)
                try state.scratch.appendMember(name, .string(text), batch)
            }
        }
    }

    // MARK: Lists and maps

    private func keysOrValues(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let map = Nested(try call.value(0, batch, place, &state))
        for member in try Program.members(of: map, batch) {
            let item: Value = try call.node.function == .keys ? .string(member.key) : state.whole(member.value)
            try state.scratch.appendValue(tag: 0x0A, item, batch)
        }
    }

    /// Numbers among numbers, else everything as text; lists and maps cannot be sorted.
    private func sort(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let order = try call.text(1, otherwise: "asc", batch, place, &state)
        var items: [Value] = []
        var reader = ListReader(try call.list(0, batch, place, &state))
        while let item = reader.next() { items.append(item) }
        var isNumeric = true
        for item in items {
            switch item {
            case .int, .double: continue
            case .string, .bool: isNumeric = false
            default: throw EvaluationFailure(.wrongType)
            }
        }
        let isDescending = order == "desc"
        if isNumeric {
            items.sort { left, right in
                let (one, other) = isDescending ? (right, left) : (left, right)
                return Program.number(one) < Program.number(other)
            }
        } else {
            var texts: [(text: String, value: Value)] = []
            for item in items {
                var column = ByteColumn()
                ValueText.append(item, batch, to: &column)
                texts.append((column.text.string, item))
            }
            texts.sort { isDescending ? $0.text > $1.text : $0.text < $1.text }
            items = texts.map(\.value)
        }
        for item in items { try state.scratch.appendValue(tag: 0x0A, item, batch) }
    }

    private static func number(_ value: Value) -> Double {
        switch value {
        case .int(let number): Double(number)
        case .double(let number): number
        default: 0
        }
    }

    private func sliceToMap(
        _ call: Call, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let keyPath = try call.isGiven(1) ? call.list(1, batch, place, &state) : nil
        let valuePath = try call.isGiven(2) ? call.list(2, batch, place, &state) : nil
        var reader = ListReader(try call.list(0, batch, place, &state))
        var index = 0
        while let item = reader.nextItem() {
            let value = try state.whole(try follow(valuePath ?? .empty, item.nested, batch))
            if let keyPath {
                guard case .string(let key) = try follow(keyPath, item.nested, batch).value else {
                    throw EvaluationFailure(.wrongType)
                }
                try state.scratch.appendMember(key, value, batch)
            } else {
                let start = state.scratch.count
                JSONText.append(UInt64(index), to: &state.scratch)
                let key = try state.take(from: start)
                try state.scratch.appendMember(key, value, batch)
            }
            index += 1
        }
    }

    private func follow(
        _ path: Text, _ item: Nested, _ batch: borrowing RecordBatch
    ) throws(EvaluationFailure) -> Nested {
        var value = item
        var reader = ListReader(path)
        while let step = reader.next() {
            guard case .string(let name) = step, let member = Members.find(name, in: value, batch) else {
                throw EvaluationFailure(.notFound)
            }
            value = member
        }
        return value
    }
}

extension String {
    fileprivate var doubledQuotesMadeSingle: String {
        var result = ""
        var skips = false
        for character in self {
            if character == "\"", !skips {
                result.append(character)
                skips = true
            } else if character != "\"" {
                result.append(character)
                skips = false
            } else {
                skips = false
            }
        }
        return result
    }
}

/// Cutting texts at delimiters.
enum PairText {
    /// Where the pair that begins at `from` ends: the next delimiter outside quotes, or the end.
    static func end(of text: Text, from: Int, _ delimiter: Text) -> Int {
        var index = from
        var quote: UInt8 = 0
        while index < text.count {
            let byte = text[index]
            if quote != 0 {
                if byte == quote { quote = 0 }
            } else if byte == 0x22 || byte == 0x27 {
                quote = byte
            } else if byte == delimiter[0], index + delimiter.count <= text.count,
                text[index..<index + delimiter.count] == delimiter
            {
                return index
            }
            index += 1
        }
        return text.count
    }

    static func trimmed(_ text: Text) -> Text {
        var (low, high) = (0, text.count)
        while low < high, text[low] == 0x20 || text[low] &- 9 < 5 { low += 1 }
        while high > low, text[high - 1] == 0x20 || text[high - 1] &- 9 < 5 { high -= 1 }
        return text[low..<high]
    }

    static func unquoted(_ text: Text) -> Text {
        guard text.count >= 2, text[0] == 0x22 || text[0] == 0x27, text[text.count - 1] == text[0] else { return text }
        return text[1..<text.count - 1]
    }

    static func withoutLineEnds(_ text: Text) -> Text {
        var (low, high) = (0, text.count)
        while low < high, text[low] == 0x0A || text[low] == 0x0D { low += 1 }
        while high > low, text[high - 1] == 0x0A || text[high - 1] == 0x0D { high -= 1 }
        return text[low..<high]
    }

    /// The fields of a row, quotes still on them.
    static func fields(_ row: Text, _ delimiter: UInt8, ignoresQuotes: Bool) -> [Text] {
        var fields: [Text] = []
        var start = 0
        var isQuoted = false
        for index in 0..<row.count {
            if row[index] == 0x22, !ignoresQuotes { isQuoted.toggle() }
            if row[index] == delimiter, !isQuoted {
                fields.append(row[start..<index])
                start = index + 1
            }
        }
        fields.append(row[start..<row.count])
        return fields
    }
}
