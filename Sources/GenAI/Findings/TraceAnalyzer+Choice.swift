import Telemetry

/// A wrong tool among the right ones, where words alone show it: the tool's own description rules out what the user
/// asked for, the model named another tool than it called, or the answer claims what no tool did.
extension TraceAnalyzer {
    mutating func checkChoices(_ batch: borrowing RecordBatch) {
        guard definitions.count > 1 else { return }
        var isExplained = false
        for index in calls.indices where calls[index].isAnnounced && !calls[index].isHandoff {
            if checkPurpose(index, batch) { isExplained = true }
        }
        for turn in turns.indices where turns[turn].calls > 0 && !turns[turn].text.isEmpty {
            if checkIntention(turn) { isExplained = true }
        }
        if !isExplained { checkClaim(batch) }
    }

    func isCalled(_ name: Text) -> Bool {
        calls.indices.contains { TraceAnalyzer.isSameTool(calls[$0].name, name) }
    }

    // MARK: Purposes that a description rules out

    /// `Gives store credit (not a refund)` was called for a request that says refund, and a tool whose name says refund
    /// was at hand and never called.
    private mutating func checkPurpose(_ index: Int, _ batch: borrowing RecordBatch) -> Bool {
        let call = calls[index]
        guard let own = definition(of: call), own.description.exists, let turn = turn(of: call) else { return false }
        let description = tree.string(own.description).capped(2_048)
        let excluded = TraceAnalyzer.exclusions(in: description)
        guard !excluded.isEmpty else { return false }
        let request = userText(input(ofTurn: turn, batch)).capped(8 << 10)
        for word in excluded where TraceAnalyzer.asks(for: word, in: request) {
            guard let other = otherTool(named: word, than: own.name) else { continue }
            report(
                Finding(
                    .wrongToolSelection, .toolExcluded, .tag, span: span(of: call), cause: cause(of: call), call: index,
                    evidence: "tool=\(call.name.string) better=\(other.string) excluded=\(word.string)",
                    "\(call.name.string) was called for a request about \(word.string), which its description rules "
                        + "out; \(other.string) was offered and never called."))
            return true
        }
        return false
    }

    /// The last user message, or all of them when the last says little.
    private mutating func userText(_ list: JSONRef) -> Text {
        let last = lastUserText(list)
        var words = WordCursor(last, joins: false)
        var count = 0
        while count < 5, words.next() != nil { count += 1 }
        if count >= 5 { return last }
        scratch.removeAll()
        var message = tree.first(list)
        // No more of it is read.
        while message.exists, scratch.count < 8 << 10 {
            if tree.string(tree.member(message, "role")) == "user" {
                var part = tree.first(tree.member(message, "parts"))
                while part.exists {
                    if tree.string(tree.member(part, "type")) == "text" {
                        scratch.append(tree.string(tree.member(part, "content")).capped(4 << 10))
                        scratch.append(Text(". "))
                    }
                    part = tree.next(part)
                }
            }
            message = tree.next(message)
        }
        return tree.arena.copy(scratch.text)
    }

    /// An offered tool that was never called and has the word in its name.
    private func otherTool(named word: Text, than own: Text) -> Text? {
        // A word that both names have tells them apart in no way.
        if TraceAnalyzer.hasStem(own, word) { return nil }
        for index in definitions.indices {
            let name = definitions[index].name
            guard TraceAnalyzer.hasStem(name, word), TraceAnalyzer.isAction(name) else { continue }
            if TraceAnalyzer.isSameTool(name, own) || isCalled(name) { continue }
            return name
        }
        return nil
    }

    private static let negations: [StaticString] = ["not", "never", "don", "don't", "dont", "cannot"]
    /// A clause with one of these is a condition, no purpose.
    private static let conditions: [StaticString] = [
        "if", "when", "unless", "until", "before", "after", "without", "more", "than", "only", "yet", "both",
    ]
    private static let fillers: [StaticString] = [
        "a", "an", "the", "this", "that", "it", "for", "to", "of", "or", "and", "be", "use", "used", "using", "tool",
        "function", "call", "as", "in", "with", "any", "t", "do", "does", "by", "is", "are", "handle", "handles",
        "make",
    ]

