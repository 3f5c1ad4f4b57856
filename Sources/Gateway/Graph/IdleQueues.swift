package import Exporters
import Journal

/// What journals hold that no gateway answers for.
package enum IdleQueues {
    /// Reads the journals of the configuration without changing anything: a gateway may be using them, or start.
    /// Throws for one that cannot be read. `isOwn` says that the plan is that of the journals' gateway: exporters that
    /// have not read yet then have everything before them, as when it starts.
    package static func read(_ plan: GatewayPlan, isOwn: Bool) throws -> [ExportWorkerStatus] {
        var all: [ExportWorkerStatus] = []
        for place in try plan.readableJournals() { all += try read(place, isOwn: isOwn) }
        return all
    }

    /// A journal of the configuration, when none of them is there.
    package static func missing(of plan: GatewayPlan) -> String? {
        let places = plan.journalPlaces
        return places.contains { SystemFacts.isDirectory($0.directory) } ? nil : places.first?.directory
    }

    private static func read(_ place: JournalPlace, isOwn: Bool) throws -> [ExportWorkerStatus] {
        let backlogs = try JournalBacklog.read(place.directory, names: isOwn ? Set(place.readers.keys) : [])
        let now = DeadLetterBox.systemTime()
        return backlogs.sorted { $0.key < $1.key }.map { name, backlog in
            ExportWorkerStatus(
                exporter: place.readers[name] ?? name, pipeline: place.pipeline, backlog: backlog.held,
                oldestTime: backlog.oldestTime, now: now)
        }
    }
}
