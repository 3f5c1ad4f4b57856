import Telemetry

extension TraceAnalyzer {
    /// Empty results and errors that no span status tells.
    mutating func checkResults(_ batch: borrowing RecordBatch, _ memory: FindingsMemory) {
        for index in calls.indices {
            let call = calls[index]
            if call.isHandoff || call.isFailed { continue }
            guard call.hasResult else {
                note(.silentEmptyResponse, isAssessable: false)
                note(.softError, isAssessable: false)
                continue
            }
            note(.silentEmptyResponse, isAssessable: true)
            note(.softError, isAssessable: true)
            if call.isSoftError {
                report(softErrorFinding(index))
            } else if call.emptiness != .none, !isVoid(call, memory), isFailure(index) {
                report(emptyFinding(index, batch))
            }
        }
    }

    /// Whether nothing is less than one hoped for: no good news, and not the end of a list.
    private mutating func isFailure(_ index: Int) -> Bool {
        !calls[index].oddity.isEmpty || !(isGoodNews(calls[index]) || isLastPage(index))
    }

    // MARK: Soft errors

    private func softErrorFinding(_ index: Int) -> Finding {
        let call = calls[index]
        var evidence = "tool=\(call.name.string) error_hash=\(call.errorText.errorHash.hexDigits)"
        if options.evidenceContent { evidence += " error=\(quoted(call.errorText))" }
        return Finding(
            .softError, .softError, .tag, span: span(of: call), cause: nil, call: index, evidence: evidence,
            "\(call.name.string) answered with an error, but its span does not say so.")
    }

    // MARK: Empty results

    /// Whether emptiness is what this tool always gives: by its record, or for bare null by what its name says it does.
    private func isVoid(_ call: ToolCall, _ memory: FindingsMemory) -> Bool {
        var facts = memory.tools.peek(call.name.looseHash) ?? FindingsMemory.ToolFacts()
        for index in calls.indices where calls[index].hasResult && !calls[index].isFailed {
            guard calls[index].name == call.name, calls[index].showsHabit else { continue }
            facts.calls += 1
            if calls[index].emptiness != .none { facts.empties += 1 }
        }
        if facts.calls >= options.voidToolCalls {
            if Double(facts.empties) > options.voidToolShare * Double(facts.calls) { return true }
        }
        return call.emptiness == .null && facts.empties == facts.calls && TraceAnalyzer.isAction(call.name)
    }

    private func emptyFinding(_ index: Int, _ batch: borrowing RecordBatch) -> Finding {
        let call = calls[index]
        let isOdd = !call.oddity.isEmpty
        var tier = FindingTier.tag
        // An answer that goes on as if there had been data, or a cause that is known, makes it worse.
        if isOdd || !isNoticed(index) { tier = .alert }
        if call.emptiness == .null && !isOdd { tier = .tag }
        var evidence = "tool=\(call.name.string) result=\(call.emptiness.name)"
        evidence += " arguments_hash=\(call.signature.hexDigits)"
        var text = "\(call.name.string) succeeded with no data"
        if isOdd {
            let names = call.oddity.names.joined(separator: ",")
            evidence += " cause_argument=\(call.oddArgument.string) cause=\(names)"
            let words = names.replacing("_", with: " ").replacing(",", with: ", ")
            text += "; probable cause: argument \(call.oddArgument.string) has \(words)"
        }
        if options.evidenceContent, !call.argumentsText.isEmpty || call.arguments.exists {
            evidence += " arguments=\(argumentText(call))"
        }
        return Finding(
            .silentEmptyResponse, .emptyResult, tier, span: span(of: call), cause: isOdd ? cause(of: call) : nil,
            call: index, evidence: evidence, text + ".")
    }

