package import Telemetry

/// Writes retrieval documents as `[{"id"?,"score"?,"content"?,"metadata"?,…}]` from every known spelling.
package enum Documents {
    /// Appends the documents that a value holds; `count` grows by their number.
    package static func write(
        _ ref: JSONRef, _ tree: inout JSONTree, into out: inout ByteColumn, count: inout Int, depth: Int = 0
    ) {
        guard let kind = tree.kind(ref), depth < 8 else { return }
        switch kind {
        case .array:
            if isScored(ref, tree) {
                return document(tree.first(ref), score: tree.element(ref, 1), &tree, &out, &count)
            }
            var child = tree.first(ref)
            while child.exists {
                write(child, &tree, into: &out, count: &count, depth: depth + 1)
                child = tree.next(child)
            }
        case .string:
            let inner = tree.container(in: ref)
            if inner.exists { return write(inner, &tree, into: &out, count: &count, depth: depth + 1) }
            begin(&out, &count)
            out.append("\"content\":")
            tree.write(ref, into: &out)
            tree.use(ref)
            out.append(UInt8(ascii: "}"))
        case .object:
            for list: StaticString in ["documents", "results", "ranking"] {
                let inner = tree.member(ref, list)
                if tree.isArray(inner) { return write(inner, &tree, into: &out, count: &count, depth: depth + 1) }
            }
            document(ref, score: .none, &tree, &out, &count)
        default: return
        }
    }

    private static func begin(_ out: inout ByteColumn, _ count: inout Int) {
        if count > 0 { out.append(UInt8(ascii: ",")) }
        count += 1
        out.append(UInt8(ascii: "{"))
    }

    /// `[document, score]`.
    private static func isScored(_ ref: JSONRef, _ tree: borrowing JSONTree) -> Bool {
        tree.count(ref) == 2 && tree.isObject(tree.first(ref)) && tree.kind(tree.element(ref, 1)) == .number
    }

    private static func document(
        _ ref: JSONRef, score outer: JSONRef, _ tree: inout JSONTree, _ out: inout ByteColumn, _ count: inout Int
    ) {
        // LangChain dumps keep the fields in kwargs, Vercel rankings in document.
        var holder = ref
        for name: StaticString in ["kwargs", "document"] {
            let inner = tree.member(ref, name)
            if tree.isObject(inner) { holder = inner }
        }
        let metadata = tree.member(holder, "metadata")
        var writer = FieldWriter()
        let start = out.count
        let before = count
        begin(&out, &count)
        let open = out.count
        writer.string(
            "id", first(holder, metadata, tree, ["id", "document_id", "doc_id", "_id", "node_id", "document.id"]),
            &tree, &out)
        var score = outer
        if !score.exists {
            score = first(
                ref, metadata, tree, ["score", "similarity", "relevance_score", "relevanceScore", "document.score"])
        }
        writer.value("score", tree.kind(score) == .number ? score : .none, &tree, &out)
        var content = first(holder, .none, tree, ["content", "page_content", "text", "document.content"])
        if !content.exists, tree.isString(tree.member(ref, "document")) { content = tree.member(ref, "document") }
        writer.value("content", content, &tree, &out)
        writer.value("metadata", metadata.exists ? metadata : tree.member(holder, "document.metadata"), &tree, &out)
        writer.value("chunk_id", tree.member(holder, "chunk_id"), &tree, &out)
        writer.value("url", tree.member(holder, "url"), &tree, &out)
        guard out.count > open else {
            // Not a document at all.
            out.truncate(to: start)
            count = before
            return
        }
        out.append(UInt8(ascii: "}"))
    }

    private static func first(
        _ holder: JSONRef, _ metadata: JSONRef, _ tree: borrowing JSONTree, _ names: [StaticString]
    ) -> JSONRef {
        for name in names {
            let value = tree.member(holder, name)
            if value.exists, tree.kind(value) != .null { return value }
        }
        for name in names where metadata.exists {
            let value = tree.member(metadata, name)
            if value.exists, tree.kind(value) != .null { return value }
        }
        return .none
    }
}

/// Writes the members of one object with the commas between them.
struct FieldWriter {
    private var isFirst = true

    mutating func name(_ name: StaticString, _ out: inout ByteColumn) {
        if !isFirst { out.append(UInt8(ascii: ",")) }
        isFirst = false
        out.append(UInt8(ascii: "\""))
        out.append(name)
        out.append("\":")
    }

    mutating func name(_ name: Text, _ out: inout ByteColumn) {
        if !isFirst { out.append(UInt8(ascii: ",")) }
        isFirst = false
        out.append(UInt8(ascii: "\""))
        JSONText.escape(name, into: &out)
        out.append("\":")
    }

    mutating func value(_ name: StaticString, _ ref: JSONRef, _ tree: inout JSONTree, _ out: inout ByteColumn) {
        guard ref.exists, tree.kind(ref) != .null else { return }
        self.name(name, &out)
        tree.write(ref, into: &out)
        tree.use(ref)
    }

    /// A member that has to be a string: numbers get quotes.
    mutating func string(_ name: StaticString, _ ref: JSONRef, _ tree: inout JSONTree, _ out: inout ByteColumn) {
        guard ref.exists else { return }
        guard tree.kind(ref) == .number else { return value(name, ref, &tree, &out) }
        self.name(name, &out)
        out.append(UInt8(ascii: "\""))
        tree.write(ref, into: &out)
        tree.use(ref)
        out.append(UInt8(ascii: "\""))
    }
}
