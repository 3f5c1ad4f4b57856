import Configuration
import Gateway
import Testing

/// Warnings of chains that work and most likely do not do what is meant.
@Suite struct ChainLintTests {
    private func report(
        _ processors: [String], exporters: String = "{file: {path: /tmp/x}}"
    )
        -> String
    {
        load(
            "traces: {receivers: [otlp], processors: [\(processors.joined(separator: ", "))], exporters: [file]}",
            exporters: exporters)
    }

    private func load(
        _ pipelines: String, exporters: String = "{file: {path: /tmp/x}, debug: {}}", processors: String? = nil
    ) -> String {
        LoadedConfiguration.load([
            .text(
                name: "c.yaml",
                """
                receivers: {otlp: {protocols: {http: {}}}}
                processors: \(processors ?? Self.processors)
                connectors: {forward: {}}
                exporters: \(exporters)
                service: {pipelines: {\(pipelines)}}
                """)
        ]).problems.report()
    }

    private static let processors =
        "{memory_limiter: {limit_mib: 100}, gen_ai_normalizer: {}, redaction: {allow_all_keys: true, detectors: all}, "
        + "attributes: {actions: [{key: a, value: 1, action: insert}]}}"

    @Test(arguments: [
        ("traces_endpoint: 'https://h/v1/traces'", "lacks: endpoint or logs_endpoint"),
        ("preset: langsmith, api_key: a", "lacks: logs_endpoint"),
        ("preset: langsmith, api_key: a, endpoint: 'https://h/otel'", "lacks: logs_endpoint"),
    ]) func `an exporter without an endpoint for the signal is told which one helps`(yaml: String, words: String) {
        let text = load(
            "logs: {receivers: [otlp], exporters: [otlp_http]}", exporters: "{otlp_http: {\(yaml)}}")
        #expect(text.contains("exporter otlp_http does not take logs") && text.contains(words), "\(text)")
    }

    @Test func `a memory_limiter that is not first`() {
        #expect(report(["attributes", "memory_limiter"]).contains("memory_limiter is not the first processor"))
        #expect(!report(["memory_limiter", "attributes"]).contains("not the first"))
    }

    @Test func `a memory_limiter below what the gateway takes by itself`() {
        func report(_ options: String) -> String {
            load(
                "traces: {receivers: [otlp], processors: [memory_limiter], exporters: [file]}",
                processors: "{memory_limiter: {\(options)}}")
        }
        #expect(report("limit_mib: 50").contains("refuses requests from 40 MiB on"))
        #expect(report("limit_mib: 120, spike_limit_mib: 60").contains("refuses requests from 60 MiB on"))
        #expect(!report("limit_mib: 90").contains("refuses requests from"))
    }

    @Test func `an exporter that blocks at a cap beside others behind a connector`() {
        func report(_ queue: String, outputs: [String] = ["traces/b", "traces/c"]) -> String {
            let behind = outputs.enumerated().map { index, id in
                "\(id): {receivers: [forward], exporters: [\(index == 0 ? "file" : "debug")]}"
            }
            return load(
                "traces/a: {receivers: [otlp], exporters: [forward]}, \(behind.joined(separator: ", "))",
                exporters: "{file: {path: /tmp/x, sending_queue: {\(queue)}}, debug: {}}")
        }
        let words = "while exporter file is at its cap, connector forward waits for it, and traces/c get nothing"
        #expect(report("queue_size: 10").contains(words), "\(report("queue_size: 10"))")
        #expect(report("queue_size: 10").contains("c.yaml:4:"), "\(report("queue_size: 10"))")
        #expect(!report("").contains("at its cap"))
        #expect(!report("queue_size: 10, overflow: drop_oldest").contains("at its cap"))
        #expect(!report("queue_size: 10", outputs: ["traces/b"]).contains("at its cap"))
    }

    @Test func `senders that would wait for a delivery on the other side of a connector`() {
        func report(front: String = "", behind: String = "", receivers: String = "forward") -> String {
            load(
                "traces/a: {receivers: [otlp], exporters: [forward]\(front)}, "
                    + "traces/b: {receivers: [\(receivers)], exporters: [debug]\(behind)}")
        }
        let ack = ", ack: delivered"
        let front = report(front: ack)
        #expect(front.contains("waits until forward has stored a request for the pipelines behind it"), "\(front)")
        #expect(front.contains("c.yaml:5:"), "\(front)")
        let behind = report(behind: ack)
        #expect(behind.contains("has no effect behind connector forward"), "\(behind)")
        #expect(!report(behind: ack, receivers: "forward, otlp").contains("`ack: delivered`"))
        #expect(!report().contains("`ack: delivered`"))
    }

