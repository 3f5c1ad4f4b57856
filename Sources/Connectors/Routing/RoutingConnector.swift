import OTLP
import OTTL
package import Pipeline
import Synchronization
import Telemetry

/// Sends records to pipelines by conditions on them: the Collector's `routing` connector.
package struct RoutingConnector: Connector {
    /// Why the connector cannot be built; the words are for the user.
    package struct BuildFailure: Error, CustomStringConvertible {
        package var description: String
    }

    // One batch is routed at a time, under the lock of `memory`.
    private final class Memory: @unchecked Sendable {
        var batch = RecordBatch()
        var output = ByteColumn()
    }

    private let table: RoutingTable
    private let keys: KeyTable
    private let id: String
    private let outputs: Int
    private let errors: Counter
    private let unmatched: Counter
    private let pool = EvaluationPool()
    private let memory = Mutex(())
    private let workspace = Memory()

    package init(options: RoutingOptions, build: ConnectorBuild) throws {
        var keys = KeyTable.Builder()
        do throws(RoutingTable.Failure) {
            table = try RoutingTable(options, outputs: build.outputs, signal: build.inputSignal, keys: &keys)
        } catch { throw BuildFailure(description: "connector \(build.id): \(error)") }
        self.keys = keys.build()
        id = build.id
        outputs = build.outputs.count
        errors = build.metrics.counter(
            "sluice_ottl_errors_total", "Records on which a condition or statement failed.", build.labels)
        unmatched = build.metrics.counter(
            "sluice_routing_unmatched_\(build.inputSignal.itemName)",
            "Records that no route matched and that were dropped for want of default pipelines.", build.labels)
    }

    package func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] {
        try memory.withLock { (_) throws(ProcessFailure) in
            try batch.bytes.withUnsafeBytes { (bytes) throws(ProcessFailure) in
                do throws(DecodeFailure) {
                    _ = try OTLPReader.read(Text(bytes), signal: batch.signal, keys: keys, into: &workspace.batch)
                } catch { throw ProcessFailure(reason: "\(id): \(error.message)") }
                return try route(batch)
            }
        }
    }

    private func route(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] {
        let evaluation = pool.take()
        defer { pool.give(evaluation) }
        evaluation.state.request = [("auth.tenant", batch.tenant)]
        let (assigned, failures) = try table.assign(&workspace.batch, &evaluation.state)
        errors.add(failures)
        unmatched.add(assigned.count { $0 == 0 })
        var deliveries: [ConnectorDelivery] = []
        for output in 0..<outputs {
            let bit: RoutingTable.Outputs = 1 << RoutingTable.Outputs(output)
            let items = assigned.count { $0 & bit != 0 }
            if items == 0 { continue }
            if items == assigned.count, !workspace.batch.isEdited {
                deliveries.append(ConnectorDelivery(output: output, itemCount: items, bytes: batch.bytes))
                continue
            }
            workspace.output.removeAll()
            let written = workspace.batch.writeSubset({ assigned[$0] & bit != 0 }, into: &workspace.output)
            guard written > 0 else { continue }
            deliveries.append(
                ConnectorDelivery(output: output, itemCount: written, bytes: [UInt8](workspace.output.bytes)))
        }
        return deliveries
    }
}
