import Configuration
@testable import Exporters
import Testing

@Suite struct ClickHouseOptionsTests {
    private func read(_ more: String) -> (options: ClickHouseOptions, problems: [String]) {
        options(ClickHouseOptions.self, "{endpoint: 'http://127.0.0.1:8123', \(more)}")
    }

    @Test func `options of the Collector's exporter alone mean its tables`() {
        #expect(read("database: d").options.tableShape == .sluice)
        for more in ["ttl: 72h", "logs_table_name: l", "traces_table_name: t", "metrics_tables: {gauge: {name: g}}"] {
            let (options, problems) = read(more)
            #expect(problems == [] && options.tableShape == .collector, "\(more)")
        }
        #expect(read("ttl: 72h, table_shape: sluice").options.tableShape == .sluice)
    }

    @Test func `names, age, cluster and engine go into the statements`() {
        let (options, problems) = read(
            """
            ttl: 72h, traces_table_name: my_traces, logs_table_name: my_logs, cluster_name: c1,
            table_engine: {name: ReplicatedMergeTree, params: "'/x', '{replica}'"}
            """)
        #expect(problems == [])
        let statements = options.collectorTables.create
        #expect(statements.count == 4)
        #expect(statements[0].contains("CREATE TABLE IF NOT EXISTS my_traces ON CLUSTER `c1` ("))
        #expect(statements[0].contains("ENGINE = ReplicatedMergeTree('/x', '{replica}') PARTITION BY"))
        #expect(statements[0].contains(" TTL toDateTime(Timestamp) + toIntervalDay(3) SETTINGS"))
        #expect(statements[2].contains("my_traces_trace_id_ts_mv ON CLUSTER `c1` TO my_traces_trace_id_ts AS"))
        #expect(statements[3].contains("EXISTS my_logs ON CLUSTER") && statements[3].contains(" TTL TimestampTime + "))
        let plain = read("ttl: 90m").options.collectorTables.create
        #expect(plain[0].contains("toIntervalMinute(90)") && plain[0].contains("EXISTS otel_traces ("))
        #expect(!read("traces_table_name: t").options.collectorTables.create.joined().contains("TTL"))
    }

    @Test(arguments: [
        ("logs_table_name: 'a b'", "only letters, digits"), ("traces_table_name: 'x; DROP TABLE y'", "only letters"),
        ("cluster_name: 'a`b'", "no name of a cluster"), ("table_engine: {name: 'M()'}", "only letters"),
        ("table_engine: {name: M, params: 'a) SETTINGS'}", "may hold no"),
    ]) func `what would change a statement is refused`(_ more: String, _ words: String) {
        let problems = read(more).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
    }

    @Test func `the query of the endpoint stands for options`() {
        func read(_ query: String, _ more: String = "") -> (options: ClickHouseOptions, problems: [String]) {
            options(ClickHouseOptions.self, "{endpoint: 'http://db:8123\(query)'\(more)}")
        }
        let (taken, problems) = read(
            "?database=x&username=u%20v&password=p%26q&compress=true&async_insert=1&dial_timeout=10s&max_threads=2")
        #expect(problems == [] && taken.endpoint == "http://db:8123")
        #expect(taken.database == "x" && taken.username == "u v" && taken.password?.reveal() == "p&q")
        #expect(taken.compression == .lz4 && taken.insertsAsynchronously)
        #expect(read("/?database=x&compress=zstd", ", database: y").options.database == "y")
        #expect(read("?compress=br").problems.first?.contains("none of lz4, zstd, gzip") == true)
        #expect(read("?secure=true").problems.first?.contains("write https://") == true)
        #expect(read("?skip_verify=true").problems.first?.contains("insecure_skip_verify: true") == true)
    }

    @Test func `what of the query does not count is named`() {
        var problems = ConfigProblems()
        let yaml = "{endpoint: 'https://db:8443?dial_timeout=10s&max_threads=2&database=x'}"
        let node = YAMLReader.read(yaml, file: "t.yaml", problems: &problems) ?? .null(at: .nowhere)
        _ = readOptions(ClickHouseOptions.self, node: node, path: "exporters.test", problems: &problems)
        let warnings = problems.warnings.map(\.message)
        #expect(warnings.count == 2 && warnings[0].contains("dial_timeout") && warnings[1].contains("max_threads"))
    }

    @Test(arguments: ["tcp://db:9000?dial_timeout=10s", "clickhouse://u:p@db:9000/x"])
    func `the native protocol is refused with what to write`(_ endpoint: String) {
        let problems = options(ClickHouseOptions.self, "{endpoint: '\(endpoint)'}").problems
        #expect(problems.count == 1 && problems[0].contains("write `endpoint: http://db:8123`"), "\(problems)")
    }
}
