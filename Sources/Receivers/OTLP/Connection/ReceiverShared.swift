import Logging
import Pipeline

/// What all connections of a receiver share; immutable but for atomic counters.
struct ReceiverShared: Sendable {
    let check: HeadCheck
    let timeouts: ConnectionTimeouts
    let keepsAlive: Bool
    let encoder: AnswerEncoder
    let ingest: any Ingest
    let budget: AdmissionBudget
    let metrics: ReceiverMetrics
    let log: Logger
}

/// Counters of one receiver. Label sets are fixed, so that no sender can grow them.
struct ReceiverMetrics: Sendable {
    private let requests: [Counter]
    private let refusals: [Counter]
    /// Bytes of bodies as they came over the wire, and as they were handed to the pipeline.
    let wireBytes: Counter
    let bodyBytes: Counter

    init(_ metrics: SelfMetrics, id: String) {
        let receiver = (name: "receiver", value: id)
        requests = AnswerStatus.allCases.map { status in
            metrics.counter(
                "sluice_receiver_requests_total", "HTTP requests answered, by status code.",
                [receiver, (name: "code", value: String(status.rawValue))])
        }
        refusals = RefusalReason.allCases.map { reason in
            metrics.counter(
                "sluice_receiver_refused_requests_total", "HTTP requests that were not accepted, by reason.",
                [receiver, (name: "reason", value: reason.rawValue)])
        }
        wireBytes = metrics.counter(
            "sluice_receiver_wire_bytes_total", "Bytes of accepted request bodies as sent.", [receiver])
        bodyBytes = metrics.counter(
            "sluice_receiver_body_bytes_total", "Bytes of accepted request bodies after inflating.", [receiver])
    }

    func answered(_ status: AnswerStatus) {
        if let index = AnswerStatus.allCases.firstIndex(of: status) { requests[index].add() }
    }

    func refused(_ reason: RefusalReason) {
        if let index = RefusalReason.allCases.firstIndex(of: reason) { refusals[index].add() }
    }
}
