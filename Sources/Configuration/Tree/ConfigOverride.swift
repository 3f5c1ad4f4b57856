/// One `--set path=value`: a value laid over the files.
package enum ConfigOverride {
    /// The file name that places of overrides carry.
    package static let fileName = "--set"

    /// Reads `a.b.c=value` or, as the Collector writes it, `a::b::c=value`; the value is YAML, and nothing is null.
    ///
    /// With `::` in the path, dots are part of the keys. A fault is a problem, and the result nil.
    package static func parse(_ text: String, problems: inout ConfigProblems) -> ConfigNode? {
        let place = ConfigPlace(file: fileName)
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else {
            problems.error("\"\(text.prefix(80))\" has no value", fix: "write --set path.to.option=value", at: place)
            return nil
        }
        let path = trimmed(parts[0])
        let keys = path.contains("::") ? split(path) : path.split(separator: ".", omittingEmptySubsequences: false)
        guard !keys.contains(where: \.isEmpty), keys.count <= YAMLReader.depthMaximum else {
            problems.error(
                "\"\(path.prefix(80))\" is no path of an option", fix: "write --set path.to.option=value", at: place)
            return nil
        }
        var faults = ConfigProblems()
        let value = YAMLReader.read(String(parts[1]), file: fileName, fixedPlace: place, problems: &faults)
        let dotted = keys.joined(separator: ".")
        for var fault in faults.all {
            fault.path = dotted
            problems.add(fault)
        }
        guard var node = value else { return nil }
        for key in keys.reversed() {
            node = ConfigNode(
                .map([ConfigNode.Entry(key: String(key), keyPlace: place, value: node)]), place: place)
        }
        return node
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }

    private static func split(_ path: Substring) -> [Substring] {
        var keys: [Substring] = []
        var start = path.startIndex
        var index = start
        while index < path.endIndex {
            if path[index...].hasPrefix("::") {
                keys.append(path[start..<index])
                index = path.index(index, offsetBy: 2)
                start = index
            } else {
                index = path.index(after: index)
            }
        }
        return keys + [path[start...]]
    }
}
