import GRDB
import Glibc
import OTLP
import Pipeline

/// The open database: one writer, one transaction per group of batches.
///
/// Write-ahead log with `synchronous = FULL`: a commit returns when it is on disk, because a delivered batch leaves the
/// journal. Used by one thread at a time.
struct SQLiteStore: ~Copyable {
    private let queue: DatabaseQueue
    private let rows = RequestRows()
    private let blockKey: BlockKey
    private var scratch = RowScratch()
    private var book = CommitBook()
    /// Schema version before this build opened the database.
    let foundVersion: Int
    private let path: String
    /// Device and inode of the file, nil when it has none.
    private let identity: FileIdentity?

    /// Opens the file, creates the schema when asked to, and throws words for the operator.
    init(path: String, options: SQLiteOptions, _ busy: SQLiteBusyWait) throws(ExporterStartFailure) {
        let opened = try Self.open(path, options, busy)
        queue = opened.queue
        foundVersion = opened.version
        blockKey = opened.key
        self.path = path
        identity = FileIdentity(path)
    }

    /// Whether the open file is no longer the one at the path.
    var isGone: Bool { identity != nil && FileIdentity(path) != identity }

    /// Settings of the connection, in this order. Only a new file takes the first two. A span with its prompts takes a
    /// few kilobytes: pages of four would keep most of it in a chain behind its row, and those of eight have room for
    /// two and leave the rest empty. A transaction of a busy gateway has some megabytes of pages, which the usual 2 MB
    /// of cache would write twice; and the log is moved into the database after 64 MB, since pages of indices that many
    /// transactions change are moved once then. A reader that holds a snapshot for long lets the log grow; it is cut
    /// back afterwards.
    private static func pragmas(_ options: SQLiteOptions) -> [String] {
        [
            "page_size = 16384", "auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = FULL",
            "cache_size = -\(options.cacheSize / 1_024)", "wal_autocheckpoint = 4096",
            "journal_size_limit = 67108864",
        ]
    }

    private static func open(
        _ path: String, _ options: SQLiteOptions, _ busy: SQLiteBusyWait
    ) throws(ExporterStartFailure) -> (queue: DatabaseQueue, version: Int, key: BlockKey) {
        do {
            try createPrivately(path)
            var configuration = Configuration()
            configuration.busyMode = .callback { busy.goesOn($0) }
            configuration.prepareDatabase { database in
                for pragma in pragmas(options) { _ = try Row.fetchOne(database, sql: "PRAGMA " + pragma) }
            }
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            return try queue.write { database in
                let found = try SQLiteMigration.prepare(database, create: options.createsSchema)
                let row = try Row.fetchOne(database, sql: "SELECT key0, key1 FROM sluice_hash_key")
                let key0: Int64 = row?["key0"] ?? 0
                let key1: Int64 = row?["key1"] ?? 0
                let key = BlockKey(key0: UInt64(bitPattern: key0), key1: UInt64(bitPattern: key1))
                return (queue, found, key)
            }
        } catch let fault as SQLiteMigration.Fault {
            throw ExporterStartFailure("the database \(path) \(fault.message)")
        } catch let failure as FileFailure {
            throw ExporterStartFailure(failure.description)
        } catch {
            let code = (error as? DatabaseError)?.resultCode
            throw ExporterStartFailure(
                "cannot open the database \(path): \(words(error))",
                isPassing: code.map { [.SQLITE_FULL, .SQLITE_IOERR, .SQLITE_BUSY, .SQLITE_LOCKED].contains($0) }
                    ?? false)
        }
    }