    @Test func `an exporter without a queue whose senders do not wait for it`() {
        let exporters = "{otlp_http: {endpoint: 'http://127.0.0.1:1', sending_queue: {enabled: false}}, debug: {}}"
        func warnings(_ options: String) -> Int {
            let names = "receivers: [otlp], exporters: [otlp_http, debug]"
            let report = load("traces: {\(names)\(options)}, logs: {\(names)\(options)}", exporters: exporters)
            return report.ranges(of: "`ack: delivered` in the pipelines of otlp_http").count
        }
        #expect(warnings("") == 1)
        #expect(warnings(", ack: delivered") == 0)
    }

    @Test func `redaction before normalization, in one pipeline or in one before it`() {
        #expect(report(["redaction", "gen_ai_normalizer"]).contains("after the redaction in processor redaction"))
        #expect(!report(["gen_ai_normalizer", "redaction"]).contains("after the redaction"))
        let split = load(
            "traces/in: {receivers: [otlp], processors: [redaction], exporters: [forward]}, "
                + "traces/out: {receivers: [forward], processors: [gen_ai_normalizer], exporters: [file]}")
        #expect(split.contains("after the redaction in pipeline traces/in"))
    }

    @Test func `redaction before normalization in an exporter's own chain`() {
        func own(_ process: String, behind chain: String = "") -> String {
            load(
                "traces: {receivers: [otlp], processors: [\(chain)], exporters: [file]}",
                exporters: "{file: {path: /tmp/x, process: [\(process)]}}")
        }
        let words = "gen_ai_normalizer in `process:` of file comes after the redaction in processor redaction"
        #expect(own("redaction, gen_ai_normalizer").contains(words))
        #expect(own("gen_ai_normalizer", behind: "redaction").contains(words))
        #expect(!own("gen_ai_normalizer, redaction").contains(words))
        #expect(!own("redaction, gen_ai_normalizer", behind: "gen_ai_normalizer").contains(words))
    }

    @Test func `a redaction that only counts does not redact`() {
        let processors = """
            {gen_ai_normalizer: {}, redaction: {allow_all_keys: true, detectors: all},
             redaction/dry: {allow_all_keys: true, detectors: all, dry_run: true}}
            """
        func load(_ chain: String) -> String {
            self.load(
                "traces/a: {receivers: [otlp], processors: [\(chain)], exporters: [file]}, "
                    + "traces/b: {receivers: [otlp], processors: [redaction], exporters: [debug]}",
                processors: processors)
        }
        let words = "exporter file gets content that no redaction has seen, while debug gets it redacted"
        #expect(load("redaction/dry").contains(words))
        #expect(!load("redaction").contains(words))
        #expect(!load("redaction/dry, gen_ai_normalizer, redaction").contains("after the redaction"))
        #expect(load("redaction, gen_ai_normalizer").contains("after the redaction"))
    }

    @Test func `a policy for agents without normalization before it`() {
        func report(_ chain: String, _ policy: String) -> String {
            load(
                "traces: {receivers: [otlp], processors: [\(chain)], exporters: [file]}",
                processors: "{gen_ai_normalizer: {}, tail_sampling: {policies: [\(policy)]}}")
        }
        let final = "{name: n, type: no_final_answer}"
        let words = "sees only spans that use the GenAI conventions"
        #expect(report("tail_sampling", final).contains("policy no_final_answer of tail_sampling \(words)"))
        #expect(report("tail_sampling, gen_ai_normalizer", final).contains(words))
        #expect(!report("gen_ai_normalizer, tail_sampling", final).contains(words))
        #expect(!report("tail_sampling", "{name: a, type: always_sample}").contains(words))
        let inner =
            "{name: a, type: and, and: {and_sub_policy: [{name: l, type: loop}, {name: m, type: always_sample}]}}"
        #expect(report("tail_sampling", inner).contains("policy loop of tail_sampling"))
        let split = load(
            "traces/in: {receivers: [otlp], processors: [gen_ai_normalizer], exporters: [forward]}, "
                + "traces/out: {receivers: [forward], processors: [tail_sampling], exporters: [file]}",
            processors: "{gen_ai_normalizer: {}, tail_sampling: {policies: [\(final)]}}")
        #expect(!split.contains(words))
    }

