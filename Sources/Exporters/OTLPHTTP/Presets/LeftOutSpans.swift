/// The spans that `ai_only` left out of earlier requests, with the parent of each, so that what comes later under them
/// can be hung higher. Bounded in number and time. A value without effects.
struct LeftOutSpans {
    /// Spans are forgotten a generation at a time: so many at most, or those of so long.
    static let generationMax = 50_000
    static let generationTime = Duration.seconds(300)
    /// Longest way up that is followed.
    static let stepsMax = 256

    private struct Key: Hashable {
        var high: UInt64
        var low: UInt64
        var span: UInt64

        /// Nil for ids of other sizes, which no tree is made of.
        init?(trace: [UInt8], span: [UInt8]) {
            guard trace.count == 16, span.count == 8 else { return nil }
            high = LeftOutSpans.number(trace[..<8])
            low = LeftOutSpans.number(trace[8...])
            self.span = LeftOutSpans.number(span[...])
        }
    }

    /// Parents by span; 0 for a root.
    private var young: [Key: UInt64] = [:]
    private var old: [Key: UInt64] = [:]
    private var youngSince: Duration?

    var count: Int { young.count + old.count }

    /// Remembers a span that is left out.
    mutating func add(trace: [UInt8], span: [UInt8], parent: [UInt8], now: Duration) {
        guard let key = Key(trace: trace, span: span), parent.isEmpty || parent.count == 8 else { return }
        forget(now)
        young[key] = Self.number(parent[...])
    }

    /// The parent of a span that was left out: empty for a root, nil when it is not known.
    func parent(trace: [UInt8], span: [UInt8]) -> [UInt8]? {
        guard let key = Key(trace: trace, span: span), let parent = young[key] ?? old[key] else { return nil }
        return parent == 0 ? [] : (0..<8).map { UInt8(truncatingIfNeeded: parent >> (56 - 8 * $0)) }
    }

    /// Lets go of what is too much or too old.
    mutating func forget(_ now: Duration) {
        let since = youngSince ?? now
        youngSince = since
        guard young.count >= Self.generationMax || now - since >= Self.generationTime else { return }
        // After a long silence both are old.
        old = now - since >= Self.generationTime * 2 ? [:] : young
        young = [:]
        youngSince = now
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}
