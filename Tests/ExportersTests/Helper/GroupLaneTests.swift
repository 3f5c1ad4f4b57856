@testable import Exporters
import Glibc
import Pipeline
import Synchronization
import Telemetry
import Testing

/// Deliveries that share a thread, and whose tasks are cancelled.
@Suite(.timeLimit(.minutes(5))) struct GroupLaneTests {
    @Test func `who is cancelled is not waited for: neither behind a group nor by one that all have left`() async {
        let interest = LaneInterest()
        let delivered = Mutex<[Int]>([])
        let lane = GroupLane(label: "test", interest: interest) { batches in
            delivered.withLock { $0 += batches.map(\.itemCount) }
            while !interest.isLost { usleep(1_000) }
            return batches.map { _ in ExportOutcome.delivered }
        }
        let first = Task { await lane.submit(ExportBatch(signal: .traces, itemCount: 1, bytes: [])) }
        while delivered.withLock({ $0.isEmpty }) { await Task.yield() }
        let second = Task { await lane.submit(ExportBatch(signal: .traces, itemCount: 2, bytes: [])) }
        second.cancel()
        #expect(await second.value == .retry(reason: "the exporter ends", after: nil))
        #expect(!interest.isLost)
        first.cancel()
        #expect(await first.value == .delivered)
        #expect(delivered.withLock { $0 } == [1])
        #expect(!interest.isLost)
    }
}
