import OTLP
import OTTL
package import Pipeline
import Synchronization
import Telemetry

/// Sends records to pipelines by conditions on them: the Collector's `routing` connector.
package final class RoutingConnector: Connector {
    /// Why the connector cannot be built; the words are for the user.
    package struct BuildFailure: StartFault {
        package var description: String
        package var option: String?
        package var fix: String?
    }

    // Used under the lock of `memory` alone.
    private final class Memory: @unchecked Sendable {
        var batch = RecordBatch()
        var output = ByteColumn()
        /// Of the last batch.
        var unmatched = 0
        var dropped: [DroppedRecord] = []
    }

    private let table: RoutingTable
    private let keys: KeyTable
    private let id: String
    private let outputs: Int
    /// Request headers that routes ask for.
    private let headers: [String]
    private let errors: Counter
    private let unmatched: Counter
    private let noteDrops: @Sendable ([DroppedRecord], Int, String) -> Void
    private let pool = EvaluationPool()
    private let memory = Mutex(Memory())

    package init(options: RoutingOptions, build: ConnectorBuild) throws {
        var keys = KeyTable.Builder()
        do throws(RoutingTable.Failure) {
            table = try RoutingTable(options, build: build, keys: &keys)
        } catch { throw BuildFailure(description: error.description, option: error.option, fix: error.fix) }
        self.keys = keys.build()
        headers = options.contextKeys
        id = build.id
        outputs = build.outputs.count
        noteDrops = build.dropped
        errors = build.metrics.counter(
            "sluice_ottl_errors_total", "Records on which a condition or statement failed.", build.labels)
        unmatched = build.metrics.counter(
            "sluice_routing_unmatched_\(build.inputSignal.itemName)",
            "Records that no route matched and that were dropped for want of default pipelines.", build.labels)
    }

    package func connect(_ batch: ExportBatch) throws(ProcessFailure) -> [ConnectorDelivery] {
        let result: Result<[ConnectorDelivery], ProcessFailure> = memory.withLock { memory in
            batch.bytes.withUnsafeBytes { bytes in
                do throws(DecodeFailure) {
                    _ = try OTLPReader.read(Text(bytes), signal: batch.signal, keys: keys, into: &memory.batch)
                } catch { return .failure(ProcessFailure(reason: "\(id): \(error.message)")) }
                do throws(ProcessFailure) { return .success(try route(batch, memory)) } catch {
                    return .failure(error)
                }
            }
        }
        return try result.get()
    }

    package func stored() {
        let (count, records) = memory.withLock { memory in
            defer { (memory.unmatched, memory.dropped) = (0, []) }
            return (memory.unmatched, memory.dropped)
        }
        guard count > 0 else { return }
        unmatched.add(count)
        noteDrops(records, count, "unmatched")
    }

    private func route(_ batch: ExportBatch, _ memory: Memory) throws(ProcessFailure) -> [ConnectorDelivery] {
        let evaluation = pool.take()
        defer { pool.give(evaluation) }
        evaluation.state.request = [("auth.tenant", batch.tenant)]
        for key in headers {
            if let value = batch.metadata[key] { evaluation.state.request.append((key, value)) }
        }
        let (assigned, failures) = try table.assign(&memory.batch, &evaluation.state)
        errors.add(failures)
        noteUnmatched(assigned, memory)
        var deliveries: [ConnectorDelivery] = []
        for output in 0..<outputs {
            let bit: RoutingTable.Outputs = 1 << RoutingTable.Outputs(output)
            let items = assigned.count { $0 & bit != 0 }
            if items == 0 { continue }
            if items == assigned.count, !memory.batch.isEdited {
                deliveries.append(ConnectorDelivery(output: output, itemCount: items, bytes: batch.bytes))
                continue
            }
            memory.output.removeAll()
            let written = memory.batch.writeSubset({ assigned[$0] & bit != 0 }, into: &memory.output)
            guard written > 0 else { continue }
            deliveries.append(
                ConnectorDelivery(output: output, itemCount: written, bytes: [UInt8](memory.output.bytes)))
        }
        return deliveries
    }

    /// Remembers what no route takes, until the rest is stored.
    private func noteUnmatched(_ assigned: [RoutingTable.Outputs], _ memory: Memory) {
        (memory.unmatched, memory.dropped) = (0, [])
        for (index, outputs) in assigned.enumerated() where outputs == 0 {
            memory.unmatched += 1
            if memory.unmatched <= ProcessContext.dropRulesMax { memory.dropped.append(memory.batch.dropped(index)) }
        }
    }
}

extension RecordBatch {
    /// Which span or log record it is; nothing is known of a data point.
    fileprivate func dropped(_ index: Int) -> DroppedRecord {
        let ids: (trace: TextRef, span: TextRef)
        switch signal {
        case .traces: ids = (spans[index].traceID, spans[index].spanID)
        case .logs: ids = (logs[index].traceID, logs[index].spanID)
        case .metrics: return DroppedRecord()
        }
        return DroppedRecord(traceID: Array(text(ids.trace).bytes), spanID: Array(text(ids.span).bytes))
    }
}