    @Test func `a sink that gets what another gets redacted`() {
        let open = load(
            "traces/a: {receivers: [otlp], processors: [redaction], exporters: [file]}, "
                + "traces/b: {receivers: [otlp], exporters: [debug]}")
        #expect(open.contains("exporter debug gets content that no redaction has seen, while file gets it redacted"))
        let closed = load(
            "traces/a: {receivers: [otlp], processors: [redaction], exporters: [file, forward]}, "
                + "traces/b: {receivers: [forward], exporters: [debug]}")
        #expect(!closed.contains("no redaction has seen"))
        let own = load(
            "traces: {receivers: [otlp], exporters: [file, debug]}",
            exporters: "{file: {path: /tmp/x, process: [redaction]}, debug: {}}")
        #expect(own.contains("exporter debug gets content"))
        let both = load(
            "traces: {receivers: [otlp], exporters: [file, debug]}",
            exporters: "{file: {path: /tmp/x, process: [redaction]}, debug: {process: [redaction]}}")
        #expect(!both.contains("no redaction has seen"))
    }

    @Test func `a minimum in bytes that is most likely a number of records`() {
        func batch(_ text: String) -> String {
            report([], exporters: "{file: {path: /tmp/x, sending_queue: {batch: {\(text)}}}}")
        }
        #expect(batch("sizer: bytes").contains("no count of items"))
        #expect(batch("sizer: bytes, min_size: 8192").contains("no count of items"))
        #expect(!batch("sizer: bytes, min_size: 1MiB").contains("no count of items"))
        #expect(!batch("min_size: 8192").contains("no count of items"))
    }

    @Test func `a batch counts in the unit of its queue unless it names one, and sizes in bytes have units`() {
        func queue(_ text: String) -> String {
            report([], exporters: "{file: {path: /tmp/x, sending_queue: {\(text)}}}")
        }
        #expect(queue("sizer: bytes, batch: {min_size: 8192}").contains("min_size is 8192 bytes"))
        #expect(queue("sizer: bytes, batch: {}").contains("min_size is 8192 bytes"))
        #expect(!queue("sizer: bytes, batch: {min_size: 4MiB}").contains("min_size"))
        #expect(!queue("sizer: bytes, batch: {sizer: items, min_size: 8192}").contains("bytes, which"))
        #expect(!queue("sizer: requests, batch: {min_size: 8192}").contains("bytes, which"))
        #expect(queue("sizer: bytes, queue_size: 1000").contains("queue_size is 1000 bytes"))
        #expect(!queue("sizer: bytes, queue_size: 1GiB").contains("bytes, which"))
        #expect(!queue("queue_size: 1000").contains("bytes, which"))
    }

