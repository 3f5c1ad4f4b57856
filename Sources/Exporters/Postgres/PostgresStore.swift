import OTLP
import Pipeline
import Telemetry

/// The sink's side of one database: connects when there is something to write, one transaction per group of batches.
///
/// Rows that are there already stay as they are, so a group that is written twice, after a lost answer or a crash,
/// leaves each row once. Used by one thread at a time.
struct PostgresStore: ~Copyable {
    /// Encoded rows of one transaction; more batches wait for the next.
    private static let bytesMax = 32 << 20

    let options: PostgresOptions
    private let requests = RequestRows()
    private var connection: PostgresConnection?
    private var blockKey = BlockKey.fixed
    private var scratch = RowScratch()
    var encoded = CopyRows()
    let statements: PostgresStatements
    var book = CommitBook()
    /// Whether the user may read and write what is remembered of journals.
    private var remembersCommits = false
    /// Days whose partitions were made, or cannot be.
    private var partitionedDays: Set<Int> = []
    /// Unix seconds.
    private let clock: @Sendable () -> Int
    private let isLost: @Sendable () -> Bool

    /// `isLost` tells that nobody waits any more for what is under way.
    init(
        options: PostgresOptions, isLost: @escaping @Sendable () -> Bool = { false },
        clock: @escaping @Sendable () -> Int = { Int(DeadLetterBox.systemTime() / 1_000_000_000) }
    ) {
        self.options = options
        self.isLost = isLost
        self.clock = clock
        statements = PostgresStatements(schema: options.schema, timeout: options.helper.timeout)
    }

    /// Delivers the batches, in groups of a bounded size.
    mutating func write(_ batches: [ExportBatch]) -> [ExportOutcome] {
        var outcomes: [ExportOutcome] = []
        while outcomes.count < batches.count {
            do throws(PostgresFailure) {
                try connectIfNeeded()
            } catch {
                let failed = ExportOutcome.retry(reason: error.message, after: nil)
                return outcomes + Array(repeating: failed, count: batches.count - outcomes.count)
            }
            outcomes += writeGroup(batches[outcomes.count...])
        }
        return outcomes
    }

    mutating func close() { connection = nil }

    /// Creates or completes the schema. Returns the version that was there, and where.
    mutating func migrate() throws(PostgresFailure) -> (version: Int, place: String) {
        let opened = try PostgresConnection(
            options.connectionParameters, timeout: options.helper.timeout, isLost: isLost)
        let found = try PostgresMigration.prepare(
            opened, schema: options.schema, create: true, isPartitioned: options.partition == .day)
        return (found.version, opened.place + "/" + options.schema)
    }

    private mutating func connectIfNeeded() throws(PostgresFailure) {
        guard connection == nil else { return }
        let opened = try PostgresConnection(
            options.connectionParameters, timeout: options.helper.timeout, isLost: isLost)
        let prepared = try PostgresMigration.prepare(
            opened, schema: options.schema, create: options.createsSchema,
            isPartitioned: options.partition == .day)
        blockKey = prepared.key
        book.close()
        remembersCommits = try PostgresCommits.isPermitted(opened, statements)
        if options.method == .copy {
            for table in SQLTable.all { try opened.execute(statements.createStaging(table)) }
        }
        connection = consume opened
    }

    /// Deletes some records that are too old, of one table.
    mutating func retain() -> Result<RetentionStep, RetentionFault> {
        do throws(PostgresFailure) {
            try connectIfNeeded()
            let step = try withConnection { (store, connection) throws(PostgresFailure) in
                try store.deleteExpired(connection)
            }
            return .success(step)
        } catch { return .failure(RetentionFault(message: error.message)) }
    }

    private mutating func deleteExpired(
        _ connection: borrowing PostgresConnection
    ) throws(PostgresFailure) -> RetentionStep {
        var step = RetentionStep()
        if options.partition == .day { step = try dropExpired(connection) }
        for name in [SQLTableName.spans, .logs, .metricPoints] where !step.isMore {
            try connection.execute(statements.begin)
            let count = try connection.rows(
                PostgresStatements.delete(name, olderThan: options.maxAge, isPartitioned: options.partition == .day)
            ).first
            try connection.execute("COMMIT")
            step.deletedRecords = count.flatMap { Int($0) } ?? 0
            step.isMore = step.deletedRecords > 0
        }
        return step
    }

