import Pipeline
import Processors
import Telemetry
import Testing

@Suite struct FilterProcessorTests {
    private func run(_ yaml: String, _ json: String) throws -> (json: String, kept: Int, dropped: [String: Double]) {
        try run(yaml, .traces, json)
    }

    private func run(
        _ yaml: String, _ signal: Signal, _ json: String
    ) throws -> (json: String, kept: Int, dropped: [String: Double]) {
        let (options, headlines) = RuleBench.options(FilterOptions.self, yaml)
        try #require(headlines == [])
        var bench = Bench()
        var build = bench.build(signal)
        let processor = try FilterProcessor(options: options, build: &build)
        let result = try Bench.run(processor, build, try RuleBench.request(json, signal))
        var dropped: [String: Double] = [:]
        for series in bench.metrics.series {
            guard let rule = series.labels.first(where: { $0.name == "rule" }) else { continue }
            dropped[rule.value] = series.read()
        }
        return (RuleBench.json(result.bytes, signal), result.kept, dropped)
    }

    private let three = RuleBench.traces([
        RuleBench.span("a102030405060708", name: "root"),
        RuleBench.span("a202030405060708", parent: "a102030405060708", name: "middle"),
        RuleBench.span("a302030405060708", parent: "a202030405060708", name: "leaf"),
    ])

    @Test func `spans for which a condition holds are dropped and counted under it`() throws {
        let result = try run("traces: {span: ['name == \"root\"', 'IsMatch(name, \"^mid\")']}", three)
        #expect(result.kept == 1)
        #expect(result.json.contains("leaf") && !result.json.contains("middle"))
        #expect(result.dropped == ["traces.span[0]": 1, "traces.span[1]": 1])
    }

    @Test func `nothing is touched when nothing matches`() throws {
        let result = try run("traces: {span: ['name == \"other\"']}", three)
        #expect(result.kept == 3)
        #expect(result.json == RuleBench.json(try RuleBench.request(three)))
    }

