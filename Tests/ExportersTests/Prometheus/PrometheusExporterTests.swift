@testable import Exporters
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

@Suite struct PrometheusExporterTests {
    /// A page that nobody serves.
    private struct NoListener: PageListener {
        func start(_ page: @escaping @Sendable (_ accept: String) -> (contentType: String, body: String)) async throws {
        }
        func stop() async {}
    }

    private final class Clock: Sendable {
        let time = Mutex(Duration.zero)
        func move(_ by: Duration) { time.withLock { $0 += by } }
        var now: Duration { time.withLock { $0 } }
    }

    private let clock = Clock()

    private func exporter(_ yaml: String = "") -> PrometheusExporter {
        let (read, problems) = options(PrometheusOptions.self, "{endpoint: '127.0.0.1:8889'\(yaml)}")
        #expect(problems.isEmpty)
        return PrometheusExporter(
            options: read, build: exporterBuild(), listener: NoListener(), now: { [clock] in clock.now })
    }

    /// One resource with these metrics, which are OTLP/JSON without their outer brackets.
    private func batch(_ metrics: String, resource: String = "") throws -> ExportBatch {
        let json = """
            {"resourceMetrics": [{"resource": {"attributes": [
                {"key": "service.name", "value": {"stringValue": "shop"}},
                {"key": "service.namespace", "value": {"stringValue": "eu"}},
                {"key": "service.instance.id", "value": {"stringValue": "i-1"}}\(resource)]},
              "scopeMetrics": [{"scope": {"name": "meter"}, "metrics": [\(metrics)]}]}]}
            """
        var output = ByteColumn()
        try Array(json.utf8).withUnsafeBytes {
            try OTLPJSONReader.transcode(Text($0), signal: .metrics, into: &output)
        }
        return ExportBatch(signal: .metrics, itemCount: 1, bytes: Array(output.text.bytes))
    }

    private func lines(_ exporter: PrometheusExporter, accept: String = "") -> [String] {
        exporter.page(accept: accept).body.split(separator: "\n").map(String.init)
    }

    private let identity = #"instance="i-1",job="eu/shop",otel_scope_name="meter""#

    private func sum(_ value: Int, time: Int, temporality: Int, start: Int = 1, monotonic: Bool = true) -> String {
        """
        {"name": "http.requests", "description": "Requests\\nserved", "unit": "{request}", "sum": {
          "aggregationTemporality": \(temporality), "isMonotonic": \(monotonic), "dataPoints": [{
            "asInt": \(value), "startTimeUnixNano": \(start), "timeUnixNano": \(time),
            "attributes": [{"key": "http.method", "value": {"stringValue": "G\\"E\\\\T"}}]}]}}
        """
    }

