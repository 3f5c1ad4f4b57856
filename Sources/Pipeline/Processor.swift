package import Telemetry

/// One step of a pipeline's chain. It changes a batch in place, synchronously, and keeps no state per trace.
///
/// Dispatch is per batch, never per record. One processor value serves all event loops at once, so it is immutable but
/// for atomic counters.
package protocol Processor: Sendable {
    /// Changes the batch. Removing a record must be counted with `context.dropped`. Throwing refuses the whole request:
    /// it is for steps that must not let data pass when they fail (redaction).
    func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure)
}

/// What a processor may know and tell about the request it works on.
package struct ProcessContext {
    package var origin: RequestOrigin
    /// Records that this request lost so far, for the balance of received and delivered.
    package private(set) var droppedItems = 0
    /// What to do once the pipeline's journal holds the request.
    package private(set) var storedActions: [@Sendable () -> Void] = []

    package init(tenant: String = "", metadata: RequestMetadata = RequestMetadata()) {
        origin = RequestOrigin(tenant: tenant, metadata: metadata)
    }

    /// Authenticated tenant, empty when there is none.
    package var tenant: String { origin.tenant }

    /// Runs `action` after the request is stored, on an unspecified thread; never when it is refused. For processors
    /// that remember what went through: a refused request comes again.
    package mutating func whenStored(_ action: @escaping @Sendable () -> Void) { storedActions.append(action) }

    /// Counts records that a processor removed, under the processor's own counter.
    package mutating func dropped(_ items: Int, _ counter: Counter) {
        droppedItems += items
        counter.add(items)
    }
}

/// A processor could not do what it must; the request is refused and may be sent again.
package struct ProcessFailure: Error {
    package var reason: String

    package init(reason: String) { self.reason = reason }
}
