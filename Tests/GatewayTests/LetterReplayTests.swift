import Configuration
import Exporters
import Foundation
import Gateway
import Glibc
import Telemetry
import Testing

/// Dead letters on their way to the exporters of a configuration.
@Suite struct LetterReplayTests {
    @Test(arguments: ["file/spare", "fallback"])
    func `an exporter whose file the gateway writes is told with what helps`(exporter: String) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-replay-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let text = """
            receivers: {otlp: {protocols: {http: {}}}}
            exporters:
              file/main: {path: \(folder)/main.jsonl}
              file/spare: {path: \(folder)/spare.jsonl}
              fallback: {exporters: [file/main, file/spare]}
            service: {pipelines: {traces: {receivers: [otlp], exporters: [fallback]}}}
            """
        let loaded = LoadedConfiguration.load([.text(name: "test", text)], dataDirectory: folder + "/data")
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        // As the gateway does.
        let held = open(folder + "/spare.jsonl", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        try #require(held >= 0)
        #expect(flock(held, LOCK_EX | LOCK_NB) == 0)
        let letter = DeadLetter(
            exporter: exporter, pipeline: "traces", cause: .rejected, message: "no", signal: .traces, itemCount: 1,
            tenant: "", bytes: [0x0A, 0])
        let replay = LetterReplay(plan: loaded.plan, dataDirectory: folder + "/data")
        guard case .failed(let reason) = await replay.send(letter) else {
            Issue.record("delivered")
            return
        }
        #expect(reason.contains("another exporter or process writes to \(folder)/spare.jsonl"), "\(reason)")
        #expect(reason.hasSuffix("; if the gateway is running, stop it for the replay"), "\(reason)")
        close(held)
        #expect(await replay.send(letter) == .done(rejected: 0, message: ""))
        await replay.end()
    }

    @Test func `no letter goes through a chain that needs what came before`() async throws {
        let text = """
            receivers: {otlp: {protocols: {http: {}}}}
            processors: {cumulativetodelta: {}}
            exporters: {nop: {process: [cumulativetodelta]}}
            service:
              pipelines:
                metrics: {receivers: [otlp], exporters: [nop]}
                traces: {receivers: [otlp], exporters: [nop]}
            """
        let loaded = LoadedConfiguration.load([.text(name: "test", text)], dataDirectory: "/nowhere")
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        let letter = DeadLetter(
            exporter: "nop", pipeline: "metrics", cause: .rejected, message: "no", signal: .metrics, itemCount: 1,
            tenant: "", bytes: [0x0A, 0])
        let replay = LetterReplay(plan: loaded.plan, dataDirectory: "/nowhere")
        // Of traces it needs none.
        let other = DeadLetter(
            exporter: "nop", pipeline: "traces", cause: .rejected, message: "no", signal: .traces, itemCount: 1,
            tenant: "", bytes: [0x0A, 0])
        #expect(await replay.send(other) == .done(rejected: 0, message: ""))
        let outcome = await replay.send(letter)
        guard case .failed(let reason) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.hasPrefix("exporter nop: its processor cumulativetodelta needs what came before"), "\(reason)")
    }
}
