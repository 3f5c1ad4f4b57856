package import Telemetry

/// What a JSON value is.
package enum JSONKind: UInt8, BitwiseCopyable, Sendable {
    case null, no, yes, number, string, array, object
}

/// One value of a document. Text points into the document or the tree's arena.
package struct JSONNode: BitwiseCopyable {
    package var kind: JSONKind
    /// Strings: the text still holds backslash escapes. Containers: the text is a JSON slice that may be copied as it
    /// is.
    package var isRaw: Bool
    /// The value, with all that is in it, has a place in what is written.
    var isUsed = false
    /// Name of the member, decoded; empty outside objects.
    package var key = Text.empty
    /// String content without quotes, number as written, or the slice of a raw container.
    package var text: Text
    /// First child and next sibling; -1 ends the chain.
    package var first: Int32 = -1
    package var next: Int32 = -1
    package var count: Int32 = 0
    /// Strings: root of the document that the text holds, once it was read; -1 for none.
    var inner: Int32 = -1

    package init(_ kind: JSONKind, _ text: Text = .empty, isRaw: Bool = false) {
        self.kind = kind
        self.text = text
        self.isRaw = isRaw
    }
}

/// Handle of a value in a `JSONTree`.
package struct JSONRef: BitwiseCopyable, Equatable, Sendable {
    package let index: Int32

    @inline(__always)
    package init(_ index: Int32) { self.index = index }

    package static let none = JSONRef(-1)
    package var exists: Bool { index >= 0 }
}

/// Bounds of reading one value. Beyond them the value counts as unreadable and its source stays.
package struct JSONLimits: Sendable {
    /// Longest text that is parsed.
    package var bytes: Int
    /// Deepest nesting.
    package var depth: Int
    /// Most values of all documents of one span.
    package var nodes = 500_000

    package init(bytes: Int = 4 << 20, depth: Int = 64) {
        self.bytes = bytes
        self.depth = depth
    }
}

/// The parsed values of one span: documents read from attribute text, Python literals and OTLP values alike.
package struct JSONTree: ~Copyable {
    package var nodes = Column<JSONNode>()
    package var arena = Arena()
    package var limits: JSONLimits
    var stack = Column<Int32>()
    /// Members that `writeLeftovers` is about to write.
    var leftovers = Column<JSONRef>()

    package init(limits: JSONLimits = JSONLimits()) { self.limits = limits }

    /// Forgets all values but keeps memory. References and texts of before are invalid then.
    package mutating func reset() {
        nodes.removeAll()
        arena.reset()
    }

    @inline(__always)
    package subscript(ref: JSONRef) -> JSONNode { nodes[Int(ref.index)] }

    /// Adds a node without looking at the limits: callers that read input ask `hasRoom` first.
    package mutating func add(_ node: JSONNode) -> JSONRef {
        nodes.append(node)
        return JSONRef(Int32(truncatingIfNeeded: nodes.count - 1))
    }

    /// Whether one more value fits the budget.
    var hasRoom: Bool { nodes.count < limits.nodes }

    package func kind(_ ref: JSONRef) -> JSONKind? { ref.exists ? self[ref].kind : nil }
    package func isString(_ ref: JSONRef) -> Bool { ref.exists && self[ref].kind == .string }
    package func isObject(_ ref: JSONRef) -> Bool { ref.exists && self[ref].kind == .object }
    package func isArray(_ ref: JSONRef) -> Bool { ref.exists && self[ref].kind == .array }
    package func count(_ ref: JSONRef) -> Int { ref.exists ? Int(self[ref].count) : 0 }
    package func first(_ ref: JSONRef) -> JSONRef { ref.exists ? JSONRef(self[ref].first) : .none }
    package func next(_ ref: JSONRef) -> JSONRef { JSONRef(self[ref].next) }

    /// The last member with this name, as in most JSON readers when a name is repeated.
    package func member(_ object: JSONRef, _ name: Text) -> JSONRef {
        guard isObject(object) else { return .none }
        var found = JSONRef.none
        var child = first(object)
        while child.exists {
            if self[child].key == name { found = child }
            child = next(child)
        }
        return found
    }

    package func member(_ object: JSONRef, _ name: StaticString) -> JSONRef { member(object, Text(name)) }

    package func element(_ array: JSONRef, _ index: Int) -> JSONRef {
        guard isArray(array), index >= 0 else { return .none }
        var child = first(array)
        var left = index
        while child.exists && left > 0 {
            child = next(child)
            left -= 1
        }
        return child
    }

    /// The value at a dotted path of member names and array indexes, or none.
    package func at(_ root: JSONRef, path: Text) -> JSONRef {
        var ref = root
        var start = 0
        while ref.exists && start <= path.count {
            let end = path.firstIndex(of: UInt8(ascii: "."), from: start) ?? path.count
            let name = path[start..<end]
            switch self[ref].kind {
            case .object: ref = member(ref, name)
            case .array: ref = Number.integer(name).map { element(ref, Int(clamping: $0)) } ?? .none
            default: ref = .none
            }
            start = end + 1
        }
        return ref
    }

    /// The decoded text of a string; the text of a number or word otherwise. Empty for containers.
    package mutating func string(_ ref: JSONRef) -> Text {
        guard ref.exists else { return .empty }
        let node = self[ref]
        switch node.kind {
        case .string:
            guard node.isRaw else { return node.text }
            let decoded = JSONText.unescape(node.text, &arena)
            nodes[Int(ref.index)].text = decoded
            nodes[Int(ref.index)].isRaw = false
            return decoded
        case .number: return node.text
        case .yes: return Text("true")
        case .no: return Text("false")
        case .null: return Text("null")
        case .array, .object: return .empty
        }
    }

    /// Appends `child` behind `last` in `parent`.
    mutating func link(_ child: JSONRef, to parent: JSONRef, after last: JSONRef) {
        if last.exists {
            nodes[Int(last.index)].next = child.index
        } else {
            nodes[Int(parent.index)].first = child.index
        }
        nodes[Int(parent.index)].count &+= 1
    }
}
