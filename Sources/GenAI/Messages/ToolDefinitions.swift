package import Telemetry

/// Writes tool definitions as `[{"type":"function","name",…,"description"?,"parameters"?}]` from every known spelling.
package enum ToolDefinitions {
    /// Appends the definitions that a value holds and returns how many. Names alone are accepted.
    package static func write(_ ref: JSONRef, _ tree: inout JSONTree, into out: inout ByteColumn, count: inout Int) {
        guard let kind = tree.kind(ref) else { return }
        switch kind {
        case .array:
            var child = tree.first(ref)
            while child.exists {
                write(child, &tree, into: &out, count: &count)
                child = tree.next(child)
            }
        case .string:
            let inner = tree.container(in: ref)
            if inner.exists { return write(inner, &tree, into: &out, count: &count) }
            names(tree.string(ref), into: &out, count: &count)
            tree.use(ref)
        case .object: object(ref, &tree, into: &out, count: &count)
        default: return
        }
    }

    /// A comma list of names. What is left of a document is none.
    package static func names(_ text: Text, into out: inout ByteColumn, count: inout Int) {
        for index in 0..<text.count where text[index] == UInt8(ascii: "{") || text[index] == UInt8(ascii: "[") {
            return
        }
        var start = 0
        while start < text.count {
            var end = text.firstIndex(of: UInt8(ascii: ","), from: start) ?? text.count
            let next = end + 1
            while start < end, JSONCursor.isSpace(text[start]) { start += 1 }
            while end > start, JSONCursor.isSpace(text[end - 1]) { end -= 1 }
            if end > start {
                begin(into: &out, &count)
                JSONText.escape(text[start..<end], into: &out)
                out.append("\"}")
            }
            start = next
        }
    }

    private static func begin(into out: inout ByteColumn, _ count: inout Int) {
        if count > 0 { out.append(UInt8(ascii: ",")) }
        count += 1
        out.append("{\"type\":\"function\",\"name\":\"")
    }

    private static func object(_ ref: JSONRef, _ tree: inout JSONTree, into out: inout ByteColumn, count: inout Int) {
        for list: StaticString in ["function_declarations", "functionDeclarations", "tools"] {
            let inner = tree.member(ref, list)
            if tree.isArray(inner) { return write(inner, &tree, into: &out, count: &count) }
        }
        for wrapper: StaticString in ["function", "toolSpec", "data"] {
            let inner = tree.member(ref, wrapper)
            if tree.isObject(inner), tree.isString(tree.member(inner, "name")) {
                return definition(inner, of: ref, &tree, into: &out, count: &count)
            }
        }
        if tree.isString(tree.member(ref, "name")) { return definition(ref, of: ref, &tree, into: &out, count: &count) }
    }

    /// One definition; `outer` is the object around it, or itself. What else they say is kept beside it.
    private static func definition(
        _ ref: JSONRef, of outer: JSONRef, _ tree: inout JSONTree, into out: inout ByteColumn, count: inout Int
    ) {
        begin(into: &out, &count)
        let name = tree.member(ref, "name")
        JSONText.escape(tree.string(name), into: &out)
        tree.use(name)
        out.append(UInt8(ascii: "\""))
        let description = tree.member(ref, "description")
        let isDescribed = tree.isString(description)
        if isDescribed {
            out.append(",\"description\":")
            tree.write(description, into: &out)
            tree.use(description)
        }
        let schema = schema(ref, &tree)
        let hasSchema = schema.exists
        if hasSchema {
            out.append(",\"parameters\":")
            tree.write(schema, into: &out)
            tree.use(schema)
        }
        useType(outer, &tree)
        useType(ref, &tree)
        tree.writeLeftovers(of: outer, into: &out) { key in
            key == "type" || key == "name" || isDescribed && key == "description" || hasSchema && key == "parameters"
        }
        out.append(UInt8(ascii: "}"))
    }

    private static func useType(_ ref: JSONRef, _ tree: inout JSONTree) {
        let type = tree.member(ref, "type")
        if tree.isString(type), tree.string(type) == "function" { tree.use(type) }
    }

    /// The schema of the parameters under any of its names.
    private static func schema(_ ref: JSONRef, _ tree: inout JSONTree) -> JSONRef {
        var schema = JSONRef.none
        for name: StaticString in [
            "parameters", "input_schema", "inputSchema", "parameters_json_schema", "args_schema",
        ] where !schema.exists {
            schema = tree.member(ref, name)
        }
        let json = tree.member(schema, "json")
        if tree.isObject(json) { schema = json }
        if tree.isString(schema) { schema = tree.container(in: schema) }
        return tree.isObject(schema) ? schema : .none
    }
}