    @Test func `conditions with prefixes need no place`() throws {
        let json = RuleBench.traces(
            [RuleBench.span("a102030405060708", name: "x", events: ["{\"name\":\"tick\"}", "{\"name\":\"tock\"}"])],
            resource: [("service.name", "{\"stringValue\":\"shop\"}")])
        let events = try run("trace_conditions: ['spanevent.name == \"tick\"']", json)
        #expect(events.kept == 1 && events.json.contains("tock") && !events.json.contains("tick"))
        #expect(try run("trace_conditions: ['resource.attributes[\"service.name\"] == \"shop\"']", json).kept == 0)
        #expect(try run("trace_conditions: ['scope.name == \"lib\"']", json).kept == 0)
        #expect(
            try run("trace_conditions: [{context: span, conditions: ['name == \"x\"']}]", json).dropped
                == ["trace_conditions[0].conditions[0]": 1])
    }

    @Test func `logs, metrics and data points have conditions of their own`() throws {
        let logs = """
            {"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9,"body":{"stringValue":"a"}},
            {"severityNumber":17,"body":{"stringValue":"b"}}]}]}]}
            """
        let kept = try run("logs: {log_record: ['severity_number < SEVERITY_NUMBER_WARN']}", .logs, logs)
        #expect(kept.kept == 1 && kept.json.contains("\"b\""))
        let metrics = """
            {"resourceMetrics":[{"scopeMetrics":[{"metrics":[
            {"name":"a","gauge":{"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}},
            {"name":"b","sum":{"dataPoints":[{"asDouble":0.5}]}}]}]}]}
            """
        #expect(try run("metrics: {metric: ['name == \"a\"']}", .metrics, metrics).kept == 1)
        let points = try run("metric_conditions: ['datapoint.value_int == 1']", .metrics, metrics)
        #expect(points.kept == 2 && points.dropped == ["metric_conditions[0]": 1])
        let all = try run("metrics: {datapoint: ['metric.name == \"b\"']}", .metrics, metrics)
        #expect(all.kept == 2 && !all.json.contains("\"b\""))
    }

    @Test func `children of a dropped span get its nearest kept ancestor and a link`() throws {
        let result = try run("{traces: {span: ['name == \"middle\"']}, reparent: true}", three)
        #expect(result.kept == 2)
        #expect(result.json.contains("\"parentSpanId\":\"a102030405060708\""))
        #expect(result.json.contains("\"spanId\":\"a202030405060708\""), "\(result.json)")
        let both = try run("{traces: {span: ['name != \"leaf\"']}, reparent: true}", three)
        #expect(both.kept == 1)
        #expect(!both.json.contains("\"parentSpanId\":\"a"), "\(both.json)")
        #expect(both.json.contains("\"spanId\":\"a202030405060708\""))
    }

    @Test func `a circle of dropped parents ends`() throws {
        let json = RuleBench.traces([
            RuleBench.span("a102030405060708", parent: "a202030405060708", name: "x"),
            RuleBench.span("a202030405060708", parent: "a102030405060708", name: "x"),
            RuleBench.span("a302030405060708", parent: "a202030405060708", name: "leaf"),
        ])
        #expect(try run("{traces: {span: ['name == \"x\"']}, reparent: true}", json).kept == 1)
    }

    @Test func `a failing condition refuses the request or counts as not met`() throws {
        let failing = "'attributes[\"a\"] + 1 == 2'"
        #expect(throws: ProcessFailure.self) {
            try run("{error_mode: propagate, traces: {span: [\(failing)]}}", three)
        }
        #expect(try run("traces: {span: [\(failing)]}", three).kept == 3)
        #expect(try run("{error_mode: ignore, traces: {span: [\(failing)]}}", three).kept == 3)
        #expect(try run("{error_mode: silent, traces: {span: [\(failing), 'name == \"leaf\"']}}", three).kept == 2)
    }

    @Test func `an older match that is refused is the only fault told`() {
        let yaml = "logs: {include: {match_type: strict, colours: [red]}}"
        #expect(RuleBench.options(FilterOptions.self, yaml).headlines.count == 1)
    }

    @Test(arguments: [
        ("traces: {span: ['nam == 1']}", "did you mean name?"), ("traces: {span: ['name == ']}", "character 9"),
        ("trace_conditions: ['name == \"a\"']", "needs a prefix"),
        ("trace_conditions: ['otelcol.client.addr == nil']", "a receiver with include_metadata keeps"),
        ("{}", "warning: x: has no condition and drops nothing"),
        ("trace_conditions: [{contxt: span, conditions: ['name == \"a\"']}]", "did you mean context?"),
        (
            "metrics: {include: {match_type: strict, metric_names: [a, b]}}",
            "metric: ['not ((name == \"a\" or name == \"b\"))']"
        ),
        (
            "logs: {exclude: {match_type: regexp, resource_attributes: [{key: host, value: x.*}]}}",
            "log_record: ['IsMatch(resource.attributes[\"host\"], \"x.*\")']"
        ),
        (
            "spans: {exclude: {match_type: strict, services: [s]}}",
            "traces: span: ['resource.attributes[\"service.name\"] == \"s\"']"
        ),
        (
            "logs: {include: {match_type: strict, record_attributes: [{key: a, value: \"1\"}, {key: b}]}}",
            "log_record: ['not (attributes[\"a\"] == \"1\" and attributes[\"b\"] != nil)']"
        ),
        (
            "logs: {include: {severity_number: {min: info, match_undefined: true}, match_type: strict}}",
            "log_record: ['not ((severity_number >= 9 or severity_number == 0))']"
        ),
        (
            "logs: {exclude: {severity_number: {min: ERROR}}}", "log_record: ['severity_number >= 17']"
        ),
        ("logs: {include: {severity_number: {min: 9}, bodies: [a]}}", "match_type must be strict, regexp or expr"),
        (
            "spans: {exclude: {match_type: strict, attributes: [{key: n, value: 1}, {key: f, value: true}]}}",
            "traces: span: ['attributes[\"n\"] == 1 and attributes[\"f\"] == true']"
        ),
        (
            "metrics: {include: {match_type: expr, expressions: ['MetricName == \"a\" && HasLabel(\"k\")']}}",
            "metric: ['not ((name == \"a\" and HasAttrKeyOnDatapoint(\"k\")))']"
        ),
        (
            "metrics: {exclude: {match_type: expr, expressions: "
                + "['Label(\"k\") == \"v\"', \"MetricName matches 'x.*'\"]}}",
            "metric: ['(HasAttrOnDatapoint(\"k\", \"v\") or IsMatch(name, \"x.*\"))']"
        ),
        (
            "metrics: {include: {match_type: expr, expressions: ['len(MetricName) > 3']}}",
            "the expression len(MetricName) > 3 is none of the simple ones"
        ),
        ("logs: {include: {match_type: strict, colours: [red]}}", "colours has no condition here"),
    ]) func `faults of the file are told with what to write`(_ yaml: String, _ words: String) {
        let headlines = RuleBench.options(FilterOptions.self, yaml).headlines
        #expect(headlines.contains { $0.contains(words) }, "\(headlines)")
    }

    @Test func `a list with a fault is not an empty one`() {
        let headlines = RuleBench.options(FilterOptions.self, "trace_conditions: ['span.name == ']").headlines
        #expect(headlines.count == 1, "\(headlines)")
        #expect(headlines.first?.contains("trace_conditions[0]") == true, "\(headlines)")
    }
}
