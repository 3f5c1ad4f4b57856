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

    private let options: PostgresOptions
    private let requests = RequestRows()
    private var connection: PostgresConnection?
    private var blockKey = BlockKey.fixed
    private var scratch = RowScratch()
    private var encoded = CopyRows()
    private let statements: PostgresStatements
    private var book = CommitBook()
    /// Whether the user may read and write what is remembered of journals.
    private var remembersCommits = false
    /// Days whose partitions were made, or cannot be.
    private var partitionedDays: Set<Int> = []
    /// Unix seconds.
    private let clock: @Sendable () -> Int

    init(
        options: PostgresOptions,
        clock: @escaping @Sendable () -> Int = { Int(DeadLetterBox.systemTime() / 1_000_000_000) }
    ) {
        self.options = options
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
        let opened = try PostgresConnection(options.connectionParameters, timeout: options.helper.timeout)
        let found = try PostgresMigration.prepare(
            opened, schema: options.schema, create: true, isPartitioned: options.partition == .day)
        return (found.version, opened.place + "/" + options.schema)
    }

    private mutating func connectIfNeeded() throws(PostgresFailure) {
        guard connection == nil else { return }
        let opened = try PostgresConnection(options.connectionParameters, timeout: options.helper.timeout)
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
    private mutating func withConnection<Result>(
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
    private struct Member {
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
            if let failure, !member.records.isEmpty, member.records.upperBound > failure.record {
                return .retry(reason: failure.failure.message, after: nil)
            }
            return member.refused.isEmpty ? .delivered : .refused(records: member.refused, message: member.reason)
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

    /// What a transaction of some records commits of each journal.
    private static func commits(_ records: Range<Int>, _ members: [Member]) -> CommitRows {
        var commits = CommitRows()
        for member in members {
            let part = member.records.clamped(to: records)
            guard let journaled = member.journaled, !part.isEmpty else { continue }
            let start = member.records.lowerBound
            let stored = part.lowerBound - start..<part.upperBound - start
            commits.add(journaled, journaled.committed(stored, of: member.records.count))
        }
        return commits
    }

    /// Stores all encoded records. What the database refuses for good is found by halving and left out, noted in its
    /// member. Any other failure ends the attempt: records from the returned place on are not stored.
    private mutating func store(_ members: inout [Member]) -> (record: Int, failure: PostgresFailure)? {
        guard encoded.records > 0 else { return nil }
        var open = [0..<encoded.records]
        while let records = open.popLast() {
            do throws(PostgresFailure) {
                try transact(records, Self.commits(records, members))
            } catch {
                guard error.kind == .refusedRow else { return (records.lowerBound, error) }
                if let middle = Self.cut(records, members) {
                    open.append(middle..<records.upperBound)
                    open.append(records.lowerBound..<middle)
                } else if let index = members.firstIndex(where: { $0.records.contains(records.lowerBound) }) {
                    let start = members[index].records.lowerBound
                    members[index].refused += records.map { $0 - start }
                    members[index].reason = error.message
                }
            }
        }
        return nil
    }

    /// Where records that were refused together are parted, nil when they end as they are.
    private static func cut(_ records: Range<Int>, _ members: [Member]) -> Int? {
        guard records.count > 1 else { return nil }
        let middle = records.lowerBound + records.count / 2
        let whole = members.first { member in
            member.isIndivisible && member.records.lowerBound < middle && middle < member.records.upperBound
        }
        guard let whole else { return middle }
        if whole.records.lowerBound > records.lowerBound { return whole.records.lowerBound }
        return whole.records.upperBound < records.upperBound ? whole.records.upperBound : nil
    }

    private mutating func transact(_ records: Range<Int>, _ commits: CommitRows) throws(PostgresFailure) {
        try withConnection { (store, connection) throws(PostgresFailure) in
            if store.options.partition == .day { try store.makePartitions(connection) }
            try store.run(connection, records, commits)
        }
    }

    private mutating func run(
        _ connection: borrowing PostgresConnection, _ records: Range<Int>, _ commits: CommitRows
    ) throws(PostgresFailure) {
        try connection.execute(statements.begin)
        var present: [Bool] = SQLTable.all.map { _ in false }
        for index in encoded.rows.indices where records.contains(Int(encoded.rows[index].record)) {
            present[Int(encoded.rows[index].table)] = true
        }
        for table in SQLTable.all where present[table.name.index] {
            switch options.method {
            case .copy:
                try copy(connection, table, records)
                try connection.execute(statements.insertStaged[table.name.index])
            case .insert: try insert(connection, table, records)
            }
        }
        try PostgresCommits.write(commits, &book, connection)
        try connection.execute("COMMIT")
    }

    /// Largest piece that is handed to libpq at once.
    private static let pieceMax = 256 << 10

    private func copy(
        _ connection: borrowing PostgresConnection, _ table: SQLTable, _ records: Range<Int>
    ) throws(PostgresFailure) {
        let wanted = UInt8(table.name.index)
        try connection.copy(statements.copies[table.name.index]) { (put) throws(PostgresFailure) in
            try Self.put(CopyRows.header, put)
            var piece = 0..<0
            for index in encoded.rows.indices {
                let row = encoded.rows[index]
                guard row.table == wanted, records.contains(Int(row.record)) else { continue }
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

    private func insert(
        _ connection: borrowing PostgresConnection, _ table: SQLTable, _ records: Range<Int>
    ) throws(PostgresFailure) {
        let formats = table.columns.map { _ in Int32(1) }
        for index in encoded.rows.indices {
            let row = encoded.rows[index]
            guard row.table == UInt8(table.name.index), records.contains(Int(row.record)) else { continue }
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
