import Patterns
import Telemetry

extension Compiler {
    /// A converter with the indices behind it.
    mutating func converter(_ call: CallExpression) throws(SyntaxFault) -> Int32 {
        guard let signature = Function.converters.first(where: { $0.name == call.name }) else {
            let editor = Function.editors.first { Signature.isSame($0.name, call.name) }
            let hint = editor.map { "; \($0.name) is an editor, which begins a statement" }
            throw Compiler.noConverter(call.name, call.offset, hint)
        }
        if let count = try count(call) { return count }
        return try indexed(try self.call(call, signature), call.keys[...], at: call.offset)
    }

    private static func noConverter(_ name: String, _ offset: Int, _ hint: String? = nil) -> SyntaxFault {
        let advice = hint ?? Function.absent(name).map { "; \($0)" }
        return SyntaxFault(
            offset, "there is no converter \(name)" + (advice ?? Compiler.hint(name, Function.converters.map(\.name))))
    }

    /// `Len` of records that are no values, nil for all else.
    private mutating func count(_ call: CallExpression) throws(SyntaxFault) -> Int32? {
        guard call.name == "Len", call.arguments.count == 1, call.keys.isEmpty,
            case .path(let path) = call.arguments[0].value, isCounted(path)
        else { return nil }
        let number = try self.path(path, isCounted: true)
        var node = run(.call, [number], count: 1, at: call.offset)
        node.function = .len
        // Tells the number of records from a value that has no length.
        node.field = nodes[Int(number)].field
        return add(node)
    }

    /// Whether a path may name records that are no values.
    func isCounted(_ path: PathExpression) -> Bool {
        context.reach.contains { Field.counted($0, path.segments.last?.name ?? "") != nil }
    }

    /// An editor.
    mutating func editor(_ call: CallExpression) throws(SyntaxFault) -> Int32 {
        guard let signature = Function.editors.first(where: { $0.name == call.name }) else {
            throw SyntaxFault(
                call.offset,
                "there is no editor \(call.name)"
                    + Compiler.hint(call.name, Function.editors.map(\.name)))
        }
        return try self.call(call, signature)
    }

    private mutating func call(_ call: CallExpression, _ signature: Signature) throws(SyntaxFault) -> Int32 {
        if !signature.contexts.isEmpty, !signature.contexts.contains(context) {
            let contexts = signature.contexts.map(\.rawValue).joined(separator: " and ")
            throw SyntaxFault(call.offset, "\(signature.name) works on \(contexts), not on \(context.rawValue)")
        }
        var children = [Int32](repeating: -1, count: signature.parameters.count)
        var isGiven = [Bool](repeating: false, count: signature.parameters.count)
        for (position, argument) in call.arguments.enumerated() {
            let index = try place(of: argument, position, signature)
            if isGiven[index] {
                throw SyntaxFault(argument.offset, "\(signature.parameters[index].name) is given twice")
            }
            isGiven[index] = true
            children[index] = try self.argument(argument, signature.parameters[index], signature)
        }
        for (parameter, isGiven) in zip(signature.parameters, isGiven) where !parameter.isOptional && !isGiven {
            throw SyntaxFault(call.offset, "\(parameter.name) is missing: \(signature.shown)")
        }
        try check(call, signature, children)
        try checkConstants(call, signature, children)
        var node = run(.call, children, count: children.count, at: call.offset)
        node.function = signature.function
        node.isPure = signature.isPure && !Function.editors.contains { $0.function == signature.function }
        return add(node)
    }

    private func place(
        of argument: CallExpression.Argument, _ position: Int, _ signature: Signature
    ) throws(SyntaxFault) -> Int {
        guard let name = argument.name else {
            guard position < signature.parameters.count else {
                throw SyntaxFault(argument.offset, "one argument too many: \(signature.shown)")
            }
            return position
        }
        guard let index = signature.parameters.firstIndex(where: { Signature.isSame($0.name, name) }) else {
            throw SyntaxFault(
                argument.offset,
                "\(signature.name) has no argument \(name)"
                    + Compiler.hint(name, signature.parameters.map(\.name)))
        }
        return index
    }

    private mutating func argument(
        _ argument: CallExpression.Argument, _ parameter: Signature.Parameter, _ signature: Signature
    ) throws(SyntaxFault) -> Int32 {
        switch parameter.kind {
        case .value: return try value(argument.value)
        case .pattern: return try pattern(argument, isGlob: false)
        case .glob: return try pattern(argument, isGlob: true)
        case .function: return try passedFunction(argument)
        case .zone: return try zone(argument)
        case .target:
            guard case .path = argument.value else {
                throw SyntaxFault(argument.offset, "\(signature.name) changes a field: expected a path as target")
            }
            let node = try value(argument.value)
            try checkTarget(node, argument.offset)
            return node
        }
    }

    private func checkTarget(_ index: Int32, _ offset: Int) throws(SyntaxFault) {
        let node = nodes[Int(index)]
        switch node.operation {
        case .set, .attribute, .namedAttribute, .traceStateMember, .cache: return
        case .field where node.field.isSettable: return
        case .index: try checkTarget(node.first, offset)
        default: throw SyntaxFault(offset, "this field can be read but not changed")
        }
    }

