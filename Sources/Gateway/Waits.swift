import Exporters
import Logging
import Pipeline

/// Waits for parts of a gateway that may hang, in a disk or a destination that does not answer.
struct Waits: Sendable {
    /// Time between two lines about the same wait.
    static let interval = Duration.seconds(30)
    /// How long a reload waits at least for exporters to close what they have open.
    static let closingTime = Duration.seconds(30)
    /// What each has of it, however long others took.
    private static let leastTime = Duration.seconds(1)

    let log: Logger
    var effects = WorkerEffects.system()

    /// Waits for some work, and tells again and again for whom when it takes long beyond `time`.
    func telling(_ who: String, after time: Duration, _ work: () async -> Void) async {
        let teller = Task {
            var interval = time + Self.interval
            while (try? await effects.sleep(interval)) != nil {
                log.warning("still waiting for \(who)")
                interval = Self.interval
            }
        }
        await work()
        teller.cancel()
    }

    /// Waits for some work for `time` at most. False when it is not done then, and goes on by itself.
    func isDone(within time: Duration, _ work: @escaping @Sendable () async -> Void) async -> Bool {
        let (ends, end) = AsyncStream<Bool>.makeStream()
        Task {
            await work()
            end.yield(true)
        }
        let limit = Task {
            if (try? await effects.sleep(time)) != nil { end.yield(false) }
        }
        defer { limit.cancel() }
        for await isDone in ends { return isDone }
        return false
    }

    /// Closes exporters that get nothing any more, one after the other. Gives the names of those that have not ended in
    /// that time; they do so by themselves.
    func close(_ exporters: [(id: String, exporter: any Exporter)], within time: Duration) async -> Set<String> {
        let start = effects.now()
        var closing: Set<String> = []
        for (id, exporter) in exporters {
            let left = max(time - (effects.now() - start), Self.leastTime)
            if await isDone(within: left, { await exporter.shutdown() }) { continue }
            closing.insert(id)
            log.warning("exporter \(id) does not close what it has open: the reload goes on without waiting for it")
        }
        return closing
    }
}
