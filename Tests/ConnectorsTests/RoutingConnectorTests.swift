import Connectors
import OTLP
import Pipeline
import Synchronization
import Telemetry
import TestSupport
import Testing

@Suite struct RoutingConnectorTests {
    private func connector(
        _ yaml: String, _ signal: Signal = .traces, metrics: SelfMetrics = SelfMetrics(),
        dropped: @escaping @Sendable ([DroppedRecord], Int, String) -> Void = { _, _, _ in }
    ) throws -> RoutingConnector {
        let (options, problems) = read(RoutingOptions.self, yaml)
        try #require(problems == [], "\(problems)")
        let name = signal.description
        let outputs = ["a", "b", "other"].map { ConnectorOutput(pipeline: "\(name)/\($0)", signal: signal) }
        var build = ConnectorBuild(
            metrics: metrics, id: "routing", input: "\(name)/in", inputSignal: signal, outputs: outputs, now: { 0 })
        build.dropped = dropped
        return try RoutingConnector(options: options, build: build)
    }

    /// Names of spans or bodies by output.
    private func names(_ deliveries: [ConnectorDelivery], _ signal: Signal = .traces) throws -> [Int: [String]] {
        var result: [Int: [String]] = [:]
        for delivery in deliveries {
            var batch = RecordBatch()
            try delivery.bytes.withUnsafeBytes { bytes in
                _ = try OTLPReader.read(Text(bytes), signal: signal, keys: .empty, into: &batch)
                for index in batch.spans.indices {
                    result[delivery.output, default: []].append(batch.text(batch.spans[index].name).string)
                }
                for index in batch.metrics.indices {
                    result[delivery.output, default: []].append(batch.text(batch.metrics[index].name).string)
                }
                #expect(batch.liveCount == delivery.itemCount)
            }
        }
        return result
    }

    private let spans = [span("x", 1, ["k": "1"]), span("y", 1), span("z", 1, ["k": "2"])]

    @Test func `the first route that matches gets a span, the default pipelines the rest`() throws {
        let connector = try self.connector(
            """
            default_pipelines: [traces/other]
            table:
              - {context: span, condition: 'name == "x"', pipelines: [traces/a]}
              - {context: span, condition: 'attributes["k"] != nil', pipelines: [traces/b]}
            """)
        let routed = try names(try connector.connect(batch(spans)))
        #expect(routed == [0: ["x"], 1: ["z"], 2: ["y"]])
        // The same batch again gives the same.
        #expect(try names(try connector.connect(batch(spans))) == routed)
    }

    @Test func `what no schema knows beside the resources goes with every route`() throws {
        let connector = try self.connector(
            """
            default_pipelines: [traces/other]
            table:
              - {context: span, condition: 'name == "x"', pipelines: [traces/a]}
            """)
        let unknown = WireBytes.build { $0.text(1_000, "later") }
        let known = try batch(spans)
        let whole = ExportBatch(signal: .traces, itemCount: known.itemCount, bytes: known.bytes + unknown)
        let deliveries = try connector.connect(whole)
        #expect(deliveries.map(\.output) == [0, 2])
        #expect(deliveries.allSatisfy { $0.bytes.suffix(unknown.count) == unknown[...] })
    }

    @Test func `a copying route leaves the span for those behind it`() throws {
        let connector = try self.connector(
            """
            table:
              - {context: span, action: copy, condition: 'name == "x"', pipelines: [traces/a]}
              - {context: span, condition: 'true', pipelines: [traces/b]}
            """)
        #expect(try names(try connector.connect(batch(spans))) == [0: ["x"], 1: ["x", "y", "z"]])
    }

    @Test func `what is copied goes to the default pipelines too, unless a route behind moves it`() throws {
        let connector = try self.connector(
            """
            default_pipelines: [traces/other]
            table:
              - {context: span, action: copy, condition: 'name != "y"', pipelines: [traces/a]}
              - {context: span, condition: 'name == "x"', pipelines: [traces/b]}
            """)
        let routed = try names(try connector.connect(batch(spans)))
        #expect(routed == [0: ["x", "z"], 1: ["x"], 2: ["y", "z"]])
        // Whole resources, and headers of the request.
        for condition in ["'true'", "'request[\"X-Tenant\"] == \"acme\"', context: request"] {
            let copying = try self.connector(
                """
                default_pipelines: [traces/other]
                table: [{action: copy, condition: \(condition), pipelines: [traces/a]}]
                """)
            var request = try batch(spans)
            request.metadata = RequestMetadata([.init(name: "x-tenant", value: "acme")])
            #expect(try names(try copying.connect(request)) == [0: ["x", "y", "z"], 2: ["x", "y", "z"]])
        }
    }

