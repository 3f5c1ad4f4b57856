import Configuration
import Connectors
import Pipeline
import Telemetry
import Testing

@Suite struct MetricsConnectorTests {
    private func spanMetrics(
        _ yaml: String = "{}", clock: TestClock = TestClock(), metrics: SelfMetrics = SelfMetrics()
    ) -> SpanMetricsConnector {
        let read = read(SpanMetricsOptions.self, yaml)
        #expect(read.problems == [])
        return SpanMetricsConnector(options: read.options, build: build(clock, metrics: metrics))
    }

    private func genAI(_ yaml: String = "{}") -> GenAIMetricsConnector {
        let read = read(GenAIMetricsOptions.self, yaml)
        #expect(read.problems == [])
        return GenAIMetricsConnector(options: read.options, build: build())
    }

    @Test func `counts calls and durations by service, name, kind and status`() throws {
        let connector = spanMetrics()
        let input = try batch([
            span("a", 3, kind: 2), span("a", 7, kind: 2), span("a", 3, kind: 2, status: 2), span("b", 20_000),
        ])
        let all = try points(connector.connect(input).first)
        let calls = all.filter { $0.metric == "traces.span.metrics.calls" }
        #expect(calls.count == 3 && calls.allSatisfy { $0.service == "shop" && $0.temporality == 2 })
        let good = calls.first {
            $0.attributes["status.code"] == "STATUS_CODE_UNSET" && $0.attributes["span.name"] == "a"
        }
        #expect(good?.text("asInt") == "2")
        #expect(good?.attributes["span.kind"] == "SPAN_KIND_SERVER" && good?.attributes["service.name"] == "shop")
        let times = all.filter { $0.metric == "traces.span.metrics.duration" }
        let a = times.first { $0.attributes["status.code"] == "STATUS_CODE_UNSET" && $0.attributes["span.name"] == "a" }
        #expect(a?.text("count") == "2" && a?.number("sum") == 10 && a?.number("min") == 3 && a?.number("max") == 7)
        let buckets = a?.fields["bucketCounts"] as? [String]
        #expect(buckets?.count == 17 && buckets?[1] == "1" && buckets?[3] == "1")
        let b = times.first { $0.attributes["span.name"] == "b" }
        #expect((b?.fields["bucketCounts"] as? [String])?.last == "1", "above the last bound")
    }

    @Test func `adds up cumulative points and counts a batch that comes again once`() throws {
        let connector = spanMetrics()
        let input = try batch([span("a", 3)])
        _ = try connector.connect(input)
        #expect(try points(connector.connect(input).first)[0].text("asInt") == "1")
        connector.stored()
        #expect(try points(connector.connect(input).first)[0].text("asInt") == "2")
    }

    @Test func `gives delta points whose windows follow each other`() throws {
        let clock = TestClock()
        let connector = spanMetrics("aggregation_temporality: AGGREGATION_TEMPORALITY_DELTA", clock: clock)
        clock.set(5_000)
        let first = try points(connector.connect(batch([span("a", 3), span("a", 3)])).first)[0]
        connector.stored()
        clock.set(9_000)
        let second = try points(connector.connect(batch([span("a", 3)])).first)[0]
        #expect(first.temporality == 1 && first.text("asInt") == "2" && second.text("asInt") == "1")
        #expect(first.text("startTimeUnixNano") == "1000" && first.text("timeUnixNano") == "5000")
        #expect(second.text("startTimeUnixNano") == "5000" && second.text("timeUnixNano") == "9000")
    }

    @Test func `takes dimensions from the span, then the resource, then the default`() throws {
        let yaml = """
            dimensions: [{name: region}, {name: service.name}, {name: tier, default: free}, {name: absent}]
            exclude_dimensions: [span.kind, status.code]
            histogram: {disable: true}
            """
        let connector = spanMetrics(yaml)
        let all = try points(connector.connect(batch([span("a", 1, ["region": "eu"]), span("a", 1)])).first)
        #expect(all.count == 2)
        let marked = all.first { $0.attributes["region"] == "eu" }
        #expect(marked?.attributes["tier"] == "free" && marked?.attributes["absent"] == nil)
        #expect(marked?.attributes["span.kind"] == nil && marked?.attributes["span.name"] == "a")
    }

    @Test func `counts what exceeds the limit of series under overflow`() throws {
        let metrics = SelfMetrics()
        let connector = spanMetrics("aggregation_cardinality_limit: 2\nhistogram: {disable: true}", metrics: metrics)
        let input = try batch((0..<10).map { span("s\($0)", 1) })
        let all = try points(connector.connect(input).first)
        #expect(all.count == 3)
        #expect(all.first { $0.attributes["otel.metric.overflow"] == "true" }?.text("asInt") == "8")
        connector.stored()
        let again = try points(connector.connect(input).first)
        #expect(again.count == 3)
        #expect(again.reduce(0) { $0 + (Int($1.text("asInt")) ?? 0) } == 20)
        connector.stored()
        let series = metrics.series.first { $0.name == "sluice_connector_overflowed_values_total" }
        #expect(series?.read() == 16)
    }

    @Test func `computes the client metrics of the GenAI conventions`() throws {
        let connector = genAI("dimensions: [gen_ai.agent.name]")
        let call: [String: Any] = [
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 7,
        ]
        let input = try batch([
            span("chat m", 1_500, call),
            span(
                "agent", 3_000,
                [
                    "gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 100, "gen_ai.agent.name": "x",
                ]),
            span("tool", 30, ["gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t", "error.type": "e"]),
            span("http", 10),
        ])
        let all = try points(connector.connect(input).first)
        let tokens = all.filter { $0.metric == "gen_ai.client.token.usage" }
        #expect(tokens.count == 2)
        #expect(tokens.first { $0.attributes["gen_ai.token.type"] == "input" }?.number("sum") == 100)
        #expect(tokens.first { $0.attributes["gen_ai.token.type"] == "output" }?.number("sum") == 7)
        #expect(tokens.allSatisfy { $0.attributes["gen_ai.request.model"] == "m" })
        let durations = all.filter { $0.metric == "gen_ai.client.operation.duration" }
        #expect(durations.count == 2 && durations.contains { $0.attributes["gen_ai.agent.name"] == "x" })
        let tool = all.first { $0.metric == "gen_ai.execute_tool.duration" }
        #expect(
            tool?.attributes == ["gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t", "error.type": "e"])
        #expect(tool?.number("sum") == 0.03)
    }

    @Test func `sends nothing when there is nothing to count`() throws {
        #expect(try genAI().connect(batch([span("http", 10)])).isEmpty)
    }

    @Test func `refuses a batch that it cannot read`() {
        #expect(throws: ProcessFailure.self) {
            try spanMetrics().connect(ExportBatch(signal: .traces, itemCount: 1, bytes: [0xFF]))
        }
    }

    @Test func `names what is wrong in its options`() {
        let wrong = read(
            SpanMetricsOptions.self, "exclude_dimensions: [colour]\nhistogram: {explicit: {buckets: [5ms, 2ms, x]}}")
        #expect(wrong.problems.count == 3, "\(wrong.problems)")
    }
}
