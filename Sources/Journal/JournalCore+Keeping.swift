import Glibc
import Synchronization

extension JournalCore {
    /// The keeper thread: saves cursors, at most once per interval, and removes what they all have passed.
    func runKeeper() {
        var lastRound: UInt64 = 0
        while !isClosing {
            keeperEvent.wait()
            let due = lastRound &+ options.cursorInterval.nanoseconds
            while monotonicNanoseconds() < due, !isClosing {
                writeMoved()
                keeperEvent.wait(until: due)
            }
            lastRound = monotonicNanoseconds()
            keep()
        }
        keep()
        let left = spares.withLock { spares in
            defer { spares = [] }
            return spares
        }
        // Those that stay go at the next start.
        for spare in left { try? files.unlink(spare) }
    }

    /// Writes the cursors that moved, without a sync. A killed process so repeats only what was under way, and not
    /// also what it delivered since the last round.
    private func writeMoved() {
        let moved = shared.withLock { shared in
            // What is acknowledged from now on wakes this thread again.
            shared.isKeeping = false
            return shared.index.cursors.filter(\.value.mustWrite).mapValues(\.picture)
        }
        // What cannot be written now is tried in the next round, not before: the cause may last.
        for (name, picture) in moved { _ = save(name, picture, isSynced: false) }
    }

    /// One round. The order matters: a position is durable before the segments behind it go.
    private func keep() {
        let unsaved = shared.withLock { shared in
            shared.isKeeping = false
            return shared.index.cursors.filter(\.value.mustSave).mapValues(\.picture)
        }
        for (name, picture) in unsaved where !save(name, picture) && !isClosing { requestKeeping() }
        let (finished, dropped) = shared.withLock { ($0.index.takeFinished(), $0.index.takeDropped()) }
        guard !finished.isEmpty || !dropped.isEmpty else { return }
        do throws(SystemError) {
            var kept: [String] = []
            for segment in finished + dropped {
                if let spare = try remove(segment, mayKeep: kept.count + spares.withLock(\.count) < Self.sparesMax) {
                    kept.append(spare)
                }
            }
            // Before anything is written over: after a crash no old name may lead to a new header.
            try files.syncDirectory(directory)
            spares.withLock { $0 += kept }
        } catch {
            // What is left comes back at the next start, and goes then.
            note(.warning, "\(directory): a finished segment is not removed yet: \(error)")
        }
    }

    /// False when it failed, which is told once until it works again.
    private func save(_ name: String, _ picture: CursorPicture, isSynced: Bool = true) -> Bool {
        do throws(SystemError) {
            // Not for a cursor that was removed in the meantime: its file would come back.
            try cursorFiles.withLock { files throws(SystemError) in
                guard shared.withLock({ $0.index.cursors[name] != nil }) else { return }
                try files.save(name, picture, isSynced: isSynced)
            }
            let wasFailing = shared.withLock { shared in
                if isSynced {
                    shared.index.cursors[name]?.didSave(picture)
                } else {
                    shared.index.cursors[name]?.didWrite(picture)
                }
                return shared.unsavedCursors.remove(name) != nil
            }
            if wasFailing { note(.info, "\(directory): the cursor of \(name) is saved again") }
            return true
        } catch {
            let isNew = shared.withLock { $0.unsavedCursors.insert(name).inserted }
            if isNew { note(.warning, "\(directory): the cursor of \(name) is not saved yet: \(error)") }
            return false
        }
    }

    /// Most finished segments whose files are kept.
    private static let sparesMax = 2

    /// Takes a segment's file away. Gives its new name when it may be written over.
    private func remove(_ segment: SegmentInfo, mayKeep: Bool) throws(SystemError) -> String? {
        let path = directory + "/" + JournalFileName.segment(number: segment.number)
        do throws(SystemError) {
            if segment.isDamaged {
                try files.rename(path, to: path + ".quarantined")
            } else if mayKeep, !isClosing, segment.dataEnd <= segmentBytes {
                try files.rename(path, to: path + ".tmp")
                return path + ".tmp"
            } else {
                try files.unlink(path)
            }
        } catch  where error.code == ENOENT {
            return nil
        }
        return nil
    }
}
