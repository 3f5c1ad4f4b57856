package import Telemetry

/// One step of a pipeline's chain. It changes a batch in place, synchronously, and keeps no state per trace.
///
/// Dispatch is per batch, never per record. One processor value serves all event loops at once, so it is immutable but
/// for atomic counters.
package protocol Processor: Sendable {
    /// Changes the batch. Removing a record must be counted with `context.dropped`. Throwing refuses the whole request:
    /// it is for steps that must not let data pass when they fail (redaction).
    func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure)

    /// What it remembers between traces and has to find again after a restart; nil when that is nothing.
    var traceMemory: (any TraceMemory)? { get }

    /// Whether it waits for a disk. Its chain then runs on no event loop.
    var waitsForDisk: Bool { get }

    /// Whether it makes something else of a request, or loses it, without the requests before, which only the gateway
    /// has in memory: then no dead letter goes through it elsewhere.
    var needsEarlierRequests: Bool { get }
}

/// What a processor may know and tell about the request it works on.
package struct ProcessContext {
    package var origin: RequestOrigin
    /// For a batch that holds one whole trace: how it came to be taken as complete.
    package let trace: GatheredTrace?
    /// Records that this request lost so far, for the balance of received and delivered.
    package private(set) var droppedItems = 0
    /// What to do once the pipeline's journal holds the request.
    private var storedActions: [@Sendable () -> Void] = []
    /// What counters are raised by once the request is taken.
    private var tallies: [(counter: Counter, amount: Int)] = []
    /// Why the step in hand drops records, where it does not say so for each: a policy or a rule of the file.
    package var dropRule = ""
    /// The same by index of the span or log record.
    package private(set) var dropRules: [Int: String] = [:]
    /// Whether anybody asks for `dropRules`.
    package var notesDrops = true
    /// The session for which the trace is held back, see `hold`.
    package private(set) var heldSession: String?
    /// Sessions whose held traces are to be decided on again.
    package private(set) var releasedSessions: [String] = []

    /// Most records of one request whose rule is kept.
    package static let dropRulesMax = 64

    package init(
        tenant: String = "", metadata: RequestMetadata = RequestMetadata(), trace: GatheredTrace? = nil
    ) {
        origin = RequestOrigin(tenant: tenant, metadata: metadata)
        self.trace = trace
    }

    /// Authenticated tenant, empty when there is none.
    package var tenant: String { origin.tenant }

    /// Runs `action` after the request is stored, or taken with nothing left to store, on an unspecified thread; never
    /// when it is refused. For processors that remember what went through: a refused request comes again.
    package mutating func whenStored(_ action: @escaping @Sendable () -> Void) { storedActions.append(action) }

    /// Raises a counter once the request is taken: a refused request comes again and would count twice.
    package mutating func count(_ amount: Int, _ counter: Counter) {
        guard amount > 0 else { return }
        if let last = tallies.indices.last, tallies[last].counter === counter {
            tallies[last].amount += amount
        } else {
            tallies.append((counter, amount))
        }
    }

    /// Raises a counter by one once the request is taken.
    package mutating func count(_ counter: Counter) { count(1, counter) }

    /// Counts records that a processor removed, under the processor's own counter.
    package mutating func dropped(_ items: Int, _ counter: Counter) {
        droppedItems += items
        count(items, counter)
    }

    private static func add(_ tallies: [(counter: Counter, amount: Int)]) {
        for (counter, amount) in tallies { counter.add(amount) }
    }

    /// What is to be done once the request is stored: the processors' actions, and the counters.
    package var actionsWhenStored: [@Sendable () -> Void] {
        tallies.isEmpty ? storedActions : storedActions + [{ [tallies] in ProcessContext.add(tallies) }]
    }

    /// Says which rule dropped one record, for the drop ledger.
    package mutating func dropping(_ record: Int, by rule: String) {
        if notesDrops, dropRules.count < ProcessContext.dropRulesMax { dropRules[record] = rule }
    }

    /// Begins the next step.
    package mutating func beginStep() {
        dropRule = ""
        if !dropRules.isEmpty { dropRules.removeAll(keepingCapacity: true) }
    }

    /// Stops the chain and keeps the trace until its session is released or the time to hold it is over; then the chain
    /// runs on it again from its first step. Only where `trace.canHold` says so.
    package mutating func hold(for session: String) { heldSession = session }

    /// Lets the held traces of a session go through the chain again once this one is through.
    package mutating func release(_ session: String) { releasedSessions.append(session) }
}

/// How a whole trace came to the processors.
package struct GatheredTrace: Sendable {
    /// What made it complete.
    package enum Reason: String, CaseIterable, Sendable {
        /// Its root came, and nothing since.
        case root
        /// Nothing came for long, and no root.
        case idle
        case age
        /// It has as many spans or bytes as one trace may have.
        case size
        /// A limit on all traces or bytes was reached.
        case full
        case shutdown
    }

    package var reason: Reason
    /// Whether it may be held back for its session.
    package var canHold: Bool

    package init(reason: Reason, canHold: Bool) {
        self.reason = reason
        self.canHold = canHold
    }
}

/// A processor could not do what it must, and cannot with the same records another time. In front of the journal the
/// request is refused; behind it the records that fail are kept as dead letters or counted.
package struct ProcessFailure: Error {
    package var reason: String

    package init(reason: String) { self.reason = reason }
}
