import Exporters
@testable import Gateway
import Journal
import Pipeline
import Synchronization
import Telemetry
import Testing

/// What senders that wait for deliveries are told of what was lost.
@Suite struct DeliveryWatchTests {
    private func told(_ reception: Reception) -> String {
        switch reception {
        case .taken: "taken"
        case .undelivered(let items, let reason): "\(items) \(reason)"
        case .refused(let reason, _, _): "refused \(reason)"
        }
    }

    @Test func `each is told how many of its records an exporter lost`() throws {
        let watch = DeliveryWatch(timeout: .seconds(600))
        let cursor = watch.watched(try MemoryJournal().cursor(named: "a"), named: "a")
        let answers = Mutex<[String]>([])
        for start in [0, 5, 10] as [UInt64] {
            let frame = StoredFrame(
                sequence: Sequence(start), frame: Frame(header: FrameHeader(signal: .traces, itemCount: 5), bytes: [1]))
            watch.wait(for: frame) { answer in answers.withLock { $0.append(self.told(answer)) } }
        }
        watch.lost(1, before: Sequence(10), by: "a", reason: "no")
        watch.lost(2, before: Sequence(10), by: "b", reason: "never")
        watch.lost(2, before: Sequence(10), by: "a", reason: "no")
        watch.lost(9, before: Sequence(15), by: "a", reason: "no")
        cursor.acknowledge(before: Sequence(15))
        #expect(answers.withLock { $0 } == ["taken", "3 exporter a: no", "5 exporter a: no"])
    }
}
