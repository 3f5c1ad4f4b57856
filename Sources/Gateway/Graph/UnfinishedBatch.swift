import Pipeline

/// What the outputs of a connector have already of a batch that one of them refuses, so that they do not get it again
/// each time it comes: the deliveries that are left, and the names of those that were stored.
///
/// It lasts as long as the process. After a restart the batch goes to all outputs once more.
struct UnfinishedBatch {
    private var batch: ExportBatch?
    private var left: [ConnectorDelivery] = []
    private var stored: Set<String> = []

    /// What is left of a batch that comes again; nil when the connector is to be asked. Another batch, for one that is
    /// given up meanwhile, makes it forget the one before.
    mutating func rest(of next: ExportBatch) -> [ConnectorDelivery]? {
        guard let batch else { return nil }
        // The bytes of a batch that comes again are the same array, so this is no comparison of each.
        guard batch.number == next.number, batch.tenant == next.tenant, batch.metadata == next.metadata,
            batch.pieces == next.pieces
        else {
            self = UnfinishedBatch()
            return nil
        }
        return left.isEmpty ? nil : left
    }

    /// Deliveries that a connector has made anew, without those that their output has.
    func open(_ deliveries: [ConnectorDelivery]) -> [ConnectorDelivery] {
        if stored.isEmpty { return deliveries }
        return deliveries.filter { delivery in
            guard let name = Self.name(delivery) else { return true }
            return !stored.contains(name)
        }
    }

    /// Remembers that the first `done` of these deliveries are stored and the next one was refused. Those of a
    /// connector with a clock (`isTimed`) are made anew when the batch comes again: its clock goes on.
    mutating func note(_ next: ExportBatch, _ deliveries: [ConnectorDelivery], done: Int, isTimed: Bool) {
        note(deliveries[..<done])
        guard done > 0 else { return }
        batch = next
        left = isTimed ? [] : Array(deliveries[done...])
    }

    /// Remembers deliveries that are stored.
    mutating func note(_ deliveries: ArraySlice<ConnectorDelivery>) {
        stored.formUnion(deliveries.compactMap { Self.name($0) })
    }

    /// Forgets deliveries that count for good.
    mutating func settle(_ deliveries: [ConnectorDelivery]) { stored.subtract(deliveries.compactMap { Self.name($0) }) }

    private static func name(_ delivery: ConnectorDelivery) -> String? {
        delivery.name.isEmpty ? nil : "\(delivery.output) \(delivery.name)"
    }
}
