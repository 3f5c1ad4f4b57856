/// The statements of a store. Names come from the schema's own tables and an option of letters, digits and underscores.
struct PostgresStatements: Sendable {
    let schema: String
    let begin: String
    /// In the order of `SQLTableName.allCases`.
    let copies: [String]
    let insertStaged: [String]
    let inserts: [String]

    init(schema: String, timeout: Duration) {
        self.schema = schema
        // The server gives up a little earlier than this side, so that the connection survives.
        begin =
            "BEGIN; SET LOCAL search_path = \"\(schema)\"; SET LOCAL statement_timeout = "
            + "\(timeout == .zero ? 0 : max(1, timeout.wholeMilliseconds * 9 / 10))"
        copies = SQLTable.all.map { table in
            "COPY \(Self.staging(table)) (\(Self.names(table)), \(Self.recordColumn)) FROM STDIN (FORMAT binary)"
        }
        insertStaged = SQLTable.all.map { table in
            let names = Self.names(table)
            return "INSERT INTO \(table.name.rawValue) (\(names)) SELECT \(names) FROM \(Self.staging(table)) "
                + "ON CONFLICT DO NOTHING"
        }
        inserts = SQLTable.all.map { table in
            let marks = table.columns.enumerated().map { index, column in
                "$\(index + 1)::\(SQLDialect.postgres.type(column.type))"
            }
            return "INSERT INTO \(table.name.rawValue) (\(Self.names(table))) VALUES "
                + "(\(marks.joined(separator: ", "))) ON CONFLICT DO NOTHING"
        }
    }

    /// Records that one step of retention deletes.
    static let recordsPerStep = 1_000

    /// Deletes some of the oldest records of a table with all that belongs to them, and tells how many. Of a
    /// partitioned table only those of the default partition: the others are dropped as a whole. What has no time, and
    /// so stands at the begin of 1970, has no age.
    static func delete(_ name: SQLTableName, olderThan age: Duration, isPartitioned: Bool) -> String {
        let place = name.rawValue + (isPartitioned ? "_default" : "")
        let time = SQLTable.named(name).timeColumn
        let seen = name == .logs ? "greatest(time, observed_time)" : time
        let limit = "now() - interval '\(age.components.seconds) seconds'"
        let old =
            "SELECT ctid\(name == .spans ? ", trace_id, span_id" : "") FROM \(place) WHERE \(time) < \(limit) "
            + "AND \(seen) > to_timestamp(0) AND \(seen) < \(limit) ORDER BY \(time) LIMIT \(recordsPerStep) "
            + "FOR UPDATE SKIP LOCKED"
        var parts = ["old AS MATERIALIZED (\(old))"]
        if name == .spans {
            for child in [SQLTableName.spanEvents, .spanLinks, .findings] {
                parts.append(
                    "\(child.rawValue)_gone AS (DELETE FROM \(child.rawValue) AS c USING old "
                        + "WHERE c.trace_id = old.trace_id AND c.span_id = old.span_id)")
            }
        }
        parts.append("gone AS (DELETE FROM \(place) AS t USING old WHERE t.ctid = old.ctid RETURNING 1)")
        return "WITH \(parts.joined(separator: ", ")) SELECT count(*) FROM gone"
    }

    /// Rows come here first: COPY itself cannot leave out those that are there.
    func createStaging(_ table: SQLTable) -> String {
        let columns =
            table.columns.map { "\($0.name) \(SQLDialect.postgres.type($0.type))" } + ["\(Self.recordColumn) integer"]
        return
            "CREATE TEMPORARY TABLE \(Self.staging(table)) (\(columns.joined(separator: ", "))) ON COMMIT DELETE ROWS"
    }

    /// Of a row that waits for its insert: the record of the transaction that it belongs to.
    static let recordColumn = "sluice_record"

    /// Rows that wait are inserted by record. The index ends with the transaction that has made it.
    static func createStagedIndex(_ table: SQLTable) -> String {
        "CREATE INDEX sluice_new_\(table.name.rawValue)_record ON \(staging(table)) (\(recordColumn))"
    }

    static func dropStagedIndex(_ table: SQLTable) -> String {
        "DROP INDEX pg_temp.sluice_new_\(table.name.rawValue)_record"
    }

    /// Inserts the rows of some records that wait.
    func insertStaged(_ table: SQLTable, _ records: Range<Int>) -> String {
        let names = Self.names(table)
        return "INSERT INTO \(table.name.rawValue) (\(names)) SELECT \(names) FROM \(Self.staging(table)) "
            + "WHERE \(Self.recordColumn) >= \(records.lowerBound) AND \(Self.recordColumn) < \(records.upperBound) "
            + "ON CONFLICT DO NOTHING"
    }

    private static func staging(_ table: SQLTable) -> String { "pg_temp.sluice_new_\(table.name.rawValue)" }

    private static func names(_ table: SQLTable) -> String { table.columns.map(\.name).joined(separator: ", ") }
}
