import CSupport
import Glibc
import Synchronization

extension JournalCore {
    /// The keeper thread: saves cursors, at most once per interval, and removes what they all have passed.
    func runKeeper() {
        var lastRound: UInt64 = 0
        while !isClosing {
            let hasSurplus = spares.withLock(\.hasSurplus)
            keeperEvent.wait(until: hasSurplus ? lastRound &+ Self.freeInterval : nil)
            let due = lastRound &+ options.cursorInterval.nanoseconds
            while monotonicNanoseconds() < due, !isClosing {
                let isMoving = writeMoved()
                keeperEvent.wait(until: isMoving ? min(due, monotonicNanoseconds() &+ Self.writeInterval) : due)
            }
            lastRound = monotonicNanoseconds()
            keep()
            freeSpares()
        }
        keep()
        // Those that stay go at the next start.
        for spare in spares.withLock({ $0.takeAll() }) { try? files.unlink(spare) }
    }

    /// Time between two writes for which nobody waits.
    private static let writeInterval: UInt64 = 5_000_000

    /// Writes the cursors that moved, without a sync. A killed process so repeats only what was under way and what it
    /// delivered in the last moment, and not also what it delivered since the last round. False when none moved or one
    /// could not be written: then what is acknowledged from now on wakes this thread again, and until then nothing
    /// does but somebody who waits.
    private func writeMoved() -> Bool {
        sluice_interrupt_others(interruptsOthers.load(ordering: .relaxed))
        let moved = shared.withLock { shared in
            let moved = shared.index.cursors.filter(\.value.mustWrite).mapValues(\.picture)
            shared.isKeeping = !moved.isEmpty
            return moved
        }
        // What cannot be written now is tried in the next round, not before: the cause may last.
        var isWritten = !moved.isEmpty
        for (name, picture) in moved {
            let isOne = save(name, picture, isSynced: false)
            endWriteWaits(name, isWritten: isOne)
            isWritten = isWritten && isOne
        }
        if !isWritten, !moved.isEmpty { shared.withLock { $0.isKeeping = false } }
        return isWritten
    }

    /// Ends the waits for a cursor's file. What was done behind the picture that was written comes next.
    private func endWriteWaits(_ name: String, isWritten: Bool) {
        let ended = shared.withLock { $0.index.cursors[name]?.takeWriteWaits(all: !isWritten) ?? [] }
        for wakeup in ended { wakeup.fire(true) }
    }

    /// One round. The order matters: a position is durable before the segments behind it go.
    private func keep() {
        let unsaved = shared.withLock { shared in
            shared.isKeeping = false
            return shared.index.cursors.filter(\.value.mustSave).mapValues(\.picture)
        }
        for (name, picture) in unsaved {
            let isSaved = save(name, picture)
            endWriteWaits(name, isWritten: isSaved)
            if !isSaved, !isClosing { requestKeeping() }
        }
        let (finished, dropped) = shared.withLock { shared in
            (shared.awaitsCursors ? [] : shared.index.takeFinished(), shared.index.takeDropped())
        }
        guard !finished.isEmpty || !dropped.isEmpty else { return }
        do throws(SystemError) {
            // Files of these names that lie where ours have gone are another gateway's.
            try holdLock()
            var kept: [String] = []
            for segment in finished + dropped {
                do throws(SystemError) {
                    if let spare = try remove(segment) { kept.append(spare) }
                } catch {
                    // What is left comes back at the next start, and goes then. The others need not stay for it.
                    note(.warning, "\(directory): a finished segment is not removed yet: \(error)")
                }
            }
            // Before anything is written over: after a crash no old name may lead to a new header.
            try files.syncDirectory(directory)
            spares.withLock { spares in for spare in kept { spares.add(spare) } }
        } catch {
            note(.warning, "\(directory): finished segments are not removed yet: \(error)")
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
            let advice = error.code == EISDIR ? "; remove the directory that has the name of its file" : ""
            if isNew { note(.warning, "\(directory): the cursor of \(name) is not saved yet: \(error)\(advice)") }
            return false
        }
    }

    /// Shortest time between two rounds that only free blocks.
    private static let freeInterval: UInt64 = 100_000_000

    /// Frees blocks of files that are too many, as fast as the appends allow: none that comes meanwhile waits for more
    /// than a step.
    private func freeSpares() {
        let appended = shared.withLock { $0.index.appendedBytes }
        let isBusy = appended != keptAppended.exchange(appended, ordering: .relaxed)
        for _ in 0..<(isBusy ? 1 : SpareSegments.stepsPerRound) {
            guard let path = spares.withLock({ $0.nextLeaving(isBusy: isBusy) }) else { return }
            do throws(SystemError) {
                if try shorten(path) {
                    guard shared.withLock({ $0.index.appendedBytes }) == appended else { return }
                    continue
                }
                try files.unlink(path)
            } catch  where error.code != ENOENT {
                note(.warning, "\(directory): a spare file stays until the next start: \(error)")
            } catch {}
            spares.withLock { $0.left() }
        }
    }

    /// Frees the last blocks of a file. False when there are so few left that it may go.
    private func shorten(_ path: String) throws(SystemError) -> Bool {
        let file = try files.open(path, writable: true)
        defer { file.close() }
        let size = try file.size()
        guard size > SpareSegments.stepBytes else { return false }
        try file.truncate(size - SpareSegments.stepBytes)
        return true
    }

    /// Takes a segment's file away. Gives its new name when it may be written over.
    private func remove(_ segment: SegmentInfo) throws(SystemError) -> String? {
        let path = directory + "/" + JournalFileName.segment(number: segment.number)
        do throws(SystemError) {
            if segment.isDamaged {
                try files.rename(path, to: path + ".quarantined")
            } else if !isClosing, segment.dataEnd <= segmentBytes {
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
