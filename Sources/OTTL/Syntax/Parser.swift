/// Reads conditions and statements: `or` binds least, then `and`, `not`, comparisons, `+ -`, `* /`.
struct Parser {
    private let tokens: [Token]
    private var index = 0
    private var depth = 0

    /// Brackets and operators inside each other.
    static let depthMax = 200

    private init(_ text: String) throws(SyntaxFault) { tokens = try Lexer.tokens(of: text) }

    static func condition(_ text: String) throws(SyntaxFault) -> Expression {
        var parser = try Parser(text)
        let expression = try parser.disjunction()
        try parser.end("and, or, or the end")
        return expression
    }

    static func statement(_ text: String) throws(SyntaxFault) -> StatementExpression {
        var parser = try Parser(text)
        let start = parser.token
        guard case .lower(let name) = start.kind, parser.peek(1) == .mark("(") else {
            throw SyntaxFault(start.offset, "a statement begins with an editor such as set(, not \(start.shown)")
        }
        parser.index += 1
        var call = CallExpression(name: name, arguments: [], keys: [], offset: start.offset)
        call.arguments = try parser.arguments()
        var condition: Expression?
        if parser.token.kind == .lower("where") {
            parser.index += 1
            condition = try parser.disjunction()
        }
        try parser.end(condition == nil ? "where or the end" : "and, or, or the end")
        return StatementExpression(editor: call, condition: condition)
    }

    // MARK: Tokens

    private var token: Token { tokens[min(index, tokens.count - 1)] }
    private func peek(_ ahead: Int) -> Token.Kind { tokens[min(index + ahead, tokens.count - 1)].kind }

    private mutating func take(_ mark: String) -> Bool {
        guard token.kind == .mark(mark) else { return false }
        index += 1
        return true
    }

    private mutating func expect(_ mark: String, _ what: String) throws(SyntaxFault) {
        guard take(mark) else { throw SyntaxFault(token.offset, "expected \(what), not \(token.shown)") }
    }

    private func end(_ expected: String) throws(SyntaxFault) {
        if token.kind != .end { throw SyntaxFault(token.offset, "expected \(expected), not \(token.shown)") }
    }

    private mutating func nested<T>(_ body: (inout Parser) throws(SyntaxFault) -> T) throws(SyntaxFault) -> T {
        depth += 1
        defer { depth -= 1 }
        if depth > Parser.depthMax { throw SyntaxFault(token.offset, "is nested too deeply") }
        return try body(&self)
    }

    // MARK: Operators

    private mutating func disjunction() throws(SyntaxFault) -> Expression {
        var left = try conjunction()
        while token.kind == .lower("or") {
            let offset = token.offset
            index += 1
            left = .binary(.or, left, try conjunction(), offset: offset)
        }
        return left
    }

    private mutating func conjunction() throws(SyntaxFault) -> Expression {
        var left = try negation()
        while token.kind == .lower("and") {
            let offset = token.offset
            index += 1
            left = .binary(.and, left, try negation(), offset: offset)
        }
        return left
    }

    private mutating func negation() throws(SyntaxFault) -> Expression {
        guard token.kind == .lower("not") else { return try comparison() }
        let offset = token.offset
        index += 1
        return .not(try nested { (parser) throws(SyntaxFault) in try parser.negation() }, offset: offset)
    }

    private mutating func comparison() throws(SyntaxFault) -> Expression {
        let left = try sum()
        guard case .mark(let mark) = token.kind, let operation = BinaryOperator(rawValue: mark),
            operation.isComparison
        else {
            if token.kind == .mark("=") { throw SyntaxFault(token.offset, "equality is written ==") }
            return left
        }
        let offset = token.offset
        index += 1
        return .binary(operation, left, try sum(), offset: offset)
    }

    private mutating func sum() throws(SyntaxFault) -> Expression {
        var left = try product()
        while case .mark(let mark) = token.kind, mark == "+" || mark == "-" {
            let offset = token.offset
            index += 1
            left = .binary(mark == "+" ? .add : .subtract, left, try product(), offset: offset)
        }
        return left
    }

    private mutating func product() throws(SyntaxFault) -> Expression {
        var left = try primary()
        while case .mark(let mark) = token.kind, mark == "*" || mark == "/" {
            let offset = token.offset
            index += 1
            left = .binary(mark == "*" ? .multiply : .divide, left, try primary(), offset: offset)
        }
        return left
    }

    // MARK: Values