    @Test func `choices of a queue that nothing comes of`() {
        func queue(_ text: String, more: String = "") -> String {
            report([], exporters: "{file: {path: /tmp/x, sending_queue: {\(text)}\(more)}}")
        }
        for overflow in ["drop_oldest", "drop_newest"] {
            #expect(queue("overflow: \(overflow)").contains("overflow: \(overflow) has no effect without a cap"))
            #expect(!queue("overflow: \(overflow), queue_size: 10").contains("no effect"))
            #expect(!queue("overflow: \(overflow), storage: memory").contains("no effect"))
            #expect(
                queue("overflow: \(overflow), queue_size: 10, block_on_overflow: true").contains(
                    "block_on_overflow has no effect with overflow: \(overflow)"))
        }
        #expect(queue("block_on_overflow: true").contains("block_on_overflow has no effect without a cap"))
        #expect(!queue("block_on_overflow: true, queue_size: 10").contains("no effect"))
        #expect(
            queue("sizer: items, queue_size: 100, batch: {min_size: 200}").contains(
                "min_size: min_size must be at most queue_size (100)"))
        #expect(!queue("sizer: items, queue_size: 100, batch: {min_size: 100}").contains("queue_size (100)"))
        #expect(!queue("sizer: requests, queue_size: 100, batch: {min_size: 200}").contains("queue_size (100)"))
        let retry = queue("queue_size: 1", more: ", retry_on_failure: {initial_interval: 60s}")
        #expect(retry.contains("c.yaml:4:") && retry.contains("initial_interval is above max_interval"))
    }

    @Test func `memory of one exporter beside another's disk`() {
        func both(_ first: String, _ second: String) -> String {
            load(
                "traces: {receivers: [otlp], exporters: [file, debug]}",
                exporters: "{file: {path: /tmp/x\(first)}, debug: {\(second)}}")
        }
        let memory = "sending_queue: {storage: memory}"
        let report = both(", " + memory, "")
        #expect(report.contains("c.yaml:4:"), "\(report)")
        #expect(report.contains("storage: memory of exporter file has no effect in pipeline traces"), "\(report)")
        #expect(report.contains("and debug keeps it on disk"))
        #expect(!both(", " + memory, memory).contains("no effect"))
        #expect(!both("", "").contains("no effect"))
    }

    @Test func `conditions of a filter that do nothing`() {
        func filter(_ text: String) -> String {
            load(
                "traces: {receivers: [otlp], processors: [filter], exporters: [file]}",
                processors: "{filter: {traces: {span: [\(text)]}}}")
        }
        let all = filter("'1 == 1', 'name == \"a\"'")
        #expect(all.contains("traces.span[1] is never asked: traces.span[0] is always true"))
        let twice = filter("'name == \"a\"', 'span.name==\"a\"'")
        #expect(twice.contains("traces.span[1] drops nothing: traces.span[0] is the same condition"))
        let different = filter("'name == \"a\"', 'name == \"b\"', 'resource.attributes[\"name\"] == \"a\"'")
        #expect(!different.contains("drops nothing") && !different.contains("never asked"))
        let inner = load(
            "traces: {receivers: [otlp], processors: [filter], exporters: [file]}",
            processors: "{filter: {traces: {resource: ['attributes[\"a\"] == 1'], span: ['attributes[\"a\"] == 1']}}}")
        #expect(!inner.contains("drops nothing"))
    }

    @Test func `routes that are the same in another spelling`() {
        func routes(_ first: String, _ second: String) -> String {
            LoadedConfiguration.load([
                .text(
                    name: "c.yaml",
                    """
                    receivers: {otlp: {protocols: {http: {}}}}
                    connectors: {routing: {default_pipelines: [traces/b], table: [{\(first), pipelines: [traces/b]},
                     {\(second), pipelines: [traces/b]}]}}
                    exporters: {debug: {}}
                    service: {pipelines: {traces/a: {receivers: [otlp], exporters: [routing]},
                     traces/b: {receivers: [routing], exporters: [debug]}}}
                    """)
            ]).problems.report()
        }
        let plain = "condition: 'attributes[\"a\"] == \"b\"'"
        let words = "route 2 is never asked: route 1 has the same condition"
        #expect(routes(plain, "condition: ' attributes[\"a\"]==\"b\"'").contains(words))
        #expect(routes(plain, "condition: 'resource.attributes[\"a\"] == \"b\"'").contains(words))
        #expect(routes(plain, "statement: 'route() where attributes[\"a\"] == \"b\"'").contains(words))
        #expect(!routes(plain, "condition: 'attributes[\"a\"] == \"b \"'").contains("never asked"))
        #expect(!routes(plain, "context: span, condition: 'attributes[\"a\"] == \"b\"'").contains("never asked"))
        #expect(routes("context: span, condition: 'true == true'", plain).contains("route 1 takes everything"))
        #expect(routes("statement: 'route()'", plain).contains("route 1 takes everything"))
    }

    @Test func `rules that are never asked`() {
        let routes = """
            {routing: {default_pipelines: [traces/b], table: [{context: span, condition: 'true', pipelines: [traces/b]},
             {context: span, condition: 'name == "x"', pipelines: [traces/b]}]}}
            """
        let loaded = LoadedConfiguration.load([
            .text(
                name: "c.yaml",
                """
                receivers: {otlp: {protocols: {http: {}}}}
                connectors: \(routes)
                exporters: {debug: {}}
                service: {pipelines: {traces/a: {receivers: [otlp], exporters: [routing]},
                 traces/b: {receivers: [routing], exporters: [debug]}}}
                """)
        ])
        #expect(loaded.problems.report().contains("never asked"))
    }

    @Test func `an exporter's own chain names steps that there are`() {
        func process(_ name: String) -> String {
            report([], exporters: "{file: {path: /tmp/x, process: [\(name)]}}")
        }
        #expect(process("redactoin").contains("did you mean \"redaction\"?"))
        #expect(process("memory_limiter").contains("belongs in front of all exporters"))
        #expect(!process("redaction").contains("error"))
        let whole = load(
            "traces: {receivers: [otlp], exporters: [file]}",
            exporters: "{file: {path: /tmp/x, process: [agent_findings]}}",
            processors: "{agent_findings: {}}")
        #expect(whole.contains("looks at whole traces"))
    }
}