    @Test func `what is copied and nothing moves is not counted as dropped`() throws {
        let metrics = SelfMetrics()
        let connector = try self.connector(
            "table: [{context: span, action: copy, condition: 'name == \"x\"', pipelines: [traces/a]}]",
            metrics: metrics)
        #expect(try names(try connector.connect(batch(spans))) == [0: ["x"]])
        connector.stored()
        #expect(metrics.series.first { $0.name == "sluice_routing_unmatched_spans" }?.read() == 2)
    }

    @Test func `a trace follows a span to a pipeline that the span was copied to before`() throws {
        let connector = try self.connector(
            """
            default_pipelines: [traces/other]
            table:
              - {context: span, action: copy, condition: 'name == "x"', pipelines: [traces/a]}
              - {context: span, match: trace, condition: 'name == "x"', pipelines: [traces/a]}
            """)
        #expect(try names(try connector.connect(batch(spans))) == [0: ["x", "y", "z"]])
    }

    @Test func `resources are routed whole, with statements as well`() throws {
        let connector = try self.connector(
            """
            table:
              - {condition: 'attributes["service.name"] == "bank"', pipelines: [traces/a]}
              - {statement: 'delete_key(attributes, "service.name") where attributes["service.name"] == "shop"',
                 pipelines: [traces/b]}
            default_pipelines: [traces/other]
            """)
        let request = try batch(spans)
        let deliveries = try connector.connect(request)
        #expect(try names(deliveries) == [1: ["x", "y", "z"]])
        #expect(deliveries.first.map { $0.bytes.count < request.bytes.count } == true)
        let bank = try batch(spans, service: "bank")
        let whole = ConnectorDelivery(output: 0, itemCount: 3, bytes: bank.bytes)
        #expect(try connector.connect(bank) == [whole])
    }

    @Test func `match trace takes all spans of a trace along`() throws {
        let other = span("w", 1).replacing("0123456789abcdef0123456789abcdef", with: "1123456789abcdef0123456789abcdef")
        let connector = try self.connector(
            """
            table: [{context: span, match: trace, condition: 'name == "z"', pipelines: [traces/a]}]
            default_pipelines: [traces/other]
            """)
        #expect(try names(try connector.connect(batch(spans + [other]))) == [0: ["x", "y", "z"], 2: ["w"]])
    }

    @Test func `a trace is copied whole to a pipeline that has one of its spans`() throws {
        let connector = try self.connector(
            """
            table:
              - {context: span, action: copy, condition: 'name == "x"', pipelines: [traces/a]}
              - {context: span, match: trace, action: copy, condition: 'name == "x"', pipelines: [traces/a]}
            """)
        #expect(try names(try connector.connect(batch(spans))) == [0: ["x", "y", "z"]])
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["move", "copy"])
    func `a batch of many traces that match takes no time that grows with their square`(_ action: String) throws {
        let count = 50_000
        let many = (0..<count).map { number in
            let digits = String(number + 1, radix: 16)
            let id = String(repeating: "0", count: 32 - digits.utf8.count) + digits
            return #"{"traceId":"\#(id)","spanId":"0123456789abcdef","name":"n"}"#
        }
        let connector = try self.connector(
            """
            table: [{context: span, match: trace, action: \(action), condition: 'name == "n"', pipelines: [traces/a]}]
            """)
        let deliveries = try connector.connect(batch(many))
        #expect(deliveries.map(\.itemCount) == [count])
    }

    @Test func `headers of the request choose the pipeline`() throws {
        let yaml = """
            table:
              - {context: request, condition: 'request["X-Tenant"] == "acme"', pipelines: [traces/a]}
            default_pipelines: [traces/other]
            """
        #expect(read(RoutingOptions.self, yaml).options.contextKeys == ["x-tenant"])
        let connector = try self.connector(yaml)
        var request = try batch(spans)
        #expect(try connector.connect(request).map(\.output) == [2])
        request.metadata = RequestMetadata([.init(name: "x-tenant", value: "acme")])
        #expect(try connector.connect(request).map(\.output) == [0])
    }

