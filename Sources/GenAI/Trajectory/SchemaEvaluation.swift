import Telemetry

/// Holds values against one JSON Schema, in the subset that is checked in tools' arguments: type, enum, const,
/// required, properties, additionalProperties, items, anyOf, oneOf, allOf, local $ref, bounds of numbers and lengths.
/// What it does not know, such as `pattern` and `format`, counts as met.
package struct SchemaEvaluation: Sendable {
    private let schema: String

    /// Longest value that is read.
    private static let valueBytesMax = 4 << 20

    /// Nil when the text is no JSON object.
    package init?(schema: String) {
        self.schema = schema
        var tree = JSONTree()
        var text = schema
        let isObject = text.withUTF8 { tree.isObject(tree.parseContainer(Text(UnsafeRawBufferPointer($0)))) }
        guard isObject else { return nil }
    }

    /// What is wrong with a value, as words with names of members and no content; empty when nothing is.
    package func faults(of value: String) -> [String] {
        var limits = JSONLimits(bytes: SchemaEvaluation.valueBytesMax, depth: 64)
        limits.nodes = 400_000
        var tree = JSONTree(limits: limits)
        var (schema, value) = (self.schema, value)
        return schema.withUTF8 { schema in
            value.withUTF8 { value in
                let root = tree.parseContainer(Text(UnsafeRawBufferPointer(schema)))
                guard case .value(let parsed) = tree.parse(Text(UnsafeRawBufferPointer(value))) else {
                    return ["no JSON"]
                }
                var check = SchemaCheck(root: root, isStrict: false)
                check.check(arguments: parsed, &tree)
                return check.issues.map { issue in
                    let name = issue.name.string
                    return name.isEmpty ? issue.fault.name : "\(issue.fault.name) \(name)"
                }
            }
        }
    }
}
