import Configuration
import Exporters
package import Logging
import Pipeline
import Receivers
import Synchronization

/// How an attempt ended to go on with another configuration.
package enum ReloadOutcome: Sendable {
    case taken
    /// The one before is in force.
    case refused(String)
    /// The one before cannot be had back either. The gateway is to be shut down.
    case failed(String)
}

extension Gateway {
    /// Goes on with another configuration, and with the one before when that cannot be.
    ///
    /// Receivers that are the same in both keep their sockets and connections: requests are taken by the old pipelines
    /// until their exporters have ended what was under way, wait while the new ones are made, and go on there. Journals
    /// that are the same stay open with all that is in them. What lies in memory and has no place in the new
    /// configuration is delivered first, for `deadline` at most, as at a shutdown.
    package func reload(_ loaded: LoadedConfiguration, log: Logger, deadline: Duration) async -> ReloadOutcome {
        let old = context
        if loaded.problems.hasErrors { return refuse("it has errors", old) }
        let new = context(of: loaded.plan, log, behind: old)
        let failure: any Error
        do {
            try await replace(by: new, deadline)
            count(.taken, new)
            return .taken
        } catch {
            failure = error
        }
        let again = context(of: old.plan, old.log, behind: new)
        do {
            try await replace(by: again, deadline, isWayBack: true)
            return refuse("\(failure)", again)
        } catch {
            return .failed("\(failure); and the configuration before it cannot be had back: \(error)")
        }
    }

    private func refuse(_ reason: String, _ context: GraphContext) -> ReloadOutcome {
        count(.refused, context)
        return .refused(reason)
    }

    private func count(_ result: ReloadResult, _ context: GraphContext) {
        reloads(result, context.metrics).add()
        lastReload.store(result == .taken, ordering: .relaxed)
    }

    private func replace(by new: GraphContext, _ deadline: Duration, isWayBack: Bool = false) async throws {
        let before = parts.withLock { $0.journals }
        let (inherited, emptied) = await takeDown(for: new, deadline)
        parts.withLock { $0.context = new }
        _ = try await bringUp(inherited, isWayBack: isWayBack)
        // There is no way back to what was left in them.
        let late = parts.withLock { $0.late }
        for journal in emptied { giveUp(journal, late, new) }
        tellOfLeft(before, new)
        parts.withLock { $0.emptied = [] }
        for watch in parts.withLock({ $0.takeEndedWatches() }) { watch.end() }
        let retiring = parts.withLock { $0.retiring }
        Task {
            await withTaskGroup(of: Void.self) { tasks in
                for running in retiring { tasks.addTask { await running.receiver.shutdown(deadline: deadline) } }
            }
            parts.withLock { parts in parts.retiring.removeAll { gone in retiring.contains { $0.http === gone.http } } }
        }
    }

    /// Ends what the configuration in force has running and `new` does not keep. Receivers that stay are left holding
    /// their requests. `emptied` are journals in memory that have no place in `new`.
    private func takeDown(
        for new: GraphContext, _ deadline: Duration
    ) async -> (inherited: Inheritance, emptied: [EmptiedJournal]) {
        let parts = parts.withLock { parts in
            defer { parts.forgetGraph() }
            return parts
        }
        for task in parts.tasks { task.cancel() }
        // Who waits for room asks the exporters of this configuration, and would do so when there are others.
        for (_, worker, _) in parts.workers { worker.turnSendersAway() }
        let (kept, waits) = (new.plan.journalKeys, Waits(log: parts.context.log))
        let passing = parts.passingOn(kept)
        await leave(parts, within: deadline, waits) { !passing.contains($0) }
        // Before requests wait: some take long to close what they have open.
        let needed = Set(parts.workers.filter { passing.contains($0.pipeline) }.map(\.worker.exporterID))
        var mayWait = await closeExporters(of: parts, waits) { !needed.contains($0) }
        let followed = await changeReceivers(for: new, deadline)
        let late = await drain(parts, within: deadline, passing, waits, leaves: { parts.isKept($0, kept) })
        noteLate(late, parts, waits)
        mayWait.formUnion(await closeExporters(of: parts, waits) { needed.contains($0) })
        // Not before: nobody listens on their ports from now until there are the new ones.
        for running in followed { await running.receiver.stopAccepting() }
        if AdminPlan(parts.context.plan) != AdminPlan(new.plan) {
            for server in parts.admin { await server.stop() }
            self.parts.withLock { $0.admin = [] }
        }
        let retained = retainJournals(of: parts, for: new)
        var inherited = retained.inherited
        inherited.mayWait = mayWait
        inherited.startTime = Waits.patience
        self.parts.withLock { kept in
            let workers = parts.workers.map { (pipeline: $0.pipeline, worker: $0.worker) }
            kept.holds.note(workers, parts.context.plan, now: .seconds(SystemFacts.monotonicSeconds))
            inherited.holds = kept.holds
            inherited.late = kept.late
            // Also of configurations before this one: it may be asked for again.
            inherited.mayWait.formUnion(kept.late.map(\.seat.exporter))
            // Whatever its name is now, it wants the same file or port.
            let traits = parts.context.plan.destinationTraits
            let held = Set(mayWait.compactMap { traits[$0] } + kept.late.compactMap(\.destination))
            for (id, destination) in new.plan.destinationTraits where held.contains(destination) {
                inherited.mayWait.insert(id)
            }
        }
        return (inherited, retained.emptied)
    }

