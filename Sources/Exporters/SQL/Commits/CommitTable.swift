/// The table of what was committed: a few rows per journal and exporter, each of one transaction.
enum CommitTable {
    static let name = "sluice_cursor"
    /// After so long a row is of a journal that is gone: those of a living one go as it moves on.
    static let daysMax = 30
    /// Rows of an earlier start that the journal is past go after so long. Until then a gateway on a copy of the same
    /// data directory may need them, which has no other way to say so.
    static let hoursOfOthers = 24
    /// Most rows that are read of one lane, from the newest on.
    static let rowsMax = 65_536

    /// Nil where commits are not remembered.
    static func create(_ dialect: SQLDialect) -> String? {
        switch dialect {
        case .sqlite:
            """
            CREATE TABLE IF NOT EXISTS \(name) (
                journal TEXT NOT NULL,
                exporter TEXT NOT NULL,
                first_record INTEGER NOT NULL,
                end_record INTEGER NOT NULL,
                parts BLOB NOT NULL,
                committed_at INTEGER NOT NULL,
                PRIMARY KEY (journal, exporter, first_record)
            )
            """
        case .postgres:
            """
            CREATE TABLE IF NOT EXISTS \(name) (
                journal text NOT NULL,
                exporter text NOT NULL,
                first_record bigint NOT NULL,
                end_record bigint NOT NULL,
                parts bytea NOT NULL,
                committed_at timestamptz NOT NULL,
                PRIMARY KEY (journal, exporter, first_record)
            )
            """
        case .clickhouse, .snowflake: nil
        }
    }
}
