/// Resolves references in scalar values: `${env:NAME}`, `${env:NAME:-default}`, `${NAME}`, `${file:PATH}`, and `$$`
/// for a dollar sign, in what references stand for too.
///
/// As in the Collector, a value that is one whole reference takes the type that YAML gives the text, which may be a
/// mapping or a list; a text keeps its bytes, quotes too, and a reference inside a text is put in as text. Unlike in
/// the Collector, a variable that is not set and has no default is an error. References within texts put in are
/// resolved too, down to `depthMaximum`.
package struct ConfigExpansion {
    /// How deep references may stand in what references stand for.
    package static let depthMaximum = 4
    /// Bytes that one reference may stand for.
    package static let textMaximum = 1 << 20
    /// References in one configuration.
    package static let referencesMaximum = 10_000
    /// Bytes that all references together may stand for.
    package static let totalMaximum = 8 << 20

    private let environment: ConfigEnvironment
    private var references = 0
    private var bytes = 0
    /// What was found to be wrong.
    package private(set) var problems = ConfigProblems()

    /// Makes an expansion that asks the environment.
    package init(environment: ConfigEnvironment) {
        self.environment = environment
    }

    /// The tree with all references resolved; a reference that fails leaves null and a problem.
    package mutating func expand(_ node: ConfigNode) -> ConfigNode {
        expand(node, path: "", depth: 0)
    }

    private mutating func expand(_ node: ConfigNode, path: String, depth: Int) -> ConfigNode {
        var result = node
        switch node.content {
        case .list(let elements):
            var expanded: [ConfigNode] = []
            for (index, element) in elements.enumerated() {
                expanded.append(expand(element, path: "\(path)[\(index)]", depth: depth))
            }
            result.content = .list(expanded)
        case .map(let entries):
            result.content = .map(
                entries.map { entry in
                    let below = path.isEmpty ? entry.key : "\(path).\(entry.key)"
                    let value = expand(entry.value, path: below, depth: depth)
                    return ConfigNode.Entry(key: entry.key, keyPlace: entry.keyPlace, value: value)
                })
        case .scalar(let scalar):
            guard scalar.text.utf8.contains(UInt8(ascii: "$")) else { return node }
            return expand(scalar, of: node, path: path, depth: depth)
        }
        return result
    }

    private mutating func expand(_ scalar: ConfigScalar, of node: ConfigNode, path: String, depth: Int) -> ConfigNode {
        do throws(Failure) {
            var pieces = ReferenceText(scalar.text)
            let parts = try pieces.parse()
            if parts.count == 1, case .reference(let reference) = parts[0] {
                let text = try resolve(reference, depth: depth)
                return typed(text, of: node, path: path, depth: depth)
            }
            let isExpanded = parts.contains { if case .reference = $0 { true } else { false } }
            let text = try joined(parts, depth: depth, isFinal: true)
            var result = node
            result.isExpanded = node.isExpanded || isExpanded
            // What is left of `$$` alone keeps its form; a text with something put in is a string.
            result.content = .scalar(ConfigScalar(text: text, value: .string, isPlain: scalar.isPlain))
            return result
        } catch {
            problems.error(error.message, fix: error.fix, at: node.place, path: path)
            var failed = ConfigNode.null(at: node.place)
            failed.isExpanded = true
            failed.isFailedExpansion = true
            return failed
        }
    }

    /// Gives the text of a whole reference its type.
    private mutating func typed(_ text: String, of node: ConfigNode, path: String, depth: Int) -> ConfigNode {
        var ignored = ConfigProblems()
        let shown = ConfigExpansion.withSingleDollars(text)
        // A scalar keeps the bytes as they came, quotes too, since YAML would fold its lines and cut off comments.
        var result = ConfigNode(
            .scalar(ConfigScalar(text: shown, value: ScalarResolver.resolve(shown), isPlain: true)), place: node.place,
            isExpanded: true, expandedText: shown)
        let parsed = YAMLReader.read(text, file: node.place.file, fixedPlace: node.place, problems: &ignored)
        guard let parsed, !ignored.hasErrors, parsed.scalar == nil, depth < ConfigExpansion.depthMaximum else {
            return result
        }
        result.content = expand(marked(parsed), path: path, depth: depth + 1).content
        return result
    }

    private func marked(_ node: ConfigNode) -> ConfigNode {
        var node = node
        node.isExpanded = true
        switch node.content {
        case .scalar: break
        case .list(let elements): node.content = .list(elements.map(marked))
        case .map(let entries):
            node.content = .map(
                entries.map { entry in
                    ConfigNode.Entry(key: entry.key, keyPlace: entry.keyPlace, value: marked(entry.value))
                })
        }
        return node
    }

    // MARK: References

    /// Why a reference cannot be resolved, and what to do.
    struct Failure: Error {
        var message: String
        var fix: String?
    }

    /// The pieces as one text. In the final one `$$` is one dollar sign in what references stand for too; until then it
    /// keeps a text that only looks like a reference from being resolved.
    private mutating func joined(
        _ parts: [ReferenceText.Part], depth: Int, isFinal: Bool = false
    ) throws(Failure) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .text(let literal): text += literal
            case .reference(let reference):
                let found = try resolve(reference, depth: depth)
                text += isFinal ? ConfigExpansion.withSingleDollars(found) : found
            }
        }
        return text
    }

    /// The text with `$$` for a dollar sign read, as the Collector does wherever the text is from.
    private static func withSingleDollars(_ text: String) -> String {
        text.utf8.contains(UInt8(ascii: "$")) ? text.replacing("$$", with: "$") : text
    }

    private mutating func resolve(_ reference: [ReferenceText.Part], depth: Int) throws(Failure) -> String {
        references += 1
        guard references <= ConfigExpansion.referencesMaximum else {
            throw Failure(message: "the configuration has more than \(ConfigExpansion.referencesMaximum) references")
        }
        let inside = try joined(reference, depth: depth)
        let text = try lookUp(inside)
        bytes += text.utf8.count
        guard text.utf8.count <= ConfigExpansion.textMaximum, bytes <= ConfigExpansion.totalMaximum else {
            let limit = ByteSizeText.format(ConfigExpansion.textMaximum)
            throw Failure(
                message: "what ${\(inside.prefix(60))} stands for is too large", fix: "keep it below \(limit)")
        }
        return try expandAgain(text, from: inside, depth: depth)
    }

    /// Resolves references in a text that a reference stood for; a text that only looks like one stays as it is.
    private mutating func expandAgain(_ text: String, from name: String, depth: Int) throws(Failure) -> String {
        var pieces = ReferenceText(text, keepsDollars: true)
        guard text.utf8.contains(UInt8(ascii: "$")), let parts = try? pieces.parse() else { return text }
        guard parts.contains(where: { if case .reference = $0 { true } else { false } }) else { return text }
        guard depth < ConfigExpansion.depthMaximum else {
            throw Failure(
                message: "references in ${\(name.prefix(60))} are nested deeper than \(ConfigExpansion.depthMaximum)",
                fix: "look for a reference to itself")
        }
        return try joined(parts, depth: depth + 1)
    }

    private func lookUp(_ reference: String) throws(Failure) -> String {
        let shown = "${\(reference.prefix(60))}"
        if reference.hasPrefix("file:") { return try readFile(String(reference.dropFirst("file:".count))) }
        if reference.hasPrefix("yaml:") { return String(reference.dropFirst("yaml:".count)) }
        let rest = reference.hasPrefix("env:") ? reference.dropFirst("env:".count) : Substring(reference)
        let name = rest.prefix { $0 != ":" }
        let remainder = rest[name.endIndex...]
        guard remainder.isEmpty || remainder.hasPrefix(":-") else {
            throw Failure(
                message: "\(shown) names no source that is known",
                fix: "use ${env:NAME}, ${env:NAME:-default} or ${file:PATH}, or $$ for a dollar sign")
        }
        guard isVariableName(name) else {
            throw Failure(
                message: "\(shown) names no environment variable",
                fix: "use letters, digits and _, not starting with a digit, or write $$ for a dollar sign")
        }
        if let value = environment.variable(String(name)) {
            // As the Collector: the default stands in for an unset variable, not for an empty one.
            return value
        }
        guard remainder.isEmpty else { return String(remainder.dropFirst(2)) }
        throw Failure(
            message: "the environment variable \(name) is not set",
            fix: "set it, or give a default: ${env:\(name):-value}")
    }

    private func isVariableName(_ name: Substring) -> Bool {
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard let first = name.utf8.first, !digits.contains(first) else { return false }
        return name.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "_") || digits.contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
    }

    private func readFile(_ path: String) throws(Failure) -> String {
        let bytes: [UInt8]
        do {
            bytes = try environment.readFile(path)
        } catch {
            throw Failure(message: "the file \(path) cannot be read: \(error.reason)", fix: "check the path")
        }
        guard var text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(message: "the file \(path) is not UTF-8 text", fix: nil)
        }
        // Editors end files with a newline, which no secret or number wants.
        while text.utf8.last == 0x0A || text.utf8.last == 0x0D { text.unicodeScalars.removeLast() }
        return text
    }
}
