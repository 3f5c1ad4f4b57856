package import Configuration

/// Options of `sql_file`.
package struct SQLFileOptions: ComponentOptions {
    package enum Format: String, CaseIterable, Sendable { case sql, csv }

    package var helper: ExporterHelperOptions
    package var path: String
    package var format: Format
    package var dialect: SQLDialect
    /// Table whose rows a CSV file holds.
    package var table: SQLTableName
    package var createsSchema: Bool
    package var createsDirectory: Bool
    package var rotation: RotationOptions?

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings)
        path = settings.requiredString("path", "File to write; created with mode 0600, since it holds prompts.")
        format = settings.choice(
            "format", default: .sql,
            "sql: statements for `psql -f`, `sqlite3 <` and the like; csv: rows of one table with a head line.")
        dialect = settings.choice(
            "dialect", default: SQLDialect.sqlite, "Database whose tool shall read the statements.")
        table = settings.choice("table", default: SQLTableName.spans, "The table whose rows a csv file holds.")
        createsSchema = settings.bool(
            "create_schema", default: true, "True begins each file of statements with the schema.")
        createsDirectory = settings.bool(
            "create_directory", default: false, "True creates missing directories of path, with mode 0755.")
        rotation = settings.optionalGroup("rotation", "Starts a new file when the current one is full.") {
            RotationOptions(&$0)
        }
    }
}
