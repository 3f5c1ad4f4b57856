import Telemetry

extension TableCompiler {
    /// Fields of an object: path to target and transform.
    mutating func subRules(_ fields: TableNode) throws(TableProblem) -> PoolRange {
        var made: [SubRule] = []
        for (path, body) in try fields.members() {
            if body.isScalar {
                // A field that only names another one (event documents).
                made.append(SubRule(label: text(path), operation: text(try body.word())))
            } else {
                made.append(try subRule(path, body))
            }
        }
        return append(made)
    }

    /// Cases by span kind. A kind without targets is listed as well: its value stays where it is.
    mutating func kinds(_ cases: TableNode, _ dialect: Dialect) throws(TableProblem) -> PoolRange {
        var made: [SubRule] = []
        for (kind, list) in try cases.members() {
            let operation = operation(of: kind, dialect)
            let items = try list.items()
            if items.isEmpty { made.append(SubRule(label: text(kind), operation: operation)) }
            for item in items {
                var rule = try subRule(kind, item)
                rule.operation = operation
                made.append(rule)
            }
        }
        return append(made)
    }

    private mutating func append(_ made: [SubRule]) -> PoolRange {
        let start = layout.subRules.count
        layout.subRules.append(contentsOf: made)
        return PoolRange(start: UInt32(start), count: UInt32(made.count))
    }

    /// The operation that the dialect's own map gives for a kind word; a word that is an operation stands for itself.
    private func operation(of kind: String, _ dialect: Dialect) -> Text {
        for index in layout.rules.indices where index >= firstRule {
            if case .map(let map, _) = layout.rules[index].transform,
                case .attribute(let source) = layout.rules[index].source,
                layout.nameLists[dialect.kinds.range].contains(source),
                let text = layout.maps[Int(map)].lookup(text(kind)).text
            {
                return text
            }
        }
        switch kind {
        case "chat", "text_completion", "embeddings", "retrieval", "execute_tool": return text(kind)
        case "llm": return text("chat")
        case "tool": return text("execute_tool")
        case "agent": return text("invoke_agent")
        default: return .empty
        }
    }

    /// First rule of the dialect that is being compiled.
    private var firstRule: Int { layout.dialects.last?.rules.upperBound ?? 0 }

    private mutating func subRule(_ label: String, _ body: TableNode) throws(TableProblem) -> SubRule {
        var rule = SubRule(label: text(label))
        let to = try body.member("to")?.word()
        rule.transform = try transform(try body.member("do")?.word() ?? "copy", to, body)
        if let to { rule.target = try target(to, body) }
        if let when = body.member("when") { rule.conditions = try conditions(when) }
        if let paths = body.member("path") ?? body.member("plus") { rule.paths = texts(try paths.words()) }
        if let drop = body.member("drop_if") { rule.drop = try dropValue(drop) }
        return rule
    }

    func dropValue(_ value: TableNode) throws(TableProblem) -> DropValue {
        let word = try value.word()
        if value.isPlain, word == "false" { return .no }
        if value.isPlain, let number = Int64(word) { return .number(number) }
        return .word(text(word))
    }

    // MARK: Conditions

    mutating func conditions(_ when: TableNode) throws(TableProblem) -> PoolRange {
        var made: [Condition] = []
        for (key, value) in try when.members() {
            if key == "attribute_equals" {
                for (attribute, word) in try value.members() {
                    made.append(.attributeEquals(name(attribute), text(try word.word())))
                }
            } else {
                made.append(try condition(key, value))
            }
        }
        noteAsked(made)
        let start = layout.conditions.count
        layout.conditions.append(contentsOf: made)
        return PoolRange(start: UInt32(start), count: UInt32(made.count))
    }

    private mutating func noteAsked(_ conditions: [Condition]) {
        for condition in conditions {
            switch condition {
            case .absent(let names), .present(let names), .presentAny(let names), .hasAny(let names),
                .hasAll(let names):
                for index in names.range { layout.nameAsked.insert(layout.nameLists[index].value) }
            case .attributeEquals(let name, _): layout.nameAsked.insert(name.value)
            default: continue
            }
        }
    }

    private mutating func condition(_ key: String, _ value: TableNode) throws(TableProblem) -> Condition {
        switch key {
        case "target_absent": return .targetAbsent
        case "no_kind": return .noKind
        case "root": return .root
        case "value_is": return .isJSONArray
        case "enabled_by": return .never
        case "absent": return .absent(names(try value.words()))
        case "present": return .present(names(try value.words()))
        case "present_any": return .presentAny(names(try value.words()))
        case "has_any": return .hasAny(names(try value.words()))
        case "has_all": return .hasAll(names(try value.words()))
        case "absent_prefix": return .absentPrefix(try prefixes(value))
        case "present_prefix": return .presentPrefix(try prefixes(value))
        case "kind": return .kind(texts(try value.words()))
        case "operation": return .operation(texts(try value.words()))
        case "not_operation": return .notOperation(texts(try value.words()))
        case "raw_operation": return .rawOperation(texts(try value.words()))
        case "provider": return .provider(texts(try value.words()))
        case "scope": return .scope(texts(try value.words()))
        case "scope_prefix": return .scopePrefix(texts(try value.words()))
        case "not_span_name_suffix": return .notSpanNameSuffix(texts(try value.words()))
        case "span_name": return .spanName(texts(try value.words()))
        case "value_in": return .valueIn(texts(try value.words()))
        case "value_contains": return .valueContains(texts(try value.words()))
        case "status":
            switch try value.words().first {
            case "error": return .status(2)
            case "ok": return .status(1)
            default: return .status(0)
            }
        case "span_name_is":
            let reference = try value.word().split(separator: "#", maxSplits: 1).map(String.init)
            layout.nameStays.insert(name(reference[0]).value)
            return .spanNameIs(name(reference[0]), path: text(reference.count > 1 ? reference[1] : ""))
        case "any":
            var made: [PoolRange] = []
            for group in try value.items() { made.append(try conditions(group)) }
            let start = layout.groups.count
            layout.groups.append(contentsOf: made)
            return .any(PoolRange(start: UInt32(start), count: UInt32(made.count)))
        default: throw value.problem("unknown condition `\(key)`")
        }
    }

    /// Patterns are kept as names of the pool, by number.
    private mutating func prefixes(_ value: TableNode) throws(TableProblem) -> PoolRange {
        let start = layout.nameLists.count
        let words = try value.words()
        for word in words { layout.nameLists.append(NameID(value: pattern(word, asked: true))) }
        return PoolRange(start: UInt32(start), count: UInt32(words.count))
    }
}
