import Glibc
import Synchronization

extension JournalCore {
    /// The keeper thread: saves cursors, at most once per interval, and removes what they all have passed.
    func runKeeper() {
        var lastRound: UInt64 = 0
        while !isClosing {
            keeperEvent.wait()
            let due = lastRound &+ options.cursorInterval.nanoseconds
            while monotonicNanoseconds() < due, !isClosing { keeperEvent.wait(until: due) }
            lastRound = monotonicNanoseconds()
            keep()
        }
        keep()
    }

    /// One round. The order matters: a position is durable before the segments behind it go.
    private func keep() {
        let unsaved = shared.withLock { shared in
            shared.isKeeping = false
            return shared.index.cursors.filter(\.value.mustSave).mapValues {
                (position: $0.acknowledged, place: $0.acknowledgedPlace)
            }
        }
        for (name, cursor) in unsaved { save(name, cursor.position, cursor.place) }
        let (finished, dropped) = shared.withLock { ($0.index.takeFinished(), $0.index.takeDropped()) }
        guard !finished.isEmpty || !dropped.isEmpty else { return }
        do throws(SystemError) {
            for segment in finished + dropped { try remove(segment) }
            try files.syncDirectory(directory)
        } catch {
            // What is left comes back at the next start, and goes then.
            note(.warning, "\(directory): a finished segment is not removed yet: \(error)")
        }
    }

    private func save(_ name: String, _ position: UInt64, _ place: Place) {
        do throws(SystemError) {
            // Not for a cursor that was removed in the meantime: its file would come back.
            try cursorFiles.withLock { files throws(SystemError) in
                guard shared.withLock({ $0.index.cursors[name] != nil }) else { return }
                try files.save(name, position: position, place: place)
            }
            shared.withLock { $0.index.cursors[name]?.didSave(position) }
        } catch {
            note(.warning, "the cursor of \(name) is not saved yet: \(error)")
            if !isClosing { requestKeeping() }
        }
    }

    private func remove(_ segment: SegmentInfo) throws(SystemError) {
        let path = directory + "/" + JournalFileName.segment(number: segment.number)
        do throws(SystemError) {
            if segment.isDamaged {
                try files.rename(path, to: path + ".quarantined")
            } else {
                try files.unlink(path)
            }
        } catch  where error.code == ENOENT {
            return
        }
    }
}
