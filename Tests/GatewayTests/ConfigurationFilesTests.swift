import Configuration
import Foundation
import Gateway
import Testing

/// The project's folder, found from this file.
private let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

@Suite struct ConfigurationFilesTests {
    static var files: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: root.appending(path: "Config").path)) ?? []
        return names.filter { $0.hasSuffix(".yaml") }.sorted()
    }

    @Test func `there are the default and at least three examples`() {
        #expect(Self.files.count >= 4)
    }

    @Test(arguments: Self.files) func `load without a problem`(_ name: String) {
        let path = root.appending(path: "Config/\(name)").path
        let loaded = LoadedConfiguration.load(files: [path], overrides: [])
        #expect(loaded.problems.isEmpty, "\(loaded.problems.report())")
        #expect(!loaded.plan.pipelines.isEmpty)
    }

    @Test func `the example tests pass`() throws {
        let folder = root.appending(path: "Config/tests")
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let run = ConfigTestRun(file: folder.appending(path: name).path)
            #expect(run.problems.isEmpty, "\(run.problems.report())")
            #expect(!run.results.isEmpty && run.results.allSatisfy(\.failures.isEmpty), "\(run.results)")
        }
    }

    @Test func `the built-in default is Config default yaml`() throws {
        let file = try String(contentsOf: root.appending(path: "Config/default.yaml"), encoding: .utf8)
        #expect(DefaultConfiguration.text == file)
    }

    @Test func `the reference page is what the options say`() throws {
        let file = try String(contentsOf: root.appending(path: "Config/REFERENCE.md"), encoding: .utf8)
        #expect(
            file == ReferencePage.markdown(Registry.references),
            "run: swift run sluice reference > Config/REFERENCE.md")
    }
}

@Suite struct PlanTests {
    private func load(_ text: String) -> LoadedConfiguration {
        LoadedConfiguration.load([.text(name: "test.yaml", text)])
    }

    @Test func `tells all problems at once with their places`() {
        let loaded = load(
            """
            receivers:
              otlp: {protocols: {http: {endpont: "127.0.0.1:0"}}}
            exporters:
              debugg: {}
              file: {}
            service:
              pipelines:
                traces: {receivers: [otlp], exporters: [debugg, file]}
            """)
        let report = loaded.problems.report()
        #expect(report.contains("test.yaml:2:") && report.contains("did you mean \"endpoint\"?"))
        #expect(report.contains("test.yaml:4:") && report.contains("did you mean \"debug\"?"))
        #expect(report.contains("exporters.file"))
    }

    @Test func `keeps journals on disk unless all exporters ask for memory`() {
        let head = """
            receivers: {otlp: {protocols: {http: {}}}}
            service: {pipelines: {traces: {receivers: [otlp], exporters: [debug, nop]}}}

            """
        let memory = "{sending_queue: {storage: memory}}"
        #expect(load(head + "exporters: {debug: \(memory), nop: \(memory)}").plan.pipelines.first?.storage == nil)
        #expect(load(head + "exporters: {debug: \(memory), nop: {}}").plan.pipelines.first?.storage != nil)
    }

    @Test func `takes the journal's place from the named file_storage`() {
        let loaded = load(
            """
            receivers: {otlp: {protocols: {http: {}}}}
            exporters: {debug: {sending_queue: {storage: file_storage/x}}}
            extensions: {file_storage/x: {directory: /tmp/x}}
            service:
              extensions: [file_storage/x]
              pipelines: {traces: {receivers: [otlp], exporters: [debug]}}
            """)
        #expect(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        #expect(loaded.plan.pipelines.first?.storage?.directory == "/tmp/x")
    }

    @Test func `warns of a file_storage that no exporter names`() {
        func report(_ exporter: String) -> String {
            load(
                """
                receivers: {otlp: {protocols: {http: {}}}}
                exporters: {debug: {\(exporter)}}
                extensions: {file_storage/x: {directory: /tmp/x}}
                service:
                  extensions: [file_storage/x]
                  pipelines: {traces: {receivers: [otlp], exporters: [debug]}}
                """
            ).problems.report()
        }
        let words = "extension file_storage/x keeps nothing: no exporter's sending_queue.storage names it"
        #expect(report("").contains(words))
        #expect(report("").contains("write `sending_queue: {storage: file_storage/x}`"))
        #expect(!report("sending_queue: {storage: file_storage/x}").contains("keeps nothing"))
    }

    @Test func `refuses a storage that is no extension of the file`() {
        let loaded = load(
            """
            receivers: {otlp: {protocols: {http: {}}}}
            exporters: {debug: {sending_queue: {storage: file_storage}}}
            service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}
            """)
        #expect(loaded.problems.report().contains("no file_storage extension"))
    }

    private func receiver(_ protocols: String, extensions: String = "{}", running: String = "[]") -> String {
        load(
            """
            receivers: {otlp: {protocols: \(protocols)}}
            exporters: {debug: {}}
            extensions: \(extensions)
            service:
              extensions: \(running)
              pipelines: {traces: {receivers: [otlp], exporters: [debug]}}
            """
        ).problems.report()
    }

    @Test(arguments: ["http", "grpc"]) func `refuses an authenticator that does not run`(name: String) {
        let protocols = "{\(name): {auth: {authenticator: bearertokenauth}}}"
        let tokens = "{bearertokenauth: {token: abc}}"
        #expect(receiver(protocols).contains("add it under extensions and service.extensions"))
        #expect(receiver(protocols, extensions: tokens).contains("add bearertokenauth to service.extensions"))
        #expect(!receiver(protocols, extensions: tokens, running: "[bearertokenauth]").contains("authenticator"))
        #expect(
            receiver(
                "{\(name): {auth: {authenticator: health_check}}}", extensions: "{health_check: {}}",
                running: "[health_check]"
            ).contains("no running authentication extension"))
    }

    @Test func `takes a Collector's two protocols and refuses one address for both`() {
        let open = receiver("{grpc: {endpoint: \"0.0.0.0:4317\"}, http: {endpoint: \"0.0.0.0:4318\"}}")
        #expect(open.components(separatedBy: "warning: ").count == 3 && !open.contains("error: "), "\(open)")
        #expect(open.contains("protocols.http.endpoint: is open to other machines, without TLS"), "\(open)")
        let tokens = "{auth: {authenticator: bearertokenauth}, endpoint: \":4318\"}"
        #expect(
            !receiver("{http: \(tokens)}", extensions: "{bearertokenauth: {token: abc}}", running: "[bearertokenauth]")
                .contains("is open to other machines"))
        #expect(receiver("{http: {endpoint: \"localhost:4318\"}, grpc: {endpoint: \"[::1]:4317\"}}").isEmpty)
        #expect(receiver("{grpc: , http: }").isEmpty)
        #expect(receiver("{grpc: {endpoint: \"a:1\"}, http: {endpoint: \"a:1\"}}").contains("same address"))
    }
}
