import Configuration
import Foundation
import Testing

@testable import Gateway

/// `sluice alerts pause`, `resume` and `resolve`.
@Suite struct AlertSwitchTests {
    private func folder(_ rules: String?) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-switch-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder + "/alerts", withIntermediateDirectories: true)
        if let rules { try Data(rules.utf8).write(to: URL(filePath: folder + "/alerts/a.rules")) }
        return folder
    }

    private func path(_ folder: String) -> String { folder + "/alerts/control.json" }

    /// The part of the file that the gateway reads.
    private func control(_ folder: String, _ part: String) throws -> [String: Int] {
        let root = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path(folder))))
        return (root as? [String: [String: Int]])?[part] ?? [:]
    }

    @Test func `says what was done, and where`() throws {
        let folder = try folder(#"["cost","loops"]"#)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let paused = try AlertSwitch.pause("cost", for: nil, dataDirectory: folder)
        #expect(paused.hasPrefix("paused cost without end, in \(folder)"), "\(paused)")
        #expect(try control(folder, "paused") == ["cost": 0])
        let mode = try FileManager.default.attributesOfItem(atPath: path(folder))[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let timed = try AlertSwitch.pause("loops", for: .seconds(3_600), dataDirectory: folder)
        #expect(timed.hasPrefix("paused loops until 2"), "\(timed)")
        #expect(try AlertSwitch.resume("cost", dataDirectory: folder) == "resumed cost, in \(folder)")
        #expect(try AlertSwitch.resume("cost", dataDirectory: folder) == "cost is not paused in \(folder)")
        #expect(try AlertSwitch.resolve("cost", dataDirectory: folder).contains("ends the open alerts of cost"))
        #expect(try control(folder, "paused").keys.sorted() == ["loops"])
        #expect(try control(folder, "resolved").keys.sorted() == ["cost"])
    }

    @Test func `a rule that nobody knows is refused, with those that there are`() throws {
        for rules in [#"["cost","loops"]"#, nil] {
            let folder = try folder(rules)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let changes: [() throws -> String] = [
                { try AlertSwitch.pause("kost", for: nil, dataDirectory: folder) },
                { try AlertSwitch.resume("kost", dataDirectory: folder) },
                { try AlertSwitch.resolve("kost", dataDirectory: folder) },
            ]
            for change in changes {
                let fault = #expect(throws: PayloadFile.Fault.self) { _ = try change() }
                let text = fault?.description ?? ""
                #expect(text.contains(rules == nil ? "no gateway with alert rules" : "but cost, loops"), "\(text)")
            }
            #expect(!FileManager.default.fileExists(atPath: path(folder)))
        }
    }

    @Test func `the rules of a configuration count too`() throws {
        let folder = try folder(nil)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let text = """
            receivers: {otlp: {protocols: {http: {}}}}
            exporters: {debug: {}}
            connectors: {alerts: {rules: [{name: cost, metric: findings}]}}
            service:
              pipelines:
                traces: {receivers: [otlp], exporters: [alerts]}
                logs: {receivers: [alerts], exporters: [debug]}
            """
        let loaded = LoadedConfiguration.load([.text(name: "c.yaml", text)])
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        #expect(AlertSwitch.rules(loaded.plan, dataDirectory: folder) == ["cost"])
        _ = try AlertSwitch.pause("cost", for: nil, plan: loaded.plan, dataDirectory: folder)
        #expect(try control(folder, "paused") == ["cost": 0])
    }
}
