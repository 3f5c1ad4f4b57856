import Telemetry

/// Turns table files into `Tables`. Used once at start; problems name file and line.
struct TableCompiler {
    var layout = TableDraft()
    private var nameIndex: [String: NameID] = [:]
    private var patternIndex: [String: UInt16] = [:]
    private var targetIndex: [String: TargetID] = [:]
    var mapIndex: [String: UInt16] = [:]
    var parameterIndex: [String: UInt16] = [:]
    let plainTransforms = TableCompiler.plain()
    /// Beginning of the names of our own targets.
    let prefix: String

    init(prefix: String = Tables.usualPrefix) { self.prefix = prefix }

    func text(_ string: String) -> Text { layout.pool.text(string) }

    mutating func name(_ string: String) -> NameID {
        if let id = nameIndex[string] { return id }
        let id = NameID(value: UInt16(truncatingIfNeeded: layout.names.count))
        nameIndex[string] = id
        layout.names.append(string)
        layout.nameTexts.append(text(string))
        layout.nameDetects.append(0)
        layout.nameExact.append(0)
        layout.namePatterns.append(.empty)
        layout.nameTargets.append(.none)
        return id
    }

    /// The pattern of a prefix; `<i>.` at its end asks for an index.
    mutating func pattern(_ prefix: String, asked: Bool) -> UInt16 {
        let needsIndex = prefix.hasSuffix("<i>.")
        let stem = needsIndex ? String(prefix.dropLast(4)) : prefix
        let key = needsIndex ? stem + "#" : stem
        let index: UInt16
        if let found = patternIndex[key] {
            index = found
        } else {
            index = UInt16(truncatingIfNeeded: layout.patterns.count)
            patternIndex[key] = index
            layout.patterns.append(KeyPattern(prefix: text(stem), needsIndex: needsIndex))
        }
        if asked { layout.patterns[Int(index)].isAsked = true }
        return index
    }

    func target(_ string: String, _ place: TableNode) throws(TableProblem) -> TargetID {
        guard let id = targetIndex[string] else { throw place.problem("`\(string)` is not listed in targets.yaml") }
        return id
    }

    func map(_ name: String, _ place: TableNode) throws(TableProblem) -> UInt16 {
        guard let index = mapIndex[name] else { throw place.problem("there is no value map `\(name)`") }
        return index
    }

    mutating func names(_ strings: [String]) -> PoolRange {
        let start = layout.nameLists.count
        for string in strings { layout.nameLists.append(name(string)) }
        return PoolRange(start: UInt32(start), count: UInt32(strings.count))
    }

    mutating func texts(_ strings: [String]) -> PoolRange {
        let start = layout.textLists.count
        for string in strings { layout.textLists.append(text(string)) }
        return PoolRange(start: UInt32(start), count: UInt32(strings.count))
    }

    // MARK: Files that hold no rules

    /// targets.yaml: value type to attribute names.
    mutating func addTargets(_ file: TableNode) throws(TableProblem) {
        for (typeName, list) in try file.members() {
            guard let type = TargetType(rawValue: typeName) else { throw list.problem("unknown type `\(typeName)`") }
            for attribute in try list.words() { addTarget(attribute, type) }
        }
    }

    mutating func addTarget(_ attribute: String, _ type: TargetType) {
        guard targetIndex[attribute] == nil else { return }
        let id = TargetID(value: Int16(truncatingIfNeeded: layout.targetNames.count))
        let name = name(attribute)
        layout.targetNames.append(name)
        layout.targetTypes.append(type)
        layout.nameTargets[Int(name.value)] = id
        targetIndex[attribute] = id
    }

    /// value-maps.yaml: raw words by current word.
    mutating func addMaps(_ file: TableNode) throws(TableProblem) {
        for (name, body) in try file.members() {
            var folds = false
            var squeezes = false
            var strip = ""
            var unmatched = ValueMap.Unmatched.omit
            var suffixes: [(suffix: Text, value: Text)] = []
            var entries: [(key: Text, value: Text)] = []
            for (key, value) in try body.members() {
                switch key {
                case "fold": folds = value.isTrue
                case "squeeze": squeezes = value.isTrue
                case "strip": strip = try value.word()
                case "unmatched":
                    let word = try value.word()
                    unmatched = word == "keep" ? .keep : word == "omit" ? .omit : .word(text(word))
                case "suffixes":
                    for (suffix, word) in try value.members() { suffixes.append((text(suffix), text(try word.word()))) }
                case "values": try addWords(value, folds, squeezes, &entries)
                default: throw value.problem("unknown member `\(key)`")
                }
            }
            mapIndex[name] = UInt16(layout.maps.count)
            layout.maps.append(
                ValueMap(
                    layout.pool, name: text(name), folds: folds, squeezes: squeezes, strip: text(strip),
                    unmatched: unmatched,
                    suffixes: suffixes, entries: entries))
        }
        layout.finishReasons = layout.maps.first { $0.name == "finish_reasons" }
        layout.providerNames = layout.maps.first { $0.name == "provider_names" }
        layout.roles = layout.maps.first { $0.name == "roles" }
    }

