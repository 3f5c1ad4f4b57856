/// What an exporter is done with, as its cursor file tells.
struct DoneItems: Sendable, Equatable {
    /// Everything before this.
    var position: UInt64 = 0
    /// What it is done with behind that.
    var settled = SettledRanges()

    /// Whether all of these items are delivered or given up.
    func covers(_ items: Range<UInt64>) -> Bool {
        items.upperBound <= position || settled.covers(max(items.lowerBound, position)..<items.upperBound)
    }

    /// How many of these items are neither delivered nor given up.
    func left(of items: Range<UInt64>) -> Int {
        if items.upperBound <= position { return 0 }
        let behind = max(items.lowerBound, position)..<items.upperBound
        return Int(clamping: behind.upperBound - behind.lowerBound - settled.items(in: behind))
    }

    /// Whether all of these items are still to be delivered.
    func holdsNone(of items: Range<UInt64>) -> Bool {
        position <= items.lowerBound && settled.items(in: items) == 0
    }
}

extension CursorSlot {
    var done: DoneItems { DoneItems(position: position, settled: settled) }

    /// A cursor file as it is, for `valid`.
    static func bytes(in path: String, _ files: any JournalFileSystem) throws(SystemError) -> [UInt8] {
        let file = try files.open(path, writable: false)
        defer { file.close() }
        return try file.readAll(count: JournalFormat.cursorFileBytes, at: 0)
    }

    /// The later valid slot of a cursor file; nil when it has none that this version reads.
    static func valid(_ bytes: [UInt8]) -> CursorSlot? {
        if case .valid(let slot) = bytes.withUnsafeBytes({ read(file: $0) }) { slot } else { nil }
    }
}

extension JournalID {
    /// The journal of a directory, by the number in the name and the header of each segment and by its cursors: the id
    /// that most segments carry where they belong, then that of most cursors; a new one for a new journal. Cursors of
    /// a gateway that came and went must not outvote what holds records, and decide where it stands one to one.
    static func common(_ segments: [(number: UInt64, header: SegmentHeader)], _ cursors: [CursorSlot]) -> JournalID {
        var votes: [JournalID: (segments: Int, cursors: Int)] = [:]
        for (number, header) in segments where header.number == number {
            votes[header.journal, default: (0, 0)].segments += 1
        }
        for cursor in cursors { votes[cursor.journal, default: (0, 0)].cursors += 1 }
        let winner = votes.max { left, right in
            let (one, other) = (left.value, right.value)
            return (one.segments, one.cursors, left.key.high, left.key.low)
                < (other.segments, other.cursors, right.key.high, right.key.low)
        }
        return winner?.key ?? .random()
    }
}

extension JournalFile {
    /// The seal that ends a segment of so many bytes; nil when it has none.
    func seal(of size: Int, seed: UInt32) throws(SystemError) -> RecordHeader? {
        let offset = size - JournalFormat.recordHeaderBytes
        guard offset >= JournalFormat.dataOffset else { return nil }
        let bytes = try readAll(count: JournalFormat.recordHeaderBytes, at: offset)
        let header = bytes.withUnsafeBytes { RecordHeader.read($0, seed: seed) }
        return header?.kind == .seal ? header : nil
    }
}

extension SegmentScanner {
    /// Visits the whole records of a segment, stepping over damage, until `visit` gives false. False when the file does
    /// not begin as a segment of this version.
    @discardableResult
    func visitRecords(
        of file: any JournalFile, visit: (RecordHeader, UnsafeRawBufferPointer) -> Bool
    ) throws(SystemError) -> Bool {
        let page = try file.readAll(count: JournalFormat.dataOffset, at: 0)
        guard case .valid(let header) = page.withUnsafeBytes({ SegmentHeader.read(page: $0) }) else { return false }
        try visitRecords(of: file, header, visit: visit)
        return true
    }

    /// The same for a segment whose header is known, which is not read again.
    func visitRecords(
        of file: any JournalFile, _ header: SegmentHeader, visit: (RecordHeader, UnsafeRawBufferPointer) -> Bool
    ) throws(SystemError) {
        let size = try file.size() & ~7
        var goesOn = true
        var at = JournalFormat.dataOffset
        while at < size, goesOn {
            let chunk = try scan(file, from: at, to: size, seed: header.seed) { record, bytes, _ in
                goesOn = visit(record, bytes)
                return goesOn
            }
            if chunk.seal != nil { break }
            at = max(chunk.next, at + 8)
        }
    }
}
