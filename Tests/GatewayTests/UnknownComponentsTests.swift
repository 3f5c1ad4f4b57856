import Configuration
import Gateway
import Testing

@Suite struct UnknownComponentsTests {
    private func load(_ text: String, skips: Bool = true) -> (plan: GatewayPlan, errors: [String], warnings: [String]) {
        let loaded = LoadedConfiguration.load([.text(name: "c.yaml", text)], skipsUnknown: skips)
        return (
            loaded.plan, loaded.problems.errors.map(ConfigProblems.headline),
            loaded.problems.warnings.map(ConfigProblems.headline)
        )
    }

    private let text = """
        receivers: {otlp: {protocols: {http: }}, prometheus: {config: {}}, hostmetrics: }
        processors: {batch: , k8sattributes: {passthrough: true}}
        exporters: {debug: , kafka: {brokers: [a]}}
        extensions: {health_check: , opamp: }
        service:
          extensions: [health_check, opamp]
          pipelines:
            traces: {receivers: [otlp], processors: [k8sattributes, batch], exporters: [kafka, debug]}
            metrics: {receivers: [prometheus, hostmetrics], exporters: [debug]}
            logs: {receivers: [otlp], exporters: [kafka]}
        """

    @Test func `pipelines go on without what is not here, each told`() {
        let (plan, errors, warnings) = load(text)
        #expect(errors == [])
        #expect(plan.pipelines.map(\.id) == ["traces"])
        #expect(plan.pipelines.first?.exporters.map(\.id) == ["debug"])
        #expect(plan.pipelines.first?.steps.map(\.id) == ["batch"])
        for words in [
            "processors.k8sattributes: the type \"k8sattributes\" is not here: left out", "exporters.kafka: the type",
            "receivers.prometheus: the type", "receivers.hostmetrics: the type", "extensions.opamp: the type",
            "service.pipelines.metrics: is left without receivers: the pipeline is left out",
            "service.pipelines.logs: is left without exporters: the pipeline is left out",
        ] {
            #expect(warnings.contains { $0.contains(words) }, "\(words) in \(warnings)")
        }
    }

    @Test func `without the flag each is an error that tells of it`() {
        let (_, errors, _) = load(text, skips: false)
        #expect(errors.count == 5)
        #expect(errors.allSatisfy { $0.hasSuffix("or leave it out with --skip-unknown") }, "\(errors)")
    }

    @Test func `connectors that join nothing any more go too, and what is faulty anyway stays an error`() {
        let joined = """
            receivers: {otlp: {protocols: {http: }}, filelog: }
            exporters: {debug: }
            connectors: {forward/a: , forward/b: , servicegraph: }
            service:
              pipelines:
                logs/in: {receivers: [filelog], exporters: [forward/a]}
                logs/out: {receivers: [forward/a], exporters: [debug]}
                traces: {receivers: [otlp], exporters: [servicegraph, debug]}
                metrics: {receivers: [servicegraph], exporters: [debug]}
            """
        let (plan, errors, warnings) = load(joined)
        #expect(errors == [])
        #expect(plan.pipelines.map(\.id) == ["traces"])
        #expect(warnings.contains { $0.contains("logs/out: is left without receivers") }, "\(warnings)")
        #expect(warnings.contains { $0.contains("metrics: is left without receivers") }, "\(warnings)")
        let faulty = joined.replacing("exporters: [servicegraph, debug]", with: "exporters: [forward/b, debug]")
        #expect(load(faulty).errors.contains { $0.contains("forward/b: is written to, but no pipeline reads") })
    }

    private func routing(_ table: String, defaults: String) -> String {
        """
        receivers: {otlp: {protocols: {http: }}}
        exporters: {debug: , kafka: }
        connectors: {routing: {default_pipelines: [\(defaults)], table: [\(table)]}}
        service:
          pipelines:
            traces: {receivers: [otlp], exporters: [routing]}
            traces/kafka: {receivers: [routing], exporters: [kafka]}
            traces/debug: {receivers: [routing], exporters: [debug]}
        """
    }

    /// Reads such a file and makes the connector too.
    private func tryRouting(_ table: String, defaults: String) -> (errors: [String], warnings: [String]) {
        let text = routing(table, defaults: defaults)
        let loaded = LoadedConfiguration.load(
            [.text(name: "c.yaml", text)], skipsUnknown: true, trial: .chains)
        return (
            loaded.problems.errors.map(ConfigProblems.headline), loaded.problems.warnings.map(ConfigProblems.headline)
        )
    }

