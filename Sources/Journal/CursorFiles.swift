import Glibc

/// The cursors' files. Saving overwrites one of two slots in place, so it needs no space on a full disk: never the slot
/// that the last sync made durable, so a torn write leaves that one.
struct CursorFiles {
    private struct Entry {
        var file: any JournalFile
        var generation: UInt64
        var durableSlot: Int
    }

    private let files: any JournalFileSystem
    private let directory: String
    private let journal: JournalID
    private var entries: [String: Entry] = [:]
    /// Cursors whose file has failed: after a failed sync nobody knows what the disk holds of it.
    private var distrusted: Set<String> = []

    init(files: any JournalFileSystem, directory: String, journal: JournalID) {
        self.files = files
        self.directory = directory
        self.journal = journal
    }

    /// Writes the position, and what is done behind it. With `isSynced` it survives the end of the machine, otherwise
    /// only that of the process.
    mutating func save(
        _ name: String, _ picture: CursorPicture, isSynced: Bool = true
    ) throws(SystemError) {
        if entries[name] == nil, !distrusted.contains(name) { entries[name] = try adopt(name) }
        guard var entry = entries[name] else {
            try create(name, picture)
            return
        }
        entry.generation += 1
        let slot = CursorSlot(of: name, journal: journal, generation: entry.generation, picture)
        do throws(SystemError) {
            let other = 1 - entry.durableSlot
            try entry.file.writeAll(slot.encoded(), at: JournalFormat.cursorSlotOffsets[other])
            if isSynced {
                try entry.file.sync()
                entry.durableSlot = other
            }
            entries[name] = entry
        } catch {
            // After a failed sync the descriptor can't be trusted; the next save makes a new file.
            entry.file.close()
            entries[name] = nil
            distrusted.insert(name)
            throw error
        }
    }

    /// Removes the file of a cursor that nobody uses any more.
    mutating func remove(_ name: String) throws(SystemError) {
        entries.removeValue(forKey: name)?.file.close()
        guard let path = path(name) else { return }
        do throws(SystemError) {
            try files.unlink(path)
        } catch  where error.code == ENOENT {
            return
        }
        try files.syncDirectory(directory)
    }

    mutating func close() {
        for entry in entries.values { entry.file.close() }
        entries = [:]
    }

    private func path(_ name: String) -> String? {
        JournalFileName.cursor(named: name).map { directory + "/" + $0 }
    }

    /// Takes over the file of an earlier life, so that a full disk keeps no cursor from moving; nil when there is none
    /// that can be used.
    private mutating func adopt(_ name: String) throws(SystemError) -> Entry? {
        guard let path = path(name), let file = try? files.open(path, writable: true) else { return nil }
        let bytes = try? file.readAll(count: JournalFormat.cursorFileBytes, at: 0)
        let reading = bytes?.withUnsafeBytes { CursorSlot.readPlaced(file: $0) }
        guard bytes?.count == JournalFormat.cursorFileBytes, case .valid(let placed)? = reading,
            placed.slot.journal == journal, placed.slot.isOf(name)
        else {
            file.close()
            return nil
        }
        // What was read may not be on the disk yet, and the next save is to the other slot.
        do throws(SystemError) { try file.sync() } catch {
            distrusted.insert(name)
            throw error
        }
        return Entry(file: file, generation: placed.slot.generation, durableSlot: placed.index)
    }

    private mutating func create(_ name: String, _ picture: CursorPicture) throws(SystemError) {
        guard let path = path(name) else { throw SystemError(call: "create", path: name, code: ENAMETOOLONG) }
        let file = try files.create(path + ".tmp", exclusive: false)
        do throws(SystemError) {
            try file.truncate(0)
            var bytes = [UInt8](repeating: 0, count: JournalFormat.cursorFileBytes)
            let slot = CursorSlot(of: name, journal: journal, generation: 1, picture).encoded()
            let start = JournalFormat.cursorSlotOffsets[1]
            bytes.replaceSubrange(start..<start + slot.count, with: slot)
            try file.writeAll(bytes, at: 0)
            try file.sync()
            try files.rename(path + ".tmp", to: path)
            try files.syncDirectory(directory)
        } catch {
            file.close()
            throw error
        }
        entries[name] = Entry(file: file, generation: 1, durableSlot: 1)
        distrusted.remove(name)
    }
}
