import Configuration
import Patterns
import Telemetry

/// Looks up the names of an expression and writes it as nodes.
struct Compiler {
    let context: OTTLContext
    /// Keys that the decoder shall resolve.
    var keys: KeyTable.Builder
    var nodes: [Node] = []
    var arguments: [Int32] = []
    var patterns: [CompiledPattern] = []
    var zones: [ZoneRules] = []
    var memory = ArenaBox()

    init(context: OTTLContext, keys: KeyTable.Builder) {
        self.context = context
        self.keys = keys
    }

    /// Arenas cannot be copied, a compiler may.
    final class ArenaBox {
        private var arena = Arena()

        func copy(_ bytes: [UInt8]) -> Text { bytes.withUnsafeBytes { arena.copy(Text($0)) } }

        /// The arena with all literals; the box is empty then.
        func take() -> Arena {
            var taken = Arena()
            swap(&taken, &arena)
            return taken
        }
    }

    mutating func add(_ node: Node) -> Int32 {
        nodes.append(node)
        return Int32(nodes.count - 1)
    }

    mutating func literal(_ value: Value, at offset: Int = 0) -> Int32 {
        var node = Node(.literal, at: offset)
        node.value = value
        return add(node)
    }

    func text(_ bytes: [UInt8]) -> Text { memory.copy(bytes) }

    // MARK: Expressions

    /// A node that gives a truth value.
    mutating func test(_ expression: Expression, at offset: Int) throws(SyntaxFault) -> Int32 {
        switch expression {
        case .bool, .not, .call: break
        case .binary(let operation, _, _, _) where operation.isComparison || operation == .or || operation == .and:
            break
        case .path(let path):
            throw SyntaxFault(path.offset, "expected a condition: compare \(path.shown) with a value, such as != nil")
        default: throw SyntaxFault(offset, "expected a condition, such as a comparison")
        }
        return try value(expression)
    }

    mutating func value(_ expression: Expression) throws(SyntaxFault) -> Int32 {
        switch expression {
        case .string(let bytes): return literal(.string(text(bytes)))
        case .bytes(let bytes): return literal(.bytes(text(bytes)))
        case .int(let number): return literal(.int(number))
        case .double(let number): return literal(.double(number))
        case .bool(let flag): return literal(.bool(flag))
        case .none: return literal(.none)
        case .path(let path): return try self.path(path)
        case .symbol(let name, let offset): return literal(.int(try symbol(name, offset)), at: offset)
        case .call(let call): return try converter(call)
        case .list(let items):
            var children: [Int32] = []
            for item in items { children.append(try value(item)) }
            return add(run(.list, children, count: children.count))
        case .map(let members):
            var children: [Int32] = []
            for member in members {
                children.append(literal(.string(text(member.key))))
                children.append(try value(member.value))
            }
            return add(run(.map, children, count: members.count))
        case .negated(let operand, let offset):
            var node = Node(.negate, at: offset)
            node.first = try value(operand)
            return add(node)
        case .not(let operand, let offset):
            var node = Node(.not, at: offset)
            node.first = try test(operand, at: offset)
            return add(node)
        case .binary(let operation, let left, let right, let offset):
            return try binary(operation, left, right, offset)
        }
    }

    private mutating func binary(
        _ operation: BinaryOperator, _ left: Expression, _ right: Expression, _ offset: Int
    ) throws(SyntaxFault) -> Int32 {
        let kind: Operation =
            switch operation {
            case .or: .or
            case .and: .and
            case .equal: .equal
            case .notEqual: .notEqual
            case .less: .less
            case .lessOrEqual: .lessOrEqual
            case .greater: .greater
            case .greaterOrEqual: .greaterOrEqual
            case .add: .add
            case .subtract: .subtract
            case .multiply: .multiply
            case .divide: .divide
            }
        var node = Node(kind, at: offset)
        if operation == .or || operation == .and {
            node.first = try test(left, at: offset)
            node.second = try test(right, at: offset)
        } else {
            node.first = try side(left, beside: right, kind)
            node.second = try side(right, beside: left, kind)
        }
        return add(node)
    }

