import Configuration
import Exporters
import Foundation
import Journal
import Logging
import Pipeline
import Telemetry
import Testing

@testable import Gateway

/// What a configuration does not read any more of the journals of the one before is told.
@Suite struct LeftJournalTests {
    private let folder = Folder()
    private let lines = Lines()

    private func context(_ exporters: String, extensions: String = "") throws -> GraphContext {
        let text = """
            receivers: {otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
            exporters: {otlp_http: {endpoint: "http://127.0.0.1:1", sending_queue: {\(exporters)}}}
            extensions: {\(extensions)}
            service:
              extensions: [\(extensions.isEmpty ? "" : "file_storage/a, file_storage/b")]
              pipelines: {traces: {receivers: [otlp], exporters: [otlp_http]}}
            """
        let data = folder.path + "/data"
        let loaded = LoadedConfiguration.load([.text(name: "test", text)], dataDirectory: data)
        try #require(!loaded.problems.hasErrors, "\(loaded.problems.report())")
        let lines = lines
        let log = Logger(label: "test", factory: { _ in LineHandler(lines: lines) })
        return GraphContext(loaded.plan, dataDirectory: data, log: log, drops: DropLedger(), baseline: 0)
    }

    private func frame(_ items: UInt32) -> Frame {
        Frame(header: FrameHeader(signal: .traces, itemCount: items), bytes: [1, 2, 3])
    }

    @Test func `what an exporter gives up that leaves a pipeline in memory is told and counted`() async throws {
        let context = try context("storage: memory")
        let journal = MemoryJournal()
        for name in ["otlp_http", "otlp_http/old"] { _ = try journal.cursor(named: name) }
        _ = await journal.append(frame(7))
        let pipeline = try #require(context.plan.pipelines.first)
        var graph = GatewayGraph()
        graph.journals = [OpenJournal(key: pipeline.journalKey, name: pipeline.id, journal: journal)]
        let builder = GraphBuilder(context)
        builder.forgetRemoved(graph)
        builder.forgetRemoved(graph)
        #expect(
            lines.all == [
                "journal of traces: otlp_http/old reads this journal no longer, and gives up 7 records that it had "
                    + "not delivered"
            ])
        let dropped = context.metrics.series.filter { $0.name == "sluice_exporter_dropped_items_total" }
        #expect(dropped.map { $0.read() } == [7])
        #expect(dropped.first?.labels.map(\.value) == ["otlp_http/old", "traces", "exporter_removed"])
    }

    /// Leaves a journal with something undelivered.
    private func leave(_ directory: String, _ folder: String) async throws {
        #expect(SystemFacts.makeDirectory(directory) == nil)
        let journal = try DiskJournal(directory: directory + "/" + folder, options: DiskJournalOptions())
        _ = try journal.cursor(named: "otlp_http")
        _ = await journal.append(frame(7))
        journal.close()
    }

    private var storages: String {
        "file_storage/a: {directory: \(folder.path)/a}, file_storage/b: {directory: \(folder.path)/data/journal/}"
    }

    @Test(arguments: ["memory", "file_storage/a"])
    func `what waits where a pipeline kept its journal before is told`(storage: String) async throws {
        let journal = folder.path + "/data/journal"
        try await leave(journal, "traces")
        try await leave(journal, "traces~2Fgone")
        GraphBuilder(try context("storage: \(storage)", extensions: storages)).tellOfUnread()
        let place = storage == "memory" ? "in memory" : "in \(folder.path)/a"
        try #require(lines.all.count == 2, "\(lines.all)")
        #expect(lines.all[0].contains("/data/journal/traces holds records that pipeline traces had not delivered"))
        #expect(lines.all[0].contains("Its journal is \(place) now"), "\(lines.all)")
        #expect(lines.all[1].contains("/traces~2Fgone holds the journal of a pipeline that is not in the config"))
    }

    @Test func `what waits in the directory of a storage that no exporter names is told`() async throws {
        try await leave(folder.path + "/a", "traces")
        GraphBuilder(try context("", extensions: storages)).tellOfUnread()
        let place = "\(folder.path)/data/journal"
        try #require(lines.all.count == 1, "\(lines.all)")
        #expect(lines.all[0].hasPrefix("\(folder.path)/a/traces holds records"))
        #expect(lines.all[0].contains("Its journal is in \(place) now"), "\(lines.all)")
    }

    @Test func `a journal in use is not told, nor directories that are not there`() async throws {
        let context = try context("storage: file_storage/a", extensions: storages)
        let directory = folder.path + "/a"
        try await leave(directory, "traces")
        let journal = try DiskJournal(directory: directory + "/traces", options: DiskJournalOptions())
        GraphBuilder(context).tellOfUnread()
        #expect(lines.all == [])
        journal.close()
    }
}

/// A folder of the test's own.
private final class Folder: Sendable {
    let path = FileManager.default.temporaryDirectory.appending(path: "sluice-left-\(UUID().uuidString)").path

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
