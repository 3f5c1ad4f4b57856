import Telemetry

/// Texts that say that nothing was found, and nothing else.
extension TraceAnalyzer {
    /// Phrases that begin what they say: "No results for …".
    private static let leads: [StaticString] = [
        "no result", "no match", "no record", "no data", "nothing found", "no entries", "0 results", "zero results",
        "no items", "no documents", "no rows", "could not find", "couldn't find", "unable to find", "no such",
        "none found", "0 rows", "empty result", "nothing matched", "no relevant", "no information found", "no content",
    ]
    /// Phrases that end it: "Order 7 was not found in the archive."
    private static let ends: [StaticString] = ["not found", "did not match", "does not exist"]
    /// Words that may follow such an end.
    private static let followers: [StaticString] = [
        "for", "in", "with", "on", "at", "by", "to", "within", "among", "matching", "that", "which", "under", "using",
        "from", "as", "and", "or", "here", "yet", "anymore", "any", "when", "please", "try", "error", "anywhere",
        "during", "between", "inside", "of", "near", "your", "the", "this", "it",
    ]
    /// How sentences begin that only help along.
    private static let advice: [StaticString] = [
        "try", "please", "check", "you", "use", "make", "did", "consider", "perhaps", "maybe", "verify", "ensure",
        "see", "would", "do", "if", "sorry", "contact", "searched", "query", "total", "no",
    ]
    /// Words before the phrase; more are about something else.
    private static let wordsBefore = 8
    /// Words of the sentence with the phrase.
    private static let wordsOfSentence = 28
    /// Words of a further sentence without figures, whatever it says.
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
            guard let place = sentence.place(of: Text(phrase)) else { continue }
            if countWords(sentence[0..<place], most: wordsBefore + 1) <= wordsBefore { return true }
        }
        for phrase in ends {
            guard let place = sentence.place(of: Text(phrase)) else { continue }
            return isFollowed(sentence[place + phrase.utf8CodeUnitCount..<sentence.count])
        }
        // "No orders found for …", "No open tickets available."
        return sentence.beginsWith("no ")
            && (sentence.holds(" found") || sentence.holds(" available") || sentence.holds(" exist"))
    }

    private static func isFollowed(_ rest: Text) -> Bool {
        var words = WordCursor(rest, joins: false)
        guard let next = words.next() else { return true }
        // Signs and quotes end what is not found.
        for index in 0..<next.lowerBound where rest[index] > 0x20 { return true }
        return isOneOf(rest[next], followers)
    }

    private static func isAside(_ sentence: Text) -> Bool {
        var words = WordCursor(sentence, joins: false)
        if let first = words.next(), isOneOf(sentence[first], advice) { return true }
        return !sentence.hasDigit && countWords(sentence, most: wordsBehind + 1) <= wordsBehind
    }

    /// Words of a text, counted up to a number.
    private static func countWords(_ text: Text, most: Int) -> Int {
        var words = WordCursor(text, joins: true)
        var count = 0
        while count < most, words.next() != nil { count += 1 }
        return count
    }
}
