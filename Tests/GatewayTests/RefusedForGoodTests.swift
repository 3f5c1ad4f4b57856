import Configuration
@testable import Gateway
import Journal
import OTLP
import Pipeline
import Synchronization
import Telemetry
import Testing

/// What senders are told of a request that a journal never takes, and of one that it does not take now.
@Suite struct RefusedForGoodTests {
    /// Takes nothing, for now.
    private struct BusyJournal: FrameLog {
        let held = HeldAmount()

        func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void) {
            completion(.refused(reason: "busy", retryAfter: .seconds(3)))
        }

        func cursor(named name: String) throws -> any FrameCursor { try MemoryJournal().cursor(named: name) }

        func close() {}
    }

    /// Ends what it was given when it is told to.
    private final class LateJournal: FrameLog {
        let held = HeldAmount()
        let holdsAnswers: Bool
        private let waiting = Mutex<[@Sendable (AppendResult) -> Void]>([])

        init(holdsAnswers: Bool = false) { self.holdsAnswers = holdsAnswers }

        func append(_ frame: Frame, completion: @escaping @Sendable (AppendResult) -> Void) {
            waiting.withLock { $0.append(completion) }
        }

        func refuse() { end(.refused(reason: "full", retryAfter: .seconds(3))) }

        func end(_ result: AppendResult) {
            let all = waiting.withLock { $0 }
            for completion in all { completion(result) }
        }

        func cursor(named name: String) throws -> any FrameCursor { try MemoryJournal().cursor(named: name) }

        func close() {}
    }

    /// Counts the senders that are told that all is taken.
    private final class Told: Sendable {
        private let senders = Mutex(0)

        var count: Int { senders.withLock { $0 } }

        func add() { senders.withLock { $0 += 1 } }
    }

    private func small() -> MemoryJournal {
        var options = MemoryJournal.Options()
        options.maxBytes = 16
        return MemoryJournal(options: options)
    }

    private static let span =
        #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0123456789abcdef0123456789abcdef","#
        + #""spanId":"0123456789abcdef","name":"a"}]}]}]}"#

    private func reply(
        _ journals: [any FrameLog], metrics: SelfMetrics = SelfMetrics(), _ body: [UInt8] = Array(span.utf8),
        encoding: WireEncoding = .json
    ) -> IngestReply? {
        let pipelines = journals.enumerated().map { index, journal in
            PipelineIntake(
                id: "traces/\(index)", chain: ProcessorChain(signal: .traces, steps: []), journal: journal,
                metrics: IntakeMetrics(metrics, pipeline: "traces/\(index)", signal: .traces), isBuffered: false,
                tap: nil, capped: [], acknowledgement: index == 0 ? .durable : .received, watch: nil)
        }
        let intake = ReceiverIntake(
            receiver: "otlp", transport: "http", pipelines: pipelines, keys: .empty, pool: WorkspacePool(),
            metrics: metrics)
        let told = Mutex<[IngestReply]>([])
        body.withUnsafeBytes { bytes in
            intake.ingest(IngestRequest(signal: .traces, encoding: encoding, body: bytes)) { reply in
                told.withLock { $0.append(reply) }
            }
        }
        let replies = told.withLock { $0 }
        #expect(replies.count == 1)
        return replies.first
    }

    @Test func `a request larger than the journal is too large, with the limit and what to do`() throws {
        let metrics = SelfMetrics()
        guard case .tooLarge(let message) = reply([small()], metrics: metrics) else {
            Issue.record("the request was not too large")
            return
        }
        #expect(message.contains("(16 bytes)") && message.contains("send smaller batches"))
        let refused = metrics.series.first { $0.name.hasPrefix("sluice_pipeline_refused_") }
        #expect(refused?.read() == 1)
    }

    /// The counters of a pipeline with `ack: received`: received, filtered, stored, lost and refused.
    private func counted(
        _ journal: any FrameLog, told: Told = Told(), then: () -> Void = {}
    ) -> (replies: Int, counters: [Double]) {
        let metrics = SelfMetrics()
        let intake = PipelineIntake(
            id: "traces", chain: ProcessorChain(signal: .traces, steps: []), journal: journal,
            metrics: IntakeMetrics(metrics, pipeline: "traces", signal: .traces), isBuffered: false, tap: nil,
            capped: [], acknowledgement: .received, watch: nil)
        let frame = Frame(header: FrameHeader(signal: .traces, itemCount: 3), bytes: [UInt8](repeating: 0, count: 30))
        intake.receive(frame, filtered: 2) { reception in
            if case .taken = reception { told.add() }
        }
        then()
        let values = ["received", "filtered", "stored", "lost", "refused"].map { name in
            metrics.series.first { $0.name == "sluice_pipeline_\(name)_spans" }.map { $0.read() } ?? -1
        }
        return (told.count, values)
    }

    @Test func `what is lost behind the answer counts as received and lost, and what its sender hears of as refused`() {
        let journal = LateJournal()
        let late = counted(journal) { journal.refuse() }
        #expect(late.replies == 1 && late.counters == [5, 2, 0, 3, 0])
        let atOnce = counted(BusyJournal())
        #expect(atOnce.replies == 0 && atOnce.counters == [0, 0, 0, 0, 5])
        let stored = counted(MemoryJournal())
        #expect(stored.replies == 1 && stored.counters == [5, 2, 3, 0, 0])
    }

    @Test func `while readers are behind senders hear of what is only received when it is stored`() {
        let journal = LateJournal(holdsAnswers: true)
        var before: Int?
        let told = Told()
        let late = counted(journal, told: told) {
            before = told.count
            journal.end(.stored(Sequence(0)))
        }
        #expect(before == 0 && late.replies == 1 && late.counters == [5, 2, 3, 0, 0])
        let refusing = LateJournal(holdsAnswers: true)
        let refused = counted(refusing) { refusing.refuse() }
        #expect(refused.replies == 0 && refused.counters == [0, 0, 0, 0, 5])
    }

    @Test func `a request with more elements than can be read at once is too large, so that its sender halves it`() {
        let resources = (0..<4_000_000).map { UInt8($0 % 2 == 0 ? 0x0A : 0) }
        guard case .tooLarge(let message) = reply([MemoryJournal()], resources, encoding: .protobuf) else {
            Issue.record("the request was not too large")
            return
        }
        #expect(message.contains("too many elements; send smaller batches"))
    }

    @Test func `it is too large when other pipelines have taken it, and try again later when one could not now`() {
        for journals in [[MemoryJournal(), small()], [small(), MemoryJournal()]] {
            guard case .tooLarge = reply(journals) else {
                Issue.record("the request was not too large")
                continue
            }
        }
        let later = IngestReply.unavailable(message: "busy", retryAfter: .seconds(3))
        #expect(reply([small(), BusyJournal()]) == later)
        #expect(reply([BusyJournal(), small()]) == later)
        #expect(reply([MemoryJournal()]) == .accepted)
    }
}
