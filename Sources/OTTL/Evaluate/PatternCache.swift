import Patterns
import Telemetry

/// Patterns that statements made while they ran: the last few of them, those that cannot be compiled too.
struct PatternCache {
    /// Most patterns that are kept; each may hold a hundred kilobytes of compiled code.
    static let entriesMax = 16
    /// Most that are compiled for one batch. Each takes up to some milliseconds, and who sends the texts must not have
    /// all others wait.
    static let compiledMax = 64
    /// Longest pattern that is compiled, since its text may come with the data.
    static let textBytesMax = 1 << 10

    private struct Entry {
        var text: [UInt8]
        var isGlob: Bool
        /// Nil when the text is no pattern.
        var pattern: CompiledPattern?
    }

    /// The oldest first.
    private var entries: [Entry] = []

    /// How many patterns were compiled for the batch in hand.
    private(set) var compiled = 0

    /// A batch ends.
    mutating func finish() { compiled = 0 }

    /// The pattern of a text; fails where a pattern of the configuration would be refused, and for more than
    /// `compiledMax` new ones in a batch.
    mutating func pattern(_ text: Text, isGlob: Bool) throws(EvaluationFailure) -> CompiledPattern {
        guard text.count <= PatternCache.textBytesMax else { throw EvaluationFailure(.invalidPattern) }
        if find(text, isGlob) == nil {
            guard compiled < PatternCache.compiledMax else { throw EvaluationFailure(.tooManyPatterns) }
            add(text, isGlob)
        }
        guard let pattern = find(text, isGlob)?.pattern else { throw EvaluationFailure(.invalidPattern) }
        return pattern
    }

    private func find(_ text: Text, _ isGlob: Bool) -> Entry? {
        entries.last { entry in
            entry.isGlob == isGlob && entry.text.withUnsafeBytes { bytes in Text(bytes) == text }
        }
    }

    private mutating func add(_ text: Text, _ isGlob: Bool) {
        if entries.count == PatternCache.entriesMax { entries.removeFirst() }
        let source = text.string
        let pattern = try? CompiledPattern(isGlob ? Glob.pattern(source) : source)
        entries.append(Entry(text: Array(text.bytes), isGlob: isGlob, pattern: pattern))
        compiled += 1
    }
}
