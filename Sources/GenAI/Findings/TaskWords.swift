import Telemetry

/// What a task is about: its words without those that any task may have, and its figures and ids. The same task in
/// other words has mostly the same ones; where something was masked it has the same mask.
struct TaskWords {
    private(set) var words: Set<UInt64> = []
    private(set) var figures: Set<UInt64> = []

    /// Arguments that count how often a task was given.
    static let counters: [StaticString] = [
        "run_id", "call_id", "session_id", "attempt", "attempts", "retry", "retries",
    ]

    private static let wordsMax = 256
    private static let attempts: [StaticString] = ["attempt", "try", "retry", "round"]
    private static let common: [StaticString] = [
        "the", "a", "an", "of", "for", "to", "in", "on", "at", "by", "with", "and", "or", "from", "is", "are", "was",
        "what", "s", "i", "it", "its", "this", "that", "me", "us", "you", "your", "please", "again", "more", "once",
        "now", "just", "also", "still", "up", "out", "about", "could", "can", "would", "try", "retry", "attempt",
        "round", "find", "look", "lookup", "search", "get", "fetch", "check", "give", "tell", "show", "need", "want",
        "write", "research", "determine", "identify", "retrieve", "provide", "do", "use", "using", "carefully",
        "properly", "correctly", "time", "last", "previous", "result", "results",
    ]

    var isEmpty: Bool { words.isEmpty && figures.isEmpty }

    mutating func add(_ text: Text) {
        let text = text.capped(2_048)
        var before = Text.empty
        var cursor = WordCursor(text, joins: true)
        while words.count + figures.count < Self.wordsMax, let range = cursor.next() {
            let word = text[range]
            if word.hasDigit || Self.isLabel(word) {
                if !TraceAnalyzer.isOneOf(before, Self.attempts) { figures.insert(word.looseHash) }
            } else if !TraceAnalyzer.isOneOf(word, Self.common) {
                words.insert(word.looseHash)
            }
            before = word
        }
    }

    /// `X`, as in "section X".
    private static func isLabel(_ word: Text) -> Bool {
        word.count == 1 && word[0] >= 0x41 && word[0] <= 0x5A && word[0] != UInt8(ascii: "I")
    }

    /// Common share of the words; 1 when there are none.
    func similarity(to other: TaskWords) -> Double {
        let common = words.intersection(other.words).count
        let all = words.count + other.words.count - common
        return all == 0 ? 1 : Double(common) / Double(all)
    }
}
