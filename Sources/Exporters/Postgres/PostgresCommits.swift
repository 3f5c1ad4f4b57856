import Pipeline

/// The rows of `sluice_cursor` in PostgreSQL. Each start of a gateway has rows of its own, so none waits for another.
enum PostgresCommits {
    /// Whether the user may do what is needed. A database whose tables somebody else made may not have granted it; then
    /// the keys of the rows alone keep what comes again from being stored twice.
    static func isPermitted(
        _ connection: borrowing PostgresConnection, _ statements: PostgresStatements
    ) throws(PostgresFailure) -> Bool {
        let checks = ["SELECT", "INSERT", "DELETE"].map {
            "has_table_privilege('\(statements.schema).\(CommitTable.name)', '\($0)')"
        }
        return try connection.rows("SELECT \(checks.joined(separator: " AND "))").first == "t"
    }

    /// Rows of a journal, whichever start has written them; one of an older version has the bare name. Behind
    /// its hexadecimal digits stands nothing that a `g` would not follow.
    private static let isOfJournal = "journal >= $1::text AND journal < $1::text || 'g'"

    /// What is remembered of a lane. Forgets journals that are gone.
    static func read(
        _ lane: CommitLane, _ connection: borrowing PostgresConnection, _ statements: PostgresStatements
    ) throws(PostgresFailure) -> [CommitRow] {
        try connection.execute(statements.begin)
        try connection.execute(
            "DELETE FROM \(CommitTable.name) WHERE committed_at < now() - interval '\(CommitTable.daysMax) days'")
        let rows = try connection.rows(
            "SELECT encode(parts, 'hex') FROM \(CommitTable.name) WHERE \(isOfJournal) AND exporter = $2 "
                + "ORDER BY first_record DESC LIMIT \(CommitTable.rowsMax)",
            texts: [lane.journal, lane.exporter])
        try connection.execute("COMMIT")
        return rows.compactMap { CommitRow(encoded: bytes($0)) }
    }

    /// Remembers what the transaction commits, and takes away what cannot come again: one statement for each lane.
    static func write(
        _ rows: CommitRows, _ book: inout CommitBook, _ connection: borrowing PostgresConnection
    ) throws(PostgresFailure) {
        for (lane, durable, parts) in rows.lanes {
            let end = book.forget(lane, before: durable) ? Int64(clamping: durable) : 0
            guard let row = CommitRow(parts) else { continue }
            _ = try connection.rows(
                """
                WITH gone AS (
                    DELETE FROM \(CommitTable.name) WHERE \(isOfJournal) AND exporter = $2
                        AND end_record <= $3::bigint AND (journal = $7 AND first_record <> $4::bigint
                            OR journal <> $7 AND committed_at < now() - interval '\(CommitTable.hoursOfOthers) hours')
                )
                INSERT INTO \(CommitTable.name) VALUES ($7, $2, $4::bigint, $5::bigint, decode($6, 'hex'), now())
                ON CONFLICT (journal, exporter, first_record) DO UPDATE SET
                    end_record = EXCLUDED.end_record, parts = EXCLUDED.parts, committed_at = EXCLUDED.committed_at
                """,
                texts: [
                    lane.journal, lane.exporter, "\(end)", "\(Int64(clamping: row.sequences.lowerBound))",
                    "\(Int64(clamping: row.sequences.upperBound))", hex(row.encoded), book.name(of: lane),
                ])
        }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = [UInt8]("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.utf8.map { UInt8($0 > 0x39 ? $0 &- 0x57 : $0 &- 0x30) }
        return stride(from: 0, to: digits.count & ~1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] & 15 }
    }
}