    /// SQLite gives its side files the mode of the database, so it is enough to create that one.
    ///
    /// A database that is there is not opened: closing any descriptor of a file lets go of all locks that the process
    /// has on it (fcntl(2)), also those of a connection that another exporter has open, or the one before a reload. The
    /// next program that closes the database would take itself for the last one and delete its log, into which we go
    /// on writing.
    private static func createPrivately(_ path: String) throws {
        var found = stat()
        if stat(path, &found) == 0 { return }
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileFailure("cannot open the database", path, errno) }
        Glibc.close(descriptor)
    }

    /// Writes the batches in one transaction; when that fails, each in one of its own: a bad one harms no other.
    mutating func write(_ batches: [ExportBatch]) -> [ExportOutcome] {
        let together = attempt(batches[...])
        guard batches.count > 1, case .permanent = together.first else { return together }
        var outcomes: [ExportOutcome] = []
        for index in batches.indices { outcomes += attempt(batches[index...index]) }
        return outcomes
    }

    private mutating func attempt(_ batches: ArraySlice<ExportBatch>) -> [ExportOutcome] {
        do {
            return try writeRows(batches)
        } catch {
            // What was read or noted in the transaction went with it.
            book.close()
            let outcome = Self.outcome(error)
            return batches.map { _ in outcome }
        }
    }

    /// What a failed transaction means for all of its batches.
    private static func outcome(_ error: any Error) -> ExportOutcome {
        switch error {
        case let failure as DecodeFailure:
            return .permanent(reason: "not a valid request: \(failure.message)")
        case let error as DatabaseError where SQLiteRowWriter.isAboutData(error):
            return .permanent(reason: words(error))
        case let error as DatabaseError where error.resultCode == .SQLITE_FULL:
            return .retry(reason: "\(words(error)); free space on that disk", after: nil)
        default: return .retry(reason: words(error), after: nil)
        }
    }

    private mutating func writeRows(_ batches: ArraySlice<ExportBatch>) throws -> [ExportOutcome] {
        var outcomes: [ExportOutcome] = []
        try queue.inDatabase { database in
            try database.inTransaction(.immediate) {
                var writer = try SQLiteRowWriter(database)
                var commits = CommitRows()
                for batch in batches {
                    outcomes.append(try write(batch, &writer, &commits, database))
                }
                try SQLiteCommits.write(commits, &book, database)
                return .commit
            }
        }
        return outcomes
    }

    /// Writes the rows of a batch, unless some of its records are there since before the gateway was killed.
    private mutating func write(
        _ batch: ExportBatch, _ writer: inout SQLiteRowWriter, _ commits: inout CommitRows, _ database: Database
    ) throws -> ExportOutcome {
        if let journaled = batch.journaled {
            if !book.isOpen(journaled.lane) {
                book.open(journaled.lane, try SQLiteCommits.read(journaled.lane, database))
            }
            let committed = book.committed(of: journaled)
            guard committed.isEmpty else {
                commits.add(journaled, [])
                return .committed(committed)
            }
        }
        writer.beginBatch()
        if batch.isIndivisible {
            try database.inSavepoint {
                try rows.write(batch, blockKey: blockKey, &scratch, to: &writer)
                return writer.refused.isEmpty ? .commit : .rollback
            }
        } else {
            try rows.write(batch, blockKey: blockKey, &scratch, to: &writer)
        }
        if let journaled = batch.journaled {
            commits.add(journaled, journaled.committed(of: writer.records, refused: writer.refused))
        }
        return writer.outcome
    }

    /// One step of deleting what is too old or too much. `now` is in Unix nanoseconds.
    func retain(_ retention: SQLiteRetention, now: Int64) -> Result<RetentionStep, RetentionFault> {
        do {
            return .success(try retention.step(queue, now: now))
        } catch { return .failure(RetentionFault(message: Self.words(error))) }
    }

    /// Moves the write-ahead log into the database and closes it.
    func close() {
        _ = try? queue.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try? queue.close()
    }

    /// SQLite's own words. Statements and arguments stay out: they hold prompts.
    static func words(_ error: any Error) -> String {
        guard let error = error as? DatabaseError else { return "\(error)" }
        return "SQLite error \(error.extendedResultCode.rawValue): \(error.message ?? "no message")"
    }
}
