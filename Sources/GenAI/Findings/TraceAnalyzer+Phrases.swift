import Telemetry

/// Texts that say that nothing was found, and nothing else.
extension TraceAnalyzer {
    /// Phrases that say it all: "No results", "No data for …".
    private static let leads: [StaticString] = [
        "no result", "no match", "no record", "no data", "nothing found", "no entries", "0 results", "zero results",
        "no items", "no documents", "no rows", "none found", "0 rows", "empty result", "nothing matched",
        "no information found", "no content",
    ]
    /// Phrases that name what there is not: "Could not find order 7".
    private static let openLeads: [StaticString] = [
        "could not find", "couldn't find", "unable to find", "no such", "no relevant", "no matching",
    ]
    /// Phrases that end it: "Order 7 was not found in the archive."
    private static let ends: [StaticString] = ["not found", "did not match", "does not exist"]
    /// Words that may follow such an end.
    private static let followers: [StaticString] = [
        "for", "in", "with", "on", "at", "by", "to", "within", "among", "matching", "that", "which", "under", "using",
        "from", "as", "and", "or", "here", "yet", "anymore", "any", "when", "please", "try", "error", "anywhere",
        "during", "between", "inside", "of", "near", "your", "the", "this", "it",
    ]
    /// Words that may follow a phrase that says it all, beside those.
    private static let endings: [StaticString] = [
        "found", "available", "exist", "exists", "returned", "match", "matched", "retrieved", "so",
    ]
    /// What has to follow behind "were": "No records were changed" is no failure.
    private static let participles: [StaticString] = [
        "found", "available", "returned", "match", "retriev", "locat", "fetched",
    ]
    /// Actions that tell why there is no content.
    private static let deeds: [StaticString] = [
        "deleted", "removed", "updated", "created", "saved", "sent", "written", "added", "inserted", "cancelled",
        "canceled", "cleared",
    ]
    /// How sentences begin that only help along.
    private static let advice: [StaticString] = [
        "try", "please", "check", "use", "make", "did", "consider", "perhaps", "maybe", "verify", "ensure", "see",
        "would", "do", "if", "sorry", "contact",
    ]
    /// How they begin too, when they have no figures beyond zero.
    private static let plainAdvice: [StaticString] = ["you", "searched", "query", "total", "no"]
    /// Words of a further sentence that speaks of what is not, or might be.
    private static let hedges: [StaticString] = [
        "not", "no", "t", "nothing", "none", "never", "empty", "may", "might", "could", "can", "cannot", "would",
        "should", "must", "again", "later", "sorry", "unable", "wrong", "missing", "different", "another", "invalid",
    ]
    /// Words of statements.
    private static let verbs: [StaticString] = [
        "is", "are", "was", "were", "has", "have", "will", "can", "cost", "costs", "pass", "passes", "passed", "apply",
        "applies", "remains", "shows", "needs",
    ]
    /// Words before a colon behind which the question is repeated.
    private static let questions: [StaticString] = [
        "query", "for", "search", "term", "terms", "keyword", "keywords", "criteria", "question", "input", "filter",
        "filters", "directory", "file", "path", "message", "reason",
    ]
    /// Words before the phrase; more are about something else.
    private static let wordsBefore = 8
    /// Words of the sentence with the phrase.
    private static let wordsOfSentence = 28
    /// Words of a further sentence without figures that says that something is not, or might be.
    private static let wordsBehind = 8

    /// Whether the first sentence says that nothing was found and those behind it add no data.
    static func saysOnlyNothingFound(_ text: Text) -> Bool {
        var start = 0
        var isFirst = true
        while start < text.count {
            var end = start
            while end < text.count, !isEnd(of: text, at: end) { end += 1 }
            let sentence = text[start..<end].trimmed
            start = end + 1
            if sentence.isEmpty { continue }
            if isFirst {
                guard saysNothingFound(sentence) else { return false }
                isFirst = false
            } else if !isAside(sentence) {
                return false
            }
        }
        return !isFirst
    }

    /// Whether a sentence ends at a byte: decimal points and those of addresses are inside of one.
    private static func isEnd(of text: Text, at index: Int) -> Bool {
        guard Text.endsSentence(text[index]) else { return false }
        return index + 1 == text.count || text[index] == 0x0A || text[index + 1] <= 0x20
    }

    private static func saysNothingFound(_ sentence: Text) -> Bool {
        guard countWords(sentence, most: wordsOfSentence + 1) <= wordsOfSentence else { return false }
        for phrase in leads {
            guard let place = placeOfLead(phrase, in: sentence) else { continue }
            let rest = withoutPlural(sentence[place + phrase.utf8CodeUnitCount..<sentence.count])
            let isExplained = deeds.contains { sentence[0..<place].holds($0) }
            if !isExplained, endsLead(rest), !saysMore(rest) { return true }
        }
        for phrase in openLeads {
            guard let place = placeOfLead(phrase, in: sentence) else { continue }
            if !saysMore(sentence[place + phrase.utf8CodeUnitCount..<sentence.count]) { return true }
        }
        for phrase in ends {
            guard let place = sentence.place(of: Text(phrase)) else { continue }
            let rest = sentence[place + phrase.utf8CodeUnitCount..<sentence.count]
            return isFollowed(rest) && !saysMore(rest)
        }
        // "No orders found for …", "No open tickets available."
        return sentence.beginsWith("no ") && !saysMore(sentence)
            && (sentence.holds(" found") || sentence.holds(" available") || sentence.holds(" exist"))
    }

