/// How the memory that a memory_limiter allows is shared out between what a gateway holds.
///
/// The limit is one of the process: what it takes by itself, requests in memory, and the buffers between journals and
/// exporters. The buffers get smaller with the limit, so that a small one is left for requests.
struct MemoryShares: Equatable, Sendable {
    /// Resident bytes from which on nothing is taken in: the limit less what is kept for bursts.
    let soft: Int
    /// Bytes that the gateway takes without any request.
    let baseline: Int
    private let journals: Int
    private let workers: Int

    /// Memory of a disk journal that it always has: the writer's buffer and a read.
    static let journalBytes = 6 << 20
    /// With less than this beside the baseline there is no work.
    static let usefulBytes = 24 << 20
    /// Smaller deliveries would cost destinations too much.
    static let leastDelivery = 1 << 20
    /// What a gateway with one pipeline needs to work; less in a file is most likely a mistake.
    static let leastSoft = 72 << 20

    /// - Parameters:
    ///   - softLimit: of the memory_limiter; raised to what is needed to work at all.
    ///   - resident: bytes of the process before journals and requests.
    ///   - journals: number of journals that share what is given to them.
    ///   - workers: number of exporters and connectors, counted for each pipeline.
    init(softLimit: Int, resident: Int, journals: Int, workers: Int) {
        baseline = resident + journals * Self.journalBytes
        soft = max(softLimit, baseline + Self.usefulBytes)
        self.journals = max(journals, 1)
        self.workers = max(workers, 1)
    }

    /// Resident bytes that a request may lead to while it is the only one: what the limit keeps for bursts, a fifth of
    /// it where nothing else is configured, is there for it.
    var lone: Int { soft + soft / 4 }

    /// Bytes beside the baseline.
    var room: Int { soft - baseline }

    /// Bytes of requests that may be in memory at once while nothing else is. A request takes up to twice its body: the
    /// body and the frame that is made of it.
    var requests: Int { room / 2 }

    /// Bytes of the newest frames that each journal keeps for exporters that keep up.
    func tail(_ most: Int) -> Int { min(most, room / 8 / journals) }

    /// Bytes that may wait for each journal's disk.
    func queue(_ most: Int) -> Int { min(most, requests / journals) }

    /// Bytes of deliveries that each exporter may have under way.
    func deliveries(_ most: Int) -> Int { min(most, room / 8 / workers) }

    /// Bytes of one delivery. A batch is held several times over: while it is gathered, while it waits, on its way, and
    /// rendered for its destination.
    func delivery(_ most: Int) -> Int { min(most, max(Self.leastDelivery, room / 32 / workers)) }

    /// Bytes of a workspace that is kept for the next request.
    func workspace(_ most: Int, loops: Int) -> Int { min(most, room / 8 / max(loops, 1)) }
}
