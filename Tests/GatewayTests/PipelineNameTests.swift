import Configuration
import Testing

@testable import Gateway

/// How long the name of a pipeline may be.
@Suite struct PipelineNameTests {
    private func load(_ name: String, processors: String = "", exporter: String = "{}") -> ConfigProblems {
        let text = """
            receivers: {otlp: {protocols: {http: {}}}}
            processors: {tail_sampling: {policies: [{name: all, type: always_sample}]}}
            exporters: {otlp_http: {endpoint: "http://127.0.0.1:1", sending_queue: \(exporter)}}
            service:
              pipelines:
                \(name): {receivers: [otlp], processors: [\(processors)], exporters: [otlp_http]}
            """
        return LoadedConfiguration.load([.text(name: "c.yaml", text)]).problems
    }

    /// A name that takes so many bytes as a folder: the slash takes three.
    private func name(_ bytes: Int) -> String { "traces/" + String(repeating: "n", count: bytes - 9) }

    @Test func `one that its folder cannot have is a problem at its place`() {
        #expect(GraphBuilder.folderName(name(256)).utf8.count == 256)
        #expect(!load(name(255)).hasErrors)
        let problems = load(name(256))
        #expect(problems.errors.map(\.message).count == 1, "\(problems.report())")
        let first = problems.errors.first
        #expect(first?.message.contains("takes 256 bytes there, and may take 255") == true)
        #expect(first?.place.line == 6 && first?.place.column == 5)
        #expect(first?.path == "service.pipelines.\(name(256))")
    }

    @Test func `an exporter whose place in the journal cannot have a file is one too`() {
        func load(_ exporter: String, storage: String) -> ConfigProblems {
            let text = """
                receivers: {otlp: {protocols: {http: {}}}}
                exporters: {\(exporter): {endpoint: "http://127.0.0.1:1", sending_queue: {storage: \(storage)}}}
                extensions: {file_storage: {}}
                service:
                  extensions: [file_storage]
                  pipelines:
                    traces: {receivers: [otlp], exporters: [\(exporter)]}
                """
            return LoadedConfiguration.load([.text(name: "c.yaml", text)]).problems
        }
        // `otlp_http/` takes twelve.
        let longest = "otlp_http/" + String(repeating: "n", count: 232)
        #expect(!load(longest, storage: "file_storage").hasErrors)
        let problems = load(longest + "n", storage: "file_storage")
        #expect(problems.errors.count == 1, "\(problems.report())")
        #expect(problems.errors.first?.message.contains("takes 245 bytes there, and may take 244") == true)
        #expect(!load(longest + "n", storage: "memory").hasErrors)
    }

    @Test func `in memory any does, and with a stage that gathers traces less`() {
        #expect(!load(name(300), exporter: "{storage: memory}").hasErrors)
        #expect(!load(name(227), processors: "tail_sampling").hasErrors)
        #expect(load(name(228), processors: "tail_sampling").errors.count == 1)
    }

    @Test func `a byte that is escaped counts as three`() {
        #expect(!load("traces/" + String(repeating: ".", count: 82)).hasErrors)
        #expect(load("traces/" + String(repeating: ".", count: 83)).errors.count == 1)
    }
}