    /// An operand. Records that are no values can be compared with nil.
    private mutating func side(
        _ expression: Expression, beside other: Expression, _ operation: Operation
    ) throws(SyntaxFault) -> Int32 {
        if operation == .equal || operation == .notEqual, case .none = other, case .path(let path) = expression,
            isCounted(path)
        {
            return try self.path(path, isCounted: true)
        }
        return try value(expression)
    }

    /// A node whose children lie in the argument list.
    mutating func run(_ operation: Operation, _ children: [Int32], count: Int, at offset: Int = 0) -> Node {
        var node = Node(operation, at: offset)
        node.first = Int32(arguments.count)
        node.second = Int32(count)
        arguments += children
        return node
    }

    private func symbol(_ name: String, _ offset: Int) throws(SyntaxFault) -> Int64 {
        if let value = Symbol.table[name] { return value }
        if Function.converters.contains(where: { $0.name == name }) {
            throw SyntaxFault(offset, "\(name) is a converter: call it, \(name)(…)")
        }
        let known = Symbol.table.keys.sorted() + Function.converters.map(\.name)
        throw SyntaxFault(offset, "unknown name \(name)" + Compiler.hint(name, known))
    }

    static func hint(_ name: String, _ known: [String]) -> String {
        Suggestion.nearest(to: name, among: known).map { ", did you mean \($0)?" } ?? ""
    }

    // MARK: Paths

    /// What to do about a path that begins with `otelcol`.
    static let requestFacts =
        "facts about the request are known to routes alone: put an attributes processor with "
        + "`from_context: metadata.NAME`, a header that a receiver with include_metadata keeps, or "
        + "`from_context: auth.tenant` in front and ask for its attribute"

    /// `isCounted` when the length of what it names is asked for, or whether it is nil.
    mutating func path(_ path: PathExpression, isCounted: Bool = false) throws(SyntaxFault) -> Int32 {
        var segments = path.segments[...]
        guard let first = segments.first else { throw SyntaxFault(0, "expected a path") }
        if context == .request { return try request(path, first) }
        if first.name == "otelcol" {
            throw SyntaxFault(first.offset, Compiler.requestFacts)
        }
        var named = context
        if let other = OTTLContext(prefix: first.name) {
            guard context.reach.contains(other) else {
                throw SyntaxFault(
                    first.offset,
                    "\(first.name) cannot be read here: conditions of \(context.rawValue) see "
                        + context.reach.map(\.rawValue).joined(separator: ", "))
            }
            segments = segments.dropFirst()
            guard !segments.isEmpty, first.keys.isEmpty else {
                throw SyntaxFault(
                    first.offset, "\(first.name) is no value: name a field of it, such as \(first.name).attributes")
            }
            named = other
        }
        guard let last = segments.last else { throw SyntaxFault(first.offset, "expected a field") }
        for segment in segments.dropLast() where !segment.keys.isEmpty {
            throw SyntaxFault(segment.offset, "\(segment.name) has no members by index before another field")
        }
        let name = segments.map(\.name).joined(separator: ".")
        let base: Int32
        var rest = last.keys[...]
        if name == "cache" {
            base = add(Node(.cache, at: last.offset))
        } else if let owner = Compiler.owner(named, name) {
            base = try attributes(owner, &rest, last.offset)
        } else if let field = Field.table(of: named)[name] {
            base = try self.field(field, name, &rest, last.offset)
        } else if let field = Field.counted(named, name) {
            guard isCounted, rest.isEmpty else {
                throw SyntaxFault(
                    last.offset, "\(name) can only be counted, Len(\(path.shown)), and compared with nil")
            }
            base = try self.field(field, name, &rest, last.offset)
        } else {
            throw unknown(name, named, segments.first?.offset ?? first.offset)
        }
        return try indexed(base, rest, at: last.offset)
    }

