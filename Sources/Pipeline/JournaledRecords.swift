/// One exporter's reading of one journal, as it is told apart from all others.
package struct CommitLane: Sendable, Hashable {
    /// Which journal, 32 hexadecimal digits chosen at random when it was made.
    package var journal: String
    /// `type/name` of the exporter.
    package var exporter: String

    package init(journal: String, exporter: String) {
        self.journal = journal
        self.exporter = exporter
    }
}

/// Where the records of a delivery stand in a journal: for destinations that remember, in the transaction of the
/// records themselves, what they have committed, so that nothing of it is written again after a crash.
package struct JournaledRecords: Sendable, Equatable {
    /// Records of one frame that follow each other.
    package struct Part: Sendable, Equatable {
        /// Sequence of the frame.
        package var frame: UInt64
        /// CRC-32C of the frame's bytes: a journal that has lost its end gives the same sequences to other frames.
        package var checksum: UInt32
        /// Places of the records, counted from the frame's first.
        package var records: Range<UInt32>

        package init(frame: UInt64, checksum: UInt32, records: Range<UInt32>) {
            self.frame = frame
            self.checksum = checksum
            self.records = records
        }

        /// Sequence of the first record, and the one behind the last.
        package var sequences: Range<UInt64> {
            let (first, count) = (frame &+ UInt64(records.lowerBound), UInt64(records.count))
            return first..<max(first, first &+ count)
        }
    }

    package var lane: CommitLane
    /// Frames before this sequence never come again, not even after the machine has failed.
    package var durable: UInt64
    /// In the order of the delivery's records.
    package var parts: [Part]
    /// Whether the delivery holds exactly these records, at these places: processors may have changed that.
    package var isVerbatim = true

    package init(lane: CommitLane, durable: UInt64, parts: [Part]) {
        self.lane = lane
        self.durable = durable
        self.parts = parts
    }

    /// Records in all parts.
    package var count: Int { parts.reduce(0) { $0 + $1.records.count } }

    /// The records at some places of the delivery, in order.
    package func parts(at places: Range<Int>) -> [Part] {
        var result: [Part] = []
        var start = 0
        for part in parts {
            let here = places.clamped(to: start..<start + part.records.count)
            if !here.isEmpty {
                let lower = part.records.lowerBound + UInt32(here.lowerBound - start)
                result.append(
                    Part(frame: part.frame, checksum: part.checksum, records: lower..<lower + UInt32(here.count)))
            }
            start += part.records.count
        }
        return result
    }

    /// A delivery of the records at some places only.
    package func at(_ places: Range<Int>) -> JournaledRecords {
        var result = self
        result.parts = parts(at: places)
        return result
    }

    /// Places in the delivery of the records that are in `others` too, in order and apart.
    package func places(of others: [Part]) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var start = 0
        for part in parts {
            for other in others where other.frame == part.frame && other.checksum == part.checksum {
                let both = other.records.clamped(to: part.records)
                guard !both.isEmpty else { continue }
                let first = start + Int(both.lowerBound - part.records.lowerBound)
                result.append(first..<first + both.count)
            }
            start += part.records.count
        }
        return Self.joined(result)
    }

    /// What lies within `limits`, without what is empty then.
    package static func clamped<Bound: Comparable>(_ ranges: [Range<Bound>], to limits: Range<Bound>) -> [Range<Bound>]
    {
        ranges.map { $0.clamped(to: limits) }.filter { !$0.isEmpty }
    }

    /// What ranges that are in order and apart leave out of the first `count` places.
    package static func gaps(between ranges: [Range<Int>], of count: Int) -> [Range<Int>] {
        let starts = [0] + ranges.map(\.upperBound)
        let ends = ranges.map(\.lowerBound) + [count]
        return zip(starts, ends).filter { $0 < $1 }.map { $0..<$1 }
    }

    /// Sorted, with ranges that touch or overlap made one.
    package static func joined<Bound: Comparable>(_ ranges: [Range<Bound>]) -> [Range<Bound>] {
        var result: [Range<Bound>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound {
                result[result.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }
}
