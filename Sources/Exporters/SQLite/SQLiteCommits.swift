import FoundationEssentials
import GRDB
import Pipeline

/// The rows of `sluice_cursor` in SQLite; all within the caller's transaction.
enum SQLiteCommits {
    /// Unix seconds; `unixepoch()` is younger than some SQLite that systems come with.
    private static let now = "CAST(strftime('%s', 'now') AS INTEGER)"

    /// Rows of a journal, whichever start has written them; one of an older version has the bare name. Behind
    /// its hexadecimal digits stands nothing that a `g` would not follow.
    private static let isOfJournal = "journal >= ? AND journal < ? || 'g'"

    /// What is remembered of a lane. Forgets journals that are gone.
    static func read(_ lane: CommitLane, _ database: Database) throws -> [CommitRow] {
        try database.execute(
            sql: "DELETE FROM \(CommitTable.name) WHERE committed_at < \(now) - \(CommitTable.daysMax * 86_400)")
        let rows = try database.cachedStatement(
            sql: "SELECT parts FROM \(CommitTable.name) WHERE \(isOfJournal) AND exporter = ? "
                + "ORDER BY first_record DESC LIMIT \(CommitTable.rowsMax)")
        return try DatabaseValue.fetchAll(rows, arguments: [lane.journal, lane.journal, lane.exporter]).compactMap {
            value in
            guard case .blob(let bytes) = value.storage else { return nil }
            return CommitRow(encoded: [UInt8](bytes))
        }
    }

    /// Remembers what the transaction commits, and takes away what cannot come again.
    static func write(_ rows: CommitRows, _ book: inout CommitBook, _ database: Database) throws {
        for (lane, durable, parts) in rows.lanes {
            if book.forget(lane, before: durable) {
                let delete = try database.cachedStatement(
                    sql: "DELETE FROM \(CommitTable.name) WHERE \(isOfJournal) AND exporter = ? AND end_record <= ? "
                        + "AND (journal = ? OR committed_at < \(now) - \(CommitTable.hoursOfOthers * 3_600))")
                try delete.execute(
                    arguments: [
                        lane.journal, lane.journal, lane.exporter, Int64(clamping: durable), book.name(of: lane),
                    ])
            }
            guard let row = CommitRow(parts) else { continue }
            let insert = try database.cachedStatement(
                sql: "INSERT OR REPLACE INTO \(CommitTable.name) VALUES (?, ?, ?, ?, ?, \(now))")
            try insert.execute(
                arguments: [
                    book.name(of: lane), lane.exporter, Int64(clamping: row.sequences.lowerBound),
                    Int64(clamping: row.sequences.upperBound), Data(row.encoded),
                ])
        }
    }
}
