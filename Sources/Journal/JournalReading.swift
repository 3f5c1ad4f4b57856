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

extension SegmentScanner {
    /// Visits the whole records of a segment, stepping over damage, until `visit` gives false. False when the file does
    /// not begin as a segment of this version.
    @discardableResult
    func visitRecords(
        of file: any JournalFile, visit: (RecordHeader, UnsafeRawBufferPointer) -> Bool
    ) throws(SystemError) -> Bool {
        let size = try file.size() & ~7
        let page = try file.readAll(count: JournalFormat.dataOffset, at: 0)
        guard case .valid(let header) = page.withUnsafeBytes({ SegmentHeader.read(page: $0) }) else { return false }
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
        return true
    }
}
