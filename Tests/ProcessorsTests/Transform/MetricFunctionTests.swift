import Foundation
import Processors
import Telemetry
import Testing

/// The metrics functions of the Collector's transform processor, from its documentation.
@Suite struct MetricFunctionTests {
    // MARK: The bench

    /// The metrics that statements make of some, as JSON of the request's only scope.
    private func run(
        _ statements: [String], on metrics: [String], context: String = "metric", mode: String = "propagate"
    ) throws -> NSArray {
        let list = statements.map { "'\($0.replacing("'", with: "''"))'" }.joined(separator: ", ")
        let yaml = "{error_mode: \(mode), metric_statements: [{context: \(context), statements: [\(list)]}]}"
        let (options, headlines) = RuleBench.options(TransformOptions.self, yaml)
        try #require(headlines == [], "\(headlines)")
        var bench = Bench()
        var build = bench.build(.metrics)
        let processor = try TransformProcessor(options: options, build: &build)
        let request = """
            {"resourceMetrics":[{"resource":{"attributes":[{"key":"host","value":{"stringValue":"h"}}]},
            "scopeMetrics":[{"scope":{"name":"lib"},"metrics":[\(metrics.joined(separator: ","))]}]}]}
            """
        let output = RuleBench.json(
            try Bench.run(processor, build, try RuleBench.request(request, .metrics)).bytes, .metrics)
        let tree = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? NSDictionary
        let resource = (tree?["resourceMetrics"] as? [NSDictionary])?.first
        let scope = (resource?["scopeMetrics"] as? [NSDictionary])?.first
        return try #require(scope?["metrics"] as? NSArray, "\(output)")
    }

    private func expect(
        _ statements: [String], on metrics: [String], _ wanted: [String], context: String = "metric",
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        let got = try run(statements, on: metrics, context: context)
        let data = Data("[\(wanted.joined(separator: ","))]".utf8)
        let tree = try #require(try JSONSerialization.jsonObject(with: data) as? NSArray)
        #expect(got == tree, "\(got)", sourceLocation: location)
    }

    private static func attribute(_ key: String, _ value: String) -> String {
        "{\"key\":\"\(key)\",\"value\":{\"stringValue\":\"\(value)\"}}"
    }

    /// A point of a gauge or sum; `value` as in JSON, `times` start and end.
    private static func number(
        _ value: String, _ attributes: String = "", times: (String, String) = ("5", "9")
    ) -> String {
        let list = attributes.isEmpty ? "" : ",\"attributes\":[\(attributes)]"
        let (start, time) = times
        return "{\"startTimeUnixNano\":\"\(start)\",\"timeUnixNano\":\"\(time)\",\(value)\(list)}"
    }

    private static func gauge(_ name: String, _ points: String, unit: String = "") -> String {
        let shown = unit.isEmpty ? "" : "\"unit\":\"\(unit)\","
        return "{\"name\":\"\(name)\",\(shown)\"gauge\":{\"dataPoints\":[\(points)]}}"
    }

    private static func sum(
        _ name: String, _ points: String, temporality: Int = 2, isMonotonic: Bool = true, unit: String = "",
        details: String = ""
    ) -> String {
        let monotonic = isMonotonic ? ",\"isMonotonic\":true" : ""
        let head =
            (details.isEmpty ? "" : "\"description\":\"\(details)\",") + (unit.isEmpty ? "" : "\"unit\":\"\(unit)\",")
        return "{\"name\":\"\(name)\",\(head)\"sum\":{\"dataPoints\":[\(points)],"
            + "\"aggregationTemporality\":\(temporality)\(monotonic)}}"
    }

    private static let bounds = "\"explicitBounds\":[0.1,0.5,1]"
    private static let histogram = """
        {"name":"h","description":"d","unit":"s","histogram":{"dataPoints":[{"startTimeUnixNano":"5",
        "timeUnixNano":"9","count":"17","sum":8.5,"bucketCounts":["5","8","3","1"],\(bounds),
        "attributes":[\(attribute("a", "x"))],"min":0.05,"max":3}],"aggregationTemporality":1}}
        """
    private static let summary = """
        {"name":"s","description":"d","unit":"s","summary":{"dataPoints":[{"startTimeUnixNano":"5",
        "timeUnixNano":"9","count":"4","sum":2.5,"quantileValues":[{"quantile":0.5,"value":1},
        {"quantile":0.99,"value":2}],"attributes":[\(attribute("a", "x"))]}]}}
        """
    private static let exponential = """
        {"name":"e","exponentialHistogram":{"dataPoints":[{"timeUnixNano":"9","count":"13","sum":100,"scale":0,
        "zeroCount":"3","positive":{"offset":1,"bucketCounts":["4","6"]}}],"aggregationTemporality":2}}
        """

    // MARK: Conversions

    @Test func `a sum becomes a gauge and keeps its points`() throws {
        let point = Self.number("\"asInt\":\"7\"", Self.attribute("a", "x"))
        try expect(
            ["convert_sum_to_gauge() where metric.name == \"n\""],
            on: [Self.sum("n", point, unit: "1"), Self.sum("other", point)],
            [Self.gauge("n", point, unit: "1"), Self.sum("other", point)])
        try expect(["convert_sum_to_gauge()"], on: [Self.histogram], [Self.histogram])
    }

    @Test func `a gauge becomes a sum`() throws {
        let point = Self.number("\"asDouble\":1.5")
        try expect(
            ["convert_gauge_to_sum(\"cumulative\", false)"], on: [Self.gauge("n", point)],
            [Self.sum("n", point, temporality: 2, isMonotonic: false)])
        try expect(
            ["convert_gauge_to_sum(\"delta\", true)"], on: [Self.gauge("n", point), Self.summary],
            [Self.sum("n", point, temporality: 1), Self.summary])
    }

    @Test func `older files convert in the datapoint context, once for each metric`() throws {
        let points = Self.number("\"asDouble\":1.5") + "," + Self.number("\"asDouble\":2.5")
        try expect(
            ["convert_gauge_to_sum(\"delta\", true) where value_double > 1"], on: [Self.gauge("n", points)],
            [Self.sum("n", points, temporality: 1)], context: "datapoint")
        let count = Self.sum(
            "s_count", Self.number("\"asInt\":\"4\"", Self.attribute("a", "x")), temporality: 1, unit: "s", details: "d"
        )
        try expect(
            ["convert_summary_count_val_to_sum(\"delta\", true)"], on: [Self.summary], [Self.summary, count],
            context: "datapoint")
    }

    // MARK: Extraction

    @Test func `counts and sums of histograms and summaries become metrics`() throws {
        let x = Self.attribute("a", "x")
        let count = Self.sum(
            "h.count", Self.number("\"asInt\":\"17\"", x), temporality: 1, unit: "1", details: "d")
        let sum = Self.sum(
            "h_sum", Self.number("\"asDouble\":8.5", x), temporality: 1, isMonotonic: false, unit: "s", details: "d")
        try expect(
            [
                "extract_count_metric(true, \".count\") where metric.type == METRIC_DATA_TYPE_HISTOGRAM",
                "extract_sum_metric(false) where metric.type == METRIC_DATA_TYPE_HISTOGRAM",
            ], on: [Self.histogram], [Self.histogram, count, sum])
        let ofSummary = Self.sum(
            "s_count", Self.number("\"asInt\":\"4\"", x), temporality: 2, unit: "1", details: "d")
        try expect(["extract_count_metric(true) where name == \"s\""], on: [Self.summary], [Self.summary, ofSummary])
    }

    @Test func `what is neither histogram nor summary is a failure`() throws {
        let metric = Self.gauge("n", Self.number("\"asDouble\":1.5"))
        for call in ["extract_sum_metric(true)", "extract_count_metric(true)"] {
            #expect(throws: (any Error).self) { try run([call], on: [metric]) }
        }
        let untouched = try run(["extract_sum_metric(true)", "set(unit, \"u\")"], on: [metric], mode: "silent")
        #expect((untouched.firstObject as? NSDictionary)?["unit"] as? String == "u")
    }

    @Test func `summaries give sums of a chosen temporality, and a gauge of their quantiles`() throws {
        let x = Self.attribute("a", "x")
        let sum = Self.sum(
            "s.total", Self.number("\"asDouble\":2.5", x), temporality: 1, isMonotonic: true, unit: "s", details: "d")
        try expect(
            ["convert_summary_sum_val_to_sum(\"delta\", true, \".total\") where metric.name == \"s\""],
            on: [Self.summary], [Self.summary, sum])
        let quantiles = [("0.50", "1"), ("0.99", "2")].map { quantile, value in
            Self.number("\"asDouble\":\(value)", x + "," + Self.attribute("quantile", quantile))
        }
        let gauge =
            "{\"name\":\"s.quantiles\",\"description\":\"d\",\"unit\":\"s\",\"gauge\":{\"dataPoints\":["
            + quantiles.joined(separator: ",") + "]}}"
        try expect(
            ["convert_summary_quantile_val_to_gauge() where metric.name == \"s\""], on: [Self.summary],
            [Self.summary, gauge])
    }

    @Test func `what is added passes all statements, those before too`() throws {
        let got = try run(
            [
                "set(unit, \"u\")", "extract_count_metric(true) where type == METRIC_DATA_TYPE_HISTOGRAM",
                "set(description, name)",
            ],
            on: [Self.histogram])
        let facts = got.compactMap { $0 as? NSDictionary }.map {
            [$0["name"], $0["unit"], $0["description"]].map { $0 as? String ?? "" }
        }
        #expect(facts == [["h", "u", "h"], ["h_count", "u", "h_count"]])
    }

    @Test func `percentiles are read between the bounds`() throws {
        // 9 of 17 are wanted: 4 of the 8 between 0.1 and 0.5.
        let point = Self.number("\"asDouble\":0.30000000000000004", Self.attribute("a", "x"))
        let gauge =
            "{\"name\":\"h_p50\",\"description\":\"d (p50)\",\"unit\":\"s\",\"gauge\":{\"dataPoints\":[\(point)]}}"
        try expect(
            ["extract_percentile_metric(50.0) where name == \"h\""], on: [Self.histogram], [Self.histogram, gauge])
    }

    // MARK: Copies and factors

    @Test func `a copy stands at the end with a name of its own`() throws {
        let point = Self.number("\"asInt\":\"7\"")
        try expect(
            ["copy_metric(name=\"new\", desc=\"d\", unit=\"s\") where metric.name == \"old\""],
            on: [Self.sum("old", point), Self.gauge("g", point)],
            [Self.sum("old", point), Self.gauge("g", point), Self.sum("new", point, unit: "s", details: "d")])
    }

    @Test func `a copy that its condition matches ends at the limit`() throws {
        let got = try run(["copy_metric()"], on: [Self.gauge("g", Self.number("\"asInt\":\"7\""))], mode: "silent")
        #expect(got.count == 2_001)
    }

    @Test func `values, bounds and quantiles are multiplied`() throws {
        try expect(
            ["scale_metric(10.0, \"kWh\")"],
            on: [Self.gauge("g", Self.number("\"asInt\":\"7\"") + "," + Self.number("\"asDouble\":0.25"))],
            [Self.gauge("g", Self.number("\"asInt\":\"70\"") + "," + Self.number("\"asDouble\":2.5"), unit: "kWh")])
        let got = try run(["scale_metric(2)"], on: [Self.histogram, Self.summary])
        let histogram = ((got[0] as? NSDictionary)?["histogram"] as? NSDictionary)?["dataPoints"] as? [NSDictionary]
        #expect(histogram?.first?["explicitBounds"] as? [Double] == [0.2, 1, 2])
        #expect(histogram?.first?["sum"] as? Double == 17 && histogram?.first?["max"] as? Double == 6)
        let summary = ((got[1] as? NSDictionary)?["summary"] as? NSDictionary)?["dataPoints"] as? [NSDictionary]
        let values = (summary?.first?["quantileValues"] as? [NSDictionary])?.compactMap { $0["value"] as? Double }
        #expect(values == [2, 4] && summary?.first?["sum"] as? Double == 5)
        #expect(throws: (any Error).self) { try run(["scale_metric(2.0)"], on: [Self.exponential]) }
    }

    // MARK: Aggregation

    @Test(arguments: [("sum", "6"), ("max", "3"), ("min", "1"), ("mean", "2"), ("median", "2"), ("count", "3")])
    func `points that share the kept attributes become one`(function: String, value: String) throws {
        let points = ["1", "2", "3"].enumerated().map { index, value in
            Self.number(
                "\"asInt\":\"\(value)\"",
                Self.attribute("host", "h") + "," + Self.attribute("cpu", "\(index)"))
        }.joined(separator: ",")
        try expect(
            ["aggregate_on_attributes(\"\(function)\", [\"host\"])"], on: [Self.gauge("g", points)],
            [Self.gauge("g", Self.number("\"asInt\":\"\(value)\"", Self.attribute("host", "h")))])
        try expect(
            ["aggregate_on_attributes(\"\(function)\", [])"], on: [Self.gauge("g", points)],
            [Self.gauge("g", Self.number("\"asInt\":\"\(value)\""))])
        try expect(
            ["aggregate_on_attributes(\"\(function)\")"], on: [Self.gauge("g", points)], [Self.gauge("g", points)])
    }

    @Test func `points of different times stay apart, of delta sums those of different starts too`() throws {
        let points = [("1", "9"), ("2", "9"), ("1", "8")].map { Self.number("\"asDouble\":1", times: $0) }
        let joined = points.joined(separator: ",")
        try expect(
            ["aggregate_on_attributes(\"sum\", [])"], on: [Self.sum("n", joined, temporality: 1)],
            [Self.sum("n", joined, temporality: 1)])
        let merged = [Self.number("\"asDouble\":2", times: ("1", "9")), points[2]].joined(separator: ",")
        try expect(
            ["aggregate_on_attributes(\"sum\", [])"], on: [Self.sum("n", joined)], [Self.sum("n", merged)])
    }

    @Test func `values of one attribute become one value`() throws {
        let points = [("1", "a"), ("2", "b"), ("4", "c")].map {
            Self.number("\"asInt\":\"\($0.0)\"", Self.attribute("state", $0.1))
        }
        let merged = [Self.number("\"asInt\":\"3\"", Self.attribute("state", "ab")), points[2]]
        try expect(
            ["aggregate_on_attribute_value(\"sum\", \"state\", [\"a\", \"b\"], \"ab\")"],
            on: [Self.gauge("g", points.joined(separator: ","))], [Self.gauge("g", merged.joined(separator: ","))])
    }

    @Test func `histograms are added up, and only that`() throws {
        let two = Self.histogram.replacing(
            "]}],\"aggregationTemporality\"", with: "]}],\"aggregationTemporality\"")
        let point = try #require(
            two.firstMatch(of: /"dataPoints":\[(.*)\],"aggregationTemporality"/.dotMatchesNewlines()))
        let metric = two.replacing(String(point.1), with: "\(point.1),\(point.1)")
        let got = try run(["aggregate_on_attributes(\"sum\", [])"], on: [metric])
        let points = ((got[0] as? NSDictionary)?["histogram"] as? NSDictionary)?["dataPoints"] as? [NSDictionary]
        #expect(points?.count == 1 && points?.first?["count"] as? String == "34")
        #expect(points?.first?["bucketCounts"] as? [String] == ["10", "16", "6", "2"])
        #expect(points?.first?["sum"] as? Double == 17 && points?.first?["attributes"] == nil)
        #expect(throws: (any Error).self) { try run(["aggregate_on_attributes(\"max\")"], on: [metric]) }
    }

