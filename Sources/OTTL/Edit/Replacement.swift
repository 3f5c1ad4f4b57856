import Patterns
import Telemetry

/// How an editor replaces text.
struct Replacement {
    let program: Program
    let pattern: CompiledPattern
    /// What matches become; `$1` and `${name}` stand for groups.
    let template: Text
    /// Converter that the expanded template goes through.
    let function: Function?
    /// Text around the converter's result, with one `%s`.
    let format: Text?

    /// The text with every match replaced, nil when nothing matches.
    func all(in text: Text, _ state: inout EvaluationState) throws(EvaluationFailure) -> Text? {
        let mark = state.scratch.count
        var copied = 0
        var from = 0
        var isFound = false
        var lastEnd = -1
        while from <= text.count {
            let range: Range<Int>
            switch pattern.find(in: text, from: from, state.matcher) {
            case .none: range = text.count + 1..<text.count + 1
            case .undecided:
                state.scratch.truncate(to: mark)
                throw EvaluationFailure(.undecided)
            case .found(let found): range = found
            }
            if range.lowerBound > text.count { break }
            // An empty match right behind another match does not count.
            if !range.isEmpty || range.lowerBound != lastEnd {
                isFound = true
                state.scratch.append(text[copied..<range.lowerBound])
                let mine = state.scratch.count
                expand(text, &state)
                if function != nil || format != nil {
                    let expanded = try state.take(from: mine)
                    state.scratch.append(try finished(expanded, &state))
                }
                copied = range.upperBound
                lastEnd = range.upperBound
            }
            from = range.upperBound
            if range.isEmpty {
                from += 1
                while from < text.count, text[from] & 0xC0 == 0x80 { from += 1 }
            }
        }
        guard isFound else { return nil }
        state.scratch.append(text[copied..<text.count])
        return try state.take(from: mark)
    }

    /// The replacement of a whole text that matches, nil when it does not.
    func whole(_ text: Text, _ state: inout EvaluationState) throws(EvaluationFailure) -> Text? {
        switch pattern.find(in: text, from: 0, state.matcher) {
        case .none: return nil
        case .undecided: throw EvaluationFailure(.undecided)
        case .found: return try finished(template, &state)
        }
    }

    private func finished(_ text: Text, _ state: inout EvaluationState) throws(EvaluationFailure) -> Text {
        let result = try function == nil ? text : program.applied(function ?? .set, text, &state)
        guard let format else { return result }
        guard let place = format.find(Text("%s"), from: 0) else { throw EvaluationFailure(.invalidText) }
        let mark = state.scratch.count
        state.scratch.append(format[0..<place])
        state.scratch.append(result)
        state.scratch.append(format[place + 2..<format.count])
        return try state.take(from: mark)
    }

    /// Appends the template with the groups of the match that was just found (Go's `regexp.Expand`).
    private func expand(_ text: Text, _ state: inout EvaluationState) {
        var index = 0
        while index < template.count {
            guard let dollar = template.firstIndex(of: 0x24, from: index), dollar + 1 < template.count else {
                return state.scratch.append(template[index..<template.count])
            }
            state.scratch.append(template[index..<dollar])
            let next = template[dollar + 1]
            if next == 0x24 {
                state.scratch.append(0x24 as UInt8)
                index = dollar + 2
                continue
            }
            var start = dollar + 1
            var end = start
            if next == 0x7B {
                start += 1
                end = template.firstIndex(of: 0x7D, from: start) ?? template.count
                index = min(end + 1, template.count)
            } else {
                while end < template.count, isWord(template[end]) { end += 1 }
                index = end
                if end == start {
                    state.scratch.append(0x24 as UInt8)
                    continue
                }
            }
            if let group = self.group(template[start..<end]), let range = state.matcher.range(group) {
                state.scratch.append(text[range])
            }
        }
    }

    private func isWord(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == 0x5F
    }

    private func group(_ name: Text) -> Int? {
        if name.count < 4, let number = Int(name.string), number <= pattern.groupNames.count { return number }
        return pattern.groupNames.firstIndex { $0 == name.string }.map { $0 + 1 }
    }
}

extension Program {
    /// Converters that an editor can pass a replacement through.
    static let passable: Set<Function> = [
        .md5, .sha1, .sha256, .sha512, .fnv, .toLowerCase, .toUpperCase, .toSnakeCase, .toCamelCase, .hex, .trim,
        .base64Encode, .string,
    ]

    func applied(
        _ function: Function, _ text: Text, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        let mark = state.scratch.count
        switch function {
        case .md5, .sha1, .sha256, .sha512: return try Program.digest(function, text, &state)
        case .fnv:
            state.scratch.append(string: String(Int64(bitPattern: FNV.hash(text.bytes))))
        case .toLowerCase: return try casedText(.lower, text, &state)
        case .toUpperCase: return try casedText(.upper, text, &state)
        case .toSnakeCase: return try casedText(.snake, text, &state)
        case .toCamelCase: return try casedText(.camel, text, &state)
        case .hex: ValueText.appendHex(text, to: &state.scratch)
        case .trim: return PairText.trimmed(text)
        case .base64Encode: Base64.append(text, to: &state.scratch)
        default: return text
        }
        return try state.take(from: mark)
    }
}