    /// Words behind a negation of a description, up to the end of its clause.
    static func exclusions(in text: Text) -> [Text] {
        var result: [Text] = []
        var clause: [Text] = []
        var (left, end) = (0, 0)
        var words = WordCursor(text, joins: false)
        func close() {
            result += clause
            clause = []
            left = 0
        }
        while let range = words.next(), result.count < 16 {
            for place in end..<range.lowerBound where endsPurpose(text[place]) { close() }
            end = range.upperBound
            let word = text[range]
            if isOneOf(word, negations) {
                close()
                left = 8
            } else if left > 0 {
                left -= 1
                if isOneOf(word, conditions) {
                    clause = []
                    left = 0
                } else if word.count >= 4, !isOneOf(word, fillers) {
                    clause.append(word)
                }
            }
        }
        close()
        return result
    }

    private static func endsPurpose(_ byte: UInt8) -> Bool {
        Text.endsClause(byte) || byte == UInt8(ascii: "(") || byte == UInt8(ascii: ")") || byte == UInt8(ascii: ":")
    }

    /// Whether the text has the word and does not rule it out itself.
    static func asks(for word: Text, in text: Text) -> Bool {
        var words = WordCursor(text, joins: false)
        var sinceNegation = 8
        var isAsked = false
        while let range = words.next() {
            let each = text[range]
            if isOneOf(each, negations) || isOneOf(each, ["no", "without", "instead", "rather"]) {
                sinceNegation = 0
            } else {
                sinceNegation += 1
                if isSameStem(each, word) {
                    if sinceNegation <= 4 { return false }
                    isAsked = true
                }
            }
        }
        return isAsked
    }

    // MARK: Words

    /// Equal words, or one with an ending of the other: refund, refunds, refunded.
    static func isSameStem(_ left: Text, _ right: Text) -> Bool {
        let (short, long) = left.count <= right.count ? (left, right) : (right, left)
        guard short.count >= 3, long.count - short.count <= 3 else { return false }
        for index in 0..<short.count where ASCII.lower(short[index]) != ASCII.lower(long[index]) { return false }
        let ending = long[short.count..<long.count]
        return ending.isEmpty || isOneOf(ending, ["s", "es", "d", "ed", "ing"])
    }

    static func hasStem(_ text: Text, _ word: Text) -> Bool {
        var words = WordCursor(text, joins: false)
        while let range = words.next() {
            if isSameStem(text[range], word) { return true }
        }
        return false
    }

    // MARK: Intentions

    /// The model says in the same answer that it uses one offered tool, and calls others; that one never ran.
    private mutating func checkIntention(_ turn: Int) -> Bool {
        let text = turns[turn].text.capped(4_096)
        guard TraceAnalyzer.promises.contains(where: { text.holds($0) }) else { return false }
        for index in definitions.indices {
            let name = definitions[index].name
            guard name.firstIndex(of: UInt8(ascii: "_")) != nil, holdsWord(text, name), !isCalled(name) else {
                continue
            }
            guard let call = calls.indices.first(where: { calls[$0].model == turns[turn].step }) else { continue }
            // Both named: the other comes later, or was meant as an alternative.
            if holdsWord(text, calls[call].name) { continue }
            report(
                Finding(
                    .wrongToolSelection, .toolOther, .tag, span: span(of: calls[call]), cause: cause(of: calls[call]),
                    call: call, evidence: "tool=\(calls[call].name.string) announced=\(name.string)",
                    "The model announced \(name.string) and called \(calls[call].name.string)."))
            return true
        }
        return false
    }

    // MARK: Claims

