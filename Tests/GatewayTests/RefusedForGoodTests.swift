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
