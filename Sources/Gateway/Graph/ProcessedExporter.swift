import Pipeline
import Synchronization
import Telemetry

/// An exporter behind its own chain: what the pipeline's journal holds goes through `process` on its way out, so that
/// one sink gets full text and another a masked one.
///
/// The chain runs again for every attempt. Records that it fails on are not sent, so that a redaction that fails lets
/// nothing pass: the helper finds them by parts and keeps them as dead letters, and what comes behind them goes on.
final class ProcessedExporter: Exporter {
    private let exporter: any Exporter
    private let chain: ProcessorChain
    private let keys = Mutex<KeyTable?>(nil)
    private let pool = WorkspacePool()
    /// Where the chain runs when it waits for a disk.
    private let lanes: DiskLanes?

    init(_ exporter: any Exporter, chain: ProcessorChain) {
        self.exporter = exporter
        self.chain = chain
        lanes = chain.waitsForDisk ? DiskLanes() : nil
    }

    var maxConcurrency: Int { exporter.maxConcurrency }
    var recordsCommits: Bool { exporter.recordsCommits }

    /// Gives the gateway's key table, once all chains are made.
    func link(_ table: KeyTable) { keys.withLock { $0 = table } }

    func check() throws { try exporter.check() }
    func start() async throws { try await exporter.start() }
    func shutdown() async { await exporter.shutdown() }

    func export(_ batch: ExportBatch) async -> ExportOutcome {
        var filtered = 0
        return await export(batch, filtered: &filtered)
    }

    func export(_ batch: ExportBatch, filtered: inout Int) async -> ExportOutcome {
        guard let keys = keys.withLock({ $0 }) else { return .retry(reason: "the gateway is not built", after: nil) }
        let input = batch.bytes
        let origin = batch.origin
        let result = await withTaskExecutorPreference(lanes) {
            chain.prepare(input, origin: origin, keys: keys, pool)
        }
        switch result {
        case .frame(let frame, let removed):
            filtered = removed
            var processed = batch.with(itemCount: Int(frame.header.itemCount), bytes: frame.bytes)
            processed.journaled = batch.journaled
            processed.number = batch.number
            if processed.itemCount == batch.itemCount { processed.rowPlaces = batch.rowPlaces }
            processed.isIndivisible = frame.bytes != input
            processed.journaled?.isVerbatim = !processed.isIndivisible
            let outcome = await exporter.export(processed)
            switch outcome {
            case .refused(_, let message, _) where processed.isIndivisible:
                // Places in what was sent are not those in what the journal holds.
                return .refusedTogether(message: message)
            case .delivered, .partial, .refused:
                for action in frame.whenStored { action() }
            case .retry, .notYet, .tooLarge, .permanent, .committed, .refusedTogether, .unprocessed: break
            }
            return outcome
        case .empty(let removed, let actions):
            filtered = removed
            for action in actions { action() }
            return .delivered
        case .held: return .delivered
        case .stepFailed(let message): return .unprocessed(message: message)
        case .failed(.tooLarge(let message)): return .tooLarge(reason: message)
        case .failed(let reply): return .permanent(reason: reply.message)
        }
    }
}