    /// Ends those exporters, whose workers have left. Gives the names of those that have not started, or have not
    /// closed yet what they have open: a worker that is late has its exporter until it ends.
    ///
    /// A fallback's own worker has a journal to itself, which it keeps locked until it ends.
    func closeExporters(
        of parts: GatewayParts, _ waits: Waits, _ late: [LateWorker]? = nil, within time: Duration = Waits.patience,
        where isMeant: (String) -> Bool
    ) async -> Set<String> {
        let starts = parts.starts.filter { isMeant($0.id) }
        let waiting = await Self.end(starts, waits, within: Waits.patience)
        let late = (late ?? self.parts.withLock { $0.late }).filter { one in
            parts.workers.contains { $0.worker === one.worker }
        }
        let exporters = parts.exporters.filter { isMeant($0.id) }
        let users = Dictionary(grouping: late, by: \.seat.exporter)
        for (id, exporter) in exporters {
            guard let workers = users[id] else { continue }
            Task {
                for one in workers { await one.task.value }
                for start in starts where start.id == id { _ = await start.task.value }
                await exporter.shutdown()
            }
        }
        let others = exporters.filter { users[$0.id] == nil }
        let closing = await waits.close(others, within: time, behind: starts)
        return waiting.union(closing).union(exporters.map(\.id).filter { users[$0] != nil })
    }

    /// Keeps in mind whose attempts go on, until they end.
    func noteLate(_ late: [LateWorker], _ parts: GatewayParts, _ waits: Waits) {
        for one in late {
            let (seat, log) = (one.seat, waits.log)
            let rest =
                waits.isEnd
                ? " without waiting for them" : ", and what follows them is delivered when they have ended"
            log.warning(
                """
                exporter \(seat.exporter) of pipeline \(seat.pipeline) has not ended its attempts to deliver: \
                \(waits.others)\(rest)
                """)
            let destination = one.destination ?? parts.context.plan.destinationTraits[seat.exporter]
            self.parts.withLock { kept in
                kept.late.append(one)
                kept.late[kept.late.count - 1].destination = destination
            }
            Task {
                await one.task.value
                log.info("exporter \(seat.exporter) of pipeline \(seat.pipeline) has ended its attempts to deliver")
                self.parts.withLock { parts in parts.late.removeAll { $0.worker === one.worker } }
            }
        }
    }

    /// Lets requests wait, and receivers go that are other ones in `new`. Those that take the same signals there are
    /// given: they are to free their ports and serve the connections they have to their end; the others end first what
    /// they have under way.
    private func changeReceivers(for new: GraphContext, _ deadline: Duration) async -> [RunningReceiver] {
        let all = parts.withLock { $0.receivers }
        let changed = all.filter { !$0.serves(new) }
        let followed = changed.filter { new.plan.signals(of: $0.id).isSuperset(of: $0.http.signals) }
        await withTaskGroup(of: Void.self) { tasks in
            for running in changed where !followed.contains(where: { $0.id == running.id }) {
                tasks.addTask { await running.receiver.shutdown(deadline: deadline) }
            }
        }
        let staying = all.filter { $0.serves(new) } + followed
        for running in staying + parts.withLock({ $0.retiring }) { await running.hold() }
        parts.withLock { parts in
            parts.receivers.removeAll { !$0.serves(new) }
            parts.retiring += followed
        }
        return followed
    }

    /// Closes journals on disk that are to be opened anew or have no place any more. Those in memory stay for a way
    /// back.
    private func retainJournals(
        of parts: GatewayParts, for new: GraphContext
    ) -> (inherited: Inheritance, emptied: [EmptiedJournal]) {
        let kept = new.plan.journalKeys
        let others = parts.journals.filter { !kept.contains($0.key) }
        for open in others where open.key.storage != nil { open.journal.close() }
        let back = parts.emptied.map(\.open).filter { kept.contains($0.key) }
        let journals = parts.journals.filter { kept.contains($0.key) } + back
        let emptied =
            parts.emptied.filter { !kept.contains($0.open.key) }
            + others.filter { $0.key.storage == nil }.map { open in
                EmptiedJournal(open: open, workers: parts.workers.filter { $0.pipeline == open.name }.map(\.worker))
            }
        self.parts.withLock { $0.follow(parts, journals, emptied) }
        let earlier = self.parts.withLock { $0.earlierWatches }
        var watches: [String: DeliveryWatch] = [:]
        for pipeline in new.plan.pipelines {
            watches[pipeline.id] = earlier.last { $0.place == SequencePlace(pipeline) }?.watch
        }
        return (Inheritance(journals: journals, watches: watches), emptied)
    }

