import Configuration
import Foundation
import Gateway
import Testing

/// What would keep the gateway from starting is told with its place before it starts.
@Suite struct StartTrialTests {
    private func load(
        processors: String = "{}", exporters: String = "{nop: {}}",
        receivers: String = "{otlp: {protocols: {http: {}}}}",
        extensions: String = "{}", connectors: String = "{}", service: String,
        trial: LoadedConfiguration.Trial = .all
    ) -> ConfigProblems {
        let text = """
            receivers: \(receivers)
            processors: \(processors)
            exporters: \(exporters)
            extensions: \(extensions)
            connectors: \(connectors)
            service: \(service)
            """
        return LoadedConfiguration.load([.text(name: "c.yaml", text)], trial: trial).problems
    }

    private func traces(_ processors: String, exporters: String = "nop") -> String {
        "{pipelines: {traces: {receivers: [otlp], processors: [\(processors)], exporters: [\(exporters)]}}}"
    }

    /// The one error, as `line:column path: message`.
    private func only(_ problems: ConfigProblems) -> String {
        guard let first = problems.errors.first, problems.errors.count == 1 else { return problems.report() }
        return "\(first.place.line):\(first.place.column) \(first.path): \(first.message); \(first.fix ?? "no fix")"
    }

    @Test func `a match that records of the pipeline cannot have, once for each signal`() {
        let processors = """

              attributes:
                include:
                  match_type: strict
                  services: [shop]
                actions: [{key: x, value: 1, action: insert}]
            """
        let logs = "{pipelines: {logs: {receivers: [otlp], processors: [attributes], exporters: [nop]}}}"
        let found = only(load(processors: processors, service: logs))
        #expect(
            found
                == "6:17 processors.attributes.include.services: services cannot be matched in logs, and logs "
                + "names it; match the key service.name under resources")
        #expect(load(processors: processors, service: traces("attributes")).isEmpty)
        #expect(load(processors: processors, service: logs, trial: .none).isEmpty)
    }

    @Test func `a table that is missing, and one without the column`() throws {
        let gone = only(load(processors: "{lookup: {file: /nowhere/x.csv, key: a}}", service: traces("lookup")))
        #expect(gone.hasPrefix("2:29 processors.lookup.file: /nowhere/x.csv cannot be read: No such file"), "\(gone)")
        let folder = try Folder()
        try Data("service,team\nshop,core\n".utf8).write(to: folder.url.appending(path: "t.csv"))
        let path = folder.url.appending(path: "t.csv").path
        let column = only(
            load(processors: "{lookup: {key: a, column: servce, file: '\(path)'}}", service: traces("lookup")))
        #expect(column.hasPrefix("2:39 processors.lookup.column: \(path) has no column servce; it has"), "\(column)")
        #expect(column.hasSuffix("did you mean \"service\"?"), "\(column)")
    }

    @Test func `each processor is told, those of exporters' own chains too`() throws {
        let folder = try Folder()
        let problems = load(
            processors: "{lookup: {file: /nowhere/x.csv, key: a}, gen_ai_cost: {price_files: [/nowhere/p.json]}}",
            exporters: "{file: {path: '\(folder.url.path)/x', process: [gen_ai_cost]}}",
            service: traces("lookup", exporters: "file"))
        #expect(problems.errors.map(\.path) == ["processors.lookup.file", "processors.gen_ai_cost.price_files[0]"])
        #expect(problems.errors.last?.place.column == 82, "\(problems.report())")
    }

    @Test func `metrics in a sampler of traces`() {
        let service =
            "{pipelines: {metrics: {receivers: [otlp], processors: [probabilistic_sampler], exporters: [nop]}}}"
        let found = only(load(processors: "{probabilistic_sampler: {sampling_percentage: 5}}", service: service))
        #expect(found.contains("processors.probabilistic_sampler: cannot sample metrics, and metrics names it"))
    }

    @Test func `a route to a pipeline that does not read from the connector`() {
        let table = "[{context: span, condition: 'true', pipelines: [traces/b]}]"
        let service = """
            {pipelines: {traces/a: {receivers: [otlp], exporters: [routing]}, \
            traces/b: {receivers: [otlp], exporters: [nop]}, traces/c: {receivers: [routing], exporters: [nop]}}}
            """
        let found = only(load(connectors: "{routing: {table: \(table)}}", service: service))
        #expect(
            found == "5:78 connectors.routing.table[0].pipelines: routes to traces/b, which does not read from it; "
                + "name the connector under receivers of that pipeline")
    }

    @Test func `files of credentials and certificates`() {
        let tokens = only(
            load(
                extensions: "{bearertokenauth: {filename: /nowhere/tokens}}",
                service: "{extensions: [bearertokenauth], " + traces("").dropFirst()))
        #expect(
            tokens.hasPrefix("4:42 extensions.bearertokenauth.filename: /nowhere/tokens cannot be read"), "\(tokens)")
        let receiver = only(
            load(
                receivers: "{otlp: {protocols: {http: {tls: {cert_file: /nowhere/c.pem, key_file: /nowhere/k.pem}}}}}",
                service: traces("")))
        #expect(receiver.contains("receivers.otlp.protocols.http.tls.cert_file: "), "\(receiver)")
        let exporter = only(
            load(
                exporters: "{otlp_http: {endpoint: 'https://localhost:1', tls: {ca_file: /nowhere/ca.pem}}}",
                service: traces("", exporters: "otlp_http")))
        #expect(exporter.hasPrefix("3:73 exporters.otlp_http.tls.ca_file: "), "\(exporter)")
    }

    @Test func `files that cannot be written`() throws {
        let folder = try Folder()
        try Data().write(to: folder.url.appending(path: "taken"))
        let root = folder.url.path
        for (exporter, reason) in [
            ("file: {path: \(root)/none/x.jsonl}", "is in a folder that is not there"),
            ("file: {path: \(root)}", "is a folder"),
            ("file: {path: \(root)/taken/x/y.jsonl, create_directory: true}", "taken is no folder"),
            ("sqlite: {path: \(root)/none/x.db}", "is in a folder that is not there"),
            ("sql_file: {path: \(root)/none/x.sql}", "is in a folder that is not there"),
        ] {
            let name = String(exporter.prefix { $0 != ":" })
            let found = only(load(exporters: "{\(exporter)}", service: traces("", exporters: name)))
            #expect(found.contains("exporters.\(name).path: ") && found.contains(reason), "\(found)")
            let elsewhere = load(
                exporters: "{\(exporter)}", service: traces("", exporters: name), trial: .elsewhere)
            #expect(elsewhere.errors.isEmpty, "\(elsewhere.report())")
            #expect(elsewhere.warnings.contains { $0.path == "exporters.\(name).path" && $0.message.contains(reason) })
        }
        #expect(
            load(
                exporters: "{file: {path: \(root)/new/x.jsonl, create_directory: true}}",
                service: traces("", exporters: "file")
            ).isEmpty)
    }

    @Test func `two that listen on one address`() {
        let receivers = """
            {otlp: {protocols: {http: {endpoint: "localhost:4318"}}}, \
            otlp/b: {protocols: {grpc: {endpoint: "0.0.0.0:4318"}}}}
            """
        let service = "{pipelines: {traces: {receivers: [otlp, otlp/b], exporters: [nop]}}}"
        let same = only(load(receivers: receivers, service: service, trial: .none))
        #expect(
            same
                == "1:108 receivers.otlp/b.protocols.grpc.endpoint: receiver otlp/b and receiver otlp listen on the "
                + "same address, port 4318; give each its own endpoint")
        let health = only(
            load(
                extensions: "{health_check: {endpoint: \"127.0.0.1:8888\"}}",
                service: "{extensions: [health_check], " + traces("").dropFirst(), trial: .none))
        #expect(health.hasPrefix("4:39 extensions.health_check.endpoint: extension health_check and"), "\(health)")
    }

    @Test func `two that write to one file`() {
        func load(_ exporters: String, _ used: String, _ path: String = "/tmp/x.jsonl") -> ConfigProblems {
            let files = "file: {path: \(path)}, sql_file: {path: \(path)}, fallback: {exporters: [file/b, nop]}"
            return self.load(
                exporters: "{nop: {}, \(files), file/b: {path: \(path)}\(exporters)}",
                service: traces("", exporters: used), trial: .none)
        }
        let same = only(load("", "file, file/b"))
        #expect(
            same.hasSuffix("exporters.file/b.path: exporter file writes to the same file; give each its own path"),
            "\(same)")
        #expect(only(load("", "file, sql_file")).contains("exporters.sql_file.path: exporter file writes"))
        #expect(only(load("", "file, fallback")).contains("exporters.file/b.path: exporter file writes"))
        #expect(load("", "file").errors.isEmpty, "no pipeline uses the other")
        #expect(load(", file/c: {path: /tmp/y.jsonl}", "file, file/c").errors.isEmpty)
        #expect(load("", "file, file/b", "/dev/null").errors.isEmpty)
        #expect(load("", "file, file/b", "/dev/stdout").errors.isEmpty, "a file perhaps here, and a pipe elsewhere")
        #expect(load("", "file, file/b", "'/tmp/{tenant}.jsonl'").errors.isEmpty)
        let pipelines = "traces: {receivers: [otlp], exporters: [file]}, logs: {receivers: [otlp], exporters: [file]}"
        let shared = self.load(
            exporters: "{file: {path: /tmp/x.jsonl}}", service: "{pipelines: {\(pipelines)}}", trial: .none)
        #expect(shared.errors.isEmpty, "one exporter of two pipelines")
    }

    @Test func `nothing is made on disk`() throws {
        let folder = try Folder()
        let root = folder.url.path
        let problems = load(
            processors: "{offload: {directory: \(root)/content}}",
            exporters: "{file: {path: \(root)/out/x.jsonl, create_directory: true}, sqlite: {path: \(root)/x.db}}",
            service: traces("offload", exporters: "file, sqlite"))
        #expect(problems.isEmpty, "\(problems.report())")
        #expect(try FileManager.default.contentsOfDirectory(atPath: root) == [])
        try Data().write(to: folder.url.appending(path: "content"))
        let taken = only(load(processors: "{offload: {directory: \(root)/content}}", service: traces("offload")))
        #expect(taken.contains("processors.offload.directory: \(root)/content cannot be made"), "\(taken)")
    }
}

/// A folder of the test's own.
private final class Folder {
    let url = FileManager.default.temporaryDirectory.appending(path: "sluice-trial-\(UUID().uuidString)")

    init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(at: url) }
}