    /// Whether somebody reacts to an empty result: the tool is called again, another one is asked in its place, or the
    /// next answer says that there is nothing. Also true when the next answer is not in the telemetry.
    private func isNoticed(_ index: Int) -> Bool {
        let call = calls[index]
        for later in calls.indices where calls[later].name == call.name && later != index {
            if (calls[later].time, calls[later].place) > (call.time, call.place) { return true }
        }
        for turn in turns.indices {
            let step = trace.steps[Int(turns[turn].step)]
            guard (step.start, turns[turn].step) > (call.time, call.place), turns[turn].step != call.model else {
                continue
            }
            if !turns[turn].output.exists { return true }
            if turns[turn].text.isEmpty { return turns[turn].calls > 0 }
            return TraceAnalyzer.mentionsAbsence(turns[turn].text.capped(2_048))
        }
        return true
    }

    private static func mentionsAbsence(_ text: Text) -> Bool {
        if isForeign(text) { return true }
        for word: StaticString in [
            "no ", "not ", "n't", "none", "nothing", "unable", "unfortunately", "empty", "without", "sorry", "zero",
            "missing", "cannot", "never", "could you", "please provide",
        ] where text.holds(word) {
            return true
        }
        return false
    }

    private static let english: [StaticString] = [
        "the", "you", "your", "and", "are", "have", "has", "with", "this", "that", "were", "it", "its", "there", "they",
        "will", "here", "from", "been", "my", "we", "our", "which", "but",
    ]
    private static let foreign: [StaticString] = [
        "der", "das", "und", "ist", "nicht", "ein", "eine", "sie", "ihr", "ihre", "wurde", "el", "las", "una", "su",
        "por", "para", "que", "est", "une", "des", "vous", "votre", "pas", "pour", "les", "il", "gli", "sono", "suo",
        "tuo", "uma", "seu", "sua", "foi", "het", "een", "niet", "voor", "zijn", "uw", "och", "inte", "og", "ikke",
        "nie", "jest",
    ]

    /// Whether an answer is in another language than English, whose words tell nothing here. English words decide
    /// first: beside them only twice as many of another language, or mostly letters of another script, count. Without
    /// them two words of another language do, or two letters beyond ASCII near the beginning.
    static func isForeign(_ text: Text) -> Bool {
        var (native, other, last) = (0, 0, UInt64(0))
        var words = WordCursor(text.capped(1_024), joins: false)
        while let range = words.next() {
            let word = text[range]
            if isOneOf(word, english) {
                native += 1
            } else if isOneOf(word, foreign), word.looseHash != last {
                other += 1
                last = word.looseHash
            }
        }
        let letters = letters(of: text.capped(64))
        if native > 0 { return other > 2 * native || letters.script > letters.ascii }
        return other >= 2 || letters.accented + letters.script >= 2
    }

    /// Counts letters of ASCII, those with accents, and those of other scripts. Signs, quotes, dashes and pictures are
    /// no letters: all up to U+00BF, U+2000 to U+2BFF, the private ones, and all of four bytes.
    private static func letters(of text: Text) -> (ascii: Int, accented: Int, script: Int) {
        var (ascii, accented, script) = (0, 0, 0)
        var index = 0
        while index < text.count {
            let byte = text[index]
            index += 1
            switch byte {
            case 0x41...0x5A, 0x61...0x7A: ascii += 1
            // U+00D7 and U+00F7 are signs, U+0370 begins Greek.
            case 0xC3...0xCC where index < text.count && !(byte == 0xC3 && text[index] & 0xDF == 0x97): accented += 1
            case 0xCD...0xDF where index < text.count: script += 1
            case 0xE0...0xEF where index + 1 < text.count:
                let code = Int(byte & 15) << 12 | Int(text[index] & 63) << 6 | Int(text[index + 1] & 63)
                let isSign = (0x2000...0x2BFF).contains(code) || code >= 0xE000
                if !isSign { script += 1 }
            default: continue
            }
        }
        return (ascii, accented, script)
    }

    // MARK: Text

    func argumentText(_ call: ToolCall) -> String {
        if call.arguments.exists {
            var out = ByteColumn()
            tree.write(call.arguments, into: &out)
            return quoted(out.text)
        }
        return quoted(call.argumentsText)
    }
}
