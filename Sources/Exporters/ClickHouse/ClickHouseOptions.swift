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
    /// Names and properties of the tables of `table_shape: collector`.
    package var collectorTables: CollectorTables
    package var createsSchema: Bool
    package var insertsAsynchronously: Bool
    package var compression: Compression
    package var tls: HTTPTLSOptions

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings, defaultTimeout: .seconds(30))
        endpoint = settings.requiredString(
            "endpoint",
            "URL of the HTTP interface, such as http://127.0.0.1:8123. Of its query, database, username, password, "
                + "compress and async_insert count as the options of these names.")
        database = settings.string("database", default: "default", "Database of the tables; it must be there.")
        username = settings.string("username", default: "default", "User to log in as.")
        password = settings.secret("password", "The user's password; never printed.")
        let isOfCollector = Self.collectorKeys.contains(where: settings.isPresent)
        tableShape = settings.choice(
            "table_shape", default: isOfCollector ? TableShape.collector : .sluice,
            "sluice: typed GenAI columns, see `sluice sql schema`; collector: otel_traces and otel_logs as the "
                + "Collector's ClickHouse exporter makes them, and metrics as in sluice. With options that only the "
                + "Collector's exporter has, such as ttl and traces_table_name, collector is the default.")
        collectorTables = Self.readTables(&settings)
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
        if tableShape == .sluice, isOfCollector {
            settings.warning(
                "ttl, cluster_name and the names of tables count for table_shape: collector alone", at: "table_shape")
        }
        guard !settings.isDescribing else { return }
        let whole = endpoint
        takeQuery(&settings)
        check(whole, &settings)
    }

    /// Options that only make sense for the Collector's tables.
    private static let collectorKeys = [
        "ttl", "logs_table_name", "traces_table_name", "metrics_table_name", "metrics_tables", "cluster_name",
        "table_engine", "connection_params",
    ]

    private static func readTables(_ settings: inout Settings) -> CollectorTables {
        var tables = CollectorTables()
        tables.traces = settings.string("traces_table_name", default: tables.traces, "The Collector's table of spans.")
        tables.logs = settings.string("logs_table_name", default: tables.logs, "The Collector's table of log records.")
        tables.ttl = settings.duration(
            "ttl", default: .zero, in: .zero ... .seconds(100 * 365 * 86_400),
            "How long rows of the Collector's tables stay; 0 for ever. Counts when tables are created.")
        tables.cluster = settings.string(
            "cluster_name", default: "", "Cluster on which the Collector's tables are created.")
        for (key, name) in [("traces_table_name", tables.traces), ("logs_table_name", tables.logs)]
        where !isName(name) || name.isEmpty {
            settings.problem("may hold only letters, digits and _", at: key)
        }
        if tables.cluster.utf8.contains(where: { $0 < 0x20 || $0 == UInt8(ascii: "`") || $0 == UInt8(ascii: "\\") }) {
            settings.problem("is no name of a cluster", at: "cluster_name")
        }
        tables.engine = settings.group("table_engine", "Engine of the Collector's tables.") { engine in
            let name = engine.string("name", default: "MergeTree", "Name of the engine, such as ReplicatedMergeTree.")
            let parameters = engine.string("params", default: "", "Its parameters, as they stand in brackets.")
            if !isName(name) { engine.problem("may hold only letters, digits and _", at: "name") }
            if parameters.contains(where: { ";()".contains($0) }) {
                engine.problem("may hold no ;, ( or )", at: "params")
            }
            return parameters.isEmpty ? (name.isEmpty ? "MergeTree" : name) : "\(name)(\(parameters))"
        }
        for key in ["metrics_tables", "metrics_table_name"] {
            settings.accepted(key, "Metrics are rows of the table metric_points, whatever their type.")
        }
        settings.accepted("connection_params", "They are the native protocol's; HTTP is spoken here.")
        settings.accepted("client_info", "The server sees the user agent Sluice.")
        return tables
    }

    private static func isName(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            byte == UInt8(ascii: "_") || (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A)
        }
    }

    private func check(_ whole: String, _ settings: inout Settings) {
        do throws(HTTPEndpoint.Fault) {
            try HTTPEndpoint(endpoint).warnOfPlain(at: "endpoint", &settings)
        } catch {
            let query = whole == endpoint ? "" : " with the same query"
            let hint = Self.nativeHost(endpoint).map {
                ": the HTTP interface is spoken, not the native one; write `endpoint: http://\($0):8123`\(query), and "
                    + "`table_shape: collector` for the Collector's tables"
            }
            settings.problem(error.message + (hint ?? ""), at: "endpoint")
        }
        let sent = [("database", database), ("username", username), ("password", password?.reveal() ?? "")]
        for (key, text) in sent where text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            settings.problem("holds a line break or control character", at: key)
        }
    }

    /// The host of an endpoint of the native protocol, nil for others.
    private static func nativeHost(_ endpoint: String) -> String? {
        guard let scheme = ["tcp://", "clickhouse://"].first(where: endpoint.hasPrefix) else { return nil }
        let authority = endpoint.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" }
        let server = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? authority
        let host = server.hasPrefix("[") ? server.prefix { $0 != "]" } + "]" : server.prefix { $0 != ":" && $0 != "," }
        return host.isEmpty ? "HOST" : String(host)
    }
}
