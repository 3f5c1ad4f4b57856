import Patterns
import Telemetry

/// A compiled `include` or `exclude`. Immutable; shared by all threads.
struct MetricSelection: Sendable {
    /// Strict names, interned so that a name is looked up with one hash.
    private let names: Set<KeyID>
    private let patterns: [CompiledPattern]
    private let kinds: Set<MetricKind>

    init(_ choice: MetricChoice, _ keys: inout KeyTable.Builder) {
        var names: Set<KeyID> = []
        if choice.type == .strict {
            for name in choice.names { names.insert(keys.intern(name)) }
        }
        self.names = names
        patterns = choice.patterns
        kinds = choice.kinds
    }

    /// Whether it names metrics at all.
    var hasNames: Bool { !names.isEmpty || !patterns.isEmpty }

    /// Whether it names types at all.
    var hasKinds: Bool { !kinds.isEmpty }

    func has(_ kind: MetricKind) -> Bool { kinds.contains(kind) }

    func has(_ name: Text, _ keys: KeyTable, _ state: borrowing RedactionState) -> Bool {
        if !names.isEmpty, names.contains(keys.id(of: name)) { return true }
        for pattern in patterns where pattern.matches(name, state.matcher, otherwise: false) { return true }
        return false
    }
}
