import Telemetry

/// Leaves spans out of a request that have nothing to do with AI, and hangs their children under the nearest ancestor
/// that stays, so that no tree falls apart.
///
/// Works on the encoded request: what stays is copied byte for byte, but for a parent's id that changes. A span counts
/// as one of AI when an attribute of it is of a known instrumentation.
enum AISpanFilter {
    /// Beginnings of attribute keys. Those of the OpenTelemetry conventions, OpenInference, OpenLLMetry, the Vercel AI
    /// SDK, and of products that add names of their own.
    static let prefixes = [
        "gen_ai.", "openinference.", "llm.", "ai.", "traceloop.", "langfuse.", "langsmith.", "pydantic_ai.", "mcp.",
    ].map { Array($0.utf8) }

    struct Result {
        var bytes: [UInt8]
        var kept: Int
        var leftOut: Int
    }

    /// Nil when every span stays as it is, so that the request can go as it is. `memory` knows what earlier requests
    /// have lost.
    static func filter(_ request: [UInt8], _ memory: inout LeftOutSpans, now: Duration) -> Result? {
        memory.forget(now)
        var tree = Tree(earlier: memory)
        let result = filter(request, &tree)
        let leftOut = tree.leftOut
        // Two hold the memory's tables until here, and then a change does not copy them.
        tree = Tree(earlier: LeftOutSpans())
        for (key, parent) in leftOut { memory.add(trace: key.trace, span: key.span, parent: parent, now: now) }
        return result
    }

    private static func filter(_ request: [UInt8], _ tree: inout Tree) -> Result? {
        request.withUnsafeBytes { raw in
            let text = Text(raw)
            forEachSpan(text) { tree.add($0) }
            guard !tree.leftOut.isEmpty || tree.hangsUnderEarlier else { return nil }
            var output: [UInt8] = []
            output.reserveCapacity(raw.count)
            var kept = 0
            var walker = WireWalker(text)
            while let field = walker.next() {
                guard field.tag == requestTag else {
                    output += text[field.range].bytesArray
                    continue
                }
                copy(resource: field.content, tree, &kept, into: &output)
            }
            return Result(bytes: output, kept: kept, leftOut: tree.leftOutCount)
        }
    }

    // MARK: The tree

    private struct SpanKey: Hashable {
        var trace: [UInt8]
        var span: [UInt8]
    }

    private struct Tree {
        /// Spans that go, with the id of their parent.
        var leftOut: [SpanKey: [UInt8]] = [:]
        var leftOutCount = 0
        /// Those of earlier requests.
        let earlier: LeftOutSpans
        /// Whether a span that stays has one of these as its parent.
        var hangsUnderEarlier = false

        init(earlier: LeftOutSpans) { self.earlier = earlier }

        mutating func add(_ span: Text) {
            let head = SpanHead(span)
            guard !head.isAI else {
                if earlier.parent(trace: head.trace, span: head.parent) != nil { hangsUnderEarlier = true }
                return
            }
            leftOut[SpanKey(trace: head.trace, span: head.id)] = head.parent
            leftOutCount += 1
        }

        /// The nearest ancestor that stays or of which nothing is known; empty for none.
        func parent(of head: SpanHead) -> [UInt8] {
            var parent = head.parent
            // A hostile request may hold a circle; no way up is longer than the number of spans that go, and those of
            // earlier requests are followed so far.
            for _ in 0...leftOut.count + LeftOutSpans.stepsMax {
                let known = leftOut[SpanKey(trace: head.trace, span: parent)]
                guard let next = known ?? earlier.parent(trace: head.trace, span: parent) else { return parent }
                parent = next
            }
            return []
        }
    }

    private struct SpanHead {
        var trace: [UInt8] = []
        var id: [UInt8] = []
        var parent: [UInt8] = []
        var isAI = false

        init(_ span: Text) {
            var walker = WireWalker(span)
            while let field = walker.next() {
                switch field.tag {
                case 0x0A: trace = field.content.bytesArray
                case 0x12: id = field.content.bytesArray
                case parentTag: parent = field.content.bytesArray
                case 0x4A where !isAI: isAI = Self.isAI(attribute: field.content)
                default: break
                }
            }
        }

        private static func isAI(attribute: Text) -> Bool {
            var walker = WireWalker(attribute)
            while let field = walker.next() {
                guard field.tag == 0x0A else { continue }
                let key = field.content
                return prefixes.contains { prefix in
                    key.count > prefix.count && prefix.indices.allSatisfy { key[$0] == prefix[$0] }
                }
            }
            return false
        }
    }

    // MARK: Walking and copying

    // resource_spans, scope_spans and spans of the request, resource and scope; parent_span_id of a span.
    private static let requestTag: UInt32 = 0x0A
    private static let scopeTag: UInt32 = 0x12
    private static let spanTag: UInt32 = 0x12
    private static let parentTag: UInt32 = 0x22

    private static func forEachSpan(_ request: Text, _ body: (Text) -> Void) {
        var resources = WireWalker(request)
        while let resource = resources.next() {
            guard resource.tag == requestTag else { continue }
            var scopes = WireWalker(resource.content)
            while let scope = scopes.next() {
                guard scope.tag == scopeTag else { continue }
                var spans = WireWalker(scope.content)
                while let span = spans.next() {
                    if span.tag == spanTag { body(span.content) }
                }
            }
        }
    }

    private static func copy(resource: Text, _ tree: Tree, _ kept: inout Int, into output: inout [UInt8]) {
        var content: [UInt8] = []
        let before = kept
        var walker = WireWalker(resource)
        while let field = walker.next() {
            guard field.tag == scopeTag else {
                content += resource[field.range].bytesArray
                continue
            }
            copy(scope: field.content, tree, &kept, into: &content)
        }
        if kept > before { append(requestTag, content, to: &output) }
    }

    private static func copy(scope: Text, _ tree: Tree, _ kept: inout Int, into output: inout [UInt8]) {
        var content: [UInt8] = []
        let before = kept
        var walker = WireWalker(scope)
        while let field = walker.next() {
            guard field.tag == spanTag else {
                content += scope[field.range].bytesArray
                continue
            }
            let head = SpanHead(field.content)
            guard head.isAI else { continue }
            kept += 1
            let parent = tree.parent(of: head)
            if parent == head.parent {
                content += scope[field.range].bytesArray
            } else {
                append(spanTag, span(field.content, parent: parent), to: &content)
            }
        }
        if kept > before { append(scopeTag, content, to: &output) }
    }

    private static func span(_ span: Text, parent: [UInt8]) -> [UInt8] {
        var content: [UInt8] = []
        var walker = WireWalker(span)
        while let field = walker.next() {
            if field.tag != parentTag { content += span[field.range].bytesArray }
        }
        if !parent.isEmpty { append(parentTag, parent, to: &content) }
        return content
    }

    private static func append(_ tag: UInt32, _ content: [UInt8], to output: inout [UInt8]) {
        append(varint: UInt64(tag), to: &output)
        append(varint: UInt64(content.count), to: &output)
        output += content
    }

    private static func append(varint value: UInt64, to output: inout [UInt8]) {
        var value = value
        while value >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        output.append(UInt8(value))
    }
}

extension Text {
    fileprivate var bytesArray: [UInt8] { [UInt8](bytes) }
}
