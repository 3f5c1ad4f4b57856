package import Telemetry

/// The parts of the tables while the compiler makes them.
struct TableDraft {
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
    var allOfChecks: [AllOfCheck] = []
    /// Signs of `allOfChecks`.
    var signs: [Detection] = []
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

extension TableDraft {
    /// Dialects with rules that read a name, itself or under a pattern.
    func readers(ofName name: Int, _ schedule: RuleSchedule) -> UInt64 {
        var runs = [schedule.byName[name]]
        for index in namePatterns[name].range { runs.append(schedule.byPattern[Int(patternPool[index])]) }
        var mask: UInt64 = 0
        for run in runs {
            for index in run.range { mask |= 1 << UInt64(ruleDialects[Int(schedule.pool[index])]) }
        }
        return mask
    }
}

/// A dialect that needs several signs at once; its signs are a run of the pool.
struct AllOfCheck: BitwiseCopyable {
    var dialect: Int
    var signs: PoolRange
}

/// The parts of the tables as spans are normalized with them: trivial memory only, and a class, because a structure of
/// this size was copied as a whole wherever one member of it was read.
// Unchecked because of the raw pointers: nothing changes after init, and `Tables` owns the memory.
final class TableLayout: @unchecked Sendable {
    let nameTexts: Frozen<Text>
    let nameFacts: Frozen<NameFacts>
    let nameDetects: Frozen<UInt64>
    let nameExact: Frozen<UInt64>
    let nameStays: Frozen<Bool>
    let nameAsked: Frozen<Bool>
    let nameTargets: Frozen<TargetID>
    let patternPool: Frozen<UInt16>
    let targetNames: Frozen<NameID>
    let targetTypes: Frozen<TargetType>
    let patterns: Frozen<KeyPattern>
    let patternBuckets: Frozen<Frozen<UInt16>>
    let patternStarts: Frozen<UInt64>
    let dialects: Frozen<Dialect>
    let order: Frozen<Int>
    let rules: Frozen<Rule>
    /// By rule.
    let heads: Frozen<RuleHead>
    let ruleDialects: Frozen<UInt8>
    let schedule: RuleSchedule
    let aliases: Frozen<TargetAlias>
    let originalPrefix: Text
    let subRules: Frozen<SubRule>
    let conditions: Frozen<Condition>
    let groups: Frozen<PoolRange>
    let nameLists: Frozen<NameID>
    let textLists: Frozen<Text>
    let maps: Frozen<ValueMap>
    let parameterMaps: Frozen<PoolRange>
    let allOfChecks: Frozen<AllOfCheck>
    let signs: Frozen<Detection>
    let kindNames: Frozen<(dialect: Int, name: NameID)>
    let valueChecks: Frozen<(detection: Detection, dialect: Int)>
    let scopeChecks: Frozen<(detection: Detection, dialect: Int)>
    let eventChecks: Frozen<(name: Text, dialect: Int)>
    let spanNameChecks: Frozen<(prefix: Text, dialect: Int)>
    let resourceChecks: Frozen<(name: NameID, value: Text, dialect: Int)>
    let known: WellKnown
    let finishReasons: ValueMap?
    let providerNames: ValueMap?
    let roles: ValueMap?

    init(_ draft: TableDraft) {
        let pool = draft.pool
        nameTexts = pool.freeze(draft.nameTexts)
        nameDetects = pool.freeze(draft.nameDetects)
        nameExact = pool.freeze(draft.nameExact)
        nameStays = pool.freeze(draft.names.indices.map { draft.nameStays.contains(UInt16($0)) })
        nameAsked = pool.freeze(draft.names.indices.map { draft.nameAsked.contains(UInt16($0)) })
        nameTargets = pool.freeze(draft.nameTargets)
        let signs = draft.signs.compactMap(\.attribute)
        patternPool = pool.freeze(draft.patternPool)
        targetNames = pool.freeze(draft.targetNames)
        targetTypes = pool.freeze(draft.targetTypes)
        patterns = pool.freeze(draft.patterns)
        patternBuckets = pool.freeze(draft.patternBuckets.map { pool.freeze($0) })
        patternStarts = pool.freeze(draft.patternStarts)
        dialects = pool.freeze(draft.dialects)
        order = pool.freeze(draft.order)
        rules = pool.freeze(draft.rules)
        heads = pool.freeze(draft.rules.map { RuleHead($0, draft.targetTypes) })
        ruleDialects = pool.freeze(draft.ruleDialects)
        let schedule = RuleSchedule(draft)
        self.schedule = schedule
        nameFacts = pool.freeze(
            draft.names.indices.map { index in
                NameFacts(
                    rules: schedule.byName[index], patterns: draft.namePatterns[index],
                    detects: draft.nameDetects[index], readers: draft.readers(ofName: index, schedule),
                    target: draft.nameTargets[index],
                    isSign: signs.contains(NameID(value: UInt16(index))))
            })
        aliases = pool.freeze(draft.aliases)
        originalPrefix = draft.originalPrefix
        subRules = pool.freeze(draft.subRules)
        conditions = pool.freeze(draft.conditions)
        groups = pool.freeze(draft.groups)
        nameLists = pool.freeze(draft.nameLists)
        textLists = pool.freeze(draft.textLists)
        maps = pool.freeze(draft.maps)
        parameterMaps = pool.freeze(draft.parameterMaps)
        allOfChecks = pool.freeze(draft.allOfChecks)
        self.signs = pool.freeze(draft.signs)
        kindNames = pool.freeze(draft.kindNames)
        valueChecks = pool.freeze(draft.valueChecks)
        scopeChecks = pool.freeze(draft.scopeChecks)
        eventChecks = pool.freeze(draft.eventChecks)
        spanNameChecks = pool.freeze(draft.spanNameChecks)
        resourceChecks = pool.freeze(draft.resourceChecks)
        known = draft.known
        finishReasons = draft.finishReasons
        providerNames = draft.providerNames
        roles = draft.roles
    }
}

/// All dialect tables in their fast form, made once and shared by every event loop.
// Unchecked because the texts are raw pointers: nothing in the object changes after init, and it owns their memory.
package final class Tables: @unchecked Sendable {
    let layout: TableLayout
    /// Attribute names; index 0 is no name.
    let names: [String]
    /// Owns what `layout` points to.
    private let pool: TextPool

    init(_ draft: TableDraft) {
        layout = TableLayout(draft)
        names = draft.names
        pool = draft.pool
    }

    /// Names of the dialects and the number of their rules, in order of work.
    package var summary: [(dialect: String, rules: Int)] {
        layout.order.map { (layout.dialects[$0].name.string, layout.dialects[$0].rules.count) }
    }

    /// Asks the decoder to resolve every name of the tables.
    package func intern(_ keys: inout KeyTable.Builder) {
        for name in names.dropFirst() { _ = keys.intern(name) }
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
struct WellKnown: BitwiseCopyable {
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
    var topK = TargetID.none
    var explain = Text.empty
    var formerName = Text.empty
    var kindName = NameID.none
}
