package import Configuration

/// Options of `sqlite`.
package struct SQLiteOptions: ComponentOptions {
    package var helper: ExporterHelperOptions
    /// Path as in the file; relative ones lie in the gateway's data directory.
    package var path: String
    package var createsSchema: Bool
    package var busyTimeout: Duration
    package var cacheSize: Int
    package var retention: SQLiteRetentionOptions

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(
            &settings, defaultTimeout: .seconds(5), defaultConsumers: GroupLane.groupMax)
        path = settings.string(
            "path", default: "sluice.db",
            "Database file; relative paths lie in the data directory. Created with mode 0600, since it holds prompts.")
        createsSchema = settings.bool(
            "create_schema", default: true, "True creates missing tables and brings older ones up to date.")
        busyTimeout = settings.duration(
            "busy_timeout", default: .seconds(5), in: .zero ... .seconds(600),
            "How long a delivery waits while another program writes to the database.")
        cacheSize = settings.bytes(
            "cache_size", default: 64 << 20, in: 1 << 20...64 << 30,
            "Memory for pages of the database. Traces come in no order, so a file of many millions of spans is written "
                + "faster when much of its indices has room here: about 70MiB for a million spans.")
        retention = settings.group("retention", "What leaves the database by itself.") {
            SQLiteRetentionOptions(&$0)
        }
    }
}