    @Test func `routes to pipelines that are left out are left out too`() {
        let both = "{condition: 'attributes[\"b\"] == 1', pipelines: [traces/kafka, traces/debug]}"
        let gone = "{condition: 'attributes[\"a\"] == 1', pipelines: [traces/kafka]}"
        let (errors, warnings) = tryRouting("\(gone), \(both)", defaults: "traces/kafka")
        #expect(errors == [])
        for words in [
            "connectors.routing.table[0].pipelines: traces/kafka is left out: routes go on without it",
            "connectors.routing.table[0]: no pipeline is left: the route is left out",
            "connectors.routing.table[1].pipelines: traces/kafka is left out: routes go on without it",
            "connectors.routing.default_pipelines: no pipeline is left: what no route matches is dropped",
        ] {
            #expect(warnings.contains { $0.contains(words) }, "\(words) in \(warnings)")
        }
        #expect(!warnings.contains { $0.contains("table[1]: ") })
    }

    @Test func `a routing table without routes leaves all to the default pipelines`() {
        let gone = "{context: span, condition: 'name == \"a\"', pipelines: traces/kafka}"
        let (errors, warnings) = tryRouting(gone, defaults: "traces/debug")
        #expect(errors == [])
        #expect(warnings.contains { $0.contains("table[0]: no pipeline is left: the route is left out") })
    }

    @Test(arguments: [
        ("exporters: [routing, debug]", "", ["traces"]),
        ("exporters: [routing, debug]", "traces/read: {receivers: [routing], exporters: [debug]}", ["traces"]),
        ("exporters: [routing]", "traces/other: {receivers: [otlp], exporters: [debug]}", ["traces/other"]),
    ])
    func `a routing that leads nowhere any more goes too`(_ sinks: String, _ more: String, _ left: [String]) {
        let (plan, errors, warnings) = load(
            """
            receivers: {otlp: {protocols: {http: }}}
            exporters: {debug: , kafka: }
            connectors: {routing: {table: [{condition: 'true', pipelines: [traces/kafka]}]}}
            service:
              pipelines:
                traces: {receivers: [otlp], \(sinks)}
                traces/kafka: {receivers: [routing], exporters: [kafka]}
                \(more)
            """)
        #expect(errors == [])
        #expect(plan.pipelines.map(\.id) == left)
        #expect(warnings.contains { $0.contains("connectors.routing: no pipeline is left to which it leads") })
    }

    @Test func `a route to a pipeline that is not in the file stays an error`() {
        let (errors, _) = tryRouting("{condition: 'true', pipelines: [traces/other]}", defaults: "traces/debug")
        #expect(errors.count == 1 && errors.first?.contains("routes to traces/other") == true, "\(errors)")
    }

    @Test func `a file of nothing else is an error`() {
        let (_, errors, _) = load(
            """
            receivers: {hostmetrics: }
            exporters: {kafka: }
            service: {pipelines: {metrics: {receivers: [hostmetrics], exporters: [kafka]}}}
            """)
        #expect(errors.count == 1, "\(errors)")
        #expect(errors.contains { $0.contains("no pipeline is left without the components that are not here") })
    }

    @Test func `what is left out may name variables that are not set`() {
        let named = text.replacing("brokers: [a]", with: "brokers: ['${SLUICE_NO_SUCH_VARIABLE}']")
        #expect(load(named).errors == [])
        #expect(load(named, skips: false).errors.contains { $0.contains("SLUICE_NO_SUCH_VARIABLE is not set") })
    }

    @Test func `a file in which all is here is as without the flag`() {
        let plain =
            "receivers: {otlp: {protocols: {http: }}}\nexporters: {debug: }\n"
            + "service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}"
        let (plan, errors, warnings) = load(plain)
        #expect(errors + warnings == [] && plan.pipelines.count == 1)
    }

    @Test func `an option that is not indented is told whose it is`() {
        let (_, errors, _) = load(
            """
            receivers: {otlp: {protocols: {http: }}}
            processors:
              memory_limiter:
              limit_mib: 100
              check_interval: 1s
            exporters: {debug: }
            service: {pipelines: {traces: {receivers: [otlp], processors: [memory_limiter], exporters: [debug]}}}
            """, skips: false)
        let told = errors.filter { $0.contains("stands beside memory_limiter, whose option it is; indent it below") }
        #expect(told.count == 2 && errors.count == 3, "\(errors)")
    }

