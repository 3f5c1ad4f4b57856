package import Telemetry

/// A boolean expression, compiled once for one context; shared by all threads.
package struct OTTLCondition: Sendable {
    package let source: String
    package let context: OTTLContext
    private let program: Program
    private let root: Int32

    /// Reads and compiles a condition. Its attribute keys are interned in `keys`, so the batches it is asked about must
    /// use the table built from them.
    package init(
        _ source: String, context: OTTLContext, keys: inout KeyTable.Builder
    ) throws(OTTLProblem) {
        let compiled = try Program.compile(source, context, &keys) { (compiler) throws(SyntaxFault) in
            try compiler.test(try Parser.condition(source), at: 0)
        }
        self.source = source
        self.context = context
        (program, root) = compiled
    }

    /// Its patterns that are searched with a limit.
    var slowPatterns: [String] { program.slowPatterns }

    /// Whether it asks nothing of the record and holds.
    var isAlwaysTrue: Bool { program.isAlwaysTrue(root) }

    /// Whether the condition holds for the record at `place`. `state.beginRecord()` comes before a record's first
    /// evaluation.
    package func isTrue(
        _ batch: borrowing RecordBatch, at place: Place, _ state: inout EvaluationState
    ) throws(OTTLFailure) -> Bool {
        do throws(EvaluationFailure) {
            return try program.isTrue(root, batch, place, &state)
        } catch {
            throw OTTLFailure(error, source)
        }
    }
}

/// An editor with its `where` clause, compiled once for one context; shared by all threads.
package struct OTTLStatement: Sendable {
    package let source: String
    package let context: OTTLContext
    let program: Program
    let editor: Int32
    private let condition: Int32?
    /// Whether the statement is `route()`, which changes nothing.
    package let isRoute: Bool

    package init(
        _ source: String, context: OTTLContext, keys: inout KeyTable.Builder
    ) throws(OTTLProblem) {
        var condition: Int32?
        let compiled = try Program.compile(source, context, &keys) { (compiler) throws(SyntaxFault) in
            let statement = try Parser.statement(source)
            if let expression = statement.condition { condition = try compiler.test(expression, at: 0) }
            return try compiler.editor(statement.editor)
        }
        self.source = source
        self.context = context
        self.condition = condition
        (program, editor) = compiled
        isRoute = program.nodes[Int(editor)].function == .route
    }

    /// Its patterns that are searched with a limit.
    var slowPatterns: [String] { program.slowPatterns }

    /// Whether the `where` clause holds, or there is none.
    package func applies(
        _ batch: borrowing RecordBatch, at place: Place, _ state: inout EvaluationState
    ) throws(OTTLFailure) -> Bool {
        guard let condition else { return true }
        do throws(EvaluationFailure) {
            return try program.isTrue(condition, batch, place, &state)
        } catch {
            throw OTTLFailure(error, source)
        }
    }

    /// Runs the editor when the `where` clause holds; false when it does not. A statement that fails changed nothing.
    @discardableResult
    package func run(
        _ batch: inout RecordBatch, at place: Place, _ state: inout EvaluationState
    ) throws(OTTLFailure) -> Bool {
        do throws(EvaluationFailure) {
            if let condition, try !program.isTrue(condition, batch, place, &state) { return false }
            try program.edit(editor, &batch, place, &state)
            return true
        } catch {
            throw OTTLFailure(error, source)
        }
    }
}

/// A condition or statement failed on one record. The words are made when somebody asks.
package struct OTTLFailure: Error, CustomStringConvertible {
    private let failure: EvaluationFailure
    private let source: String

    init(_ failure: EvaluationFailure, _ source: String) {
        self.failure = failure
        self.source = source
    }

    package var description: String {
        let problem = OTTLProblem(at: max(0, Int(failure.offset)), in: source, failure.words)
        return failure.offset < 0 ? "\(failure.words), in \(source)" : "\(problem), in \(source)"
    }
}

/// What to do when a condition or statement fails on a record.
package enum OTTLErrorMode: String, CaseIterable, Sendable {
    /// Counted, told, and gone on with.
    case ignore
    /// Counted and gone on with.
    case silent
    /// It is a failure of the processor or connector, which costs the request or the record.
    case propagate
}