    @Test func `a cumulative sum is a counter with total, job, instance and scope`() async throws {
        let exporter = exporter()
        #expect(await exporter.export(try batch(sum(3, time: 10, temporality: 2))) == .delivered)
        #expect(await exporter.export(try batch(sum(5, time: 20, temporality: 2))) == .delivered)
        #expect(
            lines(exporter) == [
                #"# HELP http_requests_total Requests\nserved"#, "# TYPE http_requests_total counter",
                #"http_requests_total{http_method="G\"E\\T",\#(identity)} 5"#,
            ])
    }

    @Test func `deltas add up, and what is delivered twice counts once`() async throws {
        let exporter = exporter()
        for (value, time) in [(3, 10), (4, 20), (4, 20), (2, 30), (4, 20)] {
            #expect(await exporter.export(try batch(sum(value, time: time, temporality: 1))) == .delivered)
        }
        #expect(lines(exporter).last?.hasSuffix("} 9") == true)
    }

    @Test func `a delta sum that can fall is refused and said`() async throws {
        let outcome = await exporter().export(try batch(sum(1, time: 10, temporality: 1, monotonic: false)))
        guard case .partial(rejected: 1, let message) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(message.contains("delta sum"))
    }

    @Test func `a series leaves the page when it got no point for too long, or its sender ends it`() async throws {
        let exporter = exporter(", metric_expiration: 10s")
        _ = await exporter.export(try batch(sum(3, time: 10, temporality: 2)))
        clock.move(.seconds(10))
        #expect(!lines(exporter).isEmpty)
        clock.move(.seconds(1))
        #expect(lines(exporter).isEmpty)
        _ = await exporter.export(try batch(sum(3, time: 10, temporality: 2)))
        let end = sum(0, time: 11, temporality: 2).replacing(#""asInt": 0"#, with: #""flags": 1"#)
        _ = await exporter.export(try batch(end))
        #expect(lines(exporter).isEmpty)
    }

    @Test func `series beyond max_series are refused, and room is made by expiry`() async throws {
        let exporter = exporter(", max_series: 1, metric_expiration: 10s")
        _ = await exporter.export(try batch(sum(3, time: 10, temporality: 2)))
        let gauge = #"{"name": "g", "gauge": {"dataPoints": [{"asDouble": 0.5, "timeUnixNano": 5}]}}"#
        #expect(await exporter.export(try batch(gauge)) != .delivered)
        clock.move(.seconds(11))
        #expect(await exporter.export(try batch(gauge)) == .delivered)
        #expect(lines(exporter).last == "g{\(identity)} 0.5")
    }

    @Test func `a metric of another type under a taken name is refused`() async throws {
        let exporter = exporter()
        let gauge = #"{"name": "x", "gauge": {"dataPoints": [{"asInt": 1, "timeUnixNano": 5}]}}"#
        let summary = #"{"name": "x", "summary": {"dataPoints": [{"count": 1, "sum": 2, "timeUnixNano": 5}]}}"#
        #expect(await exporter.export(try batch(gauge)) == .delivered)
        #expect(await exporter.export(try batch(summary)) != .delivered)
    }

    private let histogram = """
        {"name": "latency", "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [{
          "timeUnixNano": 5, "count": 6, "sum": 7.5, "explicitBounds": [0.5, 1], "bucketCounts": [1, 2, 3],
          "exemplars": [{"timeUnixNano": "1500000000", "asDouble": 0.75,
            "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708"}]}]}}
        """

    @Test func `a histogram has rising buckets, and exemplars in OpenMetrics`() async throws {
        let exporter = exporter(", enable_open_metrics: true, without_scope_info: true")
        _ = await exporter.export(try batch(histogram))
        let labels = #"instance="i-1",job="eu/shop""#
        let exemplar =
            #" # {trace_id="0102030405060708090a0b0c0d0e0f10",span_id="0102030405060708"} 0.75 1.500"#
        func expected(_ exemplar: String) -> [String] {
            [
                "# HELP latency_seconds ", "# TYPE latency_seconds histogram",
                "latency_seconds_bucket{\(labels),le=\"0.5\"} 1",
                "latency_seconds_bucket{\(labels),le=\"1\"} 3\(exemplar)",
                "latency_seconds_bucket{\(labels),le=\"+Inf\"} 6", "latency_seconds_sum{\(labels)} 7.5",
                "latency_seconds_count{\(labels)} 6",
            ]
        }
        #expect(lines(exporter) == expected(""))
        let open = exporter.page(accept: "application/openmetrics-text; version=1.0.0")
        #expect(open.contentType.hasPrefix("application/openmetrics-text"))
        #expect(open.body.split(separator: "\n").map(String.init) == expected(exemplar) + ["# EOF"])
    }

    @Test func `an exponential histogram has the bounds of its filled buckets`() async throws {
        let exporter = exporter(", without_scope_info: true")
        _ = await exporter.export(
            try batch(
                """
                {"name": "e", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [{
                  "timeUnixNano": 5, "count": 10, "sum": 1, "scale": 0, "zeroCount": 1,
                  "positive": {"offset": 0, "bucketCounts": [2, 0, 3]},
                  "negative": {"offset": 1, "bucketCounts": [4]}}]}}
                """))
        #expect(
            lines(exporter).compactMap { line in
                line.firstRange(of: "le=").map { String(line[$0.upperBound...]) }
            } == [#""-2"} 4"#, #""0"} 5"#, #""2"} 7"#, #""8"} 10"#, #""+Inf"} 10"#])
    }

    @Test func `OpenMetrics has no sum of a histogram with negative buckets`() async throws {
        let exporter = exporter(", enable_open_metrics: true, without_scope_info: true")
        _ = await exporter.export(try batch(histogram.replacing("[0.5, 1]", with: "[-0.5, 1]")))
        let open = exporter.page(accept: "application/openmetrics-text; version=1.0.0").body
        #expect(open.contains("latency_seconds_bucket{") && !open.contains("_sum{") && !open.contains("_count{"))
        #expect(lines(exporter).contains { $0.contains("_sum{") })
    }

    @Test func `a metric in pieces is read as protobuf merges it`() async throws {
        let exporter = exporter(", without_scope_info: true")
        // JSON with a name twice becomes protobuf with a field twice.
        let sum = """
            {"name": "n", "gauge": {"dataPoints": [{"timeUnixNano": 7, "asInt": 9}]},
             "sum": {"aggregationTemporality": 2, "isMonotonic": true},
             "sum": {"dataPoints": [{"timeUnixNano": 6, "asDouble": 1.5, "asInt": 3}]}}
            """
        let exponential = """
            {"name": "e", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [{
              "timeUnixNano": 5, "count": 5, "positive": {"offset": 0, "bucketCounts": [2]},
              "positive": {"bucketCounts": [3]}}]}}
            """
        #expect(await exporter.export(try batch(sum + "," + exponential)) == .delivered)
        let labels = #"instance="i-1",job="eu/shop""#
        #expect(lines(exporter).contains("n_total{\(labels)} 3"))
        #expect(
            lines(exporter).compactMap { line in
                line.firstRange(of: "le=").map { String(line[$0.upperBound...]) }
            } == [#""2"} 2"#, #""4"} 5"#, #""+Inf"} 5"#])
    }

    @Test func `deltas of histograms with other bounds keep their counts`() async throws {
        let exporter = exporter(", without_scope_info: true")
        let delta = histogram.replacing(#""aggregationTemporality": 2"#, with: #""aggregationTemporality": 1"#)
        _ = await exporter.export(try batch(delta))
        let other = delta.replacing(#""timeUnixNano": 5"#, with: #""timeUnixNano": 6"#)
            .replacing("[0.5, 1]", with: "[0.5, 0.7]")
        _ = await exporter.export(try batch(other))
        #expect(
            lines(exporter).compactMap { line in
                line.firstRange(of: "le=").map { String(line[$0.upperBound...]) }
            } == [#""0.5"} 2"#, #""0.7"} 4"#, #""1"} 6"#, #""+Inf"} 12"#])
    }

    @Test func `a resource is on target_info, or its attributes are labels`() async throws {
        let resource = #", {"key": "host.name", "value": {"stringValue": "h"}}"#
        let gauge = #"{"name": "g", "unit": "1", "gauge": {"dataPoints": [{"asInt": 2, "timeUnixNano": 5}]}}"#
        let plain = exporter(", namespace: ns, const_labels: {env: prod}, without_scope_info: true")
        _ = await plain.export(try batch(gauge, resource: resource))
        let labels = #"instance="i-1",job="eu/shop""#
        #expect(
            lines(plain).filter { !$0.hasPrefix("#") } == [
                "ns_g_ratio{env=\"prod\",\(labels)} 2",
                "ns_target_info{host_name=\"h\",\(labels)} 1",
            ])
        let converting = exporter(", resource_to_telemetry_conversion: {enabled: true}, without_scope_info: true")
        _ = await converting.export(try batch(gauge, resource: resource))
        #expect(lines(converting).contains { $0.hasPrefix("g_ratio{host_name=\"h\",") && $0.contains("service_name=") })
    }

    private let gauge = #"{"name": "g", "gauge": {"dataPoints": [{"asInt": 2, "timeUnixNano": 5}]}}"#

    @Test func `a job and instance have one target_info, the newest`() async throws {
        let exporter = exporter(", without_scope_info: true, metric_expiration: 10s")
        func version(_ version: Int) -> String {
            #", {"key": "service.version", "value": {"intValue": \#(version)}}"#
        }
        func targets() -> [String] { lines(exporter).filter { $0.hasPrefix("target_info{") } }
        _ = await exporter.export(try batch(gauge, resource: version(1)))
        let later = gauge.replacing(#""timeUnixNano": 5"#, with: #""timeUnixNano": 6"#)
        _ = await exporter.export(try batch(later, resource: version(2)))
        let labels = #"instance="i-1",job="eu/shop""#
        #expect(targets() == ["target_info{\(labels),service_version=\"2\"} 1"])
        // What is delivered late does not bring the old one back.
        _ = await exporter.export(try batch(gauge, resource: version(1)))
        #expect(targets() == ["target_info{\(labels),service_version=\"2\"} 1"])
        let other = try batch(gauge, resource: version(1)).replacing("i-1", with: "i-2")
        _ = await exporter.export(other)
        #expect(targets().count == 2)
        clock.move(.seconds(11))
        #expect(lines(exporter) == [])
        _ = await exporter.export(try batch(gauge, resource: version(1)))
        #expect(targets() == ["target_info{\(labels),service_version=\"1\"} 1"])
    }

    @Test(arguments: [4, 6] as [UInt64])
    func `a sender's own target_info leaves nothing behind when it goes`(_ time: UInt64) {
        var store = PrometheusStore(seriesMax: 10, expiration: .seconds(10))
        for isOwn in [true, false, true] {
            let point = PrometheusPoint(time: isOwn ? time : 5, value: .number(1))
            let refusal =
                isOwn
                ? store.take(
                    point, family: "target_info", kind: .gauge, help: "", labels: "job=\"a\"", now: .zero)
                : store.take(point, target: "a", family: "target_info", labels: "job=\"a\"", now: .zero)
            #expect(refusal == nil)
        }
        #expect(store.targets == ["a": "job=\"a\""])
        store.expire(now: .seconds(11))
        #expect(store.targets.isEmpty && store.families.isEmpty)
    }

    @Test func `a target_info that finds no room is told and counts no point as lost`() async throws {
        let exporter = exporter(", max_series: 1")
        _ = await exporter.export(try batch(gauge))
        let resource = #", {"key": "host.name", "value": {"stringValue": "h"}}"#
        let later = gauge.replacing(#""timeUnixNano": 5"#, with: #""timeUnixNano": 6"#)
        let told = PrometheusStore.Refusal.tooManySeries.rawValue
        #expect(await exporter.export(try batch(later, resource: resource)) == .partial(rejected: 0, message: told))
    }

    @Test(arguments: ["service.name", "service.instance.id"])
    func `there is no target_info without job and instance`(_ key: String) async throws {
        let exporter = exporter()
        let resource = #", {"key": "host.name", "value": {"stringValue": "h"}}"#
        let other = String(repeating: "x", count: key.utf8.count)
        _ = await exporter.export(try batch(gauge, resource: resource).replacing(key, with: other))
        #expect(lines(exporter).count == 3)
        #expect(!lines(exporter).contains { $0.contains("target_info") })
    }

    @Test(arguments: [true, false])
    func `a namespace becomes part of names that Prometheus takes`(_ addsSuffixes: Bool) async throws {
        let exporter = exporter(", namespace: my-app.v1, add_metric_suffixes: \(addsSuffixes)")
        let resource = #", {"key": "host.name", "value": {"stringValue": "h"}}"#
        _ = await exporter.export(try batch(gauge, resource: resource))
        let names = lines(exporter).filter { !$0.hasPrefix("#") }.map { $0.prefix { $0 != "{" } }
        #expect(names == ["my_app_v1_g", "my_app_v1_target_info"])
    }

    @Test func `scopes that differ in an attribute or their schema are series of their own`() async throws {
        func scope(_ fields: String, _ url: String, _ value: Int) -> String {
            let metric = gauge.replacing(#""asInt": 2"#, with: "\"asInt\": \(value)")
            return #"{"scope": {"name": "meter", \#(fields)}, "schemaUrl": "\#(url)", "metrics": [\#(metric)]}"#
        }
        func attributes(_ value: String) -> String {
            #""version": "1", "attributes": [{"key": "my.lib", "value": {"stringValue": "\#(value)"}}, "#
                + #"{"key": "name", "value": {"stringValue": "no"}}]"#
        }
        let scopes = [
            scope(attributes("a"), "", 1), scope(attributes("b"), "", 2), scope(attributes("b"), "https://s/1", 3),
        ].joined(separator: ",")
        let json = #"{"resourceMetrics": [{"scopeMetrics": [\#(scopes)]}]}"#
        var output = ByteColumn()
        try Array(json.utf8).withUnsafeBytes {
            try OTLPJSONReader.transcode(Text($0), signal: .metrics, into: &output)
        }
        let request = ExportBatch(signal: .metrics, itemCount: 3, bytes: Array(output.text.bytes))
        let all = exporter()
        #expect(await all.export(request) == .delivered)
        let (name, version) = (#"otel_scope_name="meter""#, #"otel_scope_version="1""#)
        #expect(
            lines(all).filter { !$0.hasPrefix("#") } == [
                #"g{otel_scope_my_lib="a",\#(name),\#(version)} 1"#,
                #"g{otel_scope_my_lib="b",\#(name),otel_scope_schema_url="https://s/1",\#(version)} 3"#,
                #"g{otel_scope_my_lib="b",\#(name),\#(version)} 2"#,
            ])
        let without = exporter(", without_scope_info: true")
        _ = await without.export(request)
        #expect(lines(without).filter { !$0.hasPrefix("#") }.map { $0.prefix(2) } == ["g "])
    }

    @Test func `a summary has its quantiles, and times when asked for`() async throws {
        let exporter = exporter(", send_timestamps: true, without_scope_info: true")
        _ = await exporter.export(
            try batch(
                """
                {"name": "s", "summary": {"dataPoints": [{"timeUnixNano": 5000000, "count": 2, "sum": 3,
                  "quantileValues": [{"quantile": 0.5, "value": 1}, {"quantile": 1, "value": 2}]}]}}
                """))
        let labels = #"instance="i-1",job="eu/shop""#
        #expect(
            lines(exporter).dropFirst(2) == [
                "s{\(labels),quantile=\"0.5\"} 1 5", "s{\(labels),quantile=\"1\"} 2 5", "s_sum{\(labels)} 3 5",
                "s_count{\(labels)} 2 5",
            ])
    }

    @Test func `what is no request is refused for good`() async {
        let outcome = await exporter().export(ExportBatch(signal: .metrics, itemCount: 1, bytes: [0x0A, 0x05, 1]))
        guard case .permanent = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }
}

extension ExportBatch {
    /// The same with other text of the same length.
    fileprivate func replacing(_ text: String, with other: String) -> ExportBatch {
        var batch = self
        batch.bytes.replace(Array(text.utf8), with: Array(other.utf8))
        return batch
    }
}
