import Telemetry

/// Only rules whose source is there are looked at. What is written under a name that another rule, or a condition, has
/// not found makes the record worth another pass.
extension Normalizer {
    /// Calls for the rules that need no attribute.
    mutating func scheduleStanding() {
        due.removeAll()
        let schedule = tables.layout.schedule
        if facts.events.count > 0 {
            for word in schedule.standing.indices { due.append(schedule.standing[word] | schedule.events[word]) }
        } else {
            for word in schedule.standing.indices { due.append(schedule.standing[word]) }
        }
    }

    @inline(__always)
    mutating func schedule(_ run: PoolRange) {
        for index in run.range {
            let rule = Int(tables.layout.schedule.pool[index])
            due[rule >> 6] |= 1 << UInt64(rule & 63)
        }
    }

    /// Runs the rules of one dialect that are called for.
    mutating func runRules(_ dialect: Int, _ batch: borrowing RecordBatch) {
        let rules = tables.layout.dialects[dialect].rules
        facts.dialect = dialect
        facts.removes = removing >> UInt64(dialect) & 1 == 1
        facts.overwrites = overwriting >> UInt64(dialect) & 1 == 1
        if !rules.isEmpty {
            for word in rules.lowerBound >> 6...(rules.upperBound - 1) >> 6 {
                var bits = due[word]
                if word == rules.lowerBound >> 6 { bits &= ~0 << UInt64(rules.lowerBound & 63) }
                while bits != 0 {
                    let index = word << 6 + bits.trailingZeroBitCount
                    if index >= rules.upperBound { break }
                    bits &= bits &- 1
                    apply(index, batch)
                }
            }
        }
        facts.passed |= 1 << UInt64(dialect)
    }

    /// Whether another pass would run a rule on what was written under a name that was not there.
    @inline(__always)
    mutating func isAskedFor(_ name: NameID, _ known: NameFacts) -> Bool {
        if slots[Int(name.value)] >> 32 == UInt64(stamp) { return false }
        if known.readers & facts.passed != 0, hasAsker(among: known.rules) { return true }
        return !known.patterns.isEmpty && hasAsker(under: known.patterns, known)
    }

    private mutating func hasAsker(among rules: PoolRange) -> Bool {
        for index in rules.range {
            let rule = Int(tables.layout.schedule.pool[index])
            if hasPassed(rule), couldAct(rule) { return true }
        }
        return false
    }

    private mutating func hasAsker(under patterns: PoolRange, _ known: NameFacts) -> Bool {
        for index in patterns.range {
            let pattern = Int(tables.layout.patternPool[index])
            if missedPatterns.isMarked(NameID(value: UInt16(pattern)), stamp) { return true }
            if known.readers & facts.passed == 0 { continue }
            for index in tables.layout.schedule.byPattern[pattern].range
            where hasPassed(Int(tables.layout.schedule.pool[index])) {
                return true
            }
        }
        return false
    }

    @inline(__always)
    private mutating func hasPassed(_ rule: Int) -> Bool {
        facts.passed >> UInt64(tables.layout.ruleDialects[rule]) & 1 == 1
    }

    /// Whether a rule would do more than find that its target has a value.
    private mutating func couldAct(_ index: Int) -> Bool {
        let target = tables.layout.rules[index].target
        guard target.exists, !tables.layout.rules[index].isRepair, tables.layout.rules[index].also < 0 else {
            return true
        }
        let draft = drafts[Int(target.value)]
        guard draft.stamp == stamp, draft.isFilled, !isOverwriting(index) else { return true }
        return tables.layout.rules[index].conflict != .keepTarget
    }

    /// Whether a rule's dialect lets its values replace those that were there.
    mutating func isOverwriting(_ rule: Int) -> Bool {
        overwriting >> UInt64(tables.layout.ruleDialects[rule]) & 1 == 1
    }

    /// Whether a value under a name that was not there reveals a dialect that this pass did not run.
    @inline(__always)
    mutating func wakes(
        _ name: NameID, _ known: NameFacts, _ value: MadeValue, _ batch: inout RecordBatch
    ) -> Bool {
        if known.detects & enabled & ~facts.active != 0 { return true }
        guard known.detects & Tables.valueCheckBit != 0 || known.isSign else { return false }
        return wakesByValue(name, known, value, &batch)
    }

    private mutating func wakesByValue(
        _ name: NameID, _ known: NameFacts, _ value: MadeValue, _ batch: inout RecordBatch
    ) -> Bool {
        if known.detects & Tables.valueCheckBit != 0, value.kind == .string {
            for (sign, dialect) in tables.layout.valueChecks where isAsleep(dialect) {
                switch sign {
                case .attributeEquals(name, let word): if batch.text(value.reference) == word { return true }
                case .attributeHasPrefix(name, let word): if batch.text(value.reference).hasPrefix(word) { return true }
                default: continue
                }
            }
        }
        guard known.isSign else { return false }
        for check in tables.layout.allOfChecks where isAsleep(check.dialect) && isPart(name, of: check.signs) {
            return true
        }
        return false
    }

    private mutating func isAsleep(_ dialect: Int) -> Bool { (enabled & ~facts.active) >> UInt64(dialect) & 1 == 1 }

    /// Whether an attribute is one of several signs, whose scope fits.
    private mutating func isPart(_ name: NameID, of signs: PoolRange) -> Bool {
        var isNamed = false
        for index in signs.range {
            switch tables.layout.signs[index] {
            case .scopeName(let text): if !(facts.scope == text) { return false }
            case .scopePrefix(let text): if !ScopeName.hasPrefix(facts.scope, text) { return false }
            case .attribute(name), .attributeEquals(name, _), .attributeHasPrefix(name, _): isNamed = true
            default: continue
            }
        }
        return isNamed
    }
}
