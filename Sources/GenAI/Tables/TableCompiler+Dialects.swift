import Telemetry

extension TableCompiler {
    /// Groups of rules in order of work: what later rules ask for comes first.
    private static let groups = ["operation", "provider", "model", "content", "io", "rest"]

    /// One dialect file.
    mutating func addDialect(_ file: TableNode) throws(TableProblem) {
        let index = layout.dialects.count
        guard index < 63 else { throw file.problem("more than 63 dialects") }
        guard let title = file.member("dialect"), let priority = file.member("priority") else {
            throw file.problem("`dialect` and `priority` are needed")
        }
        let dialectName = try title.word()
        var dialect = Dialect(
            name: text(dialectName), priority: Int(try priority.word()) ?? 50,
            isComposable: file.member("composable")?.isTrue ?? false)
        dialect.kinds = names(try file.member("kind")?.words() ?? [])
        dialect.placeholders = texts(try file.member("placeholders")?.words() ?? [])
        switch try file.member("input_includes_cache")?.word() {
        case "false": dialect.cacheInclusion = .no
        case "varies": dialect.cacheInclusion = .varies
        default: break
        }
        if let detect = file.member("detect") { try addDetection(detect, index) }
        let start = layout.rules.count
        var extra: [Rule] = []
        if let rules = file.member("rules") {
            let members = try rules.members()
            for (group, list) in members where !TableCompiler.groups.contains(group) {
                throw list.problem("unknown group `\(group)`")
            }
            for group in TableCompiler.groups {
                guard let list = members.first(where: { $0.key == group })?.value else { continue }
                for item in try list.items() { try addRule(item, index, dialect, &extra, from: start) }
            }
        }
        dialect.run = PoolRange(start: UInt32(start), count: UInt32(layout.rules.count - start))
        defer { while layout.ruleDialects.count < layout.rules.count { layout.ruleDialects.append(UInt8(index)) } }
        // Second rules on one source stand behind the dialect's own run, where only their first rule finds them.
        for (number, rule) in extra.enumerated() {
            layout.rules[Int(rule.also)].also = Int32(layout.rules.count)
            var second = extra[number]
            second.also = -1
            layout.rules.append(second)
        }
        for key in try file.member("keep")?.words() ?? [] where !key.contains("*") && !key.contains("<") {
            layout.nameExact[Int(name(key).value)] |= 1 << UInt64(index)
        }
        for kind in dialect.kinds.range { layout.kindNames.append((index, layout.nameLists[kind])) }
        layout.dialects.append(dialect)
    }

    private mutating func addDetection(_ detect: TableNode, _ index: Int) throws(TableProblem) {
        let first = layout.signs.count
        for (mode, list) in try detect.members() {
            for item in try list.items() {
                let sign = try detection(item)
                if mode == "all" { layout.signs.append(sign) } else { register(sign, index) }
            }
        }
        let count = layout.signs.count - first
        guard count > 0 else { return }
        layout.allOfChecks.append(
            AllOfCheck(dialect: index, signs: PoolRange(start: UInt32(first), count: UInt32(count))))
    }

    private mutating func detection(_ item: TableNode) throws(TableProblem) -> Detection {
        let members = try item.members()
        func word(_ key: String) throws(TableProblem) -> String? { try item.member(key)?.word() }
        if let scope = try word("scope_name") { return .scopeName(text(scope)) }
        if let scope = try word("scope_prefix") { return .scopePrefix(text(scope)) }
        if let prefix = try word("attribute_prefix") { return .attributePrefix(pattern(prefix, asked: false)) }
        if let event = try word("event_name") { return .eventName(text(event)) }
        if let span = try word("span_name_prefix") { return .spanNamePrefix(text(span)) }
        if let resource = try word("resource_attribute"), let value = try word("equals") {
            return .resourceEquals(name(resource), text(value))
        }
        if let attribute = try word("attribute") {
            if let value = try word("equals") { return .attributeEquals(name(attribute), text(value)) }
            if let prefix = try word("prefix") { return .attributeHasPrefix(name(attribute), text(prefix)) }
            return .attribute(name(attribute))
        }
        throw item.problem("unknown sign `\(members.first?.key ?? "")`")
    }

