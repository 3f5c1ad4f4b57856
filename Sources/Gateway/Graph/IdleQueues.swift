package import Exporters
import Journal
import Pipeline
import Telemetry

/// The exporters' backlogs in journals that no gateway uses now.
package enum IdleQueues {
    /// Opens each pipeline's journal, which repairs it like a start does, reads what its cursors have left, and closes
    /// it. Throws for a journal that is in use or cannot be read.
    package static func read(_ plan: GatewayPlan) async throws -> [ExportWorkerStatus] {
        let now = DeadLetterBox.systemTime()
        var all: [ExportWorkerStatus] = []
        for pipeline in plan.pipelines {
            guard let storage = pipeline.storage else { continue }
            let directory = storage.directory + "/" + GraphBuilder.folderName(pipeline.id)
            guard SystemFacts.isDirectory(directory) else { continue }
            var options = DiskJournalOptions()
            // Nobody looks to remove anything.
            options.awaitsCursors = true
            let journal = try DiskJournal(directory: directory, options: options)
            defer { journal.close() }
            for name in pipeline.readers.union(journal.cursorNames).sorted() {
                let cursor = try journal.cursor(named: name)
                let oldest = await cursor.next(maxFrames: 1, maxBytes: 1, timeout: .zero).first
                all.append(
                    ExportWorkerStatus(
                        exporter: name, pipeline: pipeline.id, backlog: cursor.backlog,
                        oldestTime: oldest?.frame.header.maxTime, now: now))
            }
        }
        return all
    }
}
