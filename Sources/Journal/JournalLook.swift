import Glibc

/// A look at a journal from outside, by its files alone: nothing is locked, repaired or written, so that anybody may
/// look who may read them, also while a gateway writes there or starts. What is of another journal counts as at a
/// start, which sets such segments aside and takes such cursors for nothing.
struct JournalLook {
    private let folder: JournalFolder
    private let names: [String]
    private let journal: JournalID
    /// Headers of the segments, oldest first. What is gone meanwhile, or is damaged, is left out.
    let segments: [SegmentHeader]
    /// What each reader is done with that has a file here. One whose file says nothing has everything before it, as at
    /// the next start.
    private(set) var done: [String: DoneItems]

    /// Throws for a file of a later release, and for one that can't be read.
    init(_ directory: String, _ files: any JournalFileSystem) throws {
        folder = JournalFolder(directory: directory, files: files)
        names = try files.names(in: directory)
        // Cursors before segments: what goes in between was delivered, and counts for nobody.
        let cursors = try folder.cursors(names)
        let found = try folder.segments(names)
        let journal = JournalID.common(found, cursors.values.compactMap { $0 })
        self.journal = journal
        segments = found.filter { $0.header.journal == journal && $0.header.number == $0.number }.map(\.header)
            .sorted { $0.number < $1.number }
        done = Self.done(cursors, journal)
    }

    /// Takes what readers were done with since then too.
    mutating func readCursorsAgain() throws {
        done = Self.done(try folder.cursors(names), journal)
    }

    /// Nil for a segment that is gone meanwhile, which nobody waits for.
    func open(_ segment: SegmentHeader) throws(SystemError) -> (any JournalFile)? {
        try folder.open(JournalFileName.segment(number: segment.number))
    }

    private static func done(_ cursors: [String: CursorSlot?], _ journal: JournalID) -> [String: DoneItems] {
        var done: [String: DoneItems] = [:]
        for (name, slot) in cursors {
            let own = slot.flatMap { $0.journal == journal && $0.isOf(name) ? $0 : nil }
            done[name] = own?.done ?? DoneItems()
        }
        return done
    }
}

/// The files of a journal's directory.
private struct JournalFolder {
    let directory: String
    let files: any JournalFileSystem

    /// By exporter; nil for a file that says nothing.
    func cursors(_ names: [String]) throws -> [String: CursorSlot?] {
        var cursors: [String: CursorSlot?] = [:]
        for name in names {
            guard case .cursor(let cursor) = JournalFileName(name),
                let bytes = try front(name, count: JournalFormat.cursorFileBytes)
            else { continue }
            cursors[cursor] = .some(try bytes.withUnsafeBytes { CursorSlot.read(file: $0) }.accepted(from: path(name)))
        }
        return cursors
    }

    /// By the number in the name, in no order.
    func segments(_ names: [String]) throws -> [(number: UInt64, header: SegmentHeader)] {
        var segments: [(number: UInt64, header: SegmentHeader)] = []
        for name in names {
            guard case .segment(let number) = JournalFileName(name),
                let page = try front(name, count: JournalFormat.dataOffset),
                let header = try page.withUnsafeBytes({ SegmentHeader.read(page: $0) }).accepted(from: path(name))
            else { continue }
            segments.append((number, header))
        }
        return segments
    }

    /// Nil for one that is gone meanwhile.
    func open(_ name: String) throws(SystemError) -> (any JournalFile)? {
        do throws(SystemError) {
            return try files.open(path(name), writable: false)
        } catch  where error.code == ENOENT {
            return nil
        }
    }

    /// The first bytes of a file, nil when it is gone meanwhile; none when the disk or the file's kind does not let us,
    /// as at a start.
    private func front(_ name: String, count: Int) throws(SystemError) -> [UInt8]? {
        do throws(SystemError) {
            guard let file = try open(name) else { return nil }
            defer { file.close() }
            return try file.readAll(count: count, at: 0)
        } catch  where [EIO, EISDIR, ELOOP, ENXIO].contains(error.code) {
            return []
        }
    }

    private func path(_ name: String) -> String { directory + "/" + name }
}
