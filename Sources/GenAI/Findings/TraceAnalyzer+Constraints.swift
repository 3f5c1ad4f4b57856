import Telemetry

extension TraceAnalyzer {
    // MARK: Another entity than the one that was asked for

    /// Some frameworks hand the whole conversation on, so nothing is missing from a sub-agent's input. What it acts on
    /// tells all the same: an id that the request does not have, where the request has one of that shape which no
    /// sub-agent used.
    mutating func checkOtherEntity(_ entities: [Text], _ first: Int?, _ subAgents: [Int]) {
        let asked = entities.filter(\.isIdentifier)
        guard !asked.isEmpty, !subAgents.isEmpty else { return }
        let unused = self.unused(asked, by: subAgents)
        if unused.isEmpty { return }
        for index in calls.indices where calls[index].model >= 0 && !calls[index].isHandoff {
            let model = Int(calls[index].model)
            guard subAgents.contains(where: { trace.isBelow(model, $0) }) else { continue }
            guard let other = otherEntity(in: calls[index].arguments, asked, unused) else { continue }
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
        in arguments: JSONRef, _ asked: [Text], _ unused: [Text]
    ) -> (asked: Text, used: Text)? {
        guard tree.isObject(arguments) else { return nil }
        var member = tree.first(arguments)
        while member.exists {
            let value = tree.isString(member) ? tree.string(member).trimmed : Text.empty
            if value.isIdentifier, value.hasLetter, !asked.contains(where: { $0.looseHash == value.looseHash }) {
                for one in unused where one.hasSameShape(as: value) { return (one, value) }
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
        // What did not happen is told, not ruled out: I never got it, it was not received.
        "got", "gotten", "received", "receive", "saw", "seen", "had", "heard", "arrived", "came", "was", "were", "been",
    ]
    /// Words of a later message that take a prohibition back when they stand beside what it ruled out.
    private static let permissions: [StaticString] = [
        "ok", "okay", "yes", "yeah", "fine", "please", "instead", "use", "allow", "allowed", "agree", "alright",
        "actually", "go", "do", "can", "may",
    ]
    /// Words of what stands between a prohibition and what it rules out: under any circumstances, for whatever reason.
    private static let circumstances: [StaticString] = [
        "under", "any", "all", "circumstance", "circumstances", "condition", "conditions", "in", "on", "case",
        "situation", "for", "whatever", "reason", "by", "means", "way", "account", "at", "cost", "costs", "and", "i",
        "mean", "it", "repeat", "really", "absolutely", "ever", "whatsoever",
    ]
    /// Words between a prohibition and what it rules out.
    private static let prohibitionReach = 12
    /// Values of a trace that are looked for in what the user said.
    private static let valuesMax = 4_096
    /// Prohibitions that are remembered of a session.
    private static let prohibitionsMax = 16

    /// A value of several words, such as `original_payment`, that a call uses although the user ruled it out in words,
    /// in the request that the model saw or in an earlier run of the session. Words, not meaning.
    mutating func checkProhibitions(_ batch: borrowing RecordBatch, _ memory: inout FindingsMemory) {
        var earlier = memory.prohibitions.use(sessionKey) ?? []
        // Read once for each request that a suspicious call came from.
        var known: [Int: [Said]] = [:]
        var allowed: [[UInt64]] = []
        var left = TraceAnalyzer.valuesMax
        for index in calls.indices where tree.isObject(calls[index].arguments) && !calls[index].isHandoff {
            guard let turn = turn(of: calls[index]) else { continue }
            var member = tree.first(calls[index].arguments)
            members: while member.exists {
                let value = tree.isString(member) ? tree.string(member) : Text.empty
                let words = value.isCompoundWord ? TraceAnalyzer.words(of: value) : []
                if words.count > 1, left > 0 {
                    left -= 1
                    let own = known[turn] ?? said(input(ofTurn: turn, batch))
                    known[turn] = own
                    switch TraceAnalyzer.isRuledOut(words, own, earlier) {
                    case .flagged:
                        reportProhibited(index, tree[member].key)
                        break members
                    case .clean: allowed.append(words)
                    case .notAssessable: break
                    }
                }
                member = tree.next(member)
            }
        }
        guard turns.count > 0 else { return }
        let before = earlier
        for each in known[0] ?? said(input(ofTurn: 0, batch)) {
            for clause in each.clauses where !earlier.contains(clause) { earlier.append(clause) }
        }
        // What the user allowed after all is forgotten.
        for words in allowed { earlier.removeAll { TraceAnalyzer.rulesOut(words, [$0]) } }
        if earlier != before {
            memory.prohibitions.set(sessionKey, Array(earlier.suffix(TraceAnalyzer.prohibitionsMax)))
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

    /// A user message, and the clauses behind its prohibitions as hashes of their words.
    private struct Said {
        var text: Text
        var clauses: [[UInt64]]
    }

    private mutating func said(_ list: JSONRef) -> [Said] {
        var result: [Said] = []
        var clauses = 0
        var message = tree.first(list)
        while message.exists, clauses < 64 {
            if tree.string(tree.member(message, "role")) == "user" {
                var part = tree.first(tree.member(message, "parts"))
                while part.exists {
                    let text = tree.string(tree.member(part, "content")).capped(8 << 10)
                    let one = Said(text: text, clauses: TraceAnalyzer.clauses(in: text))
                    clauses += one.clauses.count
                    result.append(one)
                    part = tree.next(part)
                }
            }
            message = tree.next(message)
        }
        return result
    }

    /// Flagged when the last word of the user on the value rules it out, clean when it allows what was ruled out
    /// before, not assessable when nobody spoke of it.
    private static func isRuledOut(_ value: [UInt64], _ said: [Said], _ earlier: [[UInt64]]) -> Answer {
        var answer = rulesOut(value, earlier) ? Answer.flagged : .notAssessable
        for each in said {
            if rulesOut(value, each.clauses) {
                answer = .flagged
            } else if answer == .flagged, allows(value, each.text) {
                answer = .clean
            }
        }
        return answer
    }

    /// Whether a message names the value beside a word that permits, and is no question.
    private static func allows(_ value: [UInt64], _ text: Text) -> Bool {
        guard text.firstIndex(of: UInt8(ascii: "?"), from: 0) == nil else { return false }
        var words: [UInt64] = []
        var isPermitted = false
        var cursor = WordCursor(text, joins: false)
        while let range = cursor.next() {
            words.append(text[range].looseHash)
            if isOneOf(text[range], permissions) { isPermitted = true }
        }
        return isPermitted && rulesOut(value, [words])
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
            return (0...(clause.count - value.count)).contains { clause[$0..<$0 + value.count].elementsEqual(value) }
        }
    }

    static func rulesOut(_ value: Text, _ text: Text) -> Bool {
        let words = words(of: value)
        return words.count > 1 && rulesOut(words, clauses(in: text))
    }

    /// What stands behind each prohibition, within its sentence. A question prohibits nothing.
    static func clauses(in text: Text) -> [[UInt64]] {
        var reader = ClauseReader()
        var end = 0
        var words = WordCursor(text, joins: false)
        while reader.clauses.count < 16 {
            // Nothing is open that the words in between could belong to or end.
            if !reader.isOpen { words.skip(toWordBeginningWith: prohibitionStarts) }
            guard let range = words.next() else { break }
            let word = text[range]
            if reader.isOpen {
                // The apostrophe of don't is no end of a sentence.
                for place in end..<range.lowerBound { reader.end(at: text[place]) }
            }
            guard reader.isOpen || prohibits(word, in: text, before: range.upperBound) else { continue }
            end = range.upperBound
            if prohibits(word, in: text, before: end) {
                reader.open(mayBeInterrupted: !isOneOf(word, ["no", "without", "except"]))
            } else {
                reader.add(word)
            }
        }
        if text.firstIndex(of: UInt8(ascii: "?"), from: min(end, text.count)) == nil { reader.close() }
        return reader.clauses
    }

    /// Collects the words behind prohibitions.
    private struct ClauseReader {
        private(set) var clauses: [[UInt64]] = []
        /// What was read of the clause under way.
        private var clause: [UInt64] = []
        private(set) var isOpen = false
        private var mayBeInterrupted = false
        /// Whether all that was read is `circumstances`.
        private var isBare = true
        /// Whether a comma stands before what was read: "do not, under any circumstances, …".
        private var isInterrupted = false

        mutating func open(mayBeInterrupted: Bool) {
            close()
            isOpen = true
            self.mayBeInterrupted = mayBeInterrupted
        }

        mutating func close() {
            if isOpen, clause.count > 1 { clauses.append(clause) }
            drop()
        }

        private mutating func drop() {
            clause = []
            (isOpen, mayBeInterrupted, isBare, isInterrupted) = (false, false, true, false)
        }

        /// A sign between two words.
        mutating func end(at byte: UInt8) {
            if byte == UInt8(ascii: "?") { drop() }
            guard isOpen, Text.endsClause(byte) else { return }
            guard byte == UInt8(ascii: ","), mayBeInterrupted, isBare else { return close() }
            if clause.isEmpty {
                isInterrupted = true
            } else if isInterrupted || clause.count > 2 {
                // The clause in between is over, and what is ruled out follows.
                clause = []
                isInterrupted = false
            } else {
                close()
            }
        }

        mutating func add(_ word: Text) {
            // What the apostrophe of don't leaves.
            if clause.isEmpty, word.count == 1, word.beginsWith("t") { return }
            if clause.isEmpty, isInterrupted, TraceAnalyzer.isOneOf(word, ["ever"]) {
                isInterrupted = false
            } else if clause.count < 2, TraceAnalyzer.isOneOf(word, TraceAnalyzer.reversals) {
                drop()
            } else if TraceAnalyzer.isOneOf(word, TraceAnalyzer.circumstances) {
                if clause.count < TraceAnalyzer.prohibitionReach { clause.append(word.looseHash) }
            } else if isInterrupted {
                // "If not, use …" rules nothing out.
                drop()
            } else {
                isBare = false
                if clause.count < TraceAnalyzer.prohibitionReach { clause.append(word.looseHash) }
            }
        }
    }

    private static func prohibits(_ word: Text, in text: Text, before end: Int) -> Bool {
        let isShortened = word.count == 3 && word.beginsWith("don") && end < text.count && text[end] == 0x27
        return isShortened || isOneOf(word, prohibitions)
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
