import Telemetry

extension Normalizer {
    /// Decides whether a received value under a current name is of the target's shape. A value that only has another
    /// type (a number as text) is cast in place.
    mutating func judge(_ target: TargetID, _ source: SourceValue) {
        let index = Int(target.value)
        let type = tables.layout.targetTypes[index]
        switch type {
        case .string:
            if source.kind == .string {
                drafts[index].state = source.text.isEmpty ? .absent : .current
            } else {
                recast(target, source)
            }
        case .int:
            guard source.kind == .int, !hasFormerType(target) else { return recast(target, source) }
            drafts[index].state = isPlausible(target, Int64(bitPattern: source.bits)) ? .current : .absent
        case .double:
            if source.kind == .double || source.kind == .int {
                drafts[index].state = double(source) != nil ? .current : .absent
            } else {
                recast(target, source)
            }
        case .bool: if source.kind == .bool { drafts[index].state = .current } else { recast(target, source) }
        case .strings: if source.kind == .array { drafts[index].state = .current } else { recast(target, source) }
        case .inputMessages, .outputMessages:
            let ref = document(source)
            guard let shape = MessageShape.of(ref, reader.tree) else { return }
            drafts[index].state = shape == .full ? .current : .weakCurrent
            if type == .outputMessages { collectFinish(ref) }
        case .instructions:
            if MessageShape.isParts(document(source), reader.tree) { drafts[index].state = .current }
        case .tools:
            if MessageShape.isTools(document(source), reader.tree) { drafts[index].state = .current }
        case .documents, .arguments, .result, .json:
            drafts[index].state = saysNothing(source, to: target) ? .absent : .current
        }
    }

    /// Token counts are never negative.
    mutating func isPlausible(_ target: TargetID, _ value: Int64) -> Bool {
        value >= 0
            || !tables.layout.nameTexts[Int(tables.layout.targetNames[Int(target.value)].value)].hasPrefix(
                "gen_ai.usage.")
    }

    private mutating func recast(_ target: TargetID, _ source: SourceValue) {
        let index = Int(target.value)
        guard !isEmpty(source), let value = cast(source, to: tables.layout.targetTypes[index]) else { return }
        if value.kind == .int, !isPlausible(target, Int64(bitPattern: value.bits)) { return }
        drafts[index].value = value
        drafts[index].state = .mapped
        drafts[index].rule = EngineStep.recast
        // Conditions see the received value, the next pass the cast one.
        isUnsettled = true
    }
}

/// Recognizes values that already have the schema's shape.
enum MessageShape {
    case full
    /// Well formed, but no message has a part.
    case weak

    /// The shape of a message list; nil when it is none.
    static func of(_ ref: JSONRef, _ tree: borrowing JSONTree) -> MessageShape? {
        guard tree.isArray(ref) else { return nil }
        var hasPart = false
        var child = tree.first(ref)
        guard child.exists else { return nil }
        while child.exists {
            let parts = tree.member(child, "parts")
            guard tree.isString(tree.member(child, "role")), tree.isArray(parts) else { return nil }
            if tree.count(parts) > 0 {
                guard isParts(parts, tree) else { return nil }
                hasPart = true
            }
            child = tree.next(child)
        }
        return hasPart ? .full : .weak
    }

    /// Whether a list holds message parts in the schema's spelling.
    static func isParts(_ ref: JSONRef, _ tree: borrowing JSONTree) -> Bool {
        guard tree.isArray(ref), tree.count(ref) > 0 else { return false }
        var child = tree.first(ref)
        while child.exists {
            let type = tree.member(child, "type")
            guard tree.isString(type), isPart(child, tree[type].text, tree) else { return false }
            child = tree.next(child)
        }
        return true
    }

    /// Known parts need the member that the schema names; unknown types are allowed.
    static func isPart(_ ref: JSONRef, _ type: Text, _ tree: borrowing JSONTree) -> Bool {
        if type == "text" || type == "reasoning" { return tree.member(ref, "content").exists }
        if type == "tool_call" {
            return tree.member(ref, "name").exists && !isEncoded(tree.member(ref, "arguments"), tree)
        }
        if type == "tool_call_response" { return tree.member(ref, "response").exists }
        switch BlockType(type) {
        case .reasoning, .toolCall, .toolResponse, .image, .audio, .video: return false
        case .document, .binary: return type == "blob" || type == "uri" || type == "file"
        default: return true
        }
    }

    /// Arguments that are an object in a text; the schema wants the object.
    private static func isEncoded(_ arguments: JSONRef, _ tree: borrowing JSONTree) -> Bool {
        guard tree.isString(arguments) else { return false }
        let text = tree[arguments].text
        return text.count >= 2 && text[0] == UInt8(ascii: "{") && text[text.count - 1] == UInt8(ascii: "}")
    }

    /// Whether a list holds tool definitions in the schema's spelling.
    static func isTools(_ ref: JSONRef, _ tree: borrowing JSONTree) -> Bool {
        guard tree.isArray(ref), tree.count(ref) > 0 else { return false }
        var child = tree.first(ref)
        while child.exists {
            guard tree.isString(tree.member(child, "type")), tree.isString(tree.member(child, "name")) else {
                return false
            }
            child = tree.next(child)
        }
        return true
    }
}
