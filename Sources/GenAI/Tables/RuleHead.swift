/// A rule in a few bytes: what is needed to find out whether it has work, and to do that work when it only moves a
/// value of the right kind from one name to another. Everything else is in the rule.
struct RuleHead: BitwiseCopyable {
    /// A value that goes to its target as it is.
    enum Move: UInt8, BitwiseCopyable { case none, text, int, double }

    /// Attribute that the rule reads; none when it reads something else.
    var name = NameID.none
    var target = TargetID.none
    var move = Move.none
    var claim = Claim(conflict: .keepTarget, isRepair: false)
    var hasConditions = false
    /// Whether `remove_originals` may take the source away once the rule has run.
    var usesUp = false
    /// A second rule on the same source follows.
    var hasSecond = false
    /// A value that loses against another one is counted.
    var countsConflicts = false

    init(_ rule: Rule, _ types: [TargetType]) {
        if case .attribute(let name) = rule.source { self.name = name }
        target = rule.target
        claim = rule.claim
        hasConditions = !rule.conditions.isEmpty
        usesUp = !rule.keepsSource && !rule.isRepair && rule.transform.carrying == .whole
        hasSecond = rule.also >= 0
        countsConflicts = RuleHead.countsConflicts(rule, types)
        move = RuleHead.move(rule, types)
    }

    /// Whole documents differ in form more often than in what they say.
    private static func countsConflicts(_ rule: Rule, _ types: [TargetType]) -> Bool {
        switch rule.transform {
        case .copy, .string, .int, .double, .bool, .map, .lowercase:
            !rule.isRepair && rule.target.exists && !types[Int(rule.target.value)].isDocument
        default: false
        }
    }

    private static func move(_ rule: Rule, _ types: [TargetType]) -> Move {
        guard rule.target.exists, !rule.isRepair, rule.also < 0, rule.conflict != .preferMapped,
            case .none = rule.drop, case .attribute = rule.source
        else { return .none }
        switch rule.transform {
        case .copy, .string, .json:
            switch types[Int(rule.target.value)] {
            case .string: return .text
            case .int: return .int
            case .double: return .double
            default: return .none
            }
        case .int: return .int
        case .double: return .double
        default: return .none
        }
    }
}

/// What a name means to the rules, in one place, because every attribute is looked up by it.
struct NameFacts: BitwiseCopyable {
    /// Rules that read it: a run of the schedule's pool.
    var rules: PoolRange
    /// Asked patterns that it falls under.
    var patterns: PoolRange
    /// Dialects that it reveals.
    var detects: UInt64
    /// Dialects with rules that read it, itself or under a pattern.
    var readers: UInt64
    var target: TargetID
    /// It is one of several signs of a dialect.
    var isSign: Bool
}
