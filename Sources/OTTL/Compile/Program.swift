import Patterns
import Telemetry

/// What a node does with its children.
enum Operation: UInt8 {
    case literal
    /// The attributes of an owner as a map.
    case set
    /// One attribute by its number.
    case attribute
    /// One attribute by a computed name; `first` is the name.
    case namedAttribute
    case field
    /// A member of the trace state; `first` is its key.
    case traceStateMember
    case cache
    /// A fact about the request; `first` is its name.
    case request
    /// `first` is the container, `second` the key.
    case index
    case list, map
    /// A regular expression that is no literal; `first` is its text, `second` 1 for a glob.
    case pattern
    case call
    case or, and, not
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
    case add, subtract, multiply, divide, negate

    var isTest: Bool {
        switch self {
        case .or, .and, .not, .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual: true
        default: false
        }
    }
}

/// One step of a program. Children are indices of nodes, or a run in the program's argument list.
struct Node: BitwiseCopyable {
    var operation: Operation
    var owner = OwnerKind.resource
    var field = Field.spanName
    var function = Function.set
    var isPure = false
    var key = KeyID.unknown
    var first: Int32 = -1
    var second: Int32 = -1
    /// Byte offset in the text, for messages.
    var offset: Int32 = 0
    var value = Value.none

    init(_ operation: Operation, at offset: Int) {
        self.operation = operation
        self.offset = Int32(truncatingIfNeeded: offset)
    }
}

/// A condition or statement with all names looked up: nodes in a flat array, literals in memory of its own.
// Everything is written while the program is compiled, by one owner, and only read afterwards.
final class Program: @unchecked Sendable {
    let source: String
    var nodes: UnsafeMutablePointer<Node>
    let count: Int
    /// Nodes of calls, lists and maps, each run preceded by nothing: the node has start and count.
    let arguments: UnsafeMutablePointer<Int32>
    private(set) var patterns: [CompiledPattern]
    let zones: [ZoneRules]
    /// Bytes of literals.
    private var memory: Arena

    init(
        source: String, nodes: [Node], arguments: [Int32], patterns: [CompiledPattern], zones: [ZoneRules],
        memory: consuming Arena
    ) {
        self.source = source
        count = nodes.count
        self.nodes = .allocate(capacity: max(1, nodes.count))
        for (index, node) in nodes.enumerated() { (self.nodes + index).initialize(to: node) }
        self.arguments = .allocate(capacity: max(1, arguments.count))
        for (index, node) in arguments.enumerated() { (self.arguments + index).initialize(to: node) }
        self.patterns = patterns
        self.zones = zones
        self.memory = memory
    }

    deinit {
        nodes.deallocate()
        arguments.deallocate()
    }

    var slowPatterns: [String] { patterns.filter(\.needsBacktracking).map(\.text) }

    /// Calculates what depends on literals alone, once. Runs while compiling.
    func fold() throws(SyntaxFault) {
        var state = EvaluationState()
        let batch = RecordBatch()
        for index in 0..<count {
            let node = nodes[index]
            if node.operation == .pattern { try foldPattern(index) }
            guard isConstant(node) else { continue }
            do throws(EvaluationFailure) {
                let result = try value(Int32(index), batch, Place(resource: 0), &state)
                nodes[index].value = keep(result)
                nodes[index].operation = .literal
            } catch {
                // It fails again, and says so, whenever it is asked for.
                continue
            }
        }
    }

    /// Compiles a pattern whose text turned out to depend on literals alone, such as `Concat` of some.
    private func foldPattern(_ index: Int) throws(SyntaxFault) {
        let node = nodes[index]
        let child = nodes[Int(node.first)]
        guard child.operation == .literal else { return }
        guard case .string(let text) = child.value else {
            throw SyntaxFault(Int(node.offset), "the pattern must be a string")
        }
        patterns.append(try Compiler.compiled(text.string, isGlob: node.second == 1, at: Int(node.offset)))
        nodes[index].value = .int(Int64(patterns.count - 1))
        nodes[index].operation = .literal
    }

    private func isConstant(_ node: Node) -> Bool {
        func isLiteral(_ child: Int32) -> Bool { child < 0 || nodes[Int(child)].operation == .literal }
        switch node.operation {
        case .list: return (0..<node.second).allSatisfy { isLiteral(arguments[Int(node.first + $0)]) }
        case .map: return (0..<node.second * 2).allSatisfy { isLiteral(arguments[Int(node.first + $0)]) }
        case .call:
            return node.isPure && (0..<node.second).allSatisfy { isLiteral(arguments[Int(node.first + $0)]) }
        case .index, .add, .subtract, .multiply, .divide, .negate:
            return isLiteral(node.first) && isLiteral(node.second)
        default: return false
        }
    }

    /// Whether a test is of literals alone and holds.
    func isAlwaysTrue(_ root: Int32) -> Bool {
        guard isFixed(root) else { return false }
        var state = EvaluationState()
        do throws(EvaluationFailure) {
            return try isTrue(root, RecordBatch(), Place(resource: 0), &state)
        } catch { return false }
    }

    private func isFixed(_ index: Int32) -> Bool {
        let node = nodes[Int(index)]
        if node.operation == .literal { return true }
        return node.operation.isTest && isFixed(node.first) && (node.second < 0 || isFixed(node.second))
    }

    private func keep(_ value: Value) -> Value {
        switch value {
        case .string(let text): .string(memory.copy(text))
        case .bytes(let text): .bytes(memory.copy(text))
        case .identifier(let text): .identifier(memory.copy(text))
        case .list(let text): .list(memory.copy(text))
        case .map(let text): .map(memory.copy(text))
        default: value
        }
    }
}
