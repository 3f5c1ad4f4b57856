import Pipeline

/// Finds the records that a database refuses: a refused group is tried again by halves, down to single records.
struct RecordHalving {
    private var open: [Range<Int>]
    private(set) var refused: [Int] = []
    private var reason = ""

    init(_ groups: [Range<Int>]) { open = groups.reversed() }

    /// The records to store next, nil when all are done.
    mutating func next() -> Range<Int>? { open.popLast() }

    /// The database never takes all of `records`.
    mutating func refuse(_ records: Range<Int>, _ words: String) {
        guard records.count > 1 else {
            refused += records
            reason = words
            return
        }
        let middle = records.lowerBound + records.count / 2
        open.append(middle..<records.upperBound)
        open.append(records.lowerBound..<middle)
    }

    /// Once there is no next one.
    var outcome: ExportOutcome { refused.isEmpty ? .delivered : .refused(records: refused, message: reason) }
}
