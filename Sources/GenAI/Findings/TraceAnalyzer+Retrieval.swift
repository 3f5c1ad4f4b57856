#if canImport(Glibc)
    import Glibc
#endif
import Telemetry

extension TraceAnalyzer {
    /// Retrieved documents that do not answer the question, or contradict one another.
    ///
    /// Words, not meaning: documents on the topic that are wrong are not found, and a question in another language than
    /// the documents is not assessed.
    mutating func checkRetrievals(_ batch: borrowing RecordBatch) {
        var checked = 0
        for index in trace.steps.indices where trace.steps[index].kind == .retrieval {
            let step = trace.steps[index]
            if step.isFailed { continue }
            checked += 1
            if checked > TraceAnalyzer.retrievalsMax {
                note(.retrievalPollution, isAssessable: false)
                continue
            }
            let documents = list(in: document(trace.value(.documents, step, batch)), 0)
            let query = trace.text(.query, step, batch)
            let cause = causeOfRetrieval(index)
            if let judged = judge(query: query, documents, span: Int(step.span), cause: cause), let finding = judged {
                report(finding)
            }
        }
        for index in calls.indices where !isFailing(calls[index]) && calls[index].hasResult && !calls[index].isHandoff {
            let call = calls[index]
            guard let query = query(of: call) else { continue }
            let documents = list(in: call.result, 0)
            guard looksLikeDocuments(documents, of: call.name) else { continue }
            // The retriever inside the tool has been looked at.
            if call.step >= 0, holdsRetrieval(Int(call.step)) { continue }
            if let judged = judge(query: query, documents, span: span(of: call), cause: cause(of: call)),
                let finding = judged
            {
                report(finding)
            }
        }
    }

    /// Retrievals of one trace that are looked at.
    private static let retrievalsMax = 512

    private func holdsRetrieval(_ tool: Int) -> Bool {
        for index in trace.steps.indices where trace.steps[index].kind == .retrieval {
            if trace.isBelow(index, tool) { return true }
        }
        return false
    }

    /// The model call that asked for the retrieval: that of the tool around it, else the one before.
    private func causeOfRetrieval(_ index: Int) -> Int? {
        for call in calls.indices where calls[call].step >= 0 && trace.isBelow(index, Int(calls[call].step)) {
            return cause(of: calls[call])
        }
        var found: Int?
        for turn in turns.indices {
            let model = trace.steps[Int(turns[turn].step)]
            guard model.end <= trace.steps[index].start else { break }
            found = Int(model.span)
        }
        return found
    }

    // MARK: Judgement

    /// Outer nil: not assessable. Inner nil: clean.
    private mutating func judge(query: Text, _ documents: JSONRef, span: Int, cause: Int?) -> Finding?? {
        var chunks: [Text] = []
        var bestScore: Double?
        var child = tree.first(documents)
        while child.exists, chunks.count < 64 {
            let text = content(of: child)
            if text.count >= 20 { chunks.append(text.capped(16 << 10)) }
            let score = self.score(of: child)
            if tree.kind(score) == .number, let value = Number.double(tree[score].text) {
                bestScore = max(bestScore ?? value, value)
            }
            child = tree.next(child)
        }
        if let least = options.retrievalMinScore, let bestScore, bestScore < least {
            note(.retrievalPollution, isAssessable: true)
            return Finding(
                .retrievalPollution, .retrievalScore, .tag, span: span, cause: cause,
                evidence: "best_score=\(bestScore) least=\(least)",
                "The best retrieved document scores \(bestScore), below \(least).")
        }
        guard !chunks.isEmpty, let coverage = coverage(query, chunks) else {
            note(.retrievalPollution, isAssessable: false)
            return nil
        }
        note(.retrievalPollution, isAssessable: true)
        if coverage < options.retrievalCoverage {
            let percent = Int((coverage * 100).rounded())
            return Finding(
                .retrievalPollution, .retrievalCoverage, .tag, span: span, cause: cause,
                evidence: "documents=\(chunks.count) best_coverage=\(percent)%",
                "The best of \(chunks.count) retrieved documents covers \(percent) % of the question's words.")
        }
        if let (first, second) = TraceAnalyzer.contradiction(chunks) {
            return Finding(
                .retrievalPollution, .retrievalContradiction, .tag, span: span, cause: cause,
                evidence: "documents=\(chunks.count) pair=\(first),\(second)",
                "Two retrieved documents say the same sentence with different values.")
        }
        return .some(nil)
    }