    /// Where a phrase begins, as a word and with few words before it.
    private static func placeOfLead(_ phrase: StaticString, in sentence: Text) -> Int? {
        guard let place = sentence.place(of: Text(phrase)) else { return nil }
        if place > 0, WordCursor.isWord(sentence[place - 1]) { return nil }
        return countWords(sentence[0..<place], most: wordsBefore + 1) <= wordsBefore ? place : nil
    }

    private static func withoutPlural(_ rest: Text) -> Text {
        for ending: StaticString in ["es", "s"] where rest.beginsWith(ending) {
            let end = ending.utf8CodeUnitCount
            if end == rest.count || !WordCursor.isWord(rest[end]) { return rest[end..<rest.count] }
        }
        return rest
    }

    /// Whether a phrase that says it all ends there, or goes on with where nothing was found.
    private static func endsLead(_ rest: Text) -> Bool {
        if let first = rest.isEmpty ? nil : rest[0], WordCursor.isWord(first) { return false }
        if isFollowed(rest) { return true }
        var words = WordCursor(rest, joins: false)
        guard let next = words.next() else { return true }
        if isOneOf(rest[next], endings) { return true }
        return isOneOf(rest[next], ["was", "were", "could"]) && participles.contains { rest.holds($0) }
    }

    // MARK: What is said besides

    /// Whether what follows tells something all the same: a figure that something is compared with, or a statement
    /// behind a colon or comma.
    private static func saysMore(_ rest: Text) -> Bool {
        if let than = rest.place(of: Text(" than ")) {
            let other = rest[than..<rest.count]
            // "No orders older than 30 days found" has nothing to say.
            let isFilter = other.holds(" found") || other.holds(" exist") || other.holds(" match")
            if other.hasDigit, !isFilter { return true }
        }
        for index in 0..<rest.count where index + 1 < rest.count && rest[index + 1] == UInt8(ascii: " ") {
            if rest[index] == UInt8(ascii: ":") {
                let isQuestion = isLastWord(of: rest[0..<index], questions)
                if !isQuestion, isStatement(rest[index + 1..<rest.count], needsVerb: true) { return true }
            } else if rest[index] == UInt8(ascii: ",") {
                let end = rest.firstIndex(of: UInt8(ascii: ","), from: index + 1) ?? rest.count
                if isStatement(rest[index + 1..<end], needsVerb: false) { return true }
            }
        }
        return false
    }

    private static func isLastWord(of text: Text, _ list: [StaticString]) -> Bool {
        var words = WordCursor(text, joins: false)
        var last: Range<Int>?
        while let range = words.next() { last = range }
        return last.map { isOneOf(text[$0], list) } ?? false
    }

    /// Whether a clause of three words and more has a verb, or where that suffices a figure behind its first word.
    /// Names of places and dates are none: they begin with a capital or a digit.
    private static func isStatement(_ source: Text, needsVerb: Bool) -> Bool {
        let text = source.trimmed
        guard let first = text.isEmpty ? nil : text[0], countWords(text, most: 3) == 3, !isAdvice(text) else {
            return false
        }
        let isName = first >= UInt8(ascii: "A") && first <= UInt8(ascii: "Z")
        if isName && !needsVerb { return false }
        var words = WordCursor(text, joins: false)
        while let range = words.next() {
            if isOneOf(text[range], verbs) { return true }
        }
        return !needsVerb && !Text.isDigit(first) && text.hasDigit
    }

    private static func isFollowed(_ rest: Text) -> Bool {
        var words = WordCursor(rest, joins: false)
        guard let next = words.next() else { return true }
        // Signs and quotes end what is not found.
        for index in 0..<next.lowerBound where rest[index] > 0x20 { return true }
        return isOneOf(rest[next], followers)
    }

    private static func isAdvice(_ sentence: Text) -> Bool {
        var words = WordCursor(sentence, joins: false)
        guard let first = words.next() else { return false }
        if isOneOf(sentence[first], advice) { return true }
        return isOneOf(sentence[first], plainAdvice) && !hasFigure(sentence)
    }

    /// Whether a text has a figure beyond zero.
    private static func hasFigure(_ text: Text) -> Bool {
        for index in 0..<text.count where Text.isDigit(text[index]) && text[index] != UInt8(ascii: "0") { return true }
        return false
    }

    private static func isAside(_ sentence: Text) -> Bool {
        if isAdvice(sentence) { return true }
        guard !sentence.hasDigit, countWords(sentence, most: wordsBehind + 1) <= wordsBehind else { return false }
        var words = WordCursor(sentence, joins: false)
        while let range = words.next() {
            if isOneOf(sentence[range], hedges) { return true }
        }
        return false
    }

    /// Words of a text, counted up to a number.
    private static func countWords(_ text: Text, most: Int) -> Int {
        var words = WordCursor(text, joins: true)
        var count = 0
        while count < most, words.next() != nil { count += 1 }
        return count
    }
}
