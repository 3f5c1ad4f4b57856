package import Telemetry

/// Reads messages of every known provider and framework shape into one compact list.
///
/// The reader is lenient: it recognizes shapes by their members, not by a declared format, because emitters name one
/// and write another. What it does not know becomes text, so nothing is lost.
package struct MessageReader: ~Copyable {
    package var tree: JSONTree
    package var list = MessageList()
    /// System text that stood beside the messages, not among them.
    package var system = Fragment.none
    /// Tool definitions that stood among the messages.
    var definitions = Column<JSONRef>()
    /// Role of messages that name none.
    var defaultRole = Role.user
    let roles: ValueMap?
    /// Messages and blocks deep; the tree's own limit holds for everything else.
    private static let depth = 32
    /// Parts of a message that a call is compared with: it may stand there in a second spelling.
    static let twinsMax = 512

    package init(limits: JSONLimits, roles: ValueMap?) {
        tree = JSONTree(limits: limits)
        self.roles = roles
    }

    /// Forgets everything of the last span.
    package mutating func reset() {
        tree.reset()
        list.removeAll()
        definitions.removeAll()
        system = .none
    }

    /// Replaces the list by the messages of a value.
    package mutating func read(_ ref: JSONRef, as role: Role) {
        list.removeAll()
        definitions.removeAll()
        system = .none
        defaultRole = role
        value(ref, 0)
    }

    /// Replaces the list by one message of a text that is no document.
    package mutating func read(plain text: Text, as role: Role) {
        list.removeAll()
        definitions.removeAll()
        system = .none
        defaultRole = role
        if !JSONCursor.isBlank(text) { addText(.plain(text), role: role) }
    }

    /// Text that may hold a document.
    private mutating func plain(_ ref: JSONRef, _ depth: Int) {
        let inner = tree.document(in: ref)
        if inner.exists { return value(inner, depth + 1) }
        let text = tree.string(ref)
        guard !JSONCursor.isBlank(text) else { return }
        addText(.value(ref), role: defaultRole)
    }

    /// The container that a text stands for, in JSON or as a Python literal.
    package mutating func document(_ text: Text) -> JSONRef {
        let json = tree.parseContainer(text)
        return json.exists ? json : tree.parsePython(text)
    }

    mutating func addText(_ fragment: Fragment, role: Role) {
        let start = list.parts.count
        list.parts.append(MessagePart(.text, body: fragment))
        list.close(role: role, from: start)
    }

    mutating func value(_ ref: JSONRef, _ depth: Int) {
        guard depth < MessageReader.depth, let kind = tree.kind(ref) else { return }
        switch kind {
        case .string: plain(ref, depth)
        case .array: array(ref, depth)
        case .object: object(ref, depth)
        case .number, .yes, .no:
            addText(.plain(tree.string(ref)), role: defaultRole)
            tree.use(ref)
        case .null: return
        }
    }

    private mutating func array(_ ref: JSONRef, _ depth: Int) {
        let first = tree.first(ref)
        guard first.exists else { return }
        if tree.count(ref) == 2, let role = pairRole(ref) {
            let start = list.parts.count
            content(tree.next(first), depth + 1)
            tree.use(first)
            return list.close(role: role, from: start)
        }
        if isFunctionCall(first) {
            // Parallel calls are one answer.
            let start = list.parts.count
            addCalls(ref, start)
            return list.close(role: .assistant, from: start)
        }
        if isBlock(first) {
            let start = list.parts.count
            content(ref, depth + 1)
            return list.close(role: defaultRole, from: start)
        }
        var child = first
        while child.exists {
            value(child, depth + 1)
            child = tree.next(child)
        }
    }

    /// `[role, text]`, the short form of LangChain.
    private mutating func pairRole(_ ref: JSONRef) -> Role? {
        let first = tree.first(ref)
        guard tree.isString(first), tree.isString(tree.next(first)) else { return nil }
        guard let text = roles?.lookup(tree.string(first)).text else { return nil }
        return MessageReader.role(named: text)
    }

    /// Whether an object is a content block rather than a message.
    private mutating func isBlock(_ ref: JSONRef) -> Bool {
        guard tree.isObject(ref) else { return false }
        let fields = MessageFields(ref, tree)
        if fields.role.exists || fields.message.exists || fields.list.exists || fields.kwargs.exists { return false }
        if fields.type.exists {
            let type = tree.string(fields.type)
            if fields.data.exists && !fields.data.isSame(as: fields.type) && messageRole(type) != nil { return false }
            return BlockType(type) != .unknown && messageRole(type) == nil
        }
        if fields.text.exists { return !fields.meta.exists }
        return wrappedBlock(ref) != nil
    }

    /// `{id, type: function, function: {name, arguments}}` on its own, without a message around it.
    func isFunctionCall(_ ref: JSONRef) -> Bool {
        tree.member(tree.member(ref, "function"), "name").exists && !tree.member(ref, "role").exists
    }

    static func role(named text: Text) -> Role {
        if text == "user" { return .user }
        if text == "assistant" { return .assistant }
        if text == "system" { return .system }
        if text == "tool" { return .tool }
        return .other
    }

    /// The role that a word stands for, nil when it is no role word.
    mutating func messageRole(_ word: Text) -> Role? {
        guard let text = roles?.lookup(word).text else { return nil }
        return MessageReader.role(named: text)
    }
}

extension JSONRef {
    func isSame(as other: JSONRef) -> Bool { index == other.index }
}

extension JSONCursor {
    /// Whether a text holds nothing but white space.
    static func isBlank(_ text: Text) -> Bool {
        for index in 0..<text.count where !isSpace(text[index]) { return false }
        return true
    }
}
