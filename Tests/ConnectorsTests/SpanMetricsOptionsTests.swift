import Configuration
@testable import Connectors
import Foundation
import OTLP
import Pipeline
import Telemetry
import Testing

/// Options of `spanmetrics` beyond the usual points.
@Suite struct SpanMetricsOptionsTests {
    private func connector(_ yaml: String, clock: TestClock = TestClock()) -> SpanMetricsConnector {
        let read = read(SpanMetricsOptions.self, yaml)
        #expect(read.problems == [])
        return SpanMetricsConnector(options: read.options, build: build(clock))
    }

    private func request(_ json: String) throws -> ExportBatch {
        var json = json
        var output = ByteColumn()
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .traces, into: &output)
        }
        return ExportBatch(signal: .traces, itemCount: 1, bytes: [UInt8](output.bytes))
    }

    private func resource(_ attributes: [String: String], _ spans: [String], scope: String = "{}") -> String {
        let list = attributes.sorted { $0.key < $1.key }.map {
            "{\"key\":\"\($0.key)\",\"value\":{\"stringValue\":\"\($0.value)\"}}"
        }
        return """
            {"resource":{"attributes":[\(list.joined(separator: ","))]},"scopeSpans":[{"scope":\(scope),"spans":[
            \(spans.joined(separator: ","))]}]}
            """
    }

    @Test func `calls and durations have dimensions of their own`() throws {
        let connector = connector(
            """
            dimensions: [{name: region}]
            calls_dimensions: [{name: user}]
            histogram: {dimensions: [{name: model, default: none}]}
            """)
        let all = try points(connector.connect(batch([span("a", 1, ["region": "eu", "user": "u"])])).first)
        let calls = try #require(all.first { $0.metric.hasSuffix("calls") })
        let duration = try #require(all.first { $0.metric.hasSuffix("duration") })
        #expect(calls.attributes["user"] == "u" && calls.attributes["model"] == nil)
        #expect(duration.attributes["user"] == nil && duration.attributes["model"] == "none")
        #expect(calls.attributes["region"] == "eu" && duration.attributes["region"] == "eu")
    }

    /// Three of four are rejected, two of four, and none is told.
    @Test func `a sampled span counts for those that it stands for`() throws {
        func sampled(_ state: String) -> String {
            span("a", 3).replacingOccurrences(of: "{\"traceId\"", with: "{\"traceState\":\"\(state)\",\"traceId\"")
        }
        let connector = connector("enable_metrics_sampling_method: true")
        let spans = ["x=y, ot=rv:0123456789abcd;th:c", "ot=th:8", "ot=th:x", "vendor=th:c", ""].map(sampled)
        let all = try points(connector.connect(batch(spans)).first)
        let calls = all.filter { $0.metric.hasSuffix("calls") }
        #expect(calls.first { $0.attributes["sampling.method"] == "extrapolated" }?.text("asInt") == "6")
        #expect(calls.first { $0.attributes["sampling.method"] == "counted" }?.text("asInt") == "3")
        let times = all.first {
            $0.metric.hasSuffix("duration") && $0.attributes["sampling.method"] == "extrapolated"
        }
        #expect(times?.text("count") == "6" && times?.number("sum") == 18)
    }

    /// Of ids in all thirds of the range, one third counts for one more: 2^56 / (2^56 - th) is four thirds.
    @Test func `a count that is no whole number is right on the average`() {
        let state = Text("ot=th:4")
        let sum = (0..<3_000).reduce(UInt64(0)) { sum, number in
            let id = UInt64(number) &* 0x9E37_79B9_7F4A_7C15
            return withUnsafeBytes(of: id.bigEndian) { sum + (AdjustedCount.of(state, spanID: Text($0)) ?? 0) }
        }
        #expect((3_850...4_150).contains(sum), "\(sum)")
    }

    @Test func `dimensions may be named by a pattern`() throws {
        let connector = connector("dimensions: [{glob: 'k8s.*.name'}]\nhistogram: {disable: true}")
        let json = resource(
            ["k8s.pod.name": "p", "k8s.node.name": "n", "k8s.pod.uid": "u"],
            [
                span("a", 1, ["k8s.pod.name": "own", "k8s.name": "x"]),
                span("b", 1, ["k8s.zone.name": "z", "k8s.area.name": "y"]),
            ])
        let all = try points(connector.connect(request("{\"resourceSpans\":[\(json)]}")).first)
        let own = try #require(all.first { $0.attributes["span.name"] == "a" })
        #expect(own.attributes["k8s.pod.name"] == "own" && own.attributes["k8s.node.name"] == "n")
        #expect(own.attributes["k8s.name"] == nil && own.attributes["k8s.pod.uid"] == nil)
        let other = try #require(all.first { $0.attributes["span.name"] == "b" })
        #expect(other.attributes["k8s.pod.name"] == "p" && other.attributes["k8s.area.name"] == "y")
    }

    @Test(arguments: [
        ("k8s.*", "k8s.pod", true), ("k8s.*", "k8s.", true), ("k8s.*", "k8s", false), ("*", "", true),
        ("*.name", "k8s.name.pod.name", true), ("*.name", "k8s.names", false), ("a?c*", "abcabc", true),
        ("a?c", "ac", false), ("*a*b", "xaxbxb", true), ("*a*b", "xaxbxbx", false), ("name", "name", true),
    ]) func `a pattern of keys`(_ pattern: String, _ key: String, _ matches: Bool) {
        var key = key
        #expect(key.withUTF8 { KeyGlob.matches(Array(pattern.utf8), Text(UnsafeRawBufferPointer($0))) } == matches)
    }

    @Test func `the shorter of the two expirations counts`() {
        func expiration(_ yaml: String) -> Duration? { read(SpanMetricsOptions.self, yaml).options.output.expiration }
        #expect(expiration("metrics_expiration: 5m\nseries_expiration: 1m") == .seconds(60))
        #expect(expiration("metrics_expiration: 5m") == .seconds(300))
        #expect(expiration("series_expiration: 0s") == nil)
    }

    @Test func `an exponential histogram holds every value in its bucket, within its size`() throws {
        let connector = connector("histogram: {unit: s, exponential: {max_size: 10}}")
        let times = [1, 3, 10, 400, 401, 402, 5_000, 60_000]
        let input = try batch(times.map { span("a", $0) })
        let point = try #require(
            try points(connector.connect(input).first).first { $0.metric.hasSuffix("duration") })
        let positive = try #require(point.fields["positive"] as? [String: Any])
        let counts = try #require(positive["bucketCounts"] as? [String]).compactMap { Int($0) }
        let offset = (positive["offset"] as? NSNumber)?.intValue ?? 0
        let scale = (point.fields["scale"] as? NSNumber)?.intValue ?? 0
        #expect(counts.count <= 10 && counts.reduce(0, +) == times.count)
        let base = pow(2, pow(2, -Double(scale)))
        var expected = [Int](repeating: 0, count: counts.count)
        for time in times {
            let value = Double(time) / 1_000
            let index = try #require(counts.indices.first { value <= pow(base, Double(offset + $0 + 1)) * (1 + 1e-12) })
            expected[index] += 1
        }
        #expect(counts == expected)
        #expect(point.text("count") == "8" && point.number("min") == 0.001 && point.number("max") == 60)
    }

    @Test func `merging exponential buckets is as adding all values to one`() {
        var random = SystemRandomNumberGenerator()
        for sizeMax in [2, 5, 160] {
            var (whole, first, second) = (
                ExponentialBuckets(sizeMax: sizeMax), ExponentialBuckets(sizeMax: sizeMax),
                ExponentialBuckets(sizeMax: sizeMax)
            )
            for number in 0..<500 {
                let value = exp(Double.random(in: -20...20, using: &random)) * (number % 50 == 0 ? 0 : 1)
                whole.add(value)
                if number % 3 == 0 { first.add(value) } else { second.add(value) }
            }
            first.merge(second)
            #expect(first.counts == whole.counts && first.offset == whole.offset && first.scale == whole.scale)
            #expect(first.zeros == whole.zeros && whole.counts.count <= sizeMax)
        }
        var extremes = ExponentialBuckets(sizeMax: 2)
        for value in [Double.leastNonzeroMagnitude, .greatestFiniteMagnitude, .infinity, .nan, -1, 0, 1] {
            extremes.add(value)
        }
        #expect(extremes.counts.reduce(0, +) == 3 && extremes.zeros == 4)
    }

    @Test func `exemplars name the spans that a point counts, once`() throws {
        let connector = connector("exemplars: {enabled: true, max_per_data_point: 2}")
        let input = try batch([span("a", 3), span("a", 4), span("a", 5)])
        let first = try points(connector.connect(input).first)
        for point in first {
            let exemplars = try #require(point.fields["exemplars"] as? [[String: Any]])
            #expect(exemplars.count == 2)
            #expect(exemplars[0]["traceId"] as? String == "0123456789abcdef0123456789abcdef")
            #expect(exemplars[0]["spanId"] as? String == "0123456789abcdef")
            #expect((exemplars[0]["asDouble"] as? NSNumber)?.doubleValue == 3)
        }
        connector.stored()
        let other = try points(connector.connect(batch([span("b", 1)])).first)
        for point in other where point.attributes["span.name"] == "a" {
            #expect(point.fields["exemplars"] == nil, "it was sent before")
        }
    }

    @Test func `counts events by their attributes`() throws {
        let connector = connector("{histogram: {disable: true}, events: {enabled: true, dimensions: [{name: kind}]}}")
        let event = """
            {"name":"exception","attributes":[{"key":"kind","value":{"stringValue":"timeout"}}]}
            """
        let spans = [span("a", 1).dropLast() + ",\"events\":[\(event),\(event)]}"].map(String.init)
        let all = try points(connector.connect(batch(spans)).first)
        let events = try #require(all.first { $0.metric == "traces.span.metrics.events" })
        #expect(events.text("asInt") == "2" && events.attributes["kind"] == "timeout")
        #expect(events.attributes["span.name"] == "a" && all.count == 2)
    }

    @Test func `resources that agree in the key attributes count together, under the first one`() throws {
        let connector = connector("{resource_metrics_key_attributes: [service.name], histogram: {disable: true}}")
        let json = """
            {"resourceSpans":[\(resource(["service.name": "shop", "pid": "1"], [span("a", 1)])),
            \(resource(["service.name": "shop", "pid": "2"], [span("a", 1)]))]}
            """
        let delivery = try #require(try connector.connect(request(json)).first)
        let all = try points(delivery)
        #expect(all.count == 1 && all[0].text("asInt") == "2" && all[0].service == "shop")
        #expect(String(decoding: delivery.bytes, as: UTF8.self).contains("pid"))
    }

    @Test func `a scope becomes dimensions, resources can be left out`() throws {
        let connector = connector(
            "{include_instrumentation_scope: [langchain], add_resource_attributes: false, histogram: {disable: true}}")
        let scope = "{\"name\":\"langchain\",\"version\":\"0.3\"}"
        let json = """
            {"resourceSpans":[\(resource(["service.name": "shop"], [span("a", 1)], scope: scope)),
            \(resource(["service.name": "shop"], [span("b", 1)], scope: "{\"name\":\"http\"}"))]}
            """
        let all = try points(connector.connect(request(json)).first)
        let named = try #require(all.first { $0.attributes["span.name"] == "a" })
        #expect(named.attributes["span.instrumentation.scope.name"] == "langchain")
        #expect(named.attributes["span.instrumentation.scope.version"] == "0.3")
        let other = try #require(all.first { $0.attributes["span.name"] == "b" })
        #expect(other.attributes["span.instrumentation.scope.name"] == nil && other.service == "")
    }

    @Test func `series that count nothing for long are forgotten`() throws {
        let clock = TestClock()
        let connector = connector("{metrics_expiration: 1m, histogram: {disable: true}}", clock: clock)
        _ = try connector.connect(batch([span("old", 1), span("kept", 1)]))
        connector.stored()
        clock.set(50_000_000_000)
        _ = try connector.connect(batch([span("kept", 1)]))
        connector.stored()
        clock.set(70_000_000_000)
        _ = try connector.connect(batch([span("new", 1)]))
        connector.stored()
        let all = try points(connector.connect(batch([span("new", 1)])).first)
        #expect(Set(all.compactMap { $0.attributes["span.name"] }) == ["kept", "new"])
        #expect(all.first { $0.attributes["span.name"] == "kept" }?.text("asInt") == "2")
    }

    @Test(arguments: [
        ("events: {enabled: true}", "at least one"),
        ("histogram: {exponential: {}, explicit: {buckets: [1s]}}", "exclude"),
        ("exemplar: {enabled: true}", "unknown key"), ("histogram: {explicit: {buckets: [2s, 1s]}}", "must rise"),
    ]) func `says what is wrong`(yaml: String, words: String) {
        let problems = read(SpanMetricsOptions.self, yaml).problems
        #expect(problems.count == 1 && problems[0].contains(words), "\(problems)")
    }
}
