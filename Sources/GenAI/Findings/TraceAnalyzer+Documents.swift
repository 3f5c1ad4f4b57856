import Telemetry

/// Where the documents of a retrieval stand in what a tool gave back.
extension TraceAnalyzer {
    /// Members that hold a list of documents, or an object with one.
    private static let lists: [StaticString] = [
        "documents", "docs", "results", "matches", "hits", "chunks", "passages", "items", "records", "nodes", "sources",
        "contexts", "context", "points", "value", "data", "result", "response", "output",
    ]

    /// The list of documents: the value itself, or inside of one or two objects, as in `{"hits": {"hits": […]}}`. A
    /// list in a list of one is that of the only question.
    func list(in ref: JSONRef, _ depth: Int) -> JSONRef {
        guard depth < 4 else { return .none }
        if tree.isArray(ref) {
            let only = tree.first(ref)
            return tree.count(ref) == 1 && tree.isArray(only) ? list(in: only, depth + 1) : ref
        }
        guard tree.isObject(ref) else { return .none }
        for name in TraceAnalyzer.lists {
            let found = list(in: tree.member(ref, name), depth + 1)
            if found.exists { return found }
        }
        return .none
    }

    /// What tells a document from a record, beside its text.
    private static let marks: [StaticString] = [
        "score", "_score", "similarity", "relevance", "relevance_score", "distance", "source", "url", "title",
        "metadata", "_source", "document_id", "doc_id", "chunk_id",
    ]
    /// Parts of the names of tools that look for texts.
    private static let seekers: [StaticString] = [
        "search", "retriev", "doc", "knowledge", "rag", "policy", "faq", "wiki", "article", "context", "passage",
        "semantic", "vector",
    ]

    /// Objects that have text, and a score, title, source or URL. Of a tool that looks for texts also texts with an id
    /// only, and bare sentences.
    mutating func looksLikeDocuments(_ list: JSONRef, of tool: Text) -> Bool {
        var child = tree.first(list)
        guard child.exists else { return false }
        let isSeeker = TraceAnalyzer.seekers.contains { tool.holds($0) }
        var count = 0
        while child.exists, count < 4 {
            let text = content(of: child)
            if text.isEmpty { return false }
            let isMarked = TraceAnalyzer.marks.contains { tree.member(child, $0).exists }
            if !isMarked {
                guard isSeeker else { return false }
                let hasID = tree.member(child, "id").exists || tree.member(child, "_id").exists
                if !hasID, !tree.isString(child) || !TraceAnalyzer.isProse(text) { return false }
            }
            count += 1
            child = tree.next(child)
        }
        return true
    }

    /// Whether a text has five words or more.
    private static func isProse(_ text: Text) -> Bool {
        var words = WordCursor(text.capped(512))
        for _ in 0..<5 where words.next() == nil { return false }
        return true
    }

    /// Members that hold a document's text, and those that hold another object with it.
    private static let contents: [StaticString] = [
        "content", "text", "page_content", "pageContent", "snippet", "body", "chunk", "passage",
    ]
    private static let holders: [StaticString] = ["document", "metadata", "_source", "payload", "node", "fields"]

    /// The text of a document, empty when it has none.
    mutating func content(of document: JSONRef) -> Text {
        if tree.isString(document) { return tree.string(document) }
        guard tree.isObject(document) else { return .empty }
        for name in TraceAnalyzer.contents {
            let value = tree.member(document, name)
            if tree.isString(value) { return tree.string(value) }
        }
        for name in TraceAnalyzer.holders {
            let holder = tree.member(document, name)
            guard tree.isObject(holder) else { continue }
            for name in TraceAnalyzer.contents {
                let value = tree.member(holder, name)
                if tree.isString(value) { return tree.string(value) }
            }
        }
        return .empty
    }

    func score(of document: JSONRef) -> JSONRef {
        guard tree.isObject(document) else { return .none }
        for name: StaticString in ["score", "_score", "relevance_score", "similarity"] {
            let score = tree.member(document, name)
            if tree.kind(score) == .number { return score }
        }
        return .none
    }

    /// What a tool was asked.
    mutating func query(of call: ToolCall) -> Text? {
        for name: StaticString in ["query", "question", "q", "search_query", "search", "text", "keywords", "input"] {
            let value = tree.member(call.arguments, name)
            if tree.isString(value) { return tree.string(value) }
        }
        return nil
    }
}
