import Configuration
import Dispatch
import Glibc

@testable import Gateway
import Journal
import Pipeline
import Processors
import Synchronization
import Telemetry
import Testing

/// A step that waits, and tells on which thread: 0 for the one that ingests.
private final class WaitingStep: Processor {
    let waitsForDisk: Bool
    let ran = Mutex<[UInt]>([])

    init(waitsForDisk: Bool) { self.waitsForDisk = waitsForDisk }

    func process(_ batch: inout RecordBatch, _ context: inout ProcessContext) throws(ProcessFailure) {
        ran.withLock { $0.append(UInt(pthread_self())) }
    }
}

/// What waits for a disk runs on threads of its own.
@Suite struct DiskLanesTests {
    private static let span =
        #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0123456789abcdef0123456789abcdef","#
        + #""spanId":"0123456789abcdef","name":"a"}]}]}]}"#

    @Test(arguments: [true, false])
    func `a request whose chain waits for a disk leaves the thread that brought it`(waits: Bool) async throws {
        let step = WaitingStep(waitsForDisk: waits)
        let metrics = SelfMetrics()
        let pipeline = PipelineIntake(
            id: "traces", chain: ProcessorChain(signal: .traces, steps: [step]), journal: MemoryJournal(),
            metrics: IntakeMetrics(metrics, pipeline: "traces", signal: .traces), isBuffered: false, tap: nil,
            capped: [], acknowledgement: .durable, watch: nil)
        let intake = ReceiverIntake(
            receiver: "otlp", transport: "http", pipelines: [pipeline], keys: .empty, pool: WorkspacePool(),
            metrics: metrics)
        let switched = SwitchedIngest([.traces])
        switched.release(to: intake)
        var caller: UInt = 0
        let reply = await withCheckedContinuation { done in
            caller = UInt(pthread_self())
            // Gone when ingest returns, as a receiver's buffer is.
            Array(Self.span.utf8).withUnsafeBytes { bytes in
                switched.ingest(IngestRequest(signal: .traces, encoding: .json, body: bytes)) {
                    done.resume(returning: $0)
                }
            }
        }
        #expect(reply == .accepted)
        #expect(step.ran.withLock { $0.count } == 1)
        #expect(step.ran.withLock { $0.first == caller } == !waits)
        #expect(pipeline.metrics.stored.value == 1)
    }

    @Test func `what waits there holds up no other task`() async {
        let lanes = DiskLanes()
        let gate = DispatchSemaphore(value: 0)
        @Sendable func block() { gate.wait() }
        // More than there are threads that tasks share.
        let waiting = (0..<256).map { _ in Task(executorPreference: lanes) { block() } }
        await Task {}.value
        for _ in waiting { gate.signal() }
        for task in waiting { await task.value }
    }
}
