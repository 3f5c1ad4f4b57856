import Pipeline

/// What a database has committed of journals that this gateway reads, as far as it can come again. A value without
/// effects: the store reads and writes the rows of `sluice_cursor`.
///
/// Only what an earlier life or connection has left is in here. What this one commits comes again only after a failure,
/// and then the book is read anew.
struct CommitBook {
    private struct Frame: Hashable {
        var sequence: UInt64
        var checksum: UInt32
    }

    private struct Lane {
        var committed: [Frame: [Range<UInt32>]] = [:]
        /// Rows that end here or before are deleted.
        var forgotten: UInt64 = 0
    }

    private var lanes: [CommitLane: Lane] = [:]
    /// Names this start of the gateway among all that have read the same journal. Data directories that are copies of
    /// each other give their journals one name: so none of their gateways replaces or deletes rows that another needs.
    private let start: String

    /// `start` are 64 random bits.
    init(start: UInt64 = .random(in: 0 ... .max)) {
        self.start = String(start, radix: 16)
    }

    /// The journal's name in rows that are written now.
    func name(of lane: CommitLane) -> String { "\(lane.journal)-\(start)" }

    /// Whether the rows of a lane were read.
    func isOpen(_ lane: CommitLane) -> Bool { lanes[lane] != nil }

    /// Takes over the rows of a lane.
    mutating func open(_ lane: CommitLane, _ rows: [CommitRow]) {
        var opened = Lane()
        for row in rows {
            for part in row.parts {
                let frame = Frame(sequence: part.frame, checksum: part.checksum)
                opened.committed[frame, default: []].append(part.records)
            }
        }
        for frame in opened.committed.keys {
            opened.committed[frame] = opened.committed[frame].map(JournaledRecords.joined)
        }
        lanes[lane] = opened
    }

    /// Nobody knows what the database holds: all rows are to be read again.
    mutating func close() { lanes.removeAll() }

    /// Which records of a delivery the database has already.
    func committed(of journaled: JournaledRecords) -> [JournaledRecords.Part] {
        guard let lane = lanes[journaled.lane], !lane.committed.isEmpty else { return [] }
        return journaled.parts.flatMap { part -> [JournaledRecords.Part] in
            let ranges = lane.committed[Frame(sequence: part.frame, checksum: part.checksum)] ?? []
            return JournaledRecords.clamped(ranges, to: part.records).map {
                JournaledRecords.Part(frame: part.frame, checksum: part.checksum, records: $0)
            }
        }
    }

    /// Notes up to where a lane's rows are of no more use. True when rows may have to go.
    mutating func forget(_ lane: CommitLane, before durable: UInt64) -> Bool {
        guard let known = lanes[lane], durable > known.forgotten else { return false }
        lanes[lane]?.forgotten = durable
        if !known.committed.isEmpty {
            lanes[lane]?.committed = known.committed.filter { frame, ranges in
                frame.sequence &+ UInt64(ranges.last?.upperBound ?? 0) > durable
            }
        }
        return true
    }
}

/// A row of `sluice_cursor`: what one transaction has committed of one lane.
struct CommitRow: Equatable {
    /// Sequences of the first record and of the one behind the last: the row's key, and when it may go.
    var sequences: Range<UInt64>
    var parts: [JournaledRecords.Part]

    /// Parts of one transaction; nil without any. Those that carry on where the last one ended are joined.
    init?(_ parts: [JournaledRecords.Part]) {
        guard let head = parts.first else { return nil }
        var joined: [JournaledRecords.Part] = []
        var sequences = head.sequences
        for part in parts {
            let other = part.sequences
            sequences =
                min(sequences.lowerBound, other.lowerBound)..<max(sequences.upperBound, other.upperBound)
            if let last = joined.last, last.frame == part.frame, last.checksum == part.checksum,
                last.records.upperBound == part.records.lowerBound
            {
                joined[joined.count - 1].records = last.records.lowerBound..<part.records.upperBound
            } else {
                joined.append(part)
            }
        }
        self.sequences = sequences
        self.parts = joined
    }

    /// Bytes of one part: sequence, checksum, first place and the one behind the last, little-endian.
    private static let partBytes = 20

    /// The parts as they stand in the row.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(parts.count * Self.partBytes)
        func put<Word: FixedWidthInteger>(_ word: Word) {
            for index in 0..<Word.bitWidth / 8 { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * index))) }
        }
        for part in parts {
            put(part.frame)
            put(part.checksum)
            put(part.records.lowerBound)
            put(part.records.upperBound)
        }
        return bytes
    }

    /// From a row that was read. What is no part is left out: its records are then written again, which keys make
    /// harmless.
    init?(encoded bytes: [UInt8]) {
        func word(_ at: Int, _ width: Int) -> UInt64 {
            (0..<width).reduce(0) { $0 | UInt64(bytes[at + $1]) << UInt64(8 * $1) }
        }
        let starts = stride(from: 0, to: bytes.count / Self.partBytes * Self.partBytes, by: Self.partBytes)
        self.init(
            starts.compactMap { at in
                let lower = UInt32(word(at + 12, 4))
                let upper = UInt32(word(at + 16, 4))
                guard lower < upper else { return nil }
                return JournaledRecords.Part(
                    frame: word(at, 8), checksum: UInt32(word(at + 8, 4)), records: lower..<upper)
            })
    }
}

/// What a transaction commits, by lane.
struct CommitRows {
    private(set) var lanes: [(lane: CommitLane, durable: UInt64, parts: [JournaledRecords.Part])] = []

    /// Adds the lane of a delivery, and what of it is committed.
    mutating func add(_ journaled: JournaledRecords, _ parts: [JournaledRecords.Part]) {
        if let index = lanes.firstIndex(where: { $0.lane == journaled.lane }) {
            lanes[index].durable = max(lanes[index].durable, journaled.durable)
            lanes[index].parts += parts
        } else {
            lanes.append((journaled.lane, journaled.durable, parts))
        }
    }
}

extension JournaledRecords {
    /// What is committed with the records `stored` of a delivery that wrote `count`. Where processors have changed the
    /// delivery nobody knows which of its records are which, so it counts when all of it is stored or not at all.
    func committed(_ stored: Range<Int>, of count: Int) -> [Part] {
        if isVerbatim, self.count == count { return parts(at: stored) }
        return stored == 0..<count ? parts : []
    }

    /// All but records that were refused.
    func committed(of count: Int, refused: [Int]) -> [Part] {
        guard !refused.isEmpty else { return committed(0..<count, of: count) }
        let refused = refused.sorted()
        let starts = [0] + refused.map { $0 + 1 }
        let ends = refused + [count]
        return zip(starts, ends).filter { $0 < $1 }.flatMap { committed($0..<$1, of: count) }
    }

    /// Where in the delivery a piece of a frame begins that is not its first: what it begins with is told apart from
    /// records that look the same in another piece. Of a delivery that processors have changed only its begin is known.
    var cuts: [Int: UInt64] {
        let begin = parts.first?.records.lowerBound ?? 0
        guard isVerbatim else { return begin > 0 ? [0: UInt64(begin)] : [:] }
        var cuts: [Int: UInt64] = [:]
        var start = 0
        for part in parts {
            if part.records.lowerBound > 0 { cuts[start] = UInt64(part.records.lowerBound) }
            start += part.records.count
        }
        return cuts
    }
}
