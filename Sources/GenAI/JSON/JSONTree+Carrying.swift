import Telemetry

/// Notes which values of a document have a place in what was made of it, so that the others can be kept.
extension JSONTree {
    /// Notes that a value has its place, with all that is in it.
    package mutating func use(_ ref: JSONRef) {
        if ref.exists { nodes[Int(ref.index)].isUsed = true }
    }

    /// The same for a member that says nothing beyond the form, such as a block's type.
    mutating func use(_ object: JSONRef, _ name: StaticString) { use(member(object, name)) }

    /// The container that a string holds as JSON. What is used of it counts as used of the string.
    package mutating func container(in ref: JSONRef) -> JSONRef {
        inner(of: ref) { tree, text in tree.parseContainer(text) }
    }

    /// The same for JSON and Python literals.
    mutating func document(in ref: JSONRef) -> JSONRef {
        inner(of: ref) { tree, text in
            let json = tree.parseContainer(text)
            return json.exists ? json : tree.parsePython(text)
        }
    }

    private mutating func inner(of ref: JSONRef, _ read: (inout JSONTree, Text) -> JSONRef) -> JSONRef {
        guard isString(ref) else { return .none }
        if self[ref].inner >= 0 { return JSONRef(self[ref].inner) }
        let text = string(ref)
        let inner = read(&self, text)
        nodes[Int(ref.index)].inner = inner.index
        return inner
    }

    /// Whether a string was read as a document.
    func holdsDocument(_ ref: JSONRef) -> Bool { self[ref].inner >= 0 }

    // Recursion is bounded by the depth limit of the readers, and strings in strings by the length of the text.

    /// Whether every value that says something has its place: null, empty texts and empty containers say nothing.
    package func isCarried(_ ref: JSONRef) -> Bool {
        guard ref.exists else { return true }
        let node = self[ref]
        if node.isUsed { return true }
        switch node.kind {
        case .null: return true
        case .no, .yes, .number: return false
        case .string: return node.text.isEmpty || node.inner >= 0 && isCarried(JSONRef(node.inner))
        case .array, .object:
            var child = JSONRef(node.first)
            while child.exists {
                if !isCarried(child) { return false }
                child = next(child)
            }
            return true
        }
    }

    /// Whether something of a value was used, if not all of it.
    private func isTouched(_ ref: JSONRef) -> Bool {
        let node = self[ref]
        if node.isUsed { return true }
        if node.kind == .string { return node.inner >= 0 && isTouched(JSONRef(node.inner)) }
        var child = JSONRef(node.first)
        while child.exists {
            if isTouched(child) { return true }
            child = next(child)
        }
        return false
    }

    /// Most members of one object that are kept beside what the schema names.
    private static let leftoversMax = 64

    /// Appends, each behind a comma, the members of an object that have no place yet, under their own names. Objects
    /// of which something was used give their members in their place. What has a name that is written already, and
    /// what stands in no object, stays without a place. `other` is an object whose leftovers were written before.
    mutating func writeLeftovers(
        of object: JSONRef, besides other: JSONRef = .none, into out: inout ByteColumn, isWritten: (Text) -> Bool
    ) {
        guard isObject(object), !isCarried(object) else { return }
        let start = leftovers.count
        collectLeftovers(of: object, start) { tree, key in isWritten(key) || tree.member(other, key).exists }
        for index in start..<leftovers.count {
            let ref = leftovers[index]
            out.append(",\"")
            JSONText.escape(self[ref].key, into: &out)
            out.append("\":")
            write(ref, into: &out)
            use(ref)
        }
        leftovers.truncate(to: start)
    }

    private mutating func collectLeftovers(
        of parent: JSONRef, _ start: Int, _ isWritten: (borrowing JSONTree, Text) -> Bool
    ) {
        let isNamed = isObject(parent)
        var child = isString(parent) ? JSONRef(self[parent].inner) : first(parent)
        while child.exists {
            let following = next(child)
            if !isCarried(child) {
                if isTouched(child) {
                    collectLeftovers(of: child, start, isWritten)
                } else if isNamed, leftovers.count - start < JSONTree.leftoversMax {
                    let key = self[child].key
                    if !isWritten(self, key), !isListed(key, from: start) { leftovers.append(child) }
                }
            }
            child = following
        }
    }

    private func isListed(_ key: Text, from start: Int) -> Bool {
        for index in start..<leftovers.count where self[leftovers[index]].key == key { return true }
        return false
    }
}