    private static let completions: [StaticString] = [
        "submitted", "processed", "issued", "completed", "sent", "booked", "cancelled", "canceled", "created",
        "updated", "scheduled", "placed", "refunded", "initiated", "confirmed", "done", "made", "filed", "opened",
        "closed", "reset", "changed", "deleted", "removed", "added", "registered", "approved", "transferred", "paid",
    ]
    private static let doubts: [StaticString] = [
        "not", "n't", "cannot", "unable", "would", "will", "can", "could", "if", "once", "should", "may", "might",
        "please", "already", "previously", "yesterday", "earlier", "when", "until", "after", "before", "want", "like",
        "ll", "t", "shall", "whether", "unfortunately", "no",
    ]

    /// The last answer says that something was done whose only tool was never called. Tools that look the same thing
    /// up, or results that mention it, may be where the answer has it from.
    private mutating func checkClaim(_ batch: borrowing RecordBatch) {
        guard calls.count > 0, let last = lastTurn, turns[last].calls == 0, turns[last].definitions >= 0 else { return }
        let text = turns[last].text.capped(2_048)
        guard !text.isEmpty else { return }
        for index in definitionSets[Int(turns[last].definitions)].range.range {
            let name = definitions[index].name
            guard TraceAnalyzer.isAction(name), !TraceAnalyzer.isHandoff(name), !isCalled(name), !isIgnored(name),
                let noun = TraceAnalyzer.object(of: name), !isDone(noun), claims(noun, in: text)
            else { continue }
            let span = Int(trace.steps[Int(turns[last].step)].span)
            return report(
                Finding(
                    .wrongToolSelection, .toolNeverCalled, .tag, span: span, cause: span,
                    evidence: "tool=\(name.string) announced_in=claim",
                    "The last answer says that the \(noun.string) was done; \(name.string) was never called."))
        }
    }

    /// Whether another action on the same thing was called, or a result speaks of it.
    private mutating func isDone(_ noun: Text) -> Bool {
        // A message may be sent, a record be written by any action.
        let isByTheWay = TraceAnalyzer.isDoneByTheWay(noun)
        for index in calls.indices {
            let call = calls[index]
            if isByTheWay, TraceAnalyzer.isAction(call.name) { return true }
            if TraceAnalyzer.isAction(call.name), TraceAnalyzer.hasStem(call.name, noun) { return true }
            if !call.hasResult { return true }
            if call.result.exists ? mentions(noun, call.result, 0) : TraceAnalyzer.hasStem(call.resultText, noun) {
                return true
            }
        }
        return false
    }

    private mutating func mentions(_ noun: Text, _ ref: JSONRef, _ depth: Int) -> Bool {
        guard depth < 8 else { return true }
        if TraceAnalyzer.hasStem(tree[ref].key, noun) { return true }
        if tree.isString(ref) { return TraceAnalyzer.hasStem(tree.string(ref).capped(8 << 10), noun) }
        var child = tree.first(ref)
        while child.exists {
            if mentions(noun, child, depth + 1) { return true }
            child = tree.next(child)
        }
        return false
    }

    /// Whether a sentence of the text says that the thing was done, without doubt or future.
    private func claims(_ noun: Text, in text: Text) -> Bool {
        var (hasNoun, hasCompletion, hasDoubt, end) = (false, false, false, 0)
        var words = WordCursor(text, joins: false)
        while let range = words.next() {
            // Decimal points are inside of sentences.
            for place in end..<range.lowerBound where Text.endsSentence(text[place]) {
                let isPoint = text[place] == UInt8(ascii: ".") && place + 1 == range.lowerBound
                if isPoint { continue }
                if text[place] == UInt8(ascii: "?") { hasDoubt = true }
                if hasNoun && hasCompletion && !hasDoubt { return true }
                (hasNoun, hasCompletion, hasDoubt) = (false, false, false)
            }
            end = range.upperBound
            let word = text[range]
            if TraceAnalyzer.isSameStem(word, noun) { hasNoun = true }
            if TraceAnalyzer.isOneOf(word, TraceAnalyzer.completions) { hasCompletion = true }
            if TraceAnalyzer.isOneOf(word, TraceAnalyzer.doubts) { hasDoubt = true }
        }
        for place in end..<text.count where text[place] == UInt8(ascii: "?") { hasDoubt = true }
        return hasNoun && hasCompletion && !hasDoubt
    }
}