    private mutating func register(_ sign: Detection, _ index: Int) {
        let bit = UInt64(1) << UInt64(index)
        switch sign {
        case .scopeName, .scopePrefix: layout.scopeChecks.append((sign, index))
        case .attribute(let name): layout.nameDetects[Int(name.value)] |= bit
        case .attributePrefix(let pattern): layout.patterns[Int(pattern)].detects |= bit
        case .attributeEquals(let name, _), .attributeHasPrefix(let name, _):
            layout.nameDetects[Int(name.value)] |= Tables.valueCheckBit
            layout.valueChecks.append((sign, index))
        case .eventName(let name): layout.eventChecks.append((name, index))
        case .resourceEquals(let name, let value): layout.resourceChecks.append((name, value, index))
        case .spanNamePrefix(let prefix): layout.spanNameChecks.append((prefix, index))
        }
    }

    private mutating func addRule(
        _ item: TableNode, _ index: Int, _ dialect: Dialect, _ extra: inout [Rule], from start: Int
    ) throws(TableProblem) {
        var rule = Rule(source: .always)
        let label = text("\(dialect.name.string):\(item.line)")
        rule.label = label
        var also: TableNode?
        var action = "copy"
        var to: String?
        for (key, value) in try item.members() {
            switch key {
            case "from":
                let source = name(try value.word())
                rule.source = .attribute(source)
                layout.nameExact[Int(source.value)] |= 1 << UInt64(index)
            case "prefix": rule.source = .pattern(pattern(try value.word(), asked: true), suffix: .empty)
            case "template": rule.source = template(try value.word())
            case "event": rule.source = .event(text(try value.word()))
            case "span_name": rule.source = .spanName(text(try value.word()))
            case "span_name_prefix": rule.source = .spanNamePrefix(text(try value.word()))
            case "scope_prefix": rule.source = .scopePrefix(text(try value.word()))
            case "always": rule.source = .always
            case "to": to = try value.word()
            case "do": action = try value.word()
            case "when": rule.conditions = try conditions(value)
            case "conflict":
                guard let conflict = Conflict(rawValue: try value.word()) else {
                    throw value.problem("unknown conflict")
                }
                rule.conflict = conflict
            case "keep_source": rule.keepsSource = value.isTrue
            case "typed_wrapper": rule.isTyped = value.isTrue
            case "decode": rule.isEncoded = try value.word() == "json"
            case "drop_if": rule.drop = try dropValue(value)
            case "fields": rule.subRules = try subRules(value)
            case "by_kind": rule.subRules = try kinds(value, dialect)
            case "plus", "payload", "attributes": rule.names = names(try value.words())
            case "unwrap", "field": rule.texts = texts(try value.words())
            case "also": also = value
            case "map", "values", "role", "strip", "tool_to": continue
            default: throw value.problem("unknown member `\(key)`")
            }
        }
        rule.transform = try transform(action, to, item)
        if let to, !isDynamic(rule.transform) { rule.target = try target(to, item) }
        if case .attribute(let source) = rule.source, rule.target.exists {
            rule.isRepair = layout.targetNames[Int(rule.target.value)] == source
        }
        if case .flatTools = rule.transform, hasSameSource(rule, from: start) { return }
        layout.rules.append(rule)
        guard let also else { return }
        var second = Rule(source: rule.source)
        second.label = label
        let alsoTo = try also.member("to")?.word()
        second.transform = try transform(try also.member("do")?.word() ?? "copy", alsoTo, also)
        if let alsoTo { second.target = try target(alsoTo, also) }
        if let when = also.member("when") { second.conditions = try conditions(when) }
        second.also = Int32(layout.rules.count - 1)
        extra.append(second)
    }

    private func hasSameSource(_ rule: Rule, from start: Int) -> Bool {
        guard case .pattern(let pattern, _) = rule.source else { return false }
        return layout.rules[start...].contains {
            if case .pattern(let other, _) = $0.source { return other == pattern && $0.target == rule.target }
            return false
        }
    }

    private func isDynamic(_ transform: Transform) -> Bool {
        switch transform {
        case .renamePrefix, .objectToTemplate: true
        default: false
        }
    }

    /// `a.b.<i>.rest`: the prefix with its index, and what must follow unless it is a placeholder. `a.<name>.rest`: any
    /// name stands between the two.
    private mutating func template(_ word: String) -> RuleSource {
        guard let mark = word.firstIndex(of: "<") else { return .pattern(pattern(word, asked: true), suffix: .empty) }
        if word[mark...].hasPrefix("<name>") {
            return .pattern(
                pattern(String(word[..<mark]), asked: true), suffix: text(String(word[mark...].dropFirst(6))))
        }
        let rest = String(word[mark...].dropFirst(4))
        return .pattern(
            pattern(word[..<mark] + "<i>.", asked: true), suffix: rest.contains("<") ? .empty : text(rest))
    }
}
