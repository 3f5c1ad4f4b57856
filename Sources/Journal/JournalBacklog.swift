package import Pipeline

/// What the readers of a journal have still to deliver, as a look at it from outside tells.
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
            let look = try JournalLook(directory, files)
            var count = BacklogCount(look.done, and: names)
            for segment in look.segments {
                guard let file = try look.open(segment) else { continue }
                defer { file.close() }
                try count.add(file, segment)
            }
            return count.backlogs
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

/// Counts what segments hold for each reader.
private struct BacklogCount {
    private let scanner = SegmentScanner(chunkBytes: 1 << 20)
    private var readers: [String: (done: DoneItems, backlog: JournalBacklog)] = [:]

    init(_ done: [String: DoneItems], and names: Set<String>) {
        for name in names.union(done.keys) { readers[name] = (done[name] ?? DoneItems(), JournalBacklog()) }
    }

    var backlogs: [String: JournalBacklog] { readers.mapValues(\.backlog) }

    /// Adds what a segment holds for each reader.
    mutating func add(_ file: any JournalFile, _ header: SegmentHeader) throws(SystemError) {
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
        try scanner.visitRecords(of: file, header) { record, _ in
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