    @Test(arguments: ["otelcol.client.metadata[\"X-Tenant\"][0]", "otelcol.grpc.metadata['x-tenant']"])
    func `headers have the name of the newer Collectors`(_ path: String) throws {
        let yaml = """
            table: [{condition: '\(path.replacing("'", with: "\"")) == "acme"', pipelines: [traces/a]}]
            default_pipelines: [traces/other]
            """
        let options = read(RoutingOptions.self, yaml).options
        #expect(options.contextKeys == ["x-tenant"] && options.table.first?.context == .request)
        let connector = try self.connector(yaml)
        var request = try batch(spans)
        #expect(try connector.connect(request).map(\.output) == [2])
        request.metadata = RequestMetadata([.init(name: "x-tenant", value: "acme")])
        #expect(try connector.connect(request).map(\.output) == [0])
    }

    @Test(arguments: [
        ("condition: 'span.name == \"a\" and resource.attributes[\"b\"] == 1'", RouteContext.span),
        ("statement: 'route() where log.body == \"a\"'", .log), ("condition: 'attributes[\"a\"] == 1'", .resource),
        ("condition: 'datapoint.value_int > 1 and metric.name == \"a\"'", .datapoint),
        ("context: resource, condition: 'resource.attributes[\"a\"] == 1'", .resource),
    ]) func `a route without a context looks at what its paths name`(_ line: String, _ context: RouteContext) {
        let read = read(RoutingOptions.self, "table: [{\(line), pipelines: [a]}]")
        #expect(read.problems == [] && read.options.table.first?.context == context)
    }

    @Test func `the tenant is a fact about the request`() throws {
        let connector = try self.connector(
            """
            table: [{context: request, condition: 'request["auth.tenant"] == "acme"', pipelines: [traces/a]}]
            default_pipelines: [traces/other]
            """)
        var request = try batch(spans)
        #expect(try connector.connect(request).map(\.output) == [2])
        request.tenant = "acme"
        #expect(try connector.connect(request).map(\.output) == [0])
    }

    @Test func `data points of one metric may go different ways`() throws {
        let connector = try self.connector(
            """
            table: [{context: datapoint, condition: 'value_int > 1', pipelines: [metrics/a]}]
            default_pipelines: [metrics/other]
            """, .metrics)
        var wire = ByteColumn()
        var json = """
            {"resourceMetrics":[{"scopeMetrics":[{"metrics":[
            {"name":"m","gauge":{"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}},
            {"name":"n","gauge":{"dataPoints":[{"asInt":"3"}]}}]}]}]}
            """
        try json.withUTF8 {
            try OTLPJSONReader.transcode(Text(UnsafeRawBufferPointer($0)), signal: .metrics, into: &wire)
        }
        let request = ExportBatch(signal: .metrics, itemCount: 3, bytes: [UInt8](wire.bytes))
        let deliveries = try connector.connect(request)
        #expect(deliveries.map(\.itemCount) == [2, 1])
        #expect(try names(deliveries, .metrics) == [0: ["m", "n"], 2: ["m"]])
    }

