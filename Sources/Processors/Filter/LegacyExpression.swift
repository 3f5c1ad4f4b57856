import Configuration

/// The simple forms of `match_type: expr`, the language of older filters of metrics: comparisons of MetricName, and
/// Label and HasLabel, joined by one kind of `&&` or `||`.
enum LegacyExpression {
    static func condition(_ entry: ConfigValue) throws(LegacyFilter.Fault) -> String {
        guard case .string(let text) = entry else { throw LegacyFilter.Fault(words: "an expression is no text") }
        let fault = LegacyFilter.Fault(words: "the expression \(text.prefix(80)) is none of the simple ones")
        guard let tokens = tokens(of: text) else { throw fault }
        var terms: [[Token]] = [[]]
        var joints: Set<String> = []
        for token in tokens {
            if case .sign(let sign) = token, let joint = ["&&": "and", "and": "and", "||": "or", "or": "or"][sign] {
                joints.insert(joint)
                terms.append([])
            } else {
                terms[terms.count - 1].append(token)
            }
        }
        let tests = terms.compactMap(test)
        let labels = tests.count { $0.isLabel }
        // Two labels joined by `and` are meant of one point, which conditions on metrics cannot say.
        guard tests.count == terms.count, joints.count < 2, labels < 2 || !joints.contains("and") else { throw fault }
        let joined = tests.map(\.condition).joined(separator: " \(joints.first ?? "and") ")
        return tests.count > 1 ? "(\(joined))" : joined
    }

    private enum Token: Equatable {
        case text(String)
        /// A name or an operator.
        case sign(String)
    }

    private static func test(_ term: [Token]) -> (condition: String, isLabel: Bool)? {
        if term.count == 3, term[0] == .sign("MetricName"), case .text(let value) = term[2] {
            switch term[1] {
            case .sign("=="), .sign("!="):
                guard case .sign(let sign) = term[1] else { return nil }
                return ("name \(sign) \(LegacyFilter.literal(value))", false)
            case .sign("matches"): return ("IsMatch(name, \(LegacyFilter.literal(value)))", false)
            default: return nil
            }
        }
        guard term.count >= 4, term[1] == .sign("("), case .text(let key) = term[2], term[3] == .sign(")") else {
            return nil
        }
        if term[0] == .sign("HasLabel"), term.count == 4 {
            return ("HasAttrKeyOnDatapoint(\(LegacyFilter.literal(key)))", true)
        }
        if term[0] == .sign("Label"), term.count == 6, term[4] == .sign("=="), case .text(let value) = term[5] {
            return ("HasAttrOnDatapoint(\(LegacyFilter.literal(key)), \(LegacyFilter.literal(value)))", true)
        }
        return nil
    }

    /// Nil on what is no token.
    private static func tokens(of text: String) -> [Token]? {
        var tokens: [Token] = []
        var rest = text[...]
        while let first = rest.first {
            if first.isWhitespace {
                rest.removeFirst()
            } else if first == "\"" || first == "'" {
                rest.removeFirst()
                guard let end = rest.firstIndex(of: first), !rest[..<end].contains("\\") else { return nil }
                tokens.append(.text(String(rest[..<end])))
                rest = rest[rest.index(after: end)...]
            } else if first.isLetter {
                let name = rest.prefix { $0.isLetter }
                tokens.append(.sign(String(name)))
                rest = rest[name.endIndex...]
            } else if let sign = ["&&", "||", "==", "!=", "(", ")"].first(where: { rest.hasPrefix($0) }) {
                tokens.append(.sign(sign))
                rest = rest.dropFirst(sign.count)
            } else {
                return nil
            }
        }
        return tokens
    }
}
