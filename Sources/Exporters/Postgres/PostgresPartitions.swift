/// `partition: day`: a table per day and a default one for times far from now, so that retention drops whole tables.
///
/// Every table with a time of its own is partitioned by it; `span_links` has none and stays whole. The time is part of
/// the key, as PostgreSQL asks; records that come again have the same one.
enum PostgresPartitions {
    /// Days that get a partition; others stand in the default one, so that odd clocks do not make tables without end.
    static let daysBack = 400
    static let daysAhead = 2

    static let tables: [SQLTable] = SQLTable.all.filter { !$0.timeColumn.isEmpty }

    /// `PARTITION OF` the default, behind the statement that creates the table.
    static func createDefault(_ table: SQLTable) -> String {
        "CREATE TABLE IF NOT EXISTS \(table.name.rawValue)_default PARTITION OF \(table.name.rawValue) DEFAULT"
    }

    /// The partition of one day, counted from 1970.
    static func create(_ table: SQLTable, day: Int) -> String {
        "CREATE TABLE IF NOT EXISTS \(table.name.rawValue)_p\(digits(day)) PARTITION OF \(table.name.rawValue) "
            + "FOR VALUES FROM ('\(date(day)) 00:00:00+00') TO ('\(date(day + 1)) 00:00:00+00')"
    }

    /// Whether a day gets a partition; with a retention only days that it keeps.
    static func isWanted(_ day: Int, today: Int, maxAge: Duration) -> Bool {
        let kept = maxAge == .zero ? daysBack : min(daysBack, Int(maxAge.components.seconds / 86_400) + 1)
        return (today - kept...today + daysAhead).contains(day)
    }

    /// Name and estimated rows of the oldest partition of which every row is older than `age`, in one text.
    static func expired(_ table: SQLTable, olderThan age: Duration) -> String {
        let name = table.name.rawValue
        return """
            SELECT c.relname || ' ' || greatest(c.reltuples, 0)::bigint FROM pg_inherits AS i
            JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = '\(name)'::regclass AND c.relname ~ '^\(name)_p[0-9]{8}$'
                AND c.relname < '\(name)_p' || to_char(
                    now() AT TIME ZONE 'UTC' - interval '\(age.components.seconds) seconds', 'YYYYMMDD')
            ORDER BY c.relname LIMIT 1
            """
    }

    /// Drops a partition that `expired` has named; links go with their spans.
    static func drop(_ partition: String, of table: SQLTable) -> [String] {
        let links =
            table.name == .spans
            ? [
                "DELETE FROM span_links AS l USING \(partition) AS s WHERE l.trace_id = s.trace_id "
                    + "AND l.span_id = s.span_id"
            ] : []
        return links + ["DROP TABLE \(partition)"]
    }

    private static func digits(_ day: Int) -> String { date(day).filter { $0 != "-" } }

    /// `2026-11-26`: the civil calendar from a count of days (Howard Hinnant, "chrono-compatible date algorithms").
    static func date(_ day: Int) -> String {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let part = (5 * dayOfYear + 2) / 153
        let month = part < 10 ? part + 3 : part - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let dayOfMonth = dayOfYear - (153 * part + 2) / 5 + 1
        return "\(year)-\(month < 10 ? "0" : "")\(month)-\(dayOfMonth < 10 ? "0" : "")\(dayOfMonth)"
    }
}
