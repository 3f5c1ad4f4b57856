import Telemetry

extension TraceAnalyzer {
    // MARK: Another entity than the one that was asked for

    /// Some frameworks hand the whole conversation on, so nothing is missing from a sub-agent's input. What it acts on
    /// tells all the same: an id that the request does not have, where the request has one of that shape which no
    /// sub-agent used.
    mutating func checkOtherEntity(_ entities: [Text], _ first: Int?, _ subAgents: [Int]) {
        let asked = entities.filter(\.isIdentifier)
        guard !asked.isEmpty, !subAgents.isEmpty else { return }
        for index in calls.indices where calls[index].model >= 0 && !calls[index].isHandoff {
            let model = Int(calls[index].model)
            guard subAgents.contains(where: { trace.isBelow(model, $0) }) else { continue }
            guard let other = otherEntity(in: calls[index].arguments, asked, subAgents) else { continue }
            let handoff = first.map { calls[$0] }
            let span = handoff.map { self.span(of: $0) } ?? Int(trace.steps[subAgents[0]].span)
            return report(
                Finding(
                    .handoffDrop, .handoffOther, .tag, span: span, cause: handoff.flatMap { cause(of: $0) },
                    call: first ?? -1,
                    evidence: "tool=\(calls[index].name.string) asked_hash=\(other.asked.looseHash.hexDigits) "
                        + "used_hash=\(other.used.looseHash.hexDigits)",
                    "The sub-agent acted on another id than the one of its kind in the request, which it never used."))
        }
    }

    private mutating func otherEntity(
        in arguments: JSONRef, _ asked: [Text], _ subAgents: [Int]
    ) -> (asked: Text, used: Text)? {
        guard tree.isObject(arguments) else { return nil }
        var member = tree.first(arguments)
        while member.exists {
            let value = tree.isString(member) ? tree.string(member).trimmed : Text.empty
            if value.isIdentifier, value.hasLetter, !asked.contains(where: { $0.looseHash == value.looseHash }) {
                for one in asked where one.hasSameShape(as: value) && !isUsed(one, by: subAgents) {
                    return (one, value)
                }
            }
            member = tree.next(member)
        }
        return nil
    }

    // MARK: What the user ruled out

    private static let prohibitions: [StaticString] = ["never", "not", "no", "dont", "don’t", "without", "except"]
    /// The first two letters of each.
    private static let prohibitionStarts: StaticString = "nenodowiex"
    /// Words behind a prohibition that turn it into something else: do not forget, not only, not sure.
    private static let reversals: [StaticString] = [
        "forget", "worry", "mind", "hesitate", "only", "sure", "know", "think", "just", "fail", "miss", "skip", "why",
        "problem", "longer", "matter", "certain", "remember", "care", "yet", "have", "need",
    ]
    /// Words between a prohibition and what it rules out.
    private static let prohibitionReach = 12
    /// Prohibitions that are remembered of a session.
    private static let prohibitionsMax = 16

    /// A value of several words, such as `original_payment`, that a call uses although the user ruled it out in words,
    /// in the request that the model saw or in an earlier run of the session. Words, not meaning.
    mutating func checkProhibitions(_ batch: borrowing RecordBatch, _ memory: inout FindingsMemory) {
        var earlier = memory.prohibitions.use(sessionKey) ?? []
        // Read once for each request that a suspicious call came from.
        var known: [Int: [[UInt64]]] = [:]
        for index in calls.indices where tree.isObject(calls[index].arguments) && !calls[index].isHandoff {
            guard let turn = turn(of: calls[index]) else { continue }
            var member = tree.first(calls[index].arguments)
            while member.exists {
                let value = tree.isString(member) ? tree.string(member) : Text.empty
                let words = value.isCompoundWord ? TraceAnalyzer.words(of: value) : []
                if words.count > 1 {
                    let own = known[turn] ?? ruledOut(input(ofTurn: turn, batch))
                    known[turn] = own
                    if TraceAnalyzer.rulesOut(words, own + earlier) {
                        reportProhibited(index, tree[member].key)
                        break
                    }
                }
                member = tree.next(member)
            }
        }
        guard turns.count > 0 else { return }
        let count = earlier.count
        for clause in ruledOut(input(ofTurn: 0, batch)) where !earlier.contains(clause) { earlier.append(clause) }
        if earlier.count > count {
            memory.prohibitions.set(sessionKey, earlier.suffix(TraceAnalyzer.prohibitionsMax))
        }
    }