    @Test(arguments: ["iis", "apache", "sqlserver", "snmp", "awscloudwatch", "influxdb", "file_log"])
    func `any receiver but a misspelt one is told how its data gets here`(_ type: String) {
        let text = """
            receivers: {TYPE: }
            exporters: {debug: }
            service: {pipelines: {logs: {receivers: [TYPE], exporters: [debug]}}}
            """
        let (_, errors, _) = load(text.replacing("TYPE", with: type), skips: false)
        #expect(errors.count == 1 && errors[0].contains("this gateway takes OTLP alone"), "\(errors)")
        let misspelt = load(text.replacing("TYPE", with: "oltp"), skips: false).errors
        #expect(misspelt.count == 1 && misspelt[0].contains("did you mean \"otlp\"?"), "\(misspelt)")
    }

    @Test func `what nothing uses is told once, and never to remove it or to remove it`() {
        let (_, errors, warnings) = load(
            """
            receivers: {otlp: {protocols: {http: }}, iis: }
            processors: {ecsattributes: , batsh: }
            exporters: {debug: , instana: , syslog: , bar: }
            extensions: {host_observer: , nop: }
            connectors: {servicegraph: }
            service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}
            """, skips: false)
        #expect(errors == [])
        #expect(warnings.count == 9, "\(warnings)")
        #expect(warnings.allSatisfy { $0.contains("is not here; nothing runs it; ") }, "\(warnings)")
        #expect(!warnings.contains { $0.contains("remove it, or remove it") })
        for words in [
            "host_observer\" is not here; nothing runs it; remove it", "nothing runs it; did you mean \"batch\"?",
            "remove it, or use otlp to Instana's agent", "remove it, or use resourcedetection with env",
            "remove it, or send to it from a Collector behind `otlp`", "remove it: this gateway takes OTLP alone",
            "\"bar\" is not here; nothing runs it; remove it",
        ] {
            #expect(warnings.contains { $0.contains(words) }, "\(words) in \(warnings)")
        }
    }

    @Test func `what stands behind a fallback or in the chain of an exporter is used`() {
        let (_, errors, warnings) = load(
            """
            receivers: {otlp: {protocols: {http: }}}
            processors: {k8sattributes: }
            exporters: {debug: {process: [k8sattributes]}, kafka: , fallback: {exporters: [kafka, debug]}}
            service: {pipelines: {traces: {receivers: [otlp], exporters: [debug, fallback]}}}
            """, skips: false)
        #expect(errors.contains { $0.contains("unknown exporter type \"kafka\"") }, "\(errors)")
        #expect(errors.contains { $0.contains("unknown processor type \"k8sattributes\"") }, "\(errors)")
        #expect(!warnings.contains { $0.contains("nothing runs it") }, "\(warnings)")
    }

    @Test func `a component that nothing defines gets the advice of its type`() {
        let (_, errors, _) = load(
            """
            receivers: {otlp: {protocols: {http: }}}
            exporters: {debug: }
            service: {pipelines: {metrics: {receivers: [otlp, hostmetrics], exporters: [debug]}}}
            """, skips: false)
        #expect(errors.first?.contains("receiver \"hostmetrics\" is not defined; the type is not here: ") == true)
    }
}

@Suite struct ConfigurationSourceTests {
    @Test func `a configuration may be a YAML text, with paths as keys`() {
        let loaded = LoadedConfiguration.load(
            files: [
                "yaml:receivers::otlp::protocols::http: {}", "yaml:exporters: {debug: }",
                "yaml:service::pipelines::traces: {receivers: [otlp], exporters: [debug]}",
            ], overrides: [])
        #expect(loaded.problems.isEmpty, "\(loaded.problems.report())")
        #expect(loaded.plan.pipelines.map(\.id) == ["traces"])
    }

    @Test func `an environment variable that is not set is told`() {
        let loaded = LoadedConfiguration.load(files: ["env:SLUICE_NO_SUCH_VARIABLE"], overrides: [])
        #expect(loaded.problems.report().contains("the environment variable SLUICE_NO_SUCH_VARIABLE is not set"))
    }

    @Test func `an environment variable may hold the configuration`() {
        var problems = ConfigProblems()
        let world = ConfigEnvironment(variable: { $0 == "CFG" ? "a: {b: 1}" : nil }) { _ throws(ConfigReadFailure) in
            throw ConfigReadFailure(reason: "no such file")
        }
        let tree = ConfigLoader(environment: world).load([.variable("CFG")], problems: &problems)
        #expect(problems.isEmpty && tree["a"]?["b"]?.scalar?.value == .int(1))
    }
}