    // MARK: Buckets

    @Test func `buckets are merged at a bound, or to a number`() throws {
        func facts(_ statement: String, _ metric: String, context: String = "metric") throws -> ([Double], [String]) {
            let got = try run([statement], on: [metric], context: context)
            let points = ((got[0] as? NSDictionary)?["histogram"] as? NSDictionary)?["dataPoints"] as? [NSDictionary]
            return (
                points?.first?["explicitBounds"] as? [Double] ?? [], points?.first?["bucketCounts"] as? [String] ?? []
            )
        }
        #expect(try facts("merge_histogram_buckets(0.5)", Self.histogram) == ([0.1, 1], ["5", "11", "1"]))
        #expect(
            try facts("merge_histogram_buckets(0.5)", Self.histogram, context: "datapoint")
                == ([0.1, 1], ["5", "11", "1"]))
        #expect(try facts("merge_histogram_buckets(0.7)", Self.histogram) == ([0.1, 0.5, 1], ["5", "8", "3", "1"]))
        let wide = Self.histogram
            .replacing(Self.bounds, with: "\"explicitBounds\":[0.1,0.2,0.5,1,2.5,5,10,30]")
            .replacing(
                "[\"5\",\"8\",\"3\",\"1\"]", with: "[\"80\",\"4\",\"6\",\"120\",\"3\",\"2\",\"40\",\"10\",\"1\"]")
        #expect(
            try facts("merge_histogram_buckets(5, method=\"limit_buckets\")", wide)
                == ([0.2, 1, 5, 30], ["84", "126", "5", "50", "1"]))
    }

    @Test(arguments: [
        ("upper", ["3", "0", "4", "6", "0"]), ("midpoint", ["3", "4", "6", "0", "0"]),
        ("uniform", ["3", "4", "6", "0", "0"]),
    ])
    func `exponential buckets get explicit bounds`(distribution: String, counts: [String]) throws {
        // Four values from 2 to 4, six from 4 to 8.
        let got = try run(
            ["convert_exponential_histogram_to_histogram(\"\(distribution)\", [0.0, 3.5, 7.0, 10.0])"],
            on: [Self.exponential])
        let points = ((got[0] as? NSDictionary)?["histogram"] as? NSDictionary)?["dataPoints"] as? [NSDictionary]
        #expect(points?.first?["explicitBounds"] as? [Double] == [0, 3.5, 7, 10])
        #expect(points?.first?["count"] as? String == "13" && points?.first?["sum"] as? Double == 100)
        if distribution == "uniform" {
            // 2 to 4 meets 3.5 and 7; 4 to 8 meets 7 and 10.
            #expect(points?.first?["bucketCounts"] as? [String] == ["3", "2", "5", "3", "0"])
        } else {
            #expect(points?.first?["bucketCounts"] as? [String] == counts)
        }
    }

    @Test func `buckets in pieces are converted as protobuf merges them`() throws {
        // JSON with a name twice becomes protobuf with a field twice.
        let pieces = Self.exponential.replacing(#","6"]"#, with: #"]},"positive":{"bucketCounts":["6"]"#)
        let call = "convert_exponential_histogram_to_histogram(\"upper\", [0.0, 3.5, 7.0, 10.0])"
        #expect(try run([call], on: [pieces]) == run([call], on: [Self.exponential]))
    }

    @Test func `a point with two values has the last, and a sum in pieces is one`() throws {
        let sum = """
            {"name":"n","sum":{"aggregationTemporality":1,"isMonotonic":true},
            "sum":{"dataPoints":[{"asInt":"7","asDouble":1.5}]}}
            """
        try expect(
            [
                "set(attributes[\"t\"], metric.aggregation_temporality)",
                "set(attributes[\"m\"], metric.is_monotonic)", "set(attributes[\"i\"], value_int)",
                "set(attributes[\"d\"], value_double)",
            ], on: [sum],
            [
                """
                {"name":"n","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"asDouble":1.5,
                "attributes":[{"key":"t","value":{"intValue":"1"}},{"key":"m","value":{"boolValue":true}},
                {"key":"i","value":{"intValue":"0"}},{"key":"d","value":{"doubleValue":1.5}}]}]}}
                """
            ], context: "datapoint")
    }

    @Test func `chance leaves no value out`() throws {
        let got = try run(
            ["convert_exponential_histogram_to_histogram(\"random\", [0.0, 3.0, 5.0, 7.0])"], on: [Self.exponential])
        let points = ((got[0] as? NSDictionary)?["histogram"] as? NSDictionary)?["dataPoints"] as? [NSDictionary]
        let counts = (points?.first?["bucketCounts"] as? [String] ?? []).compactMap { Int($0) }
        #expect(counts.count == 5 && counts.reduce(0, +) == 13, "\(counts)")
    }

    @Test func `counts at the end of their range go around and harm nothing`() throws {
        let metric = Self.exponential.replacing(
            "[\"4\",\"6\"]", with: "[\"18446744073709551615\",\"18446744073709551615\"]"
        )
        .replacing("\"scale\":0", with: "\"scale\":-2147483648")
        for distribution in ["upper", "midpoint", "uniform", "random"] {
            let call = "convert_exponential_histogram_to_histogram(\"\(distribution)\", [0.0, 3.0, 5.0, 7.0])"
            #expect(try run([call, "merge_histogram_buckets(2, \"limit_buckets\")"], on: [metric]).count == 1)
            let even = metric.replacing("-2147483648", with: "0")
            #expect(try run([call, "aggregate_on_attributes(\"sum\", [])"], on: [even]).count == 1)
        }
        #expect(try run(["extract_percentile_metric(99.9)"], on: [metric], mode: "silent").count >= 1)
    }

    // MARK: Faults

    @Test(arguments: [
        ("convert_gauge_to_sum(\"cumulativ\", true)", "aggregation_temporality is one of cumulative, delta"),
        ("aggregate_on_attributes(\"avg\")", "function is one of sum, max, min, mean, median, count"),
        ("convert_exponential_histogram_to_histogram(\"lower\", [1.0])", "distribution is one of upper, midpoint"),
        ("extract_sum_metrics(true)", "did you mean"),
        ("limit(datapoint.attributes, 1, [])\", \"copy_metric()", "copy_metric works on metric, not on datapoint"),
    ])
    func `what cannot work is told when the file is read`(call: String, words: String) {
        let list = call.components(separatedBy: "\", \"").map { "'\($0)'" }.joined(separator: ", ")
        let (_, headlines) = RuleBench.options(TransformOptions.self, "{metric_statements: [\(list)]}")
        #expect(headlines.contains { $0.contains(words) }, "\(headlines)")
    }

    @Test func `a statement that needs another context than its neighbours is to stand apart`() {
        let (points, metrics) = ("'truncate_all(datapoint.attributes, 9)'", "'scale_metric(10.0)'")
        func headlines(_ list: String) -> [String] {
            RuleBench.options(TransformOptions.self, "{metric_statements: [\(list)]}").1
        }
        let mixed = ["\(points), \(metrics)", "{statements: [\(points), \(metrics)]}"]
        for list in mixed {
            let told = headlines(list)
            #expect(told.count == 1 && told[0].contains("put it into a group of its own"), "\(told)")
        }
        #expect(headlines("{statements: [\(points)]}, {statements: [\(metrics)]}") == [])
        let wrong = headlines("\(points), 'scale_metric()'")
        #expect(!wrong.contains { $0.contains("a group of its own") }, "\(wrong)")
    }
}