    /// Runs transactions on the open connection. One that fails is rolled back; a connection that fails is closed.
    mutating func withConnection<Result>(
        _ body: (inout PostgresStore, borrowing PostgresConnection) throws(PostgresFailure) -> Result
    ) throws(PostgresFailure) -> Result {
        // Taken out meanwhile: a value without copies cannot be borrowed from an optional.
        guard let taken = connection.take() else { throw PostgresFailure(.connection, "not connected") }
        let result: Result
        do throws(PostgresFailure) {
            result = try body(&self, taken)
        } catch {
            if error.kind != .connection {
                try? taken.execute("ROLLBACK")
                connection = consume taken
            }
            throw error
        }
        connection = consume taken
        return result
    }

    // MARK: Partitions

    /// Makes the partitions of the encoded rows' days, a day at a time.
    private mutating func makePartitions(_ connection: borrowing PostgresConnection) throws(PostgresFailure) {
        let today = clock() / 86_400
        for day in encoded.days.subtracting(partitionedDays).sorted()
        where PostgresPartitions.isWanted(day, today: today, maxAge: options.maxAge) {
            do throws(PostgresFailure) {
                try connection.execute(statements.begin)
                try connection.execute("SELECT pg_advisory_xact_lock(\(PostgresMigration.lock))")
                for table in PostgresPartitions.tables {
                    try connection.execute(PostgresPartitions.create(table, day: day))
                }
                try connection.execute("COMMIT")
            } catch {
                // The default partition holds rows of that day already: it keeps the rest of them too.
                guard error.code == "23514" else { throw error }
                try connection.execute("ROLLBACK")
            }
            if partitionedDays.count > 10_000 { partitionedDays.removeAll() }
            partitionedDays.insert(day)
        }
    }

    /// Drops one partition of which all rows are too old.
    private mutating func dropExpired(
        _ connection: borrowing PostgresConnection
    ) throws(PostgresFailure) -> RetentionStep {
        for table in PostgresPartitions.tables {
            try connection.execute(statements.begin)
            let found = try connection.rows(PostgresPartitions.expired(table, olderThan: options.maxAge)).first
            let words = (found ?? "").split(separator: " ")
            if words.count == 2 {
                for statement in PostgresPartitions.drop(String(words[0]), of: table) {
                    try connection.execute(statement)
                }
                partitionedDays.removeAll()
            }
            try connection.execute("COMMIT")
            if words.count == 2 {
                return RetentionStep(
                    deletedRecords: table.name.beginsRecord ? Int(words[1]) ?? 0 : 0, isMore: true)
            }
        }
        return RetentionStep()
    }

    // MARK: A group

    /// One batch of a group: its records among those of the group.
    struct Member {
        var records: Range<Int>
        var journaled: JournaledRecords?
        var isIndivisible = false
        var refused: [Int] = []
        var reason = ""
        /// Set when the batch is no valid request.
        var outcome: ExportOutcome?
    }

    /// Writes the first of the batches, as many as fit one transaction. Returns their outcomes.
    private mutating func writeGroup(_ batches: ArraySlice<ExportBatch>) -> [ExportOutcome] {
        encoded.removeAll()
        do throws(PostgresFailure) { try openBook(batches) } catch {
            let failed = ExportOutcome.retry(reason: error.message, after: nil)
            return batches.map { _ in failed }
        }
        var members: [Member] = []
        for batch in batches {
            members.append(encode(batch))
            if encoded.bytes.count >= Self.bytesMax { break }
        }
        let failure = store(&members)
        if failure != nil { book.close() }
        return members.map { member in
            if let outcome = member.outcome { return outcome }
            if let failure, !member.records.isEmpty { return .retry(reason: failure.message, after: nil) }
            guard !member.refused.isEmpty else { return .delivered }
            var places: [Int: RowPlace] = [:]
            for record in member.refused { places[record] = encoded.place(of: member.records.lowerBound + record) }
            return .refused(records: member.refused, message: member.reason, places: places)
        }
    }

    /// Reads what is remembered of journals that were not seen before on this connection.
    private mutating func openBook(_ batches: ArraySlice<ExportBatch>) throws(PostgresFailure) {
        guard remembersCommits else { return }
        for batch in batches {
            guard let lane = batch.journaled?.lane, !book.isOpen(lane) else { continue }
            let rows = try withConnection { (store, connection) throws(PostgresFailure) in
                try PostgresCommits.read(lane, connection, store.statements)
            }
            book.open(lane, rows)
        }
    }