    /// Whose attributes a field named like this means.
    private static func owner(_ context: OTTLContext, _ name: String) -> OwnerKind? {
        switch (context, name) {
        case (.resource, "attributes"): .resource
        case (.scope, "attributes"): .scope
        case (.span, "attributes"): .span
        case (.spanevent, "attributes"): .event
        case (.log, "attributes"): .log
        case (.metric, "metadata"): .metric
        case (.datapoint, "attributes"): .point
        default: nil
        }
    }

    private func unknown(_ name: String, _ named: OTTLContext, _ offset: Int) -> SyntaxFault {
        var known = Array(Field.table(of: named).keys).sorted() + ["cache"]
        known.append(named == .metric ? "metadata" : "attributes")
        var hint = Compiler.hint(name, known)
        if hint.isEmpty {
            for other in context.reach
            where Field.table(of: other)[name] != nil || Compiler.owner(other, name) != nil {
                hint = ", did you mean \(other.rawValue).\(name)?"
            }
        }
        if hint.isEmpty { hint = "; it has " + known.joined(separator: ", ") }
        return SyntaxFault(offset, "\(named.rawValue) has no field \(name)\(hint)")
    }

    private mutating func attributes(
        _ owner: OwnerKind, _ rest: inout ArraySlice<Expression>, _ offset: Int
    ) throws(SyntaxFault) -> Int32 {
        guard let key = rest.popFirst() else {
            var node = Node(.set, at: offset)
            node.owner = owner
            return add(node)
        }
        var node = Node(.attribute, at: offset)
        node.owner = owner
        switch key {
        case .string(let bytes): node.key = keys.intern(String(decoding: bytes, as: UTF8.self))
        case .int, .double, .bool, .none: throw SyntaxFault(offset, "attributes are found by strings in brackets")
        default:
            node.operation = .namedAttribute
            node.first = try value(key)
        }
        return add(node)
    }

    private mutating func field(
        _ field: Field, _ name: String, _ rest: inout ArraySlice<Expression>, _ offset: Int
    ) throws(SyntaxFault) -> Int32 {
        var node = Node(.field, at: offset)
        node.field = field
        guard let key = rest.first else { return add(node) }
        switch field {
        case .body, .pointBuckets, .pointBounds, .pointPositiveCounts, .pointNegativeCounts: return add(node)
        case .traceState:
            rest.removeFirst()
            node.operation = .traceStateMember
            node.first = try value(key)
            return add(node)
        default: throw SyntaxFault(offset, "\(name) has no members: take the brackets away")
        }
    }

    /// `request["name"]`, or `otelcol.client.metadata["name"]` with or without the index of its one value.
    private mutating func request(
        _ path: PathExpression, _ first: PathExpression.Segment
    ) throws(SyntaxFault) -> Int32 {
        let keys = path.segments.last?.keys ?? []
        let isNamed =
            switch path.shown {
            case "request": keys.count == 1
            case "otelcol.client.metadata", "otelcol.grpc.metadata": keys.count == 1 || keys.count == 2
            default: false
            }
        guard isNamed, path.segments.dropLast().allSatisfy(\.keys.isEmpty) else {
            throw SyntaxFault(
                first.offset,
                "the request context knows request[\"name\"] and otelcol.client.metadata[\"name\"] alone")
        }
        if keys.count == 2 {
            guard case .int(0) = keys[1] else {
                throw SyntaxFault(first.offset, "one value of a header is kept: its index is [0]")
            }
        }
        var node = Node(.request, at: first.offset)
        node.first = try value(keys[0])
        return add(node)
    }

    mutating func indexed(_ base: Int32, _ rest: ArraySlice<Expression>, at offset: Int) throws(SyntaxFault) -> Int32 {
        var base = base
        for key in rest {
            var node = Node(.index, at: offset)
            node.first = base
            node.second = try value(key)
            base = add(node)
        }
        return base
    }
}
