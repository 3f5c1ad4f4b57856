import Pipeline
import Synchronization

/// Tells a request that is too large for its server where the server's answer is lost.
///
/// Servers of HTTP/2 refuse a large request before they have all of it: with an answer, and behind it a reset that says
/// no error (RFC 9113, 8.1). When both come together libcurl (7.88) tells of the reset only. What comes a few times for
/// one delivery is taken for a refusal for its size, unless the answer may as well be that of a server that is out:
/// when the delivery is so small that hardly a server minds, or a single record and the server has taken nothing else
/// meanwhile. Then it is tried for as long as that would be.
final class EarlyEnds: Sendable {
    static let attemptsMax = 3
    /// Usual limits of servers are this and more.
    static let usualLimit = 1 << 20
    /// Deliveries that are counted; more begin anew.
    private static let deliveriesMax = 256
    private static let reason =
        "the server ended the stream while the request was sent, and libcurl has lost its answer: it may be too large "
        + "for the server (lower max_request_body_size)"

    private struct Delivery: Hashable {
        var number: UInt64
        var bytes: Int

        init(_ batch: ExportBatch) { (number, bytes) = (batch.number, batch.byteCount) }
    }

    private struct State {
        /// Early ends of each, and what had been taken at the first.
        var attempts: [Delivery: (count: Int, taken: Int)] = [:]
        /// Deliveries that the server has taken.
        var taken = 0
    }

    private let state = Mutex(State())

    /// An attempt has ended otherwise.
    func note(_ outcome: ExportOutcome, of batch: ExportBatch) {
        state.withLock { state in
            switch outcome {
            case .retry: return
            case .delivered, .partial: state.taken &+= 1
            default: break
            }
            if !state.attempts.isEmpty { state.attempts[Delivery(batch)] = nil }
        }
    }

    /// How an attempt of that kind has ended for the batch.
    func outcome(of batch: ExportBatch) -> ExportOutcome {
        guard batch.byteCount > Self.usualLimit else { return .retry(reason: Self.reason, after: nil) }
        let delivery = Delivery(batch)
        let isLast = state.withLock { state in
            if state.attempts.count >= Self.deliveriesMax { state.attempts = [:] }
            let before = state.attempts.removeValue(forKey: delivery) ?? (0, state.taken)
            let isEnough = before.count + 1 >= Self.attemptsMax
            if isEnough, batch.itemCount > 1 || state.taken != before.taken { return true }
            state.attempts[delivery] = (before.count + 1, before.taken)
            return false
        }
        return isLast ? .tooLarge(reason: Self.reason) : .retry(reason: Self.reason, after: nil)
    }
}
