/// Writes a merged and expanded tree as YAML with secrets masked.
package struct ConfigPrinter {
    private let secretPaths: Set<String>
    private let secretURLPaths: Set<String>
    private var text = ""

    /// The tree as YAML text.
    ///
    /// - Parameters:
    ///   - secretPaths: paths read as secrets, `ConfigProblems.secretPaths`. Beyond these, values under keys that name
    ///     a credential are masked, values from the environment or a file also under keys that may name one, and
    ///     credentials in URLs always.
    ///   - secretURLPaths: paths of URLs that are printed up to their host, `ConfigProblems.secretURLPaths`.
    package static func print(
        _ tree: ConfigNode, secretPaths: Set<String>, secretURLPaths: Set<String> = []
    ) -> String {
        var printer = ConfigPrinter(secretPaths: secretPaths, secretURLPaths: secretURLPaths)
        switch tree.content {
        case .map(let entries) where !entries.isEmpty: printer.write(entries, path: "", indentation: 0)
        default: printer.text = printer.inline(tree, path: "", key: "") + "\n"
        }
        return printer.text
    }

    private init(secretPaths: Set<String>, secretURLPaths: Set<String>) {
        self.secretPaths = secretPaths
        self.secretURLPaths = secretURLPaths
    }

    private mutating func write(_ entries: [ConfigNode.Entry], path: String, indentation: Int, isInList: Bool = false) {
        for (index, entry) in entries.enumerated() {
            let below = path.isEmpty ? entry.key : "\(path).\(entry.key)"
            // The first key of a list's element stands on the line of its dash.
            if index > 0 || !isInList { text += String(repeating: " ", count: indentation) }
            text += quoted(entry.key, isKey: true) + ":"
            write(entry.value, path: below, key: entry.key, indentation: indentation)
        }
    }

    private mutating func write(_ node: ConfigNode, path: String, key: String, indentation: Int) {
        if isMasked(node, path: path, key: key) {
            text += " \"\(Secret.mask)\"\n"
            return
        }
        switch node.content {
        case .map(let entries) where !entries.isEmpty:
            text += "\n"
            write(entries, path: path, indentation: indentation + 2)
        case .list(let elements) where !elements.isEmpty:
            text += "\n"
            write(elements, path: path, key: key, indentation: indentation + 2)
        default:
            let value = inline(node, path: path, key: key)
            text += value.isEmpty ? "\n" : " \(value)\n"
        }
    }

    private mutating func write(_ elements: [ConfigNode], path: String, key: String, indentation: Int) {
        for (index, element) in elements.enumerated() {
            let below = "\(path)[\(index)]"
            text += String(repeating: " ", count: indentation) + "-"
            if case .map(let entries) = element.content, !entries.isEmpty,
                !isMasked(element, path: below, key: key)
            {
                text += " "
                write(entries, path: below, indentation: indentation + 2, isInList: true)
            } else {
                write(element, path: below, key: key, indentation: indentation)
            }
        }
    }

    private func isMasked(_ node: ConfigNode, path: String, key: String) -> Bool {
        if node.isNull { return false }
        if secretPaths.contains(path) { return true }
        if case .map = node.content { return false }
        // Counts and flags such as `use_cookie: true` hide nothing.
        if case .bool? = node.scalar?.value { return false }
        return node.isExpanded ? SecretKeys.looksSecret(key) : SecretKeys.namesCredential(key)
    }

    private func inline(_ node: ConfigNode, path: String, key: String) -> String {
        switch node.content {
        case .map: return "{}"
        case .list: return "[]"
        case .scalar(let scalar):
            switch scalar.value {
            case .null: return ""
            case .string:
                let text = secretURLPaths.contains(path) ? URLMask.host(of: scalar.text) : URLMask.mask(in: scalar.text)
                return quoted(text, isKey: false)
            case .bool, .int, .double: return scalar.text
            }
        }
    }

    /// The text as a plain scalar where YAML reads it back as the same string, otherwise in double quotes.
    private func quoted(_ text: String, isKey: Bool) -> String {
        if isPlain(text), ScalarResolver.resolve(text) == .string { return text }
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
                let hex = String(scalar.value, radix: 16)
                result += "\\x" + String(repeating: "0", count: 2 - hex.count) + hex
            case "\u{2028}", "\u{2029}", "\u{FEFF}": result += "\\u" + String(scalar.value, radix: 16)
            // A dollar sign would start a reference when the text is loaded again.
            case "$": result += "$$"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private func isPlain(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last else { return false }
        func isWordByte(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: "_") || byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".")
                || (0x30...0x39).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        }
        guard isWordByte(first), last != UInt8(ascii: ":"), last != UInt8(ascii: " ") else { return false }
        guard bytes.allSatisfy({ isWordByte($0) || "-+ :@%=;()".utf8.contains($0) }) else { return false }
        return !text.contains(": ")
    }
}
