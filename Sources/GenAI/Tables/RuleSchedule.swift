import Telemetry

/// Which rules the attributes of a record call for, so that a record costs by what it holds and not by what the tables
/// could do.
struct RuleSchedule: BitwiseCopyable {
    /// Rules that read an attribute, by its name, as runs of `pool`.
    let byName: Frozen<PoolRange>
    /// Rules that look at the keys under a pattern, by pattern, as runs of `pool`.
    let byPattern: Frozen<PoolRange>
    let pool: Frozen<UInt16>
    /// One bit per rule: those that read neither attributes nor events.
    let standing: Frozen<UInt64>
    /// One bit per rule: those that read events.
    let events: Frozen<UInt64>

    init(_ draft: TableDraft) {
        var byName = [[UInt16]](repeating: [], count: draft.names.count)
        var byPattern = [[UInt16]](repeating: [], count: draft.patterns.count)
        var standing = [UInt64](repeating: 0, count: draft.rules.count / 64 + 1)
        var events = standing
        // Second rules on one source lie behind their dialect's run and are not called for by themselves.
        for index in draft.dialects.flatMap(\.rules) {
            let bit = UInt64(1) << UInt64(index & 63)
            switch draft.rules[index].source {
            case .attribute(let name): byName[Int(name.value)].append(UInt16(index))
            case .pattern(let pattern, _): byPattern[Int(pattern)].append(UInt16(index))
            case .event: events[index >> 6] |= bit
            case .spanName, .spanNamePrefix, .scopePrefix, .always: standing[index >> 6] |= bit
            }
        }
        var pool: [UInt16] = []
        func run(_ rules: [UInt16]) -> PoolRange {
            pool += rules
            return PoolRange(start: UInt32(pool.count - rules.count), count: UInt32(rules.count))
        }
        self.byName = draft.pool.freeze(byName.map(run))
        self.byPattern = draft.pool.freeze(byPattern.map(run))
        self.pool = draft.pool.freeze(pool)
        self.standing = draft.pool.freeze(standing)
        self.events = draft.pool.freeze(events)
    }
}
