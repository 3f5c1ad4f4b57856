import Exporters
import Logging
import Pipeline

/// Waits for parts of a gateway that may hang, in a disk or a destination that does not answer.
struct Waits: Sendable {
    /// Time between two lines about the same wait.
    static let interval = Duration.seconds(30)
    /// How long a reload lets all others wait for one exporter that ends its attempts, closes or starts.
    static let patience = Duration.seconds(1)
    /// The same for connectors to close, which cannot start later.
    static let closingTime = Duration.seconds(30)
    /// How long the end of the gateway waits beyond its deadline for exporters that close what they have open.
    static let endTime = Duration.seconds(4)

    let log: Logger
    var effects = WorkerEffects.system()
    /// Whether it is the gateway that ends, rather than a configuration.
    var isEnd = false

    /// Who does not wait any longer.
    var others: String { isEnd ? "the gateway ends" : "the reload goes on" }

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

    /// Waits for some work for `time` at most, if there is one. False when it is not done then, and goes on by itself.
    func isDone(within time: Duration?, _ work: @escaping @Sendable () async -> Void) async -> Bool {
        guard let time else {
            await work()
            return true
        }
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

    /// Closes exporters that get nothing any more, each behind its own attempts to start. Gives the names of those that
    /// have not ended in that time; they do so by themselves.
    func close(
        _ exporters: [(id: String, exporter: any Exporter)], within time: Duration,
        behind starts: [(id: String, task: Task<Bool, Never>)] = []
    ) async -> Set<String> {
        await withTaskGroup(of: String?.self) { tasks in
            for (id, exporter) in exporters {
                let time = exporter is ConnectorExporter && !isEnd ? max(time, Self.closingTime) : time
                let before = starts.filter { $0.id == id }.map(\.task)
                let work = before.isEmpty ? "close what it has open" : "end its attempt to start, or close"
                tasks.addTask {
                    let isClosed = await isDone(within: time) {
                        for task in before { _ = await task.value }
                        await exporter.shutdown()
                    }
                    if !isClosed {
                        log.warning("exporter \(id) does not \(work): \(others) without waiting for it")
                    }
                    return isClosed ? nil : id
                }
            }
            var closing: Set<String> = []
            for await case let id? in tasks { closing.insert(id) }
            return closing
        }
    }
}
