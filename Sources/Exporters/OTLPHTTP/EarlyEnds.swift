import Pipeline
import Synchronization

/// Tells a request that is too large for its server where the server's answer is lost.
///
/// Servers of HTTP/2 refuse a large request before they have all of it: with an answer, and behind it a reset that says
/// no error (RFC 9113, 8.1). When both come together libcurl (7.88) tells of the reset only. What comes a few times for
/// one delivery is taken for a refusal for its size, unless it is so small that hardly a server minds: then the answer
/// may as well be that of one that is overloaded, and the delivery is tried for as long as that would be.
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
    }

    private let attempts = Mutex<[Delivery: Int]>([:])

    /// How an attempt of that kind has ended for the batch.
    func outcome(of batch: ExportBatch) -> ExportOutcome {
        guard batch.byteCount > Self.usualLimit else { return .retry(reason: Self.reason, after: nil) }
        let delivery = Delivery(number: batch.number, bytes: batch.byteCount)
        let isLast = attempts.withLock { attempts in
            if attempts.count >= Self.deliveriesMax { attempts = [:] }
            let count = attempts.removeValue(forKey: delivery).map { $0 + 1 } ?? 1
            if count < Self.attemptsMax { attempts[delivery] = count }
            return count >= Self.attemptsMax
        }
        return isLast ? .tooLarge(reason: Self.reason) : .retry(reason: Self.reason, after: nil)
    }
}
