import Pipeline
import Processors
import Synchronization
import Telemetry
import Testing

@Suite struct TransformProcessorTests {
    private func run(_ yaml: String, _ json: String) throws -> String {
        try run(yaml, .traces, json)
    }

    private func run(_ yaml: String, _ signal: Signal, _ json: String) throws -> String {
        let (options, headlines) = RuleBench.options(TransformOptions.self, yaml)
        try #require(headlines == [], "\(headlines)")
        var bench = Bench()
        var build = bench.build(signal)
        let processor = try TransformProcessor(options: options, build: &build)
        return RuleBench.json(
            try Bench.run(processor, build, try RuleBench.request(json, signal)).bytes, signal)
    }

    private let span = RuleBench.traces(
        [
            RuleBench.span("a102030405060708", name: "one", attributes: [("a", "{\"stringValue\":\"b\"}")]),
            RuleBench.span("a202030405060708", name: "two"),
        ], resource: [("env", "{\"stringValue\":\"dev\"}")])

    @Test func `flat statements run in order on every record of the context that their paths name`() throws {
        let json = try run(
            """
            trace_statements:
              - set(span.attributes["seen"], Concat([span.name, resource.attributes["env"]], "/"))
              - set(span.name, "x") where span.attributes["a"] == "b"
            """, span)
        #expect(json.contains("one/dev") && json.contains("two/dev"))
        #expect(json.contains("\"name\":\"x\"") && json.contains("\"name\":\"two\"") && !json.contains("\"one\""))
    }

    @Test func `a pattern that needs backtracking is warned of`() {
        let yaml = "trace_statements: ['set(span.name, \"x\") where IsMatch(span.name, \"(?=a)ab\")']"
        let (_, headlines) = RuleBench.options(TransformOptions.self, yaml)
        #expect(headlines.count == 1 && headlines[0].contains("(?=a)ab needs backtracking"), "\(headlines)")
    }

    @Test func `statements about resources run once for each`() throws {
        let json = try run("trace_statements: ['set(resource.attributes[\"env\"], \"prod\")']", span)
        #expect(json.contains("prod") && !json.contains("dev"))
    }

    @Test func `groups have conditions of which one must hold`() throws {
        let json = try run(
            """
            trace_statements:
              - context: span
                conditions: ['name == "two"', 'name == "three"']
                statements: ['set(name, "changed")', 'set(attributes["n"], 1)']
            """, span)
        #expect(json.contains("\"name\":\"one\"") && json.contains("changed") && !json.contains("\"two\""))
    }

    @Test func `log and metric statements are for their signals alone`() throws {
        let yaml = """
            log_statements: ['set(log.severity_text, "FAIL") where log.body == "request failed"']
            metric_statements: ['set(metric.description, "d")', 'set(metric.unit, "u")']
            """
        let log =
            "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"request failed\"}}]}]}]}"
        #expect(try run(yaml, .logs, log).contains("FAIL"))
        let metric = """
            {"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}
            """
        let changed = try run(yaml, .metrics, metric)
        #expect(
            changed.contains("\"description\":\"d\"") && changed.contains("\"unit\":\"u\"") && changed.contains("\"m\"")
        )
        #expect(try run(yaml, .traces, span) == RuleBench.json(try RuleBench.request(span)))
    }

    @Test func `a failing statement is skipped unless it shall refuse the request`() throws {
        let statements = "['set(span.attributes[\"x\"], span.attributes[\"a\"] + 1)', 'set(span.name, \"after\")']"
        #expect(try run("trace_statements: \(statements)", span).contains("after"))
        #expect(throws: ProcessFailure.self) {
            try run("{error_mode: propagate, trace_statements: \(statements)}", span)
        }
        let group = "[{error_mode: propagate, statements: \(statements)}]"
        #expect(throws: ProcessFailure.self) { try run("trace_statements: \(group)", span) }
    }

    @Test func `a failing statement and condition are told in the log unless they shall be silent`() throws {
        func told(_ mode: String) throws -> [String] {
            let lines = Mutex<[String]>([])
            let yaml = """
                error_mode: \(mode)
                trace_statements:
                  - context: span
                    conditions: ['attributes["a"] + 1 == 2', 'true']
                    statements: ['set(attributes["x"], name - 1)']
                """
            var build = ProcessorBuild(
                keys: KeyTable.Builder(), metrics: SelfMetrics(), id: "transform/t", pipeline: "traces",
                signal: .traces,
                log: { level, text in lines.withLock { $0.append("\(level) \(text)") } })
            let options = RuleBench.options(TransformOptions.self, yaml).options
            let processor = try TransformProcessor(options: options, build: &build)
            _ = try? Bench.run(processor, build, try RuleBench.request(span))
            return lines.withLock { $0 }
        }
        let lines = try told("ignore")
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.hasPrefix("warn processor transform/t of traces: character ") }, "\(lines)")
        #expect(lines.last?.hasSuffix("in set(attributes[\"x\"], name - 1)") == true, "\(lines)")
        #expect(try told("propagate").count == 1)
        #expect(try told("silent") == [])
    }

    @Test func `the cache lives as long as the record`() throws {
        let json = try run(
            """
            trace_statements:
              - context: span
                statements:
                  - set(attributes["old"], cache["n"]) where cache["n"] != nil
                  - set(cache["n"], name)
                  - set(attributes["new"], cache["n"])
            """, span)
        #expect(json.contains("\"new\"") && !json.contains("\"old\""))
    }

    @Test(arguments: [
        ("trace_statements: ['set(name, \"x\")']", "needs a prefix"),
        ("trace_statements: ['set(log.body, \"x\")']", "needs a prefix that says whose it is"),
        ("trace_statements: [{context: spann, statements: ['set(name, \"x\")']}]", "did you mean span?"),
        ("trace_statements: [{context: log, statements: ['set(body, \"x\")']}]", "log is no context of traces"),
        ("trace_statements: [{context: span}]", "has no statements"),
        ("{}", "warning: x: has no statements and changes nothing"),
        ("log_statements: ['sett(log.body, 1)']", "did you mean set?"),
    ]) func `faults of the file are told`(_ yaml: String, _ words: String) {
        let headlines = RuleBench.options(TransformOptions.self, yaml).headlines
        #expect(headlines.contains { $0.contains(words) }, "\(headlines)")
    }

    @Test func `a fault in a flat list is told once, at its own statement`() {
        let yaml = """
            trace_statements:
              - set(span.name, "x")
              - set(span.attributes["a"], )
              - set(span.attributes["b"], 1)
            """
        let headlines = RuleBench.options(TransformOptions.self, yaml).headlines
        #expect(headlines.count == 1, "\(headlines)")
        let line = headlines.first ?? ""
        #expect(line.contains(":3:") && line.contains("trace_statements[1]"), "\(line)")
        #expect(line.contains(#"statement set(span.attributes["a"], ): character 27: expected a value"#), "\(line)")
    }
}
