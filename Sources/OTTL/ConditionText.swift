import Telemetry

/// What can be said of conditions before any record comes, for warnings.
package enum ConditionText {
    /// A text that conditions share which differ in spaces and in the prefix of their own context alone; nil for one
    /// that cannot be read.
    package static func canonical(_ text: String, _ context: OTTLContext) -> String? {
        do throws(SyntaxFault) {
            return words(of: try Lexer.tokens(of: text)[...], context)
        } catch { return nil }
    }

    /// The same for what a statement asks for: `route() where …` is its condition, without one it is `true`.
    package static func canonical(statement text: String, _ context: OTTLContext) -> String? {
        do throws(SyntaxFault) {
            let tokens = try Lexer.tokens(of: text)
            let isRoute = tokens.prefix(3).map(\.kind) == [.lower("route"), .mark("("), .mark(")")]
            guard isRoute else { return words(of: tokens[...], context) }
            guard tokens.count > 4, tokens[3].kind == .lower("where") else { return "true" }
            return words(of: tokens[4...], context)
        } catch { return nil }
    }

    /// Whether a condition holds for every record, as `true` and `1 == 1` do.
    package static func isAlwaysTrue(_ text: String, _ context: OTTLContext) -> Bool {
        var keys = KeyTable.Builder()
        do throws(OTTLProblem) {
            return try OTTLCondition(text, context: context, keys: &keys).isAlwaysTrue
        } catch { return false }
    }

    private static func words(of tokens: ArraySlice<Token>, _ context: OTTLContext) -> String {
        var words: [String] = []
        var index = tokens.startIndex
        while index < tokens.endIndex, tokens[index].kind != .end {
            let isInPath = index > tokens.startIndex && tokens[index - 1].kind == .mark(".")
            let hasPath = index + 1 < tokens.endIndex && tokens[index + 1].kind == .mark(".")
            if case .lower(let name) = tokens[index].kind, !isInPath, hasPath, OTTLContext(prefix: name) == context {
                index += 2
                continue
            }
            words.append(word(tokens[index].kind))
            index += 1
        }
        return words.joined(separator: " ")
    }

    /// Strings are written with their length, so that no content looks like two words.
    private static func word(_ kind: Token.Kind) -> String {
        switch kind {
        case .string(let bytes): "s\(bytes.count):" + String(decoding: bytes, as: UTF8.self)
        case .bytes(let bytes): "b\(bytes)"
        case .int(let number): "\(number)"
        case .double(let number): "d\(number)"
        case .lower(let name), .upper(let name), .mark(let name): name
        case .end: ""
        }
    }
}
