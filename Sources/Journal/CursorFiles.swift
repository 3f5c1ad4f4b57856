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

    init(files: any JournalFileSystem, directory: String, journal: JournalID) {
        self.files = files
        self.directory = directory
        self.journal = journal
    }

    /// Writes the position. With `isSynced` it survives the end of the machine, otherwise only that of the process.
    mutating func save(
        _ name: String, position: UInt64, place: Place, isSynced: Bool = true
    ) throws(SystemError) {
        guard var entry = entries[name] else {
            try create(name, position: position, place: place)
            return
        }
        entry.generation += 1
        let slot = CursorSlot(journal: journal, generation: entry.generation, position: position, place: place)
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

    private mutating func create(_ name: String, position: UInt64, place: Place) throws(SystemError) {
        guard let path = path(name) else { throw SystemError(call: "create", path: name, code: ENAMETOOLONG) }
        let file = try files.create(path + ".tmp", exclusive: false)
        do throws(SystemError) {
            try file.truncate(0)
            var bytes = [UInt8](repeating: 0, count: JournalFormat.cursorFileBytes)
            let slot = CursorSlot(journal: journal, generation: 1, position: position, place: place).encoded()
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
    }
}
