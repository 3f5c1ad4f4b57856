import Telemetry

/// Checks a value against the parts of JSON Schema that tool definitions use: type, enum, const, required, properties,
/// additionalProperties, items, anyOf, oneOf, allOf, local $ref, bounds of numbers and lengths; OpenAPI's nullable.
///
/// Lenient where schemas in the wild are: upper-case type words, a bare map of properties, integers for numbers, null
/// for what has a default of null. Whatever it does not know is taken as valid, and so is a value that was masked.
struct SchemaCheck {
    enum Fault: UInt8 {
        case missing, unknown, type, value, bounds

        var name: String {
            switch self {
            case .missing: "missing"
            case .unknown: "unknown"
            case .type: "type"
            case .value: "value"
            case .bounds: "bounds"
            }
        }
    }

    struct Issue {
        var fault: Fault
        /// Name of the property, empty at the root.
        var name: Text
        /// A text that reads as the wanted number or flag: many tools take it.
        var isCoercible = false
        var value: JSONRef
    }

    /// The document that `$ref` points into.
    let root: JSONRef
    /// Whether properties that the schema does not list are faults even when it does not forbid them.
    let isStrict: Bool
    /// First faults, at most 4.
    var issues: [Issue] = []
    private var budget = 2_000

    init(root: JSONRef, isStrict: Bool) {
        self.root = root
        self.isStrict = isStrict
    }

    private mutating func add(_ fault: Fault, _ name: Text, _ value: JSONRef, isCoercible: Bool = false) {
        if issues.count < 4 {
            issues.append(Issue(fault: fault, name: name, isCoercible: isCoercible, value: value))
        }
    }

    /// Checks the arguments object of a call.
    mutating func check(arguments: JSONRef, _ tree: inout JSONTree) {
        let properties = tree.member(root, "properties")
        if tree.isObject(properties) || !SchemaCheck.isPropertyMap(root, &tree) {
            return check(arguments, root, Text.empty, 0, &tree)
        }
        checkMembers(arguments, root, .none, .none, 0, &tree)
    }

    /// Whether an object is a map of property schemas without the schema around it.
    static func isPropertyMap(_ ref: JSONRef, _ tree: inout JSONTree) -> Bool {
        var child = tree.first(ref)
        guard child.exists, !tree.isString(tree.member(ref, "type")), !tree.member(ref, "anyOf").exists else {
            return false
        }
        while child.exists {
            let isSchema = tree.isObject(child)
            if !isSchema { return false }
            child = tree.next(child)
        }
        return true
    }

    private mutating func check(
        _ value: JSONRef, _ source: JSONRef, _ name: Text, _ depth: Int, _ tree: inout JSONTree
    ) {
        budget -= 1
        guard budget > 0, depth < 24, tree.isObject(source), value.exists else { return }
        let schema = resolve(source, &tree)
        guard tree.isObject(schema) else { return }
        if tree.isString(value), tree.string(value).isMask { return }
        if tree.kind(value) == .null, isNullable(schema, &tree) { return }
        for key: StaticString in ["anyOf", "oneOf"] {
            let branches = tree.member(schema, key)
            if tree.isArray(branches) { return checkBranches(value, branches, name, depth, &tree) }
        }
        var part = tree.first(tree.member(schema, "allOf"))
        while part.exists {
            check(value, part, name, depth + 1, &tree)
            part = tree.next(part)
        }
        guard matchesType(value, schema, name, &tree) else { return }
        if tree.isString(value), tree.string(value).holdsMask { return }
        checkChoice(value, schema, name, &tree)
        checkBounds(value, schema, name, &tree)
        if tree.isObject(value) {
            checkMembers(
                value, tree.member(schema, "properties"), tree.member(schema, "required"),
                tree.member(schema, "additionalProperties"), depth, &tree)
        } else if tree.isArray(value) {
            let items = tree.member(schema, "items")
            guard tree.isObject(items) else { return }
            var child = tree.first(value)
            while child.exists, issues.count < 4 {
                check(child, items, name, depth + 1, &tree)
                child = tree.next(child)
            }
        }
    }

    /// A `$ref` of the form `#/…` is followed inside the same schema.
    private func resolve(_ source: JSONRef, _ tree: inout JSONTree) -> JSONRef {
        var schema = source
        for _ in 0..<8 {
            let target = tree.member(schema, "$ref")
            guard tree.isString(target) else { return schema }
            let path = tree.string(target)
            guard path.hasPrefix("#/") else { return .none }
            var found = root
            var start = 2
            while start <= path.count, found.exists {
                let end = path.firstIndex(of: UInt8(ascii: "/"), from: start) ?? path.count
                found = tree.member(found, path[start..<end])
                start = end + 1
            }
            schema = found
        }
        return .none
    }

    private func isNullable(_ schema: JSONRef, _ tree: inout JSONTree) -> Bool {
        if tree.kind(tree.member(schema, "nullable")) == .yes { return true }
        return tree.kind(tree.member(schema, "default")) == .null
    }

    /// One branch without a fault is enough.
    private mutating func checkBranches(
        _ value: JSONRef, _ branches: JSONRef, _ name: Text, _ depth: Int, _ tree: inout JSONTree
    ) {
        var branch = tree.first(branches)
        var isCoercible = false
        while branch.exists {
            var trial = SchemaCheck(root: root, isStrict: isStrict)
            trial.budget = budget / 2
            trial.check(value, branch, name, depth + 1, &tree)
            if trial.issues.isEmpty { return }
            if trial.issues.allSatisfy(\.isCoercible) { isCoercible = true }
            budget -= 8
            branch = tree.next(branch)
        }
        add(.type, name, value, isCoercible: isCoercible)
    }