extension Program {
    /// Compiles one text; literals are calculated once here.
    static func compile(
        _ source: String, _ context: OTTLContext, _ keys: inout KeyTable.Builder,
        _ body: (inout Compiler) throws(SyntaxFault) -> Int32
    ) throws(OTTLProblem) -> (Program, Int32) {
        var compiler = Compiler(context: context, keys: keys)
        do throws(SyntaxFault) {
            let root = try body(&compiler)
            keys = compiler.keys
            let program = Program(
                source: source, nodes: compiler.nodes, arguments: compiler.arguments, patterns: compiler.patterns,
                zones: compiler.zones, memory: compiler.memory.take())
            try program.fold()
            return (program, root)
        } catch {
            throw OTTLProblem(at: error.offset, in: source, error.message)
        }
    }
}

/// Finds the context that a text with prefixed paths is about.
package enum OTTLInference {
    /// The context in which all paths of a condition or statement can be read, whatever the signal: the most specific
    /// that they name. Nil when a path has no prefix, or no context reaches them all.
    package static func context(condition: String, statement: String) -> OTTLContext? {
        var paths: [PathExpression] = []
        do throws(SyntaxFault) {
            if statement.isEmpty {
                PathScan.collect(try Parser.condition(condition), &paths)
            } else {
                let parsed = try Parser.statement(statement)
                PathScan.collect(.call(parsed.editor), &paths)
                if let condition = parsed.condition { PathScan.collect(condition, &paths) }
            }
        } catch { return nil }
        var named: [OTTLContext] = []
        for path in paths {
            let name = path.segments.first?.name ?? ""
            guard let context = name == "otelcol" ? OTTLContext.request : OTTLContext(prefix: name) else { return nil }
            named.append(context)
        }
        return named.first { context in named.allSatisfy { context.reach.contains($0) } }
    }

    /// The most specific of the contexts that the paths of all texts name, for a signal. Fails when a path has no
    /// prefix, or one that the signal does not have.
    package static func context(
        conditions: [String] = [], statements: [String] = [], signal: Signal
    ) throws(OTTLProblem) -> OTTLContext {
        let known = OTTLContext.all(of: signal)
        var best = 0
        for source in conditions + statements {
            var paths: [PathExpression] = []
            var needsSpan: Bool
            do throws(SyntaxFault) {
                if statements.contains(source) {
                    let statement = try Parser.statement(source)
                    PathScan.collect(.call(statement.editor), &paths)
                    if let condition = statement.condition { PathScan.collect(condition, &paths) }
                    let editor = Function.editors.first { $0.name == statement.editor.name }
                    let ranks = editor?.contexts.compactMap { known.firstIndex(of: $0) } ?? []
                    best = max(best, ranks.min() ?? 0)
                } else {
                    PathScan.collect(try Parser.condition(source), &paths)
                }
            } catch { throw OTTLProblem(at: error.offset, in: source, error.message) }
            needsSpan = source.contains("IsRootSpan")
            if needsSpan, let span = known.firstIndex(of: .span) { best = max(best, span) }
            if source.contains("OnDatapoint("), let metric = known.firstIndex(of: .metric) { best = max(best, metric) }
            for path in paths where path.segments.first?.name != "cache" {
                let name = path.segments.first?.name ?? ""
                if name == "otelcol" { throw OTTLProblem(at: path.offset, in: source, Compiler.requestFacts) }
                guard let context = OTTLContext(prefix: name), let rank = known.firstIndex(of: context) else {
                    let choices = known.map { "\($0.rawValue)." }.joined(separator: ", ")
                    throw OTTLProblem(
                        at: path.offset, in: source,
                        "\(path.shown) needs a prefix that says whose it is: one of \(choices)")
                }
                best = max(best, rank)
            }
        }
        return known[best]
    }
}

/// All paths in an expression.
enum PathScan {
    static func collect(_ expression: Expression, _ paths: inout [PathExpression]) {
        switch expression {
        case .path(let path):
            paths.append(path)
            for segment in path.segments { for key in segment.keys { collect(key, &paths) } }
        case .call(let call):
            for argument in call.arguments { collect(argument.value, &paths) }
            for key in call.keys { collect(key, &paths) }
        case .list(let items): for item in items { collect(item, &paths) }
        case .map(let members): for member in members { collect(member.value, &paths) }
        case .negated(let operand, _), .not(let operand, _): collect(operand, &paths)
        case .binary(_, let left, let right, _):
            collect(left, &paths)
            collect(right, &paths)
        case .string, .bytes, .int, .double, .bool, .none, .symbol: break
        }
    }
}
