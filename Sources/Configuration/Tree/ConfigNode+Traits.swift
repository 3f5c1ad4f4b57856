extension ConfigNode {
    /// A text that two nodes have in common when they hold the same, wherever that was written. `scalar` adds to what
    /// is said of each text, as of a file that it names.
    package func traits(scalar: (String) -> String = { _ in "" }) -> String {
        var text = ""
        add(to: &text, scalar)
        return text
    }

    /// A mapping without these keys; other nodes as they are.
    package func without(_ keys: Set<String>) -> ConfigNode {
        guard case .map(let entries) = content else { return self }
        var node = self
        node.content = .map(entries.filter { !keys.contains($0.key) })
        return node
    }

    private func add(to text: inout String, _ more: (String) -> String) {
        switch content {
        case .scalar(let scalar):
            let value = expandedText ?? scalar.text
            text += "\(scalar.value) \(value.debugDescription)\(more(value))"
        case .list(let nodes):
            text += "["
            for node in nodes {
                node.add(to: &text, more)
                text += ","
            }
            text += "]"
        case .map(let entries):
            text += "{"
            for entry in entries.sorted(by: { $0.key < $1.key }) {
                text += entry.key.debugDescription + ":"
                entry.value.add(to: &text, more)
                text += ","
            }
            text += "}"
        }
    }
}
