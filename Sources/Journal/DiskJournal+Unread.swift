extension DiskJournal {
    /// Names of the folders in `directory` that hold segments and are no open journal's, neither of this process nor of
    /// another one: what a pipeline has left that is no longer configured. Blocks for the disk; what can't be read is
    /// left out.
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
        defer { lock.close() }
        return (try? lock.tryLock()) ?? false
    }
}