    private static let stopWords: Set<String> = [
        "a", "an", "the", "is", "are", "was", "were", "be", "been", "do", "does", "did", "can", "could", "will",
        "would", "should", "may", "might", "must", "i", "you", "he", "she", "it", "we", "they", "me", "my", "your",
        "our", "their", "its", "this", "that", "these", "those", "of", "in", "on", "at", "to", "for", "from", "by",
        "with", "about", "as", "into", "out", "after", "before", "and", "or", "not", "no", "if", "then", "than", "so",
        "what", "which", "who", "whom", "when", "where", "why", "how", "there", "here", "have", "has", "had", "get",
        "any", "some", "all", "please", "tell", "find", "give", "show", "s", "t", "am", "up",
    ]

    /// Best share of the question's words, weighted by how rare they are among the documents, that one document has.
    /// Nil when the question has fewer than three words that count, or is written in another script.
    private func coverage(_ query: Text, _ chunks: [Text]) -> Double? {
        var words: [UInt64] = []
        var wide = 0
        var cursor = WordCursor(query.capped(2_048), joins: false)
        while let range = cursor.next(), words.count < 64 {
            let word = query[range]
            if word[0] >= 0x80 { wide += 1 }
            if word.count < 2 || TraceAnalyzer.stopWords.contains(word.string.lowercased()) { continue }
            let hash = word.looseHash
            if !words.contains(hash) { words.append(hash) }
        }
        guard words.count >= 3, wide * 2 <= words.count else { return nil }
        var frequency = [Int](repeating: 0, count: words.count)
        var held = [[Bool]](repeating: [], count: chunks.count)
        for (chunk, text) in chunks.enumerated() {
            var set = HashSet()
            var cursor = WordCursor(text, joins: false)
            while let range = cursor.next() { set.insert(text[range].looseHash) }
            set.seal()
            for (index, word) in words.enumerated() {
                let isHeld = set.contains(word)
                held[chunk].append(isHeld)
                if isHeld { frequency[index] += 1 }
            }
        }
        // Smoothed so that a word in every document still counts.
        let weights = frequency.map { log(1 + Double(chunks.count + 1) / Double($0 + 1)) }
        let total = weights.reduce(0, +)
        var best = 0.0
        for row in held {
            var sum = 0.0
            for (index, isHeld) in row.enumerated() where isHeld { sum += weights[index] }
            best = max(best, sum / total)
        }
        return best
    }

    /// Two documents whose words without figures are the same and whose figures differ.
    private static func contradiction(_ chunks: [Text]) -> (Int, Int)? {
        guard chunks.count > 1 else { return nil }
        for second in 1..<min(chunks.count, 16) {
            for first in 0..<second where differ(chunks[first], chunks[second]) { return (first, second) }
        }
        return nil
    }

    private static func differ(_ left: Text, _ right: Text) -> Bool {
        guard left.count <= 2_048, right.count <= 2_048 else { return false }
        var leftWords = HashSet()
        var rightWords = HashSet()
        var leftFigures = HashSet()
        var rightFigures = HashSet()
        // Rows about different things, each with its id, do not contradict one another.
        if split(left, &leftWords, &leftFigures) || split(right, &rightWords, &rightFigures) { return false }
        guard leftWords.count >= 6, leftFigures.count >= 1, leftFigures.count <= 3,
            leftFigures.count == rightFigures.count
        else { return false }
        return HashSet.similarity(leftWords, rightWords) >= 0.9 && HashSet.similarity(leftFigures, rightFigures) < 1
    }

    /// Sorts a text's words into those with and without digits; true when one of them is an id.
    private static func split(_ text: Text, _ words: inout HashSet, _ figures: inout HashSet) -> Bool {
        var cursor = WordCursor(text)
        while let range = cursor.next() {
            let word = text[range]
            if !word.hasDigit { words.insert(word.looseHash) } else { figures.insert(ContentHash.of(word)) }
            if word.hasDigit && word.hasLetter && word.count > 4 { return true }
        }
        words.seal()
        figures.seal()
        return false
    }
}