    @Test func `what nothing matches is counted when there is no default`() throws {
        let metrics = SelfMetrics()
        let connector = try self.connector(
            "table: [{context: span, condition: 'name == \"x\"', pipelines: [traces/a]}]", metrics: metrics)
        // The same batch comes again when its deliveries could not be stored, and counts once.
        for _ in 0..<3 { #expect(try names(try connector.connect(batch(spans))) == [0: ["x"]]) }
        let unmatched = { metrics.series.first { $0.name == "sluice_routing_unmatched_spans" }?.read() }
        #expect(unmatched() == 0)
        connector.stored()
        #expect(unmatched() == 2)
        connector.stored()
        #expect(unmatched() == 2)
    }

    @Test func `what nothing matches is told by its ids, the first of many`() throws {
        let told = Mutex<[(records: [DroppedRecord], count: Int, rule: String)]>([])
        let connector = try self.connector(
            "table: [{context: span, condition: 'name == \"x\"', pipelines: [traces/a]}]"
        ) { records, count, rule in told.withLock { $0.append((records, count, rule)) } }
        _ = try connector.connect(batch([span("x", 1), span("y", 2)]))
        connector.stored()
        _ = try connector.connect(batch((0..<100).map { span("y", $0 + 1) }))
        connector.stored()
        _ = try connector.connect(batch([span("x", 1)]))
        connector.stored()
        let all = told.withLock { $0 }
        #expect(all.map(\.count) == [1, 100] && all.map(\.rule) == ["unmatched", "unmatched"])
        #expect(all[0].records.map(\.traceID.count) == [16] && all[0].records.map(\.spanID.count) == [8])
        #expect(all[1].records.count == ProcessContext.dropRulesMax)
    }

    @Test func `a failing condition is not met or drops the batch`() throws {
        let table = "table: [{context: span, condition: 'attributes[\"k\"] + 1 == 2', pipelines: [traces/a]}]"
        let strict = try connector("{\(table), error_mode: propagate}")
        #expect(throws: ProcessFailure.self) { try strict.connect(batch(spans)) }
        for mode in ["", "error_mode: ignore, ", "error_mode: silent, "] {
            let lenient = try connector("{\(table), \(mode)default_pipelines: [traces/other]}")
            #expect(try names(try lenient.connect(batch(spans))) == [2: ["x", "y", "z"]])
        }
        let behind = try connector(
            """
            default_pipelines: [traces/other]
            table:
              - {context: span, condition: 'attributes["k"] + 1 == 2', pipelines: [traces/a]}
              - {context: span, condition: 'attributes["k"] != nil', pipelines: [traces/b]}
            """)
        #expect(try names(try behind.connect(batch(spans))) == [1: ["x", "z"], 2: ["y"]], "the next route is asked")
    }

    @Test func `a failing condition is told in the log unless it shall be silent`() throws {
        func told(_ mode: String) throws -> [String] {
            let lines = Mutex<[String]>([])
            let yaml = """
                error_mode: \(mode)
                table: [{context: span, condition: 'attributes["k"] + 1 == 2', pipelines: [traces/a]}]
                """
            let build = ConnectorBuild(
                metrics: SelfMetrics(), id: "routing", input: "traces/in", inputSignal: .traces,
                outputs: [ConnectorOutput(pipeline: "traces/a", signal: .traces)], now: { 0 },
                log: { level, text in lines.withLock { $0.append("\(level) \(text)") } })
            let connector = try RoutingConnector(options: read(RoutingOptions.self, yaml).0, build: build)
            _ = try? connector.connect(batch(spans))
            return lines.withLock { $0 }
        }
        let lines = try told("ignore")
        #expect(lines.count == 1)
        #expect(lines.first?.hasPrefix("warn connector routing behind traces/in: character ") == true, "\(lines)")
        #expect(lines.first?.hasSuffix("in attributes[\"k\"] + 1 == 2") == true, "\(lines)")
        #expect(try told("propagate").count == 1)
        #expect(try told("silent") == [])
    }

    @Test func `a pipeline that does not read from the connector is refused`() {
        #expect(throws: RoutingConnector.BuildFailure.self) {
            try connector("table: [{condition: 'true', pipelines: [traces/nowhere]}]")
        }
        #expect(throws: RoutingConnector.BuildFailure.self) {
            try connector("table: [{context: log, condition: 'true', pipelines: [traces/a]}]")
        }
    }

    @Test(arguments: [
        ("table: []", "at least one route"), ("table: [{pipelines: [a]}]", "needs a condition or a statement"),
        ("table: [{condition: 'true'}]", "needs the pipelines"),
        (
            "table: [{context: request, condition: 'true', pipelines: [a]}]",
            "asks for a header"
        ),
        ("table: [{condition: 'nam == 1', pipelines: [a]}]", "resource has no field nam"),
        ("table: [{condition: 'true', match: trace, pipelines: [a]}]", "needs context: span"),
        (
            "table: [{context: resource, condition: 'otelcol.client.metadata[\"a\"] == \"b\"', pipelines: [a]}]",
            "known to routes alone"
        ),
    ]) func `faults of the file are told`(_ yaml: String, _ words: String) {
        let problems = read(RoutingOptions.self, yaml).problems
        #expect(problems.contains { $0.contains(words) }, "\(problems)")
    }
}
