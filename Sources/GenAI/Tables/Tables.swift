#if canImport(Glibc)
    import Glibc
#endif
package import Telemetry

/// Owns the bytes of every text in the tables; addresses never change.
final class TextPool {
    private var known: [String: Text] = [:]
    private var owned: [UnsafeMutableRawPointer] = []

    deinit { for pointer in owned { pointer.deallocate() } }

    func text(_ string: String) -> Text {
        if let text = known[string] { return text }
        var copied = string
        let text = copied.withUTF8 { bytes in
            let copy = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: 1)
            if let base = bytes.baseAddress { memcpy(copy, base, bytes.count) }
            owned.append(copy)
            return Text(start: UnsafeRawPointer(copy), count: bytes.count)
        }
        known[string] = text
        return text
    }
}

/// The parts of the tables, as the compiler makes them.
struct TableLayout {
    let pool = TextPool()
    /// Attribute names; index 0 is no name.
    var names: [String] = [""]
    var nameTexts: [Text] = [.empty]
    /// Dialects that a name's mere presence reveals; bit 63 asks for a look at the value.
    var nameDetects: [UInt64] = [0]
    /// Dialects that have an exact rule (or a keep) for a name, so that their prefix rules leave it alone.
    var nameExact: [UInt64] = [0]
    /// Asked patterns that a name falls under.
    var namePatterns: [PoolRange] = [.empty]
    /// Names that tell what a span is: they stay even when originals are removed, or a second run would judge anew.
    var nameStays: Set<UInt16> = []
    /// Names that conditions ask for.
    var nameAsked: Set<UInt16> = []
    /// Target of a name.
    var nameTargets: [TargetID] = [.none]
    var patternPool: [UInt16] = []
    var targetNames: [NameID] = []
    var targetTypes: [TargetType] = []
    var patterns: [KeyPattern] = []
    /// Patterns by first byte of their prefix.
    var patternBuckets = [[UInt16]](repeating: [], count: 256)
    /// Two first bytes that begin some pattern, one bit each.
    var patternStarts = [UInt64](repeating: 0, count: 1024)
    var dialects: [Dialect] = []
    /// Indices of `dialects` in order of work: by priority, then composable ones, then the last resort.
    var order: [Int] = []
    var rules = ContiguousArray<Rule>()
    /// Dialect of each rule.
    var ruleDialects = ContiguousArray<UInt8>()
    /// Former names of targets.
    var aliases: [TargetAlias] = []
    /// Beginning of the names that keep values which a table took away.
    var originalPrefix = Text.empty
    var subRules = ContiguousArray<SubRule>()
    var conditions = ContiguousArray<Condition>()
    var groups = ContiguousArray<PoolRange>()
    var nameLists: [NameID] = []
    var textLists: [Text] = []
    var maps: [ValueMap] = []
    var parameterMaps: [PoolRange] = []
    /// Dialects that need several signs at once.
    var allOfChecks: [(dialect: Int, signs: [Detection])] = []
    /// Attributes that state a span's kind, with their dialect.
    var kindNames: [(dialect: Int, name: NameID)] = []
    var valueChecks: [(detection: Detection, dialect: Int)] = []
    var scopeChecks: [(detection: Detection, dialect: Int)] = []
    var eventChecks: [(name: Text, dialect: Int)] = []
    var spanNameChecks: [(prefix: Text, dialect: Int)] = []
    var resourceChecks: [(name: NameID, value: Text, dialect: Int)] = []
    var known = WellKnown()
    var finishReasons: ValueMap?
    var providerNames: ValueMap?
    var roles: ValueMap?
}

/// All dialect tables in their fast form, made once and shared by every event loop.
// Unchecked because the texts are raw pointers: nothing in the object changes after init, and it owns their memory.
package final class Tables: @unchecked Sendable {
    let layout: TableLayout

    init(_ layout: TableLayout) { self.layout = layout }

    /// Names of the dialects that `sources` may list.
    package var dialectNames: [String] { layout.dialects.map(\.name) }

    /// Names of the dialects and the number of their rules, in order of work.
    package var summary: [(dialect: String, rules: Int)] {
        layout.order.map { (layout.dialects[$0].name, layout.dialects[$0].rules.count) }
    }

    /// Asks the decoder to resolve every name of the tables.
    package func intern(_ keys: inout KeyTable.Builder) {
        for name in layout.names.dropFirst() { _ = keys.intern(name) }
    }

    /// Bit that stands for "look at the value" in `nameDetects`.
    static let valueCheckBit: UInt64 = 1 << 63

    /// Dialects that an unknown key reveals.
    @inline(__always)
    func detects(_ key: Text) -> UInt64 {
        guard key.count >= 2 else { return 0 }
        let start = Int(key[0]) << 8 | Int(key[1])
        guard layout.patternStarts[start >> 6] >> UInt64(start & 63) & 1 == 1 else { return 0 }
        return bucketDetects(key)
    }

    private func bucketDetects(_ key: Text) -> UInt64 {
        var mask: UInt64 = 0
        for index in layout.patternBuckets[Int(key[0])] {
            let pattern = layout.patterns[Int(index)]
            if pattern.detects & ~mask != 0, pattern.matches(key) { mask |= pattern.detects }
        }
        return mask
    }
}

/// Targets and names that the engine itself asks for.
struct WellKnown {
    var operation = TargetID.none
    var provider = TargetID.none
    var inputMessages = TargetID.none
    var outputMessages = TargetID.none
    var instructions = TargetID.none
    var toolDefinitions = TargetID.none
    var toolCallID = TargetID.none
    var toolArguments = TargetID.none
    var toolResult = TargetID.none
    var errorType = TargetID.none
    var finishReasons = TargetID.none
    var inputTokens = TargetID.none
    var cacheRead = TargetID.none
    var cacheWrite = TargetID.none
    var kind = TargetID.none
    var serverPort = TargetID.none
    var truncated = TargetID.none
    var tokensAmbiguous = TargetID.none
    var explain = Text.empty
    var formerName = Text.empty
    var kindName = NameID.none
}
