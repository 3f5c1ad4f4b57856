import Configuration
import Testing

struct GatewayConfigurationTests {
    @Test func `reads every section`() throws {
        let (configuration, loaded) = gateway(try fixture("complete.yaml"), variables: ["TOKEN": "t"])
        #expect(loaded.problems.errors.map(ConfigProblems.headline) == [])
        #expect(
            configuration.components.map(\.path) == [
                "receivers.otlp", "processors.batch", "exporters.otlp_http/backup", "exporters.debug",
                "connectors.forward", "extensions.health_check",
            ])
        #expect(configuration.component(.processor, ComponentID(type: "batch"))?.body.isNull == true)
        #expect(configuration.extensions.map(\.id.description) == ["health_check"])
        #expect(configuration.pipelines.map(\.id.description) == ["traces", "traces/out"])
        #expect(configuration.pipelines[0].signal == .traces)
        #expect(configuration.pipelines[0].exporters.map(\.id.description) == ["debug", "forward"])
        #expect(configuration.telemetry.metricsLevel == .detailed)
        #expect(configuration.telemetry.metricsAddresses == [.init(host: "127.0.0.1", port: 9090)])
        #expect(configuration.telemetry.logLevel == .warn && configuration.telemetry.logEncoding == .json)
    }

    @Test func `what pipelines name must be defined`() throws {
        #expect(
            gateway(try fixture("undefined-components.yaml")).1.headlines
                == [
                    "c.yaml:7:3: warning: exporters.file: is defined and not used; name it in a pipeline, or remove it",
                    "c.yaml:10:16: error: service.extensions: extension \"health_check\" is not defined; "
                        + "add `health_check:` under `extensions:`",
                    "c.yaml:13:19: error: service.pipelines.traces.receivers: receiver \"oltp\" is not defined; "
                        + "did you mean \"otlp\"?",
                    "c.yaml:14:20: error: service.pipelines.traces.processors: processor \"debug\" is not defined; "
                        + "it is defined under exporters (line 6)",
                    "c.yaml:14:34: error: service.pipelines.traces.processors[2]: batch "
                        + "is named twice; keep one of them",
                    "c.yaml:15:26: error: service.pipelines.traces.exporters: exporter \"kafka\" is not defined; "
                        + "add `kafka:` under `exporters:`",
                    "c.yaml:16:5: warning: service.pipelines.profiles: profiles are not taken here: the pipeline is "
                        + "left out; send them past this gateway",
                    "c.yaml:19:5: error: service.pipelines.logs: has no receiver; add `receivers: [otlp]`",
                    "c.yaml:19:5: error: service.pipelines.logs: has no exporter; add `exporters: [debug]`",
                    "c.yaml:2:3: warning: receivers.otlp: is defined and not used; name it in a pipeline, or remove it",
                ].sorted { line($0) < line($1) })
    }

    /// The line number in a headline.
    private func line(_ headline: String) -> Int {
        Int(headline.split(separator: ":")[1]) ?? 0
    }

    @Test func `components may be named in one text, parted by commas`() {
        let (configuration, loaded) = gateway(
            """
            receivers: {otlp: , otlp/b: }
            exporters: {debug: }
            service: {pipelines: {traces: {receivers: 'otlp, otlp/b', exporters: debug}}}
            """)
        #expect(loaded.headlines == [])
        #expect(configuration.pipelines.first?.receivers.map(\.id.description) == ["otlp", "otlp/b"])
    }

    @Test func `a file of profiles alone has no pipeline`() {
        let text =
            "{receivers: {a: }, exporters: {b: }, service: {pipelines: {profiles: {receivers: [a], exporters: [b]}}}}"
        #expect(gateway(text).1.headlines.contains { $0.contains("no pipeline is defined") })
    }

    @Test func `unknown sections get a suggestion`() throws {
        let headlines = gateway(try fixture("unknown-top-level.yaml")).1.headlines
        #expect(headlines.contains("c.yaml:1:1: error: reciever: unknown key; did you mean \"receivers\"?"))
        #expect(headlines.contains("c.yaml:3:1: error: servce: unknown key; did you mean \"service\"?"))
        #expect(headlines.contains { $0.contains("no pipeline is defined") })
    }

    @Test func `ids follow the rules of the Collector`() throws {
        let errors = gateway(try fixture("bad-ids.yaml")).1.problems.errors
        #expect(errors.filter { $0.path.hasPrefix("receivers") }.count == 5)
        #expect(try ComponentID(parsing: "otlp_http/a.b-c").description == "otlp_http/a.b-c")
        #expect(try ComponentID(parsing: " otlp / eu/west ").description == "otlp/eu/west")
        #expect(try ComponentID(parsing: "otlp/日本").name == "日本")
        for text in [
            "", "/", "otlp/", "/x", "0a", "a-b", "a/b c", "a/$x", "a/\u{7}", String(repeating: "a", count: 64),
            "a/" + String(repeating: "x", count: 1025),
        ] {
            #expect(throws: ComponentID.Fault.self) { try ComponentID(parsing: text) }
        }
    }

    @Test func `connectors must join pipelines, and not in a circle`() throws {
        let headlines = gateway(try fixture("connector-cycle.yaml")).1.headlines
        #expect(
            headlines == [
                "c.yaml:8:3: error: connectors.forward/dangling: is written to, but no pipeline reads from it; "
                    + "name it under `receivers` of another pipeline",
                "c.yaml:14:5: error: service.pipelines.traces/a: feeds itself through connectors; "
                    + "take one connector out of the circle",
            ])
    }

    @Test(arguments: [
        ("{a: , b: {x: 1}}", "expects a list of components, not a mapping; write `processors: [a, b]`, and options "),
        ("{limit: 100}", "expects a list of components, not a mapping; write `processors: [a, b]`, and options under"),
        ("[a: {x: 1}, b]", "expects a component's id, not a mapping; write `- a`, and options under `processors:` at"),
    ]) func `options in the list of a pipeline are told where they belong`(_ list: String, _ words: String) {
        let headlines = gateway(
            """
            receivers: {r: }
            processors: {a: , b: }
            exporters: {e: }
            service: {pipelines: {traces: {receivers: [r], processors: \(list), exporters: [e]}}}
            """
        ).1.problems.errors.map(ConfigProblems.headline)
        #expect(headlines.count == 1 && headlines[0].contains(words), "\(headlines)")
    }

    @Test func `a list of receivers with a fault is not told as an empty one`() {
        let text = """
            exporters: {e: }
            service: {pipelines: {traces: {receivers: ['${GONE}'], exporters: [e]}}}
            """
        #expect(gateway(text).1.problems.errors.map(\.path) == ["service.pipelines.traces.receivers[0]"])
    }

    @Test func `many problems are told at once`() throws {
        let headlines = gateway(try fixture("many-problems.yaml")).1.headlines
        let wanted = [
            "receivers.1bad: \"1bad\" is no type", "procesors: unknown key; did you mean \"processors\"?",
            "exporters: expects a mapping, not a list", "service.pipeline: unknown key; did you mean \"pipelines\"?",
            "service.telemetry.logs.level: expects one of debug, info, warn, error",
            "service.telemetry.metrics.adress: unknown key; did you mean \"address\"?", "no pipeline is defined",
        ]
        for text in wanted { #expect(headlines.contains { $0.contains(text) }, "\(text) in \(headlines)") }
    }

    @Test(arguments: [("FATAL", "fatal"), ("dpanic", "dpanic"), ("panic", "panic"), ("Error", "error")])
    func `the levels of the Collector's logger are read in any case`(_ text: String, _ level: String) {
        let (configuration, loaded) = gateway("service: {telemetry: {logs: {level: \(text)}}}")
        #expect(configuration.telemetry.logLevel.rawValue == level)
        #expect(!loaded.headlines.contains { $0.contains("level") })
    }

    @Test func `the older address of metrics is read, and none turns them off`() {
        func telemetry(_ text: String) -> (TelemetryConfiguration, [String]) {
            let (configuration, loaded) = gateway("service: {telemetry: {metrics: \(text)}}")
            return (configuration.telemetry, loaded.headlines.filter { $0.contains("telemetry") })
        }
        #expect(telemetry("{}").0.metricsAddresses == [TelemetryConfiguration.defaultAddress])
        #expect(telemetry("{address: 'localhost:9999'}").0.metricsAddresses == [.init(host: "localhost", port: 9999)])
        let here = TelemetryConfiguration.Address(host: "127.0.0.1", port: 1)
        #expect(["localhost:1", "127.0.0.1:1"].allSatisfy { TelemetryConfiguration.Address(listening: $0) == here })
        #expect(TelemetryConfiguration.Address(listening: "localhost") == nil)
        #expect(telemetry("{address: ':1'}").0.metricsAddresses == [.init(host: "0.0.0.0", port: 1)])
        #expect(telemetry("{address: '[::1]:2'}").0.metricsAddresses == [.init(host: "::1", port: 2)])
        #expect(telemetry("{address: '::1:2'}").1.count == 1)
        #expect(telemetry("{address: 'x:99999'}").1.count == 1)
        #expect(telemetry("{level: none}").0.metricsAddresses == [])
        #expect(telemetry("{readers: []}").0.metricsAddresses == [])
        #expect(telemetry("{readers: [{pull: {exporter: {prometheus: }}}]}").0.metricsAddresses.count == 1)
        #expect(telemetry("{readers: [{periodic: {exporter: x}}]}").1.count == 1)
        #expect(telemetry("{readers: [], address: 'x:1'}").1.count == 1)
    }
}
