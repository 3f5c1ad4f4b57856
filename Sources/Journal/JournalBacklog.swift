import Glibc
package import Pipeline

/// What the readers of a journal have still to deliver, by its files alone: nothing is locked, repaired or written, so
/// that anybody may look who may read them, also while a gateway writes there or starts.
package struct JournalBacklog: Sendable, Equatable {
    package var held = HeldAmount()
    /// When the newest record of the oldest request ended, Unix nanoseconds; nil when nothing is held.
    package var oldestTime: UInt64?

    /// By reader: those that have a file in the directory, and `names`. One without a file has everything before it,
    /// as at the next start. Reads a segment whole only where a reader is done with a part of it, or its end is open.
    package static func read(
        _ directory: String, names: Set<String>, files: any JournalFileSystem = DiskFileSystem()
    ) throws(JournalError) -> [String: JournalBacklog] {
        do {
            var look = Look(directory: directory, files: files)
            return try look.backlogs(of: names)
        } catch let error as JournalError {
            throw error
        } catch let error as SystemError {
            throw .system(error)
        } catch {
            throw .system(SystemError(call: "read", path: directory, code: 0))
        }
    }

    fileprivate mutating func add(_ amount: HeldAmount, time: UInt64?) {
        held += amount
        oldestTime = oldestTime ?? time
    }
}

private struct Look {
    let directory: String
    let files: any JournalFileSystem
    private let scanner = SegmentScanner(chunkBytes: 1 << 20)
    private var readers: [String: (done: DoneItems, backlog: JournalBacklog)] = [:]

    init(directory: String, files: any JournalFileSystem) {
        self.directory = directory
        self.files = files
    }

    mutating func backlogs(of names: Set<String>) throws -> [String: JournalBacklog] {
        let found = try files.names(in: directory)
        // Cursors before segments: what goes in between was delivered, and counts for nobody.
        var cursors: [String: CursorSlot?] = [:]
        for file in found {
            guard case .cursor(let name) = JournalFileName(file) else { continue }
            cursors[name] = .some(try slot(in: directory + "/" + file))
        }
        var segments: [(number: UInt64, header: SegmentHeader)] = []
        for file in found {
            guard case .segment(let number) = JournalFileName(file), let header = try header(of: file) else { continue }
            segments.append((number, header))
        }
        // What is of another journal a start sets aside, or takes for nothing.
        let journal = JournalID.common(segments, cursors.values.compactMap { $0 })
        for name in names.union(cursors.keys) {
            let slot = cursors[name].flatMap { $0 }.flatMap { $0.journal == journal ? $0 : nil }
            readers[name] = (slot?.done ?? DoneItems(), JournalBacklog())
        }
        for (number, header) in segments.sorted(by: { $0.number < $1.number })
        where header.journal == journal && header.number == number {
            guard let file = try open(directory + "/" + JournalFileName.segment(number: number)) else { continue }
            defer { file.close() }
            try count(file, header)
        }
        return readers.mapValues(\.backlog)
    }

    private func slot(in path: String) throws -> CursorSlot? {
        let bytes = try CursorSlot.bytes(in: path, files)
        switch bytes.withUnsafeBytes({ CursorSlot.read(file: $0) }) {
        case .valid(let slot): return slot
        case .damaged: return nil
        case .newer(let version): throw JournalError.newerFormat(file: path, version: version)
        }
    }

    /// Nil for one that is gone meanwhile, or is damaged.
    private func header(of name: String) throws -> SegmentHeader? {
        let path = directory + "/" + name
        guard let file = try open(path) else { return nil }
        defer { file.close() }
        let page = try file.readAll(count: JournalFormat.dataOffset, at: 0)
        switch page.withUnsafeBytes({ SegmentHeader.read(page: $0) }) {
        case .valid(let header): return header
        case .damaged: return nil
        case .newer(let version): throw JournalError.newerFormat(file: path, version: version)
        }
    }

    /// Nil for one that is gone meanwhile, which nobody waits for.
    private func open(_ path: String) throws(SystemError) -> (any JournalFile)? {
        do throws(SystemError) { return try files.open(path, writable: false) } catch  where error.code == ENOENT {
            return nil
        }
    }

    /// Adds what a segment holds for each reader.
    private mutating func count(_ file: any JournalFile, _ header: SegmentHeader) throws(SystemError) {
        let size = try file.size() & ~7
        var parted = Set(readers.keys)
        if let seal = try file.seal(of: size, seed: header.seed), seal.sequence >= header.base {
            let items = header.base..<seal.sequence
            let bytes = size - JournalFormat.recordHeaderBytes - JournalFormat.dataOffset
            let amount = HeldAmount(
                frames: Int(clamping: seal.minTime), items: Int(clamping: seal.sequence - header.base), bytes: bytes)
            for (name, reader) in readers {
                if reader.done.covers(items) {
                    parted.remove(name)
                } else if reader.backlog.oldestTime != nil, reader.done.holdsNone(of: items) {
                    readers[name]?.backlog.add(amount, time: nil)
                    parted.remove(name)
                }
            }
        }
        if parted.isEmpty { return }
        try scanner.visitRecords(of: file) { record, _ in
            for name in parted { add(record, to: name) }
            return true
        }
    }

    private mutating func add(_ record: RecordHeader, to name: String) {
        guard let end = record.end, let done = readers[name]?.done else { return }
        let left = done.left(of: record.sequence..<end)
        guard left > 0 else { return }
        readers[name]?.backlog.add(
            HeldAmount(frames: 1, items: left, bytes: record.recordBytes), time: record.maxTime)
    }
}