    // MARK: Type

    private mutating func matchesType(
        _ value: JSONRef, _ schema: JSONRef, _ name: Text, _ tree: inout JSONTree
    ) -> Bool {
        let type = tree.member(schema, "type")
        var isCoercible = false
        if tree.isString(type) {
            if fits(value, tree.string(type), &isCoercible, &tree) { return true }
        } else if tree.isArray(type) {
            var word = tree.first(type)
            while word.exists {
                if fits(value, tree.string(word), &isCoercible, &tree) { return true }
                word = tree.next(word)
            }
        } else {
            return true
        }
        add(.type, name, value, isCoercible: isCoercible)
        return false
    }

    private func fits(_ value: JSONRef, _ word: Text, _ isCoercible: inout Bool, _ tree: inout JSONTree) -> Bool {
        guard let kind = tree.kind(value) else { return true }
        func named(_ name: StaticString) -> Bool { word.count == Text(name).count && word.beginsWith(name) }
        if named("string") || named("str") {
            if kind == .number { isCoercible = true }
            return kind == .string
        }
        if named("number") || named("float") || named("double") {
            if kind == .string, Number.double(tree.string(value).trimmed) != nil { isCoercible = true }
            return kind == .number
        }
        if named("integer") || named("int") {
            if kind == .string, Number.integer(tree.string(value).trimmed) != nil { isCoercible = true }
            guard kind == .number, let number = Number.double(tree[value].text) else { return false }
            return number == number.rounded()
        }
        if named("boolean") || named("bool") {
            if kind == .string {
                let text = tree.string(value)
                if ASCII.equalsFolded(text, Text("true")) || ASCII.equalsFolded(text, Text("false")) {
                    isCoercible = true
                }
            }
            return kind == .yes || kind == .no
        }
        if named("null") { return kind == .null }
        if named("array") || named("list") {
            if kind == .string, tree.isArray(tree.parseContainer(tree.string(value))) { isCoercible = true }
            return kind == .array
        }
        if named("object") || named("dict") {
            if kind == .string, tree.isObject(tree.parseContainer(tree.string(value))) { isCoercible = true }
            return kind == .object
        }
        return true
    }

    // MARK: Values

    private mutating func checkChoice(_ value: JSONRef, _ schema: JSONRef, _ name: Text, _ tree: inout JSONTree) {
        let constant = tree.member(schema, "const")
        if constant.exists, tree.canonicalHash(constant) != tree.canonicalHash(value) { add(.value, name, value) }
        let choices = tree.member(schema, "enum")
        guard tree.isArray(choices), tree.count(choices) > 0 else { return }
        let wanted = tree.canonicalHash(value)
        var choice = tree.first(choices)
        while choice.exists {
            if tree.canonicalHash(choice) == wanted { return }
            choice = tree.next(choice)
        }
        add(.value, name, value)
    }

    private mutating func checkBounds(_ value: JSONRef, _ schema: JSONRef, _ name: Text, _ tree: inout JSONTree) {
        func bound(_ key: StaticString) -> Double? {
            let ref = tree.member(schema, key)
            return tree.kind(ref) == .number ? Number.double(tree[ref].text) : nil
        }
        var isOutside = false
        switch tree.kind(value) {
        case .number:
            guard let number = Number.double(tree[value].text) else { return }
            if let least = bound("minimum"), number < least { isOutside = true }
            if let most = bound("maximum"), number > most { isOutside = true }
            if let least = bound("exclusiveMinimum"), number <= least { isOutside = true }
            if let most = bound("exclusiveMaximum"), number >= most { isOutside = true }
        case .string:
            let length = Double(tree.string(value).string.unicodeScalars.count)
            if let least = bound("minLength"), length < least { isOutside = true }
            if let most = bound("maxLength"), length > most { isOutside = true }
        case .array:
            let count = Double(tree.count(value))
            if let least = bound("minItems"), count < least { isOutside = true }
            if let most = bound("maxItems"), count > most { isOutside = true }
        default: return
        }
        if isOutside { add(.bounds, name, value) }
    }

    // MARK: Members

    private func hasMaskedName(_ value: JSONRef, _ tree: inout JSONTree) -> Bool {
        var child = tree.first(value)
        while child.exists {
            if tree[child].key.holdsMask { return true }
            child = tree.next(child)
        }
        return false
    }

    private mutating func checkMembers(
        _ value: JSONRef, _ properties: JSONRef, _ required: JSONRef, _ additional: JSONRef, _ depth: Int,
        _ tree: inout JSONTree
    ) {
        // Behind a masked name may be any.
        let isNamed = !hasMaskedName(value, &tree)
        var wanted = tree.first(isNamed && tree.isArray(required) ? required : .none)
        while wanted.exists {
            let name = tree.string(wanted)
            if !tree.member(value, name).exists { add(.missing, name, .none) }
            wanted = tree.next(wanted)
        }
        var child = tree.first(value)
        while child.exists, issues.count < 4 {
            let name = tree[child].key
            let schema = tree.member(properties, name)
            if !isNamed && name.holdsMask {
                // Neither known nor unknown.
            } else if schema.exists {
                check(child, schema, name, depth + 1, &tree)
            } else if tree.isObject(additional) {
                check(child, additional, name, depth + 1, &tree)
            } else if tree.kind(additional) == .no || (isStrict && depth == 0 && !additional.exists) {
                // Senders that lose the properties leave an empty object.
                let isKnown = tree.count(properties) > 0 || tree.kind(additional) == .no
                if tree.isObject(properties), isKnown { add(.unknown, name, child) }
            }
            child = tree.next(child)
        }
    }
}
