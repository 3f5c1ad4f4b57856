/// What a journal does with an append that would pass its cap.
package enum OverflowPolicy: Sendable {
    /// Refuse it; the sender keeps the data and tries again.
    case block
    /// Remove the oldest data, counting for each cursor what it had not read.
    case dropOldest
}

/// Settings of a disk journal.
package struct DiskJournalOptions: Sendable {
    /// Size that segments are preallocated with. A larger frame gets a segment of its own size.
    package var segmentBytes = 64 << 20
    /// Cap on the bytes of records on disk; 0 for none. Segments are made no larger than an eighth of it.
    package var maxBytes = 0
    package var overflow = OverflowPolicy.block
    /// Cap on the bytes of appends that wait for the disk. One append is always let in.
    package var queueBytes = 64 << 20
    /// Shortest time between two saves of the cursors. What was acknowledged since the last save comes again after a
    /// crash.
    package var cursorInterval = Duration.milliseconds(200)
    /// Bytes of the newest frames kept in memory for cursors that keep up.
    package var tailBytes = 32 << 20
    /// Bytes of those that a cursor that keeps up has not read, above which answers to appends wait until it has, or
    /// for `paceWait`; half of `tailBytes` when that is less.
    package var paceBytes = 8 << 20
    package var paceWait = Duration.milliseconds(50)
    /// Bytes a second that are read of a backlog, beyond what comes in, while appends come in; 0 for no limit.
    package var catchUpBytesPerSecond = 100 << 20
    /// Removes nothing that all cursors have passed before `retainCursors` has told which ones there are: one whose
    /// file is lost begins at the oldest record, and must find it.
    package var awaitsCursors = false
    /// Makes its first segment when it is opened and not with the first append, so that others cannot take the room.
    package var beginsAtOnce = false
    /// Whether directories above that of the journal are made too when it was removed with them.
    package var makesParents = false
    /// Bytes that one read from a segment asks for.
    package var readBytes = 2 << 20

    package init() {}
}

/// A line for the log. Texts name files, never content.
package struct JournalNotice: Sendable {
    package enum Level: Sendable { case info, warning, error }
    package var level: Level
    package var text: String
}

/// Why a journal can't be opened or a cursor can't be given.
package enum JournalError: Error, CustomStringConvertible, Equatable {
    /// Another process, or another journal of this one, has the directory open.
    case locked(directory: String, holder: String)
    /// A file was written by a later release. Nothing was changed.
    case newerFormat(file: String, version: UInt32)
    /// The name is empty or too long for a file name.
    case invalidCursorName(String)
    case closed
    case system(SystemError)

    package var description: String {
        switch self {
        case .locked(let directory, let holder):
            "the journal in \(directory) is in use by \(holder); stop that process or choose another directory"
        case .newerFormat(let file, let version):
            "\(file) has journal format \(version), this release knows up to \(JournalFormat.version); nothing was "
                + "changed; start the release that wrote it, or choose another directory"
        case .invalidCursorName(let name):
            "\"\(name)\" can't name a cursor: it is empty or longer than a file name may be"
        case .closed: "the journal is closed"
        case .system(let error): "\(error)"
        }
    }
}