    private mutating func primary() throws(SyntaxFault) -> Expression {
        let token = token
        index += 1
        switch token.kind {
        case .string(let bytes): return .string(bytes)
        case .bytes(let bytes): return .bytes(bytes)
        case .int(let value):
            if value == .min { throw SyntaxFault(token.offset, "9223372036854775808 does not fit into 64 bits") }
            return .int(value)
        case .double(let value): return .double(value)
        case .lower("true"): return .bool(true)
        case .lower("false"): return .bool(false)
        case .lower("nil"): return .none
        case .lower(let word) where ["and", "or", "not", "where"].contains(word):
            throw SyntaxFault(token.offset, "expected a value, not the word \(word)")
        case .lower(let name): return .path(try path(name, token.offset))
        case .upper(let name): return try named(name, token.offset)
        case .mark("("):
            let inner = try nested { (parser) throws(SyntaxFault) in try parser.disjunction() }
            try expect(")", "a closing parenthesis")
            return inner
        case .mark("["): return .list(try list())
        case .mark("{"): return .map(try map())
        case .mark("-"), .mark("+"): return try signed(token)
        case .mark, .end:
            throw SyntaxFault(token.offset, "expected a value, not \(token.shown)")
        }
    }

    private mutating func signed(_ sign: Token) throws(SyntaxFault) -> Expression {
        let isMinus = sign.kind == .mark("-")
        switch token.kind {
        case .int(let value):
            if value == .min, !isMinus { throw SyntaxFault(token.offset, "does not fit into 64 bits") }
            index += 1
            return .int(isMinus ? 0 &- value : value)
        case .double(let value):
            index += 1
            return .double(isMinus ? -value : value)
        default:
            let operand = try nested { (parser) throws(SyntaxFault) in try parser.primary() }
            return isMinus ? .negated(operand, offset: sign.offset) : operand
        }
    }

    private mutating func path(_ name: String, _ offset: Int) throws(SyntaxFault) -> PathExpression {
        if token.kind == .mark("(") {
            throw SyntaxFault(
                offset, "\(name) is an editor, or no function: converters begin with an upper-case letter")
        }
        var path = PathExpression(segments: [.init(name: name, keys: try keys(), offset: offset)])
        while take(".") {
            guard case .lower(let next) = token.kind else {
                throw SyntaxFault(token.offset, "expected a field behind the dot, not \(token.shown)")
            }
            let place = token.offset
            index += 1
            path.segments.append(.init(name: next, keys: try keys(), offset: place))
        }
        return path
    }

    /// Indices in brackets.
    private mutating func keys() throws(SyntaxFault) -> [Expression] {
        var keys: [Expression] = []
        while take("[") {
            keys.append(try nested { (parser) throws(SyntaxFault) in try parser.sum() })
            try expect("]", "a closing bracket")
        }
        return keys
    }

    /// A converter, an enum, or a converter that is passed as a value.
    private mutating func named(_ name: String, _ offset: Int) throws(SyntaxFault) -> Expression {
        guard token.kind == .mark("(") else { return .symbol(name, offset: offset) }
        if Function.takesLambda(name) {
            throw SyntaxFault(offset, "there is no converter \(name); \(Function.lambdas)")
        }
        var call = CallExpression(name: name, arguments: [], keys: [], offset: offset)
        call.arguments = try arguments()
        call.keys = try keys()
        return .call(call)
    }

    private mutating func arguments() throws(SyntaxFault) -> [CallExpression.Argument] {
        try expect("(", "an opening parenthesis")
        var arguments: [CallExpression.Argument] = []
        if take(")") { return arguments }
        repeat {
            let offset = token.offset
            var name: String?
            if case .lower(let word) = token.kind, peek(1) == .mark("=") {
                name = word
                index += 2
            } else if arguments.last?.name != nil {
                throw SyntaxFault(offset, "arguments without a name come before those with one")
            }
            let value = try nested { (parser) throws(SyntaxFault) in try parser.disjunction() }
            arguments.append(.init(name: name, value: value, offset: offset))
        } while take(",")
        try expect(")", "a comma or a closing parenthesis")
        return arguments
    }

    private mutating func list() throws(SyntaxFault) -> [Expression] {
        var values: [Expression] = []
        if take("]") { return values }
        repeat {
            values.append(try nested { (parser) throws(SyntaxFault) in try parser.sum() })
        } while take(",")
        try expect("]", "a comma or a closing bracket")
        return values
    }

    private mutating func map() throws(SyntaxFault) -> [(key: [UInt8], value: Expression)] {
        var members: [(key: [UInt8], value: Expression)] = []
        if take("}") { return members }
        repeat {
            guard case .string(let key) = token.kind else {
                throw SyntaxFault(token.offset, "expected a string as the member's key, not \(token.shown)")
            }
            index += 1
            try expect(":", "a colon behind the member's key")
            members.append((key, try nested { (parser) throws(SyntaxFault) in try parser.sum() }))
        } while take(",")
        try expect("}", "a comma or a closing brace")
        return members
    }
}
