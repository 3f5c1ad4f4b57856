/// A database's way to write the schema.
package enum SQLDialect: String, CaseIterable, Sendable {
    case sqlite, postgres, clickhouse, snowflake

    var title: String {
        switch self {
        case .sqlite: "SQLite 3.35 and later"
        case .postgres: "PostgreSQL 13 and later"
        case .clickhouse: "ClickHouse 22.3 and later"
        case .snowflake: "Snowflake"
        }
    }

    func type(_ type: SQLType) -> String {
        switch (self, type) {
        case (.sqlite, .text), (.sqlite, .json): "TEXT"
        case (.sqlite, .integer), (.sqlite, .time): "INTEGER"
        case (.sqlite, .real): "REAL"
        case (.sqlite, .number): "NUMERIC"
        case (.sqlite, .bytes): "BLOB"
        case (.postgres, .text): "text"
        case (.postgres, .json): "jsonb"
        case (.postgres, .integer): "bigint"
        case (.postgres, .real), (.postgres, .number): "double precision"
        case (.postgres, .time): "timestamptz"
        case (.postgres, .bytes): "bytea"
        case (.clickhouse, .text), (.clickhouse, .json), (.clickhouse, .bytes): "String"
        case (.clickhouse, .integer): "Int64"
        case (.clickhouse, .real), (.clickhouse, .number): "Float64"
        case (.clickhouse, .time): "DateTime64(9, 'UTC')"
        case (.snowflake, .text): "VARCHAR"
        case (.snowflake, .json): "VARIANT"
        case (.snowflake, .integer): "NUMBER(38, 0)"
        case (.snowflake, .real), (.snowflake, .number): "FLOAT"
        case (.snowflake, .time): "TIMESTAMP_NTZ(9)"
        case (.snowflake, .bytes): "BINARY"
        }
    }

    /// What must be there before the first step: the table that remembers steps, and the key of the hash that names
    /// blocks of logs and points.
    var preamble: [String] {
        switch self {
        case .sqlite:
            [
                "CREATE TABLE IF NOT EXISTS sluice_schema (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL)",
                "CREATE TABLE IF NOT EXISTS sluice_hash_key (key0 INTEGER NOT NULL, key1 INTEGER NOT NULL)",
                "INSERT INTO sluice_hash_key SELECT random(), random() "
                    + "WHERE NOT EXISTS (SELECT 1 FROM sluice_hash_key)",
            ]
        case .postgres:
            [
                "CREATE TABLE IF NOT EXISTS sluice_schema (version bigint PRIMARY KEY, "
                    + "applied_at timestamptz NOT NULL)",
                "CREATE TABLE IF NOT EXISTS sluice_hash_key (key0 bigint NOT NULL, key1 bigint NOT NULL)",
                """
                INSERT INTO sluice_hash_key
                SELECT ('x' || left(a, 16))::bit(64)::bigint, ('x' || left(b, 16))::bit(64)::bigint
                FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS a,
                             replace(gen_random_uuid()::text, '-', '') AS b) AS keys
                WHERE NOT EXISTS (SELECT 1 FROM sluice_hash_key)
                """,
            ]
        case .clickhouse:
            [
                "CREATE TABLE IF NOT EXISTS sluice_schema (version Int64, applied_at DateTime('UTC')) "
                    + "ENGINE = ReplacingMergeTree ORDER BY version",
                "CREATE TABLE IF NOT EXISTS sluice_hash_key (key0 Int64, key1 Int64) "
                    + "ENGINE = MergeTree ORDER BY tuple()",
                "INSERT INTO sluice_hash_key SELECT reinterpretAsInt64(rand64(1)), reinterpretAsInt64(rand64(2)) "
                    + "WHERE (SELECT count() FROM sluice_hash_key) = 0",
            ]
        case .snowflake:
            [
                "CREATE TABLE IF NOT EXISTS sluice_schema (version NUMBER(38, 0), applied_at TIMESTAMP_NTZ(9))",
                "CREATE TABLE IF NOT EXISTS sluice_hash_key (key0 NUMBER(38, 0) NOT NULL, key1 NUMBER(38, 0) NOT NULL)",
                "INSERT INTO sluice_hash_key SELECT random(), random() "
                    + "WHERE NOT EXISTS (SELECT 1 FROM sluice_hash_key)",
            ]
        }
    }

    func recordStep(_ version: Int) -> String {
        let now =
            switch self {
            case .sqlite: "datetime('now')"
            case .postgres: "now()"
            case .clickhouse: "now()"
            case .snowflake: "current_timestamp()::TIMESTAMP_NTZ(9)"
            }
        // ClickHouse and Snowflake read a function in VALUES in their own ways; SELECT is one way for all.
        // Scripts may run twice.
        let verb = self == .sqlite ? "INSERT OR IGNORE INTO" : "INSERT INTO"
        return "\(verb) sluice_schema (version, applied_at) SELECT \(version), \(now)"
            + (self == .postgres ? " ON CONFLICT DO NOTHING" : "")
    }

    // MARK: Tables

    /// `isPartitioned` is for PostgreSQL.
    func create(_ table: SQLTable, isPartitioned: Bool = false) -> String {
        let lines = table.columns.map { "    \($0.name) \(columnType($0))" }
        let head = "CREATE TABLE IF NOT EXISTS \(table.name.rawValue) (\n"
        let key = table.key.joined(separator: ", ")
        switch self {
        case .postgres where isPartitioned && !table.timeColumn.isEmpty:
            let keys = lines + ["    PRIMARY KEY (\(key), \(table.timeColumn))"]
            return head + keys.joined(separator: ",\n") + "\n) PARTITION BY RANGE (\(table.timeColumn));\n"
                + PostgresPartitions.createDefault(table)
        case .sqlite, .postgres, .snowflake:
            return head + (lines + ["    PRIMARY KEY (\(key))"]).joined(separator: ",\n") + "\n)"
        case .clickhouse:
            // Merges drop rows with the same key; the window drops inserts with the same token at once.
            return head + lines.joined(separator: ",\n") + "\n) ENGINE = ReplacingMergeTree ORDER BY (\(key))"
                + " SETTINGS non_replicated_deduplication_window = 1000"
        }
    }

    private func columnType(_ column: SQLColumn) -> String {
        let type = type(column.type)
        if self == .clickhouse { return column.isRequired ? type : "Nullable(\(type))" }
        return column.isRequired ? type + " NOT NULL" : type
    }

    /// Nil where the database has no secondary indices of this kind.
    func create(_ index: SQLIndex) -> String? {
        if index.isEmbeddedOnly && self != .sqlite { return nil }
        let filter = index.condition.map { " WHERE " + $0 } ?? ""
        switch self {
        case .sqlite:
            return "CREATE INDEX IF NOT EXISTS \(index.name) ON \(index.table.rawValue) "
                + "(\(index.columns.joined(separator: ", ")))" + filter
        case .postgres:
            // An entry of a btree must fit a third of a page; a client's long id must not make its row unstorable.
            let columns =
                index.isLongText
                ? "USING hash (\(index.columns[0]))" : "(\(index.columns.joined(separator: ", ")))"
            return "CREATE INDEX IF NOT EXISTS \(index.name) ON \(index.table.rawValue) \(columns)" + filter
        case .clickhouse, .snowflake: return nil
        }
    }

    // MARK: Expressions of views

    /// Rows for which `condition` is true.
    func count(where condition: String) -> String { "count(CASE WHEN \(condition) THEN 1 END)" }

    /// Milliseconds between two times.
    func milliseconds(from start: String, to end: String) -> String {
        switch self {
        case .sqlite: "(\(end) - \(start)) / 1e6"
        case .postgres: "extract(epoch FROM \(end) - \(start))::double precision * 1000"
        case .clickhouse: "(toUnixTimestamp64Nano(\(end)) - toUnixTimestamp64Nano(\(start))) / 1e6"
        case .snowflake: "timestampdiff(nanosecond, \(start), \(end)) / 1e6"
        }
    }

    func create(_ view: SQLView) -> [String] {
        let body = "\(view.name) AS\n\(view.select(self))"
        if self == .sqlite { return ["DROP VIEW IF EXISTS \(view.name)", "CREATE VIEW " + body] }
        return ["CREATE OR REPLACE VIEW " + body]
    }

    /// The table in a FROM clause, under an alias. Merges of ClickHouse run late; FINAL reads as if they were done.
    func from(_ table: SQLTableName, as alias: String) -> String {
        "FROM \(table.rawValue) AS \(alias)" + (self == .clickhouse ? " FINAL" : "")
    }
}