    private mutating func reportProhibited(_ index: Int, _ argument: Text) {
        let name = argument.string
        report(
            Finding(
                .contextLoss, .prohibitedValue, .tag, span: span(of: calls[index]), cause: cause(of: calls[index]),
                call: index, evidence: "tool=\(calls[index].name.string) argument=\(name)",
                "Argument \(name) of \(calls[index].name.string) has a value that the user seems to have ruled out."))
    }

    /// The clauses behind prohibitions of all user messages, as hashes of their words.
    private mutating func ruledOut(_ list: JSONRef) -> [[UInt64]] {
        var clauses: [[UInt64]] = []
        var message = tree.first(list)
        while message.exists, clauses.count < 64 {
            if tree.string(tree.member(message, "role")) == "user" {
                var part = tree.first(tree.member(message, "parts"))
                while part.exists {
                    clauses += TraceAnalyzer.clauses(in: tree.string(tree.member(part, "content")).capped(8 << 10))
                    part = tree.next(part)
                }
            }
            message = tree.next(message)
        }
        return clauses
    }

    private static func words(of value: Text) -> [UInt64] {
        var words: [UInt64] = []
        var cursor = WordCursor(value, joins: false)
        while let range = cursor.next() { words.append(value[range].looseHash) }
        return words
    }

    /// Whether the words of `value` follow each other in one of the clauses.
    static func rulesOut(_ value: [UInt64], _ clauses: [[UInt64]]) -> Bool {
        clauses.contains { clause in
            guard clause.count >= value.count else { return false }
            return (0...(clause.count - value.count)).contains { Array(clause[$0..<$0 + value.count]) == value }
        }
    }

    static func rulesOut(_ value: Text, _ text: Text) -> Bool {
        let words = words(of: value)
        return words.count > 1 && rulesOut(words, clauses(in: text))
    }

    /// What stands behind each prohibition, within its sentence. A question prohibits nothing.
    static func clauses(in text: Text) -> [[UInt64]] {
        var clauses: [[UInt64]] = []
        var clause: [UInt64]?
        var end = 0
        func close() {
            if let clause, clause.count > 1 { clauses.append(clause) }
            clause = nil
        }
        var words = WordCursor(text, joins: false)
        while clauses.count < 16 {
            // Nothing is open that the words in between could belong to or end.
            if clause == nil { words.skip(toWordBeginningWith: prohibitionStarts) }
            guard let range = words.next() else { break }
            let word = text[range]
            guard clause != nil else {
                if prohibits(word, in: text, before: range.upperBound) { (clause, end) = ([], range.upperBound) }
                continue
            }
            // The apostrophe of don't is no end of a sentence.
            for place in end..<range.lowerBound {
                if text[place] == UInt8(ascii: "?") { clause = nil }
                if Text.endsClause(text[place]) { close() }
            }
            end = range.upperBound
            if prohibits(word, in: text, before: end) {
                close()
                clause = []
            } else if let own = clause {
                if own.count < 2, isWord(word, of: reversals) {
                    clause = nil
                } else if own.count < prohibitionReach {
                    clause?.append(word.looseHash)
                }
            }
        }
        if text.firstIndex(of: UInt8(ascii: "?"), from: min(end, text.count)) == nil { close() }
        return clauses
    }

    private static func prohibits(_ word: Text, in text: Text, before end: Int) -> Bool {
        let isShortened = word.count == 3 && word.beginsWith("don") && end < text.count && text[end] == 0x27
        return isShortened || isWord(word, of: prohibitions)
    }

    private static func isWord(_ word: Text, of list: [StaticString]) -> Bool {
        list.contains { word.count == $0.utf8CodeUnitCount && word.beginsWith($0) }
    }
}

extension Text {
    /// Words of ASCII letters joined by `_` or `-`, as names of options are.
    fileprivate var isCompoundWord: Bool {
        guard count >= 5, count <= 64 else { return false }
        var joints = 0
        for index in 0..<count {
            switch self[index] {
            case UInt8(ascii: "_"), UInt8(ascii: "-"): joints += 1
            case 0x41...0x5A, 0x61...0x7A: continue
            default: return false
            }
        }
        return joints >= 1
    }

    /// Whether both have the same letters and signs, and digits in the same places, however many.
    fileprivate func hasSameShape(as other: Text) -> Bool {
        var (left, right) = (0, 0)
        while left < count && right < other.count {
            if Text.isDigit(self[left]) {
                guard Text.isDigit(other[right]) else { return false }
                while left < count, Text.isDigit(self[left]) { left += 1 }
                while right < other.count, Text.isDigit(other[right]) { right += 1 }
            } else {
                guard self[left] | 0x20 == other[right] | 0x20 else { return false }
                left += 1
                right += 1
            }
        }
        return left == count && right == other.count
    }
}
