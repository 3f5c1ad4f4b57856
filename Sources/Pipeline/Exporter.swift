package import Telemetry

/// Where data leaves: a file, a backend, a database. The exporter helper owns queue, batching, retry and accounting;
/// an exporter only knows how to deliver one batch and how to read the answer.
package protocol Exporter: Sendable {
    /// Opens what the exporter needs. Throws `ExporterStartFailure` when the configuration cannot work.
    func start() async throws
    /// Finds what would keep `start` from working for good, as far as that shows without sending, listening or changing
    /// anything on disk. For an exporter that is not started; throws a `StartFault`.
    func check() throws
    /// Delivers one batch. Called by at most `maxConcurrency` tasks at once. Never throws: the outcome tells.
    func export(_ batch: ExportBatch) async -> ExportOutcome
    /// The same. `filtered` gets how many records of the batch the exporter's own processors took out in this attempt:
    /// if that was the last one, the destination has not seen them.
    func export(_ batch: ExportBatch, filtered: inout Int) async -> ExportOutcome
    /// Flushes and closes. Safe to call twice and without `start`.
    func shutdown() async
    /// How many `export` calls may run at once, whatever `num_consumers` says; 1 for exporters with one writer.
    var maxConcurrency: Int { get }
    /// Whether it remembers what it has committed (`ExportBatch.journaled`) and answers `committed` for it.
    var recordsCommits: Bool { get }
}

extension Exporter {
    package var recordsCommits: Bool { false }
    package func check() throws {}
    package func export(_ batch: ExportBatch, filtered: inout Int) async -> ExportOutcome { await export(batch) }
}

/// What one delivery carries: the protobuf bytes of one `Export…ServiceRequest`.
package struct ExportBatch: Sendable {
    package var signal: Signal
    package var itemCount: Int
    /// Requests that follow each other; concatenated they are one.
    package private(set) var pieces: [[UInt8]]
    /// Of whom all of it is: batches are never of two tenants.
    package var tenant: String
    /// The headers that all its requests came with, as far as the exporter asked for them (`ExporterPlan.contextKeys`
    /// and `partition.metadata_keys`): batches are parted by them. `metadata["x-tenant"]` is a value, nil when the
    /// requests had no such header.
    package var metadata: RequestMetadata
    /// Where its records stand in a journal that outlives the process; nil when nobody asked for that, and for batches
    /// that come from elsewhere.
    package var journaled: JournaledRecords?
    /// Time of its newest record, Unix nanoseconds, 0 when unknown.
    package var newest: UInt64 = 0
    /// Tells it from other deliveries with the same bytes, also of other journals: the same for each attempt and, of a
    /// journal on disk, after a restart that delivers the same records together. 0 when unknown.
    package var number: UInt64 = 0
    /// Whether a destination that refuses one of its records is to store none of them: processors have changed it, so
    /// that nobody can tell which record of the journal that one was.
    package var isIndivisible = false
    /// For records that a database has refused before: where each of them stood then. Empty for all others.
    package var rowPlaces: [RowPlace] = []

    package init(
        signal: Signal, itemCount: Int, bytes: [UInt8], tenant: String = "",
        metadata: RequestMetadata = RequestMetadata()
    ) {
        self.init(signal: signal, itemCount: itemCount, pieces: [bytes], tenant: tenant, metadata: metadata)
    }

    package init(
        signal: Signal, itemCount: Int, pieces: [[UInt8]], tenant: String = "",
        metadata: RequestMetadata = RequestMetadata()
    ) {
        self.signal = signal
        self.itemCount = itemCount
        self.pieces = pieces
        self.tenant = tenant
        self.metadata = metadata
    }

    /// Other records of the same origin, such as a part of it. Where they stand in a journal is not carried over.
    package func with(itemCount: Int, bytes: [UInt8]) -> ExportBatch {
        var batch = ExportBatch(
            signal: signal, itemCount: itemCount, bytes: bytes, tenant: tenant, metadata: metadata)
        batch.newest = newest
        return batch
    }

    /// The whole request. Several pieces are copied together each time: take it once.
    package var bytes: [UInt8] {
        get { pieces.joinedBytes }
        set { pieces = [newValue] }
    }

    /// Bytes of the whole request.
    package var byteCount: Int { pieces.reduce(0) { $0 + $1.count } }
}

extension [[UInt8]] {
    /// The pieces as one; no copy of a single one. `Array(joined())` goes byte by byte.
    package var joinedBytes: [UInt8] {
        if count == 1 { return self[0] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(reduce(0) { $0 + $1.count })
        for piece in self { bytes.append(contentsOf: piece) }
        return bytes
    }
}

/// By what a database knows a record that has no id of its own: the hash of the block that it came in, and its place
/// there.
package struct RowPlace: Sendable, Equatable {
    /// 128 bits, in the order in which the database has their bytes.
    package var block: [UInt8]
    package var position: Int64

    package init(block: [UInt8], position: Int64) {
        self.block = block
        self.position = position
    }
}

/// How a delivery ended. The exporter decides, the helper acts.
package enum ExportOutcome: Sendable, Equatable {
    case delivered
    /// The backend took the batch but for `rejected` records; they are not sent again.
    case partial(rejected: Int, message: String)
    /// The destination took the batch but for the records at these places in it, which it will never take; each is
    /// kept as a dead letter of its own. `places` tells by record where those without an id would have stood.
    case refused(records: [Int], message: String, places: [Int: RowPlace] = [:])
    /// The destination will never take some record of the batch, has stored none of it, and nobody can tell which one
    /// it was: the helper sends parts, whole requests while there are several, and keeps what is refused alone.
    case refusedTogether(message: String)
    /// What the gateway itself does to a batch before it is sent fails on some record of it, the same each time, and
    /// nothing was sent: the helper tries parts, whole requests while there are several, and keeps the records that
    /// fail alone.
    case unprocessed(message: String)
    /// The destination has committed these records of the batch before, and has done nothing now: the helper sends the
    /// others. Only of `ExportBatch.journaled`, and at least one of it.
    case committed([JournaledRecords.Part])
    /// A passing problem; the hint is the backend's own (Retry-After).
    case retry(reason: String, after: Duration?)
    /// Something else comes first: no failure, and nothing was tried. To be asked again after that time.
    case notYet(reason: String, after: Duration)
    /// The destination takes no request of this size; the helper sends the halves, down to a single record.
    case tooLarge(reason: String)
    /// Sending it again would not help; the batch is kept as a dead letter and counted.
    case permanent(reason: String)
}

/// The exporter cannot start: says what to change.
package struct ExporterStartFailure: StartFault {
    package var description: String
    package var option: String?
    package var fix: String?
    /// The configuration is right and the disk or the other side is not, for now: an exporter may start all the same
    /// and try again with each batch.
    package var isPassing: Bool
    package var isOfMachine = false

    package init(_ description: String, isPassing: Bool = false, at option: String? = nil, fix: String? = nil) {
        self.description = description
        self.option = option
        self.fix = fix
        self.isPassing = isPassing
    }
}