    /// The number of a pattern that is written out, or a node that makes one from a text while the program runs.
    private mutating func pattern(
        _ argument: CallExpression.Argument, isGlob: Bool
    ) throws(SyntaxFault) -> Int32 {
        guard case .string(let bytes) = argument.value else {
            var node = Node(.pattern, at: argument.offset)
            node.first = try value(argument.value)
            node.second = isGlob ? 1 : 0
            return add(node)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        patterns.append(try Compiler.compiled(text, isGlob: isGlob, at: argument.offset))
        return literal(.int(Int64(patterns.count - 1)), at: argument.offset)
    }

    static func compiled(_ text: String, isGlob: Bool, at offset: Int) throws(SyntaxFault) -> CompiledPattern {
        do throws(PatternProblem) {
            return try CompiledPattern(isGlob ? Glob.pattern(text) : text)
        } catch {
            throw SyntaxFault(offset, "\"\(text)\" is not a regular expression: \(error.message)")
        }
    }

    private mutating func zone(_ argument: CallExpression.Argument) throws(SyntaxFault) -> Int32 {
        guard case .string(let bytes) = argument.value else {
            throw SyntaxFault(argument.offset, "the time zone must be written out as a string, so that it is read once")
        }
        do throws(ZoneRules.Fault) {
            zones.append(try ZoneRules(named: String(decoding: bytes, as: UTF8.self)))
        } catch {
            throw SyntaxFault(argument.offset, error.message)
        }
        return literal(.int(Int64(zones.count - 1)), at: argument.offset)
    }

    private mutating func passedFunction(_ argument: CallExpression.Argument) throws(SyntaxFault) -> Int32 {
        guard case .symbol(let name, let offset) = argument.value else {
            throw SyntaxFault(argument.offset, "expected the name of a converter, such as SHA256")
        }
        guard let signature = Function.converters.first(where: { $0.name == name }) else {
            throw Compiler.noConverter(name, offset)
        }
        guard Program.passable.contains(signature.function) else {
            throw SyntaxFault(offset, "\(name) cannot change a replacement: it makes no text of one text")
        }
        return literal(.int(Int64(signature.function.rawValue)), at: offset)
    }

    /// Arguments with a few allowed words, when they are written out.
    private func check(
        _ call: CallExpression, _ signature: Signature, _ children: [Int32]
    ) throws(SyntaxFault) {
        let words: (argument: Int, allowed: [String])
        switch signature.function {
        case .mergeMaps: words = (2, ["insert", "update", "upsert"])
        case .replaceAllPatterns: words = (1, ["key", "value"])
        case .convertCase: words = (1, ["lower", "upper", "snake", "camel"])
        case .setSemconvSpanName: words = (0, (37...43).map { "1.\($0).0" })
        case .sort: words = (1, ["asc", "desc"])
        case .parseCLF: words = (1, ["clf", "combined"])
        case .convertGaugeToSum, .convertSummaryCount, .convertSummarySum: words = (0, ["cumulative", "delta"])
        case .aggregateOnAttributes, .aggregateOnAttributeValue:
            words = (0, MetricAggregation.allCases.map(\.rawValue))
        case .convertExponentialHistogram: words = (0, BucketDistribution.allCases.map(\.rawValue))
        case .parseCSV: words = (4, ["strict", "lazyQuotes", "ignoreQuotes"])
        case .mergeHistogramBuckets: words = (1, ["remove_explicit_bound", "limit_buckets"])
        case .extractPatterns:
            if case .int(let index) = nodes[Int(children[1])].value,
                !patterns[Int(index)].groupNames.contains(where: { $0 != nil })
            {
                throw SyntaxFault(call.offset, "the pattern needs at least one named group, such as (?P<name>…)")
            }
            return
        case .time:
            guard children[3] >= 0, case .string(let locale) = nodes[Int(children[3])].value else { return }
            if locale.isEmpty || locale.hasPrefix("en") { return }
            throw SyntaxFault(
                call.offset, "names of months and days are read in English; locale \(locale.string) is not known")
        default: return
        }
        guard children[words.argument] >= 0, case .string(let text) = nodes[Int(children[words.argument])].value else {
            return
        }
        if !words.allowed.contains(text.string) {
            let name = signature.parameters[words.argument].name
            throw SyntaxFault(
                call.offset, "\(name) is one of \(words.allowed.joined(separator: ", ")), not \"\(text.string)\"")
        }
    }
}

/// Shell patterns as regular expressions: `*` any text, `?` one character, `[a-z]`, `[!a-z]`, `{one,other}`.
enum Glob {
    static func pattern(_ glob: String) -> String {
        var pattern = "\\A"
        var isClass = false
        var depth = 0
        var isEscaped = false
        var previous: Character = " "
        for character in glob {
            if isEscaped {
                pattern += quoted(character)
                isEscaped = false
            } else if isClass {
                if character == "]" { isClass = false }
                pattern += character == "!" && previous == "[" ? "^" : String(character)
            } else {
                switch character {
                case "\\": isEscaped = true
                case "*": pattern += "(?s:.*)"
                case "?": pattern += "(?s:.)"
                case "[":
                    isClass = true
                    pattern += "["
                case "{":
                    depth += 1
                    pattern += "(?:"
                case "}" where depth > 0:
                    depth -= 1
                    pattern += ")"
                case "," where depth > 0: pattern += "|"
                default: pattern += quoted(character)
                }
            }
            previous = character
        }
        return pattern + "\\z"
    }

    private static func quoted(_ character: Character) -> String {
        #"\.+*?()|[]{}^$"#.contains(character) ? "\\\(character)" : String(character)
    }
}
