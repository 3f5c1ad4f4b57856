package import Telemetry

/// Bytes in a row that every match of a pattern holds, and where the match can begin that holds them.
///
/// Texts are searched for such places by vectors, and the pattern itself runs only around them. A place is a hint: the
/// pattern decides.
// It is trivial, so that looking at a place counts no references.
package struct PatternFactor: Sendable, BitwiseCopyable {
    /// Whether the row stays as it is when escapes of JSON are resolved: none of its bytes can come from one such as
    /// `\n`.
    package let isStable: Bool
    /// All of the row, up to eight bytes.
    private let row: InlineArray<8, ByteSet>
    private let count: Int
    /// Place of the triple in the row.
    private let offset: Int
    /// What can stand between the beginning of a match and the triple.
    private let lead: ByteSet
    /// Fewest and most bytes of that.
    private let leadLeast: Int
    private let leadMost: Int?

    /// Longest row.
    private static let rowLimit = 8

    /// Nil when the pattern cannot be told from its text, or all its places would be common ones.
    package init?(_ pattern: String) {
        guard let outline = PatternOutline(pattern), let best = FactorSearch(outline.items).best else { return nil }
        let run = best.run
        isStable = run.sets[best.index..<best.index + 3].allSatisfy { !FactorSearch.isUnstable($0) }
        var first = best.index
        var end = best.index + 3
        while end < run.sets.count, end - first < PatternFactor.rowLimit, !FactorSearch.isUnstable(run.sets[end]) {
            end += 1
        }
        while first > 0, end - first < PatternFactor.rowLimit, !FactorSearch.isUnstable(run.sets[first - 1]) {
            first -= 1
        }
        var row = InlineArray<8, ByteSet>(repeating: ByteSet())
        for index in first..<end { row[index - first] = run.sets[index] }
        self.row = row
        count = end - first
        offset = best.index - first
        lead = run.leads[best.index].set
        leadLeast = run.leads[best.index].least
        leadMost = run.leads[best.index].most
    }

    /// The three rarest in the row, for the vector search.
    package var triple: [ByteSet] { (offset..<offset + 3).map { row[$0] } }

    /// Whether all of the row is there around a triple at `place`.
    package func isThere(_ text: Text, at place: Int) -> Bool {
        let start = place - offset
        guard start >= 0, start + count <= text.count else { return false }
        for index in 0..<count where !row[index].contains(text[start + index]) { return false }
        return true
    }

    /// The last byte at which a match that holds the row of `place` can begin.
    package func lastStart(for place: Int) -> Int { place - leadLeast }

    /// The first byte at which it can begin, from `floor` on. It begins a character.
    package func firstStart(for place: Int, floor: Int, in text: Text) -> Int {
        var start = place
        let end = max(floor, leadMost.map { $0 < place ? place - $0 : 0 } ?? 0)
        while start > end, lead.contains(text[start - 1]) { start -= 1 }
        var steps = 0
        while start > floor, start < text.count, text[start] & 0xC0 == 0x80, steps < 3 {
            start -= 1
            steps += 1
        }
        return start
    }
}

/// Looks for the rarest three bytes in a row that a pattern must have.
struct FactorSearch {
    /// What may come before a byte of a row.
    struct Lead {
        var set = ByteSet()
        var least = 0
        var most: Int? = 0
    }

    /// Bytes one behind the other, each one of a set.
    struct Run {
        var sets: [ByteSet] = []
        var leads: [Lead] = []
    }

    private(set) var best: (run: Run, index: Int)?

    private var runs: [Run] = []
    private var run = Run()
    private var lead = Lead()

    /// Repetitions that are written out.
    private static let written = 8
    /// Triples that more places than this share have are not worth looking for.
    private static let commonest = 0.01

    init(_ items: [OutlineItem]) {
        for item in items { add(item) }
        runs.append(run)
        var least = FactorSearch.commonest
        for run in runs where run.sets.count >= 3 {
            for index in 0...run.sets.count - 3 {
                let triple = run.sets[index..<index + 3]
                var share = triple.reduce(1) { $0 * FactorSearch.share($1) }
                if triple.contains(where: FactorSearch.isUnstable) { share *= 16 }
                guard share < least else { continue }
                least = share
                best = (run, index)
            }
        }
    }

    private mutating func add(_ item: OutlineItem) {
        guard item.isByte else {
            breakRun()
            lead.set.formUnion(item.set)
            lead.least = PatternOutline.sum(lead.least, item.least) ?? lead.least
            lead.most = PatternOutline.sum(lead.most, item.most)
            return
        }
        let before = lead
        let count = min(item.least, FactorSearch.written)
        write(item.set, count, before)
        if item.most != item.least || item.least > count {
            // What follows is next to the last of them.
            breakRun()
            let surplus = item.most.map { $0 - count }
            var tail = before
            tail.set.formUnion(item.set)
            tail.least = PatternOutline.sum(before.least, item.least - count) ?? before.least
            tail.most = PatternOutline.sum(before.most, surplus)
            write(item.set, count, tail)
        }
        lead.set.formUnion(item.set)
        lead.least = PatternOutline.sum(before.least, item.least) ?? before.least
        lead.most = PatternOutline.sum(before.most, item.most)
    }

    private mutating func write(_ set: ByteSet, _ count: Int, _ before: Lead) {
        var here = before
        for _ in 0..<count {
            run.sets.append(set)
            run.leads.append(here)
            here.set.formUnion(set)
            here.least += 1
            here.most = PatternOutline.sum(here.most, 1)
        }
    }

    private mutating func breakRun() {
        if run.sets.count >= 3 { runs.append(run) }
        run = Run()
    }

    /// Whether an escape of JSON can stand for one of these bytes and be no longer than two signs.
    static func isUnstable(_ set: ByteSet) -> Bool {
        for byte in "\"\\/\u{8}\u{9}\u{A}\u{C}\u{D}".utf8 where set.contains(byte) { return true }
        return false
    }

    /// The share of bytes in ordinary text that are in a set, roughly.
    private static func share(_ set: ByteSet) -> Double {
        var sum = 0.0
        for byte in set.bytes { sum += share(byte) }
        return min(sum, 1)
    }

    private static func share(_ byte: UInt8) -> Double {
        switch byte {
        case 0x20: 0.15
        case 0x61...0x7A: 0.028
        case 0x2E, 0x2C, 0x22, 0x5C, 0x0A: 0.01
        case 0x30...0x39, 0x41...0x5A: 0.003
        default: 0.002
        }
    }
}
