import Yams

/// Reads one YAML text into a tree within budgets, and turns every fault into a problem with its place.
package struct YAMLReader {
    /// Bytes of one text.
    package static let textMaximum = 1 << 20
    /// Nodes of one text, aliases expanded.
    package static let nodesMaximum = 100_000
    /// Mappings and lists inside each other.
    package static let depthMaximum = 64

    private let file: String
    private let fixedPlace: ConfigPlace?
    private var nodes = 0
    private var isOverBudget = false
    private var problems: ConfigProblems

    /// Reads a text.
    ///
    /// - Parameters:
    ///   - file: the name that places carry.
    ///   - fixedPlace: the place of every node, for text that comes from no file of its own, such as an override.
    /// - Returns: the tree, or nil when the text is no YAML or exceeds a budget; an empty text is the null node.
    package static func read(
        _ text: String, file: String, fixedPlace: ConfigPlace? = nil, problems: inout ConfigProblems
    ) -> ConfigNode? {
        var reader = YAMLReader(file: file, fixedPlace: fixedPlace, nodes: 0, problems: ConfigProblems())
        let node = reader.read(text)
        problems.merge(reader.problems)
        return node
    }

    private mutating func read(_ text: String) -> ConfigNode? {
        let whole = fixedPlace ?? ConfigPlace(file: file)
        if fixedPlace == nil { problems.remember(source: text, of: file) }
        guard isWithinBudget(text, whole) else { return nil }
        do {
            // The basic resolver leaves types to `ScalarResolver`; the fixed encoding keeps the environment out.
            let parser = try Parser(yaml: text, resolver: .basic, constructor: .default, encoding: .utf8)
            return try readDocument(of: parser, whole)
        } catch let error as YamlError {
            let fault = YAMLFault(error: error, text: text)
            problems.error(fault.message, fix: fault.fix, at: place(line: fault.line, column: fault.column))
        } catch {
            problems.error("cannot be read as YAML", at: whole)
        }
        return nil
    }

    /// Reads the one document that is not empty: a `---` at the beginning or end makes no second one.
    private mutating func readDocument(of parser: Parser, _ whole: ConfigPlace) throws -> ConfigNode? {
        var found: Node?
        while let root = try parser.nextRoot() {
            if case .scalar(let scalar) = root, scalar.style == .plain, scalar.string.isEmpty { continue }
            guard found == nil else {
                problems.error(
                    "holds more than one YAML document", fix: "keep one, and give further files with --config",
                    at: place(line: root.mark?.line ?? 0, column: root.mark?.column ?? 0))
                return nil
            }
            found = root
        }
        guard let found else { return .null(at: whole) }
        let node = convert(found, depth: 0)
        return isOverBudget ? nil : node
    }

    /// Checks before parsing what would hurt while parsing.
    private mutating func isWithinBudget(_ text: String, _ whole: ConfigPlace) -> Bool {
        guard text.utf8.count <= YAMLReader.textMaximum else {
            let limit = ByteSizeText.format(YAMLReader.textMaximum)
            problems.error("is larger than \(limit)", fix: "a configuration must be smaller", at: whole)
            return false
        }
        if let line = AliasBudget.firstExcess(in: text) {
            problems.error(
                "aliases expand to more than \(ByteSizeText.format(AliasBudget.expandedBytesMaximum)) or are nested "
                    + "deeper than \(AliasBudget.chainMaximum)",
                fix: "write the repeated parts out", at: place(line: line, column: 1))
            return false
        }
        if AliasBudget.hasTooManyExplicitKeys(in: text) {
            problems.error("has too many keys of the form `? key`", fix: "write `key: value`", at: whole)
            return false
        }
        return true
    }

    // MARK: From the parser's tree to ours

    private mutating func convert(_ node: Node, depth: Int) -> ConfigNode {
        let place = place(line: node.mark?.line ?? 0, column: node.mark?.column ?? 0)
        nodes += 1
        guard !isOverBudget, nodes <= YAMLReader.nodesMaximum, depth <= YAMLReader.depthMaximum else {
            if !isOverBudget {
                problems.error(
                    depth > YAMLReader.depthMaximum
                        ? "is nested deeper than \(YAMLReader.depthMaximum) levels"
                        : "has more than \(YAMLReader.nodesMaximum) values, aliases expanded",
                    fix: "a configuration must be smaller", at: place)
            }
            isOverBudget = true
            return .null(at: place)
        }
        switch node {
        case .scalar(let scalar): return convert(scalar, at: place)
        case .sequence(let sequence):
            checkTag(sequence.tag, allowed: "tag:yaml.org,2002:seq", at: place)
            return ConfigNode(.list(sequence.map { convert($0, depth: depth + 1) }), place: place)
        case .mapping(let mapping):
            checkTag(mapping.tag, allowed: "tag:yaml.org,2002:map", at: place)
            return convert(mapping, at: place, depth: depth)
        case .alias:
            // The parser replaces aliases by what they stand for; this case is for trees built by hand.
            problems.error("has an alias that stands for nothing", at: place)
            return .null(at: place)
        }
    }

    private mutating func convert(_ scalar: Node.Scalar, at place: ConfigPlace) -> ConfigNode {
        let isPlain = scalar.style == .plain
        let text = scalar.string
        let tag = scalar.tag.rawValue
        var value = isPlain ? ScalarResolver.resolve(text) : .string
        switch tag {
        case "", "!", "tag:yaml.org,2002:str":
            if tag == "tag:yaml.org,2002:str" { value = .string }
        case "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null":
            value = ScalarResolver.resolve(text)
            if case .int(let number) = value, tag.hasSuffix("float") { value = .double(Double(number)) }
            if name(of: value) != tag.dropFirst("tag:yaml.org,2002:".count) {
                problems.error("the value does not fit its tag", fix: "leave the tag out", at: place)
            }
        default:
            problems.error("the tag \(tag) is not supported", fix: "leave the tag out", at: place)
        }
        return ConfigNode(.scalar(ConfigScalar(text: text, value: value, isPlain: isPlain)), place: place)
    }

    private func name(of value: ResolvedScalar) -> String {
        switch value {
        case .null: "null"
        case .bool: "bool"
        case .int: "int"
        case .double: "float"
        case .string: "str"
        }
    }

    private mutating func checkTag(_ tag: Tag, allowed: String, at place: ConfigPlace) {
        let name = tag.rawValue
        guard !name.isEmpty, name != "!", name != allowed else { return }
        problems.error("the tag \(name) is not supported", fix: "leave the tag out", at: place)
    }

    private mutating func convert(_ mapping: Node.Mapping, at place: ConfigPlace, depth: Int) -> ConfigNode {
        var entries: [ConfigNode.Entry] = []
        var merged: [ConfigNode] = []
        var lines: [String: Int] = [:]
        for (key, value) in mapping {
            let keyPlace = self.place(line: key.mark?.line ?? 0, column: key.mark?.column ?? 0)
            guard case .scalar(let scalar) = key, !scalar.string.isEmpty else {
                problems.error("a key must be a text that is not empty", at: keyPlace)
                continue
            }
            let name = scalar.string
            if let line = lines[name] {
                problems.error(
                    "the key \"\(KeyMask.mask(key: name))\" is given twice in one mapping (first in line \(line))",
                    fix: "keep one of them", at: keyPlace)
                continue
            }
            lines[name] = keyPlace.line
            var node = convert(value, depth: depth + 1)
            if node.isNull, node.scalar?.text.isEmpty == true { node.place = keyPlace }
            if name == "<<", scalar.style == .plain {
                merged.append(node)
            } else {
                entries.append(ConfigNode.Entry(key: name, keyPlace: keyPlace, value: node))
            }
        }
        for node in merged { mergeIn(node, into: &entries, known: &lines) }
        return ConfigNode(.map(entries), place: place)
    }

    /// The merge key `<<` of YAML 1.1, which the Collector's parser knows: keys of the mapping itself win.
    private mutating func mergeIn(
        _ node: ConfigNode, into entries: inout [ConfigNode.Entry], known lines: inout [String: Int]
    ) {
        for source in node.list ?? [node] {
            guard let others = source.map else {
                problems.error("`<<` takes a mapping or a list of mappings", at: source.place)
                continue
            }
            for entry in others where lines[entry.key] == nil {
                lines[entry.key] = entry.keyPlace.line
                entries.append(entry)
            }
        }
    }

    private func place(line: Int, column: Int) -> ConfigPlace {
        fixedPlace ?? ConfigPlace(file: file, line: line, column: column)
    }
}
