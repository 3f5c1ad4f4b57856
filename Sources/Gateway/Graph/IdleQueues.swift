package import Exporters
import Journal
import Pipeline
import Telemetry

/// What journals hold that no gateway uses now.
package enum IdleQueues {
    /// Opens each journal of the configuration, which repairs it like a start does, reads what its cursors have left,
    /// and closes it. Throws for a journal that is in use or cannot be read.
    package static func read(_ plan: GatewayPlan) async throws -> [ExportWorkerStatus] {
        var all: [ExportWorkerStatus] = []
        for place in plan.journalPlaces where SystemFacts.isDirectory(place.directory) {
            all += try await read(place)
        }
        return all
    }

    /// A journal of the configuration, when none of them is there.
    package static func missing(of plan: GatewayPlan) -> String? {
        let places = plan.journalPlaces
        return places.contains { SystemFacts.isDirectory($0.directory) } ? nil : places.first?.directory
    }

    private static func read(_ place: JournalPlace) async throws -> [ExportWorkerStatus] {
        var options = DiskJournalOptions()
        // Nobody looks to remove anything.
        options.awaitsCursors = true
        let journal = try DiskJournal(directory: place.directory, options: options)
        defer { journal.close() }
        let now = DeadLetterBox.systemTime()
        var all: [ExportWorkerStatus] = []
        for name in Set(place.readers.keys).union(journal.cursorNames).sorted() {
            let cursor = try journal.cursor(named: name)
            let oldest = await cursor.next(maxFrames: 1, maxBytes: 1, timeout: .zero).first
            all.append(
                ExportWorkerStatus(
                    exporter: place.readers[name] ?? name, pipeline: place.pipeline, backlog: cursor.backlog,
                    oldestTime: oldest?.frame.header.maxTime, now: now))
        }
        return all
    }
}
