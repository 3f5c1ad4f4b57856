internal import Yams

/// What is wrong with a table file, with its place.
package struct TableProblem: Error, CustomStringConvertible {
    package let file: String
    package let line: Int
    package let message: String

    package var description: String { "\(file):\(line): \(message)" }
}

/// A value of a table file that knows its place.
struct TableNode {
    let node: Node
    let file: String

    /// Reads a whole file.
    static func parse(_ text: String, file: String) throws(TableProblem) -> TableNode {
        do {
            guard let node = try Yams.compose(yaml: text) else {
                throw TableProblem(file: file, line: 1, message: "the file is empty")
            }
            return TableNode(node: node, file: file)
        } catch let problem as TableProblem {
            throw problem
        } catch {
            throw TableProblem(file: file, line: 1, message: "\(error)")
        }
    }

    func problem(_ message: String) -> TableProblem {
        TableProblem(file: file, line: node.mark?.line ?? 1, message: message)
    }

    var line: Int { node.mark?.line ?? 1 }

    private func child(_ node: Node) -> TableNode { TableNode(node: node, file: file) }

    /// Members in order of the file.
    func members() throws(TableProblem) -> [(key: String, value: TableNode)] {
        guard let mapping = node.mapping else { throw problem("a mapping belongs here") }
        var result: [(key: String, value: TableNode)] = []
        result.reserveCapacity(mapping.count)
        for (key, value) in mapping {
            guard let name = key.scalar?.string else { throw problem("keys must be words") }
            result.append((name, child(value)))
        }
        return result
    }

    func member(_ key: String) -> TableNode? {
        guard let mapping = node.mapping else { return nil }
        for (name, value) in mapping where name.scalar?.string == key { return child(value) }
        return nil
    }

    func items() throws(TableProblem) -> [TableNode] {
        guard let sequence = node.sequence else { throw problem("a list belongs here") }
        return sequence.map(child)
    }

    func word() throws(TableProblem) -> String {
        guard let scalar = node.scalar else { throw problem("a word belongs here") }
        return scalar.string
    }

    /// A list of words; one word alone counts as a list of one.
    func words() throws(TableProblem) -> [String] {
        if let scalar = node.scalar { return [scalar.string] }
        var result: [String] = []
        for item in try items() { result.append(try item.word()) }
        return result
    }

    /// Whether the scalar was written without quotes.
    var isPlain: Bool { node.scalar?.style == .plain || node.scalar?.style == .any }

    var isScalar: Bool { node.scalar != nil }

    var isTrue: Bool { node.scalar?.string == "true" }
}
