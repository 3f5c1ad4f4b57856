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
        var cursors: [DoneItems] = []
        for name in names {
            switch JournalFileName(name) {
            case .segment(let number): segments.append(number)
            case .cursor(let reader):
                let bytes = try? CursorSlot.bytes(in: folder + "/" + name, files)
                guard let cursor = bytes.flatMap(CursorSlot.valid), cursor.isOf(reader) else { return true }
                cursors.append(cursor.done)
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
        _ file: any JournalFile, _ cursors: [DoneItems], _ scanner: SegmentScanner
    ) -> Bool {
        var isFound = false
        let isRead = try? scanner.visitRecords(of: file) { record, _ in
            if let end = record.end { isFound = !cursors.allSatisfy { $0.covers(record.sequence..<end) } }
            return !isFound
        }
        return isFound || isRead != true
    }
}