    /// Encodes the rows of a batch, unless some of its records are there since before the gateway was killed.
    private mutating func encode(_ batch: ExportBatch) -> Member {
        let start = encoded.records
        if remembersCommits, let journaled = batch.journaled {
            let committed = book.committed(of: journaled)
            if !committed.isEmpty { return Member(records: start..<start, outcome: .committed(committed)) }
        }
        do {
            try requests.write(batch, blockKey: blockKey, &scratch, to: &encoded)
            return Member(
                records: start..<encoded.records, journaled: remembersCommits ? batch.journaled : nil,
                isIndivisible: batch.isIndivisible)
        } catch {
            encoded.truncate(toRecords: start)
            let words = (error as? DecodeFailure).map { "\($0.message)" } ?? "\(error)"
            return Member(records: start..<start, outcome: .permanent(reason: "not a valid request: \(words)"))
        }
    }

    /// What a transaction of all records but those that were refused commits of each journal.
    static func commits(_ members: [Member]) -> CommitRows {
        var commits = CommitRows()
        for member in members {
            guard let journaled = member.journaled, !member.records.isEmpty else { continue }
            commits.add(journaled, journaled.committed(of: member.records.count, refused: member.refused))
        }
        return commits
    }

    /// Stores all encoded records in one transaction, or none. What the database refuses for good is left out, noted in
    /// its member.
    private mutating func store(_ members: inout [Member]) -> PostgresFailure? {
        guard encoded.records > 0 else { return nil }
        do throws(PostgresFailure) {
            try transact(Self.commits(members))
            return nil
        } catch {
            guard error.kind == .refusedRow else { return error }
        }
        do throws(PostgresFailure) {
            try storeApart(&members)
            return nil
        } catch { return error }
    }

    private mutating func transact(_ commits: CommitRows) throws(PostgresFailure) {
        try withConnection { (store, connection) throws(PostgresFailure) in
            if store.options.partition == .day { try store.makePartitions(connection) }
            try connection.execute(store.statements.begin)
            let rows = store.encoded.rows.indices
            for table in store.tables(of: rows) {
                switch store.options.method {
                case .copy:
                    try store.copy(connection, table, rows)
                    try connection.execute(store.statements.insertStaged[table.name.index])
                case .insert: try store.insert(connection, table, rows)
                }
            }
            try PostgresCommits.write(commits, &store.book, connection)
            try connection.execute("COMMIT")
        }
    }

    /// The tables that some rows belong to.
    func tables(of rows: Range<Int>) -> [SQLTable] {
        var present: [Bool] = SQLTable.all.map { _ in false }
        for index in rows { present[Int(encoded.rows[index].table)] = true }
        return SQLTable.all.filter { present[$0.name.index] }
    }

    /// Largest piece that is handed to libpq at once.
    private static let pieceMax = 256 << 10

    func copy(
        _ connection: borrowing PostgresConnection, _ table: SQLTable, _ rows: Range<Int>
    ) throws(PostgresFailure) {
        let wanted = UInt8(table.name.index)
        try connection.copy(statements.copies[table.name.index]) { (put) throws(PostgresFailure) in
            try Self.put(CopyRows.header, put)
            var piece = 0..<0
            for index in rows {
                let row = encoded.rows[index]
                guard row.table == wanted else { continue }
                // Rows that lie side by side go out together.
                if row.start == piece.upperBound, row.end - piece.lowerBound <= Self.pieceMax {
                    piece = piece.lowerBound..<row.end
                } else {
                    if !piece.isEmpty { try put(UnsafeRawBufferPointer(rebasing: encoded.bytes.bytes[piece])) }
                    piece = row.start..<row.end
                }
            }
            if !piece.isEmpty { try put(UnsafeRawBufferPointer(rebasing: encoded.bytes.bytes[piece])) }
            try Self.put(CopyRows.trailer, put)
        }
    }

    private static func put(
        _ bytes: [UInt8], _ put: (UnsafeRawBufferPointer) throws(PostgresFailure) -> Void
    ) throws(PostgresFailure) {
        var failure: PostgresFailure?
        bytes.withUnsafeBytes { bytes in
            do throws(PostgresFailure) { try put(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    func insert(
        _ connection: borrowing PostgresConnection, _ table: SQLTable, _ rows: Range<Int>
    ) throws(PostgresFailure) {
        let formats = table.columns.map { _ in Int32(1) }
        for index in rows {
            let row = encoded.rows[index]
            guard row.table == UInt8(table.name.index) else { continue }
            var values: [UnsafePointer<CChar>?] = []
            var lengths: [Int32] = []
            var at = row.start + 2
            for _ in table.columns {
                let length = encoded.int32(at: at)
                at += 4
                values.append(
                    length < 0 ? nil : UnsafePointer((encoded.bytes.base + at).assumingMemoryBound(to: CChar.self)))
                lengths.append(max(length, 0))
                at += Int(max(length, 0))
            }
            try connection.execute(
                statements.inserts[table.name.index], values: values, lengths: lengths, formats: formats)
        }
    }
}
