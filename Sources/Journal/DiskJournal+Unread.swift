extension DiskJournal {
    /// Names of the folders in `directory` that hold records that not all of their cursors have passed, and are no open
    /// journal's, neither of this process nor of another one: what a pipeline has left that is no longer configured, or
    /// keeps its journal elsewhere. Blocks for the disk; a folder that can't be read is left out, and a file in one
    /// that can't be read counts as undelivered.
    package static func unread(
        in directory: String, files: any JournalFileSystem = DiskFileSystem()
    ) -> [String] {
        let folders = (try? files.names(in: directory)) ?? []
        return folders.sorted().filter { isUnread(directory + "/" + $0, files) }
    }

    private static func isUnread(_ folder: String, _ files: any JournalFileSystem) -> Bool {
        guard let names = try? files.names(in: folder), names.contains(JournalFileName.lock) else { return false }
        let hasSegments = names.contains { if case .segment = JournalFileName($0) { true } else { false } }
        guard hasSegments, let lock = try? files.open(folder + "/" + JournalFileName.lock, writable: true) else {
            return false
        }
        let isHeld = (try? lock.tryLock()) != true
        // Not held while the segments are read: who wants the journal is not to find it locked.
        lock.close()
        return !isHeld && holdsUndelivered(folder, names, files)
    }

    private static func holdsUndelivered(_ folder: String, _ names: [String], _ files: any JournalFileSystem) -> Bool {
        var segments: [UInt64] = []
        var cursors: [CursorSlot] = []
        for name in names {
            switch JournalFileName(name) {
            case .segment(let number): segments.append(number)
            case .cursor:
                guard let cursor = slot(in: folder + "/" + name, files) else { return true }
                cursors.append(cursor)
            case .quarantined, .leftover, .foreign: continue
            }
        }
        guard !cursors.isEmpty else { return true }
        let scanner = SegmentScanner(chunkBytes: 1 << 20)
        // What all have passed is removed before long, so that little is read before the answer is known.
        return segments.sorted().contains { number in
            let path = folder + "/" + JournalFileName.segment(number: number)
            guard let file = try? files.open(path, writable: false) else { return true }
            defer { file.close() }
            return holdsUndelivered(file, cursors, scanner)
        }
    }

    private static func holdsUndelivered(
        _ file: any JournalFile, _ cursors: [CursorSlot], _ scanner: SegmentScanner
    ) -> Bool {
        guard let bytes = try? file.size(), let page = try? file.readAll(count: JournalFormat.dataOffset, at: 0),
            case .valid(let header) = page.withUnsafeBytes({ SegmentHeader.read(page: $0) })
        else { return true }
        let size = bytes & ~7
        var isFound = false
        var at = JournalFormat.dataOffset
        while at < size {
            let chunk = try? scanner.scan(file, from: at, to: size, seed: header.seed) { record, _, _ in
                if let end = record.end { isFound = !cursors.allSatisfy { $0.isDone(record.sequence..<end) } }
                return !isFound
            }
            guard let chunk, !isFound else { return true }
            if chunk.seal != nil { return false }
            at = max(chunk.next, at + 8)
        }
        return false
    }

    private static func slot(in path: String, _ files: any JournalFileSystem) -> CursorSlot? {
        guard let file = try? files.open(path, writable: false) else { return nil }
        defer { file.close() }
        guard let bytes = try? file.readAll(count: JournalFormat.cursorFileBytes, at: 0),
            case .valid(let read) = bytes.withUnsafeBytes({ CursorSlot.read(file: $0) })
        else { return nil }
        return read
    }
}

extension CursorSlot {
    /// Whether all of these items are delivered or given up.
    fileprivate func isDone(_ items: Range<UInt64>) -> Bool {
        items.upperBound <= position || settled.covers(max(items.lowerBound, position)..<items.upperBound)
    }
}