    /// Closes a journal in memory for good, and counts what was not delivered of it.
    private func giveUp(_ emptied: EmptiedJournal, _ late: [LateWorker], _ context: GraphContext) {
        for worker in emptied.workers { late.giveUp(worker, of: emptied.open.name) }
        let left = emptied.open.journal.held.items
        if emptied.workers.isEmpty, left > 0 {
            context.log.warning("pipeline \(emptied.open.name): \(left) records in memory are lost")
        }
        emptied.open.journal.close()
    }

    /// Tells what waits in folders that `context` does not look into; of those in the others the start tells.
    private func tellOfLeft(_ journals: [OpenJournal], _ context: GraphContext) {
        let seen = Set(context.journalDirectories.compactMap(SystemFacts.resolved))
        for open in journals {
            let left = open.journal.held.items
            guard let directory = open.key.storage?.directory, left > 0,
                !seen.contains(SystemFacts.resolved(directory) ?? directory)
            else { continue }
            context.log.warning(
                """
                pipeline \(open.name): \(left) records that were not delivered wait in \(directory)/\(open.key.folder) \
                until file_storage has that directory again
                """)
        }
    }

    /// Ends the readers of journals that keep what is left for those that come: first stages and connectors, which have
    /// a state that one at a time may have, and for which the exporters go on meanwhile. Then these: one whose attempts
    /// take longer than a moment keeps none of the others waiting, and its successor waits for it.
    private func leave(
        _ parts: GatewayParts, within deadline: Duration, _ waits: Waits, _ isMeant: @escaping (String) -> Bool
    ) async {
        let work: @Sendable (ExportWorker, String) async -> Void = { worker, pipeline in
            await waits.telling(Self.delivery(of: worker, pipeline), after: deadline) {
                await worker.leave(deadline: deadline)
            }
        }
        await withTaskGroup(of: Void.self) { tasks in
            for (pipeline, stage, task) in parts.stages where isMeant(pipeline) {
                tasks.addTask {
                    stage.leave()
                    await Self.wait(for: task, atMost: deadline)
                }
            }
            for (pipeline, worker, _) in parts.workers
            where isMeant(pipeline) && parts.isConnector(worker, in: pipeline) {
                tasks.addTask { await work(worker, pipeline) }
            }
        }
        let exporting = parts.workers.filter { isMeant($0.pipeline) && !parts.isConnector($0.worker, in: $0.pipeline) }
        let late = await Self.end(exporting, waits, within: Waits.patience, work)
        noteLate(late, parts, waits)
    }
}

extension GatewayParts {
    /// Whether a worker of a pipeline delivers to a connector.
    func isConnector(_ worker: ExportWorker, in pipeline: String) -> Bool {
        context.plan.pipelines.contains { one in
            one.id == pipeline && one.connectors.contains { $0.id == worker.exporterID }
        }
    }

    /// Whether what a pipeline's exporters have not delivered is there for those that come.
    func isKept(_ pipeline: String, _ kept: Set<JournalKey>) -> Bool {
        let key = context.plan.pipelines.first { $0.id == pipeline }?.journalKey
        return key.map { $0.storage != nil || kept.contains($0) } ?? false
    }

    /// Pipelines that have to pass on what lies in memory before they end, and those behind them.
    func passingOn(_ kept: Set<JournalKey>) -> Set<String> {
        let gathering = stages.filter { !$0.stage.setup.isDurable }.map(\.pipeline)
        var found = Set(workers.map(\.pipeline).filter { !isKept($0, kept) } + gathering)
        for pipeline in context.plan.pipelines.sorted(by: { $0.depth < $1.depth }) where found.contains(pipeline.id) {
            for output in pipeline.connectors.flatMap(\.outputs) { found.insert(output.pipeline) }
        }
        return found
    }

    /// Takes note of what was taken down.
    mutating func follow(_ gone: GatewayParts, _ journals: [OpenJournal], _ emptied: [EmptiedJournal]) {
        self.journals = journals
        self.emptied = emptied
        for pipeline in gone.context.plan.pipelines {
            guard let watch = gone.watches[pipeline.id] else { continue }
            earlierWatches.append((SequencePlace(pipeline), watch))
        }
        watches = [:]
    }

    /// Whoever waited under an earlier configuration, and does not under this one.
    mutating func takeEndedWatches() -> [DeliveryWatch] {
        defer { earlierWatches = [] }
        return earlierWatches.map(\.watch).filter { earlier in !watches.values.contains { $0 === earlier } }
    }
}