    private func addWords(
        _ values: TableNode, _ folds: Bool, _ squeezes: Bool, _ entries: inout [(key: Text, value: Text)]
    ) throws(TableProblem) {
        for (current, raws) in try values.members() {
            let value = current == "none" ? Text.empty : text(current)
            for raw in try raws.words() {
                let key = folds ? raw.lowercased() : raw
                entries.append((text(key), value))
                let squeezed = key.filter { $0 != " " && $0 != "-" && $0 != "_" }
                if squeezes, squeezed != key { entries.append((text(squeezed), value)) }
            }
        }
    }

    /// parameters.yaml: field of a parameter object to target.
    mutating func addParameters(_ file: TableNode) throws(TableProblem) {
        for (name, fields) in try file.members() {
            parameterIndex[name] = UInt16(layout.parameterMaps.count)
            layout.parameterMaps.append(try subRules(fields))
        }
    }

    // MARK: End

    /// Builds the look-up structures and gives the finished tables.
    mutating func finish() -> Tables {
        wellKnown()
        for index in layout.patterns.indices {
            let prefix = layout.patterns[index].prefix
            guard prefix.count >= 2 else { continue }
            layout.patternBuckets[Int(prefix[0])].append(UInt16(index))
            let start = Int(prefix[0]) << 8 | Int(prefix[1])
            layout.patternStarts[start >> 6] |= 1 << UInt64(start & 63)
        }
        for index in layout.names.indices.dropFirst() {
            let text = layout.nameTexts[index]
            let start = layout.patternPool.count
            for (number, pattern) in layout.patterns.enumerated() where pattern.matches(text) {
                layout.nameDetects[index] |= pattern.detects
                if pattern.isAsked { layout.patternPool.append(UInt16(number)) }
            }
            layout.namePatterns[index] = PoolRange(
                start: UInt32(start), count: UInt32(layout.patternPool.count - start))
        }
        layout.order = layout.dialects.indices.sorted { left, right in
            rank(layout.dialects[left]) < rank(layout.dialects[right])
        }
        return Tables(layout)
    }

    /// Vendor dialects by priority, then the renames, then composable dialects, then the last resort.
    private func rank(_ dialect: Dialect) -> Int {
        if dialect.priority >= 90 { return 3000 + dialect.priority }
        if dialect.isComposable { return 2000 + dialect.priority }
        return dialect.priority >= 70 ? 1000 + dialect.priority : dialect.priority
    }

    private mutating func wellKnown() {
        func id(_ name: String) -> TargetID { targetIndex[name] ?? .none }
        layout.known.operation = id("gen_ai.operation.name")
        layout.known.provider = id("gen_ai.provider.name")
        layout.known.inputMessages = id("gen_ai.input.messages")
        layout.known.outputMessages = id("gen_ai.output.messages")
        layout.known.instructions = id("gen_ai.system_instructions")
        layout.known.toolDefinitions = id("gen_ai.tool.definitions")
        layout.known.toolCallID = id("gen_ai.tool.call.id")
        layout.known.toolArguments = id("gen_ai.tool.call.arguments")
        layout.known.toolResult = id("gen_ai.tool.call.result")
        layout.known.errorType = id("error.type")
        layout.known.finishReasons = id("gen_ai.response.finish_reasons")
        layout.known.inputTokens = id("gen_ai.usage.input_tokens")
        layout.known.cacheRead = id("gen_ai.usage.cache_read.input_tokens")
        layout.known.cacheWrite = id("gen_ai.usage.cache_write.input_tokens")
        layout.known.kind = id(prefix + "kind")
        layout.known.serverPort = id("server.port")
        layout.known.kindName = name(prefix + "kind")
        layout.known.truncated = id(prefix + "truncated")
        layout.known.tokensAmbiguous = id(prefix + "tokens_ambiguous")
        layout.known.topK = id("gen_ai.request.top_k")
        layout.known.explain = text(prefix + "explain")
        layout.known.formerName = text(prefix + "span_name")
        layout.originalPrefix = text(prefix + "original.")
        for alias in TargetAlias.all {
            guard let target = targetIndex[alias.current] else { continue }
            let words = layout.pool.freeze(alias.words.map { (word: text($0.0), former: text($0.1)) })
            layout.aliases.append(
                TargetAlias(target: target, name: name(alias.former), last: alias.last, words: words))
        }
    }
}
