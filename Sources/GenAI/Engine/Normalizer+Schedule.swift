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
        var index = nextDue(from: rules.lowerBound, below: rules.upperBound)
        while index < rules.upperBound {
            apply(index, batch)
            index = nextDue(from: index + 1, below: rules.upperBound)
        }
        facts.passed |= 1 << UInt64(dialect)
    }

    @inline(__always)
    private mutating func nextDue(from: Int, below end: Int) -> Int {
        guard from < end else { return end }
        var word = from >> 6
        var bits = due[word] & (~0 << UInt64(from & 63))
        while bits == 0 {
            word += 1
            if word << 6 >= end { return end }
            bits = due[word]
        }
        return min(end, word << 6 + bits.trailingZeroBitCount)
    }

    /// Whether another pass would run a rule on what was written under a name that was not there.
    mutating func isAskedFor(_ name: NameID) -> Bool {
        if slots[Int(name.value)] >> 32 == UInt64(stamp) { return false }
        for index in tables.layout.schedule.byName[Int(name.value)].range {
            let rule = Int(tables.layout.schedule.pool[index])
            if hasPassed(rule), couldAct(rule) { return true }
        }
        for index in tables.layout.namePatterns[Int(name.value)].range {
            let pattern = Int(tables.layout.patternPool[index])
            if missedPatterns.isMarked(NameID(value: UInt16(pattern)), stamp) { return true }
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
        guard draft.stamp == stamp, draft.isFilled, !options.overwrite else { return true }
        return tables.layout.rules[index].conflict != .keepTarget
    }

    /// Whether a value under a name that was not there reveals a dialect that this pass did not run.
    mutating func wakes(_ name: NameID, _ value: MadeValue, _ batch: borrowing RecordBatch) -> Bool {
        let detects = tables.layout.nameDetects[Int(name.value)]
        if detects & enabled & ~facts.active != 0 { return true }
        if detects & Tables.valueCheckBit != 0, value.kind == .string {
            for (sign, dialect) in tables.layout.valueChecks where isAsleep(dialect) {
                switch sign {
                case .attributeEquals(name, let word): if batch.text(value.reference) == word { return true }
                case .attributeHasPrefix(name, let word): if batch.text(value.reference).hasPrefix(word) { return true }
                default: continue
                }
            }
        }
        guard tables.layout.nameSigns[Int(name.value)] else { return false }
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
