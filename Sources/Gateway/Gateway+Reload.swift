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
            try await replace(by: again, .zero)
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
        context.reloads[result]?.add(1)
        lastReload.store(result == .taken, ordering: .relaxed)
    }

    private func replace(by new: GraphContext, _ deadline: Duration) async throws {
        let inherited = await takeDown(for: new, deadline)
        parts.withLock { $0.context = new }
        _ = try await bringUp(inherited)
    }

    /// Ends what the configuration in force has running and `new` does not keep. Receivers that stay are left holding
    /// their requests.
    private func takeDown(for new: GraphContext, _ deadline: Duration) async -> Inheritance {
        let parts = parts.withLock { parts in
            defer {
                parts.forgetGraph()
                parts.receivers.removeAll { !$0.serves(new) }
            }
            return parts
        }
        for task in parts.memory { task.cancel() }
        await withTaskGroup(of: Void.self) { tasks in
            for running in parts.receivers where !running.serves(new) {
                tasks.addTask { await running.receiver.shutdown(deadline: deadline) }
            }
        }
        let kept = new.plan.journalKeys
        let (leaving, ending) = parts.split { $0.storage != nil || kept.contains($0) }
        await leave(leaving, within: deadline)
        for running in parts.receivers where running.serves(new) { await running.hold() }
        await drain(ending, within: deadline) { _ in true }
        for exporter in parts.exporters { await exporter.shutdown() }
        if AdminPlan(parts.context.plan) != AdminPlan(new.plan) {
            for server in parts.admin { await server.stop() }
            self.parts.withLock { $0.admin = [] }
        }
        for open in parts.journals where !kept.contains(open.key) { open.journal.close() }
        return Inheritance(journals: parts.journals.filter { kept.contains($0.key) }, watches: parts.watches)
    }

    /// Ends the readers of journals that keep what is left for those that come.
    private func leave(_ parts: GatewayParts, within deadline: Duration) async {
        await withTaskGroup(of: Void.self) { tasks in
            for (_, stage, task) in parts.stages {
                tasks.addTask {
                    stage.leave()
                    await Self.wait(for: task, atMost: deadline)
                }
            }
            for (_, worker, task) in parts.workers {
                tasks.addTask {
                    await worker.leave(deadline: deadline)
                    await task.value
                }
            }
        }
    }
}

extension GatewayParts {
    /// The workers and stages whose journal keeps what they have not passed on, and the others.
    fileprivate func split(_ keeps: (JournalKey) -> Bool) -> (leaving: GatewayParts, ending: GatewayParts) {
        var (leaving, ending) = (self, self)
        let storages = Dictionary(
            context.plan.pipelines.map { ($0.id, $0.storage) }, uniquingKeysWith: { first, _ in first })
        func isKept(_ pipeline: String, _ suffix: String = "") -> Bool {
            let folder = GraphBuilder.folderName(pipeline) + suffix
            return keeps(JournalKey(folder: folder, storage: storages[pipeline] ?? nil))
        }
        leaving.workers = workers.filter { isKept($0.pipeline) }
        ending.workers = workers.filter { !isKept($0.pipeline) }
        leaving.stages = stages.filter { isKept($0.pipeline, GraphBuilder.stageSuffix) }
        ending.stages = stages.filter { !isKept($0.pipeline, GraphBuilder.stageSuffix) }
        return (leaving, ending)
    }
}
