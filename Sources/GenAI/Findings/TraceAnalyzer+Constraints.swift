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
                    evidence: "tool=\(calls[index].name.string) asked_hash=\(hex(other.asked.looseHash)) "
                        + "used_hash=\(hex(other.used.looseHash))",
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

    private static let prohibitions: [StaticString] = ["never", "not", "no", "don't", "dont", "without", "except"]
    /// Words between a prohibition and what it rules out.
    private static let prohibitionReach = 12

    /// A value of several words, such as `original_payment`, that a call uses although the user ruled it out in words.
    /// Words, not meaning: a hint.
    mutating func checkProhibitions(_ batch: borrowing RecordBatch) {
        for index in calls.indices where tree.isObject(calls[index].arguments) && !calls[index].isHandoff {
            guard let turn = turn(of: calls[index]) else { continue }
            var member = tree.first(calls[index].arguments)
            while member.exists {
                let value = tree.isString(member) ? tree.string(member) : Text.empty
                if value.isCompoundWord, isRuledOut(value, input(ofTurn: turn, batch)) {
                    let name = tree[member].key.string
                    report(
                        Finding(
                            .contextLoss, .prohibitedValue, .hint, span: span(of: calls[index]),
                            cause: cause(of: calls[index]), call: index,
                            evidence: "tool=\(calls[index].name.string) argument=\(name)",
                            "Argument \(name) of \(calls[index].name.string) has a value that the user seems to have "
                                + "ruled out."))
                    break
                }
                member = tree.next(member)
            }
        }
    }

    private mutating func isRuledOut(_ value: Text, _ list: JSONRef) -> Bool {
        var message = tree.first(list)
        while message.exists {
            if tree.string(tree.member(message, "role")) == "user" {
                var part = tree.first(tree.member(message, "parts"))
                while part.exists {
                    let text = tree.string(tree.member(part, "content")).capped(8 << 10)
                    if TraceAnalyzer.rulesOut(value, text) { return true }
                    part = tree.next(part)
                }
            }
            message = tree.next(message)
        }
        return false
    }

    /// Whether the words of `value` follow each other within a sentence, behind a prohibition.
    static func rulesOut(_ value: Text, _ text: Text) -> Bool {
        var parts: [Text] = []
        var cursor = WordCursor(value, joins: false)
        while let range = cursor.next() { parts.append(value[range]) }
        guard parts.count >= 2 else { return false }
        var words = WordCursor(text, joins: false)
        var (left, matched, end) = (0, 0, 0)
        while let range = words.next() {
            // The apostrophe of don't is no end of a sentence.
            for place in end..<range.lowerBound where ".!?;,\n".utf8.contains(text[place]) { left = 0 }
            end = range.upperBound
            let word = text[range]
            if prohibitions.contains(where: { word.count == $0.utf8CodeUnitCount && word.beginsWith($0) }) {
                (left, matched) = (prohibitionReach, 0)
                continue
            }
            guard left > 0 else { continue }
            left -= 1
            if word.looseHash == parts[matched].looseHash {
                matched += 1
                if matched == parts.count { return true }
            } else {
                matched = word.looseHash == parts[0].looseHash ? 1 : 0
            }
        }
        return false
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
