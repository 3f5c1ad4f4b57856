package import Configuration

/// Options of `clickhouse`, under the Collector's names.
package struct ClickHouseOptions: ComponentOptions {
    package enum Compression: String, CaseIterable, Sendable { case lz4, zstd, gzip, none }

    package enum TableShape: String, CaseIterable, Sendable { case sluice, collector }

    package var helper: ExporterHelperOptions
    package var endpoint: String
    package var database: String
    package var username: String
    package var password: Secret?
    package var tableShape: TableShape
    package var createsSchema: Bool
    package var insertsAsynchronously: Bool
    package var compression: Compression
    package var tls: HTTPTLSOptions

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings, defaultTimeout: .seconds(30))
        endpoint = settings.requiredString("endpoint", "URL of the HTTP interface, such as http://127.0.0.1:8123.")
        database = settings.string("database", default: "default", "Database of the tables; it must be there.")
        username = settings.string("username", default: "default", "User to log in as.")
        password = settings.secret("password", "The user's password; never printed.")
        tableShape = settings.choice(
            "table_shape", default: TableShape.sluice,
            "sluice: typed GenAI columns, see `sluice sql schema`; collector: otel_traces and otel_logs as the "
                + "Collector's ClickHouse exporter makes them, without metrics.")
        createsSchema = settings.bool(
            "create_schema", default: true, "True creates missing tables and brings older ones up to date.")
        insertsAsynchronously = settings.bool(
            "async_insert", default: false,
            "True lets the server gather inserts of many clients; a delivery still waits until its rows are stored.")
        compression = settings.choice(
            "compress", default: Compression.lz4,
            "Compression of requests: lz4 costs the least, zstd and gzip save more; none where the server is near."
        )
        tls = settings.group("tls", "How a https endpoint is checked.") { HTTPTLSOptions(&$0) }
        guard !settings.isDescribing else { return }
        do throws(HTTPEndpoint.Fault) {
            let parts = try HTTPEndpoint(endpoint)
            if parts.path.contains("?") {
                settings.problem("must have no query: settings have options of their own", at: "endpoint")
            }
        } catch {
            let isNative = ["tcp://", "clickhouse://"].contains { endpoint.hasPrefix($0) }
            let hint = ": the HTTP interface is spoken, not the native one; write http://HOST:8123"
            settings.problem(error.message + (isNative ? hint : ""), at: "endpoint")
        }
        for (key, text) in [("username", username), ("password", password?.reveal() ?? "")]
        where text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            settings.problem("holds a line break or control character", at: key)
        }
    }
}
