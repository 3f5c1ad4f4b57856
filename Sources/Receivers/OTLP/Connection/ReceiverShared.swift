import Logging
import NIOCore
import Pipeline

/// What all connections of a receiver share; immutable but for atomic counters.
struct ReceiverShared: Sendable {
    let check: HeadCheck
    let timeouts: ConnectionTimeouts
    let keepsAlive: Bool
    let encoder: AnswerEncoder
    let intake: RequestIntake
    let budget: AdmissionBudget
    let log: Logger

    var metrics: ReceiverMetrics { intake.metrics }

    func countRefusal(_ refusal: Refusal) {
        metrics.refused(refusal.reason)
        log.debug(
            "request refused",
            metadata: ["status": "\(refusal.status.rawValue)", "reason": "\(refusal.reason.rawValue)"])
    }

    /// The refusal of a body that `wanted` more bytes.
    func refusal(_ fault: BodyFault, wanted: Int, now: NIODeadline) -> Refusal {
        switch fault {
        case .tooLarge(let inflated): return check.tooLarge(inflated: inflated)
        case .overBudget:
            return Refusal(
                status: .serviceUnavailable, reason: .overload,
                message: "too many bytes of requests are in memory already; try again",
                retryAfter: budget.drainRate.seconds(wanted: wanted, budget: budget, now: now))
        case .neverFits:
            return Refusal(
                status: .contentTooLarge, reason: .bodyTooLarge,
                message: "the body needs more memory than the gateway may use for requests in flight "
                    + "(\(budget.limit) bytes); send smaller batches or raise the memory limit")
        case .corrupt(let what):
            return Refusal(status: .badRequest, reason: .corruptBody, message: "Content-Encoding: \(what)")
        }
    }

    /// The refusal of a whole body that was not handed on.
    func refusal(_ fault: RequestIntake.Fault, _ plan: RequestPlan, wanted: Int, now: NIODeadline) -> Refusal {
        switch fault {
        case .body(let fault): return refusal(fault, wanted: wanted, now: now)
        case .wrongSignal(let found):
            return Refusal(
                status: .badRequest, reason: .wrongSignal,
                message: "this path takes \(plan.signal), but the request holds \(found); "
                    + "post \(found) to \(check.paths[found])")
        }
    }
}

/// Counters of one receiver. Label sets are fixed, so that no sender can grow them.
struct ReceiverMetrics: Sendable {
    private let requests: [Counter]
    /// The one of `requests` that counts answers with status 200.
    private let accepted: Counter
    private let calls: [Counter]
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
        accepted = requests[AnswerStatus.allCases.firstIndex(of: .ok) ?? 0]
        calls = GRPCCode.allCases.map { code in
            metrics.counter(
                "sluice_receiver_grpc_calls_total", "gRPC calls answered, by status code.",
                [receiver, (name: "code", value: code.name)])
        }
        refusals = RefusalReason.allCases.map { reason in
            metrics.counter(
                "sluice_receiver_refused_requests_total", "Requests that were not accepted, by reason.",
                [receiver, (name: "reason", value: reason.rawValue)])
        }
        wireBytes = metrics.counter(
            "sluice_receiver_wire_bytes_total", "Bytes of accepted request bodies as sent.", [receiver])
        bodyBytes = metrics.counter(
            "sluice_receiver_body_bytes_total", "Bytes of accepted request bodies after inflating.", [receiver])
    }

    func answered(_ status: AnswerStatus) {
        if status == .ok { return accepted.add() }
        if let index = AnswerStatus.allCases.firstIndex(of: status) { requests[index].add() }
    }

    func answered(_ code: GRPCCode) {
        if let index = GRPCCode.allCases.firstIndex(of: code) { calls[index].add() }
    }

    func refused(_ reason: RefusalReason) {
        if let index = RefusalReason.allCases.firstIndex(of: reason) { refusals[index].add() }
    }
}
