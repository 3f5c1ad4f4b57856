import Pipeline
import Synchronization
import Telemetry

extension ExportWorker {
    /// How the attempts for one batch, or one part of one, ended.
    enum Ending {
        case delivered(ExportBatch)
        case partial(ExportBatch, rejected: Int, message: String)
        case refused(ExportBatch, records: [Int], message: String, places: [Int: RowPlace])
        case lost(ExportBatch, DeadLetter.Cause, message: String)
        /// Not sent, for this reason.
        case dropped(ExportBatch, reason: String)
        case tooLarge(reason: String)
        case refusedTogether(message: String)
        case unprocessed(message: String)
        /// Some of it was committed before a restart; nil when all was.
        case committed(Signal, items: Int, rest: ExportBatch?)
        case stopped

        var isCommitted: Bool { if case .committed = self { true } else { false } }

        /// Whether the rest of it, which ends by itself, tells how it ended.
        var hasRest: Bool { if case .committed(_, _, let rest) = self { rest != nil } else { false } }

        /// Whether none of it arrived, or not all.
        var isLoss: Bool {
            switch self {
            case .delivered, .tooLarge, .refusedTogether, .unprocessed, .committed, .stopped: false
            case .partial(_, let rejected, _): rejected > 0
            case .refused, .lost, .dropped: true
            }
        }

        /// How many of the records that one request has in it did not arrive, and why; nil when all did. At most so
        /// many, where the destination does not say which. `filtered` records of it were not sent.
        func loss(of request: RequestShare, filtered: Int) -> (items: Int, reason: String)? {
            switch self {
            case .delivered, .tooLarge, .refusedTogether, .unprocessed, .committed, .stopped: return nil
            case .partial(let batch, let rejected, let message):
                guard rejected > 0 else { return nil }
                let what = "\(rejected) of \(batch.itemCount) \(batch.signal.itemName)"
                let isAlone = batch.itemCount == request.count
                return (min(rejected, request.count), isAlone ? message : "\(what) that left together: \(message)")
            case .refused(_, let records, let message, _):
                let items = request.refused(of: records)
                return items > 0 ? (items, message) : nil
            case .lost(let batch, _, let message):
                return (min(batch.itemCount - filtered, request.count), message)
            case .dropped(let batch, let reason): return (min(batch.itemCount, request.count), reason)
            }
        }

        /// What `sluice where` tells of a request that has records in it.
        func told(of request: RequestShare, keepsLetters: Bool) -> String {
            let refused = RecentOutcomes.refusedForGood + (keepsLetters ? "" : RecentOutcomes.notKept)
            switch self {
            case .delivered, .tooLarge, .refusedTogether, .unprocessed, .committed, .stopped: return "delivered"
            case .partial(let batch, let rejected, let message):
                guard rejected > 0 else { return "delivered" }
                let whose = batch.itemCount == request.count ? "" : " of its batch"
                return "delivered but for \(rejected) of \(batch.itemCount) \(batch.signal.itemName)\(whose), refused: "
                    + message
            case .refused(let batch, let records, let message, _):
                let items = request.refused(of: records)
                guard items > 0 else { return "delivered" }
                return "delivered but for \(items) of \(request.count) \(batch.signal.itemName), "
                    + "\(refused): \(message)"
            case .lost(_, let cause, let message): return "\(refused) (\(cause.rawValue)): \(message)"
            case .dropped(_, let reason): return "dropped: \(reason)"
            }
        }

        /// The same for a batch that was cut: what it was before is what is kept and counted.
        func of(_ whole: ExportBatch) -> Ending {
            switch self {
            case .delivered, .tooLarge, .refusedTogether, .unprocessed, .committed, .stopped: self
            case .partial(_, let rejected, let message): .partial(whole, rejected: rejected, message: message)
            case .refused(_, let records, let message, let places):
                .refused(whole, records: records, message: message, places: places)
            case .lost(_, let cause, let message): .lost(whole, cause, message: message)
            case .dropped(_, let reason): .dropped(whole, reason: reason)
            }
        }
    }

    /// How a part of a batch ended.
    struct End {
        var ending: Ending
        /// Where in the whole batch its records stand, as far as that is known.
        var place: Range<Int>?
        /// How many of them the exporter's own processors took out.
        var filtered: Int
    }

    /// A batch or a part of one that is to be sent.
    struct Piece {
        var batch: ExportBatch
        /// Records of each request in it, as far as that is known.
        var requests: [Int] = []
        /// Where in the whole batch its first record stands, as far as that is known.
        var start: Int?
        /// What it was before it was cut for its size.
        var whole: ExportBatch?

        /// Two parts, between requests where there are several; none when it can't be cut.
        var halves: [Piece] {
            var next = start
            return FrameSplit.halves(of: batch, requests: requests).map { half in
                defer { next = next.map { $0 + half.batch.itemCount } }
                return Piece(batch: half.batch, requests: half.requests, start: next)
            }
        }

        /// The place of its records in the whole batch.
        var place: Range<Int>? { start.map { $0..<$0 + batch.itemCount } }
    }

    /// Tells, before they are settled, how the records of a part of a batch ended: each request that they are of by
    /// itself, and all requests of the batch when their place is not known.
    func tell(_ end: End, of prepared: PreparedBatch) {
        let ending = end.ending
        if ending.hasRest || (setup.journal == nil && !ending.isLoss) { return }
        let shares = prepared.shares(at: end.place)
        for share in shares {
            guard let loss = ending.loss(of: share, filtered: end.filtered) else { continue }
            setup.lost(share.ticket.end, loss.items, loss.reason)
        }
        guard setup.journal != nil else { return }
        let keepsLetters = setup.deadLetters != nil
        state.withLock { state in
            for share in shares {
                let items = share.ticket.items(at: share.items)
                state.outcomes.add(items, ending.told(of: share, keepsLetters: keepsLetters))
            }
        }
    }
}

/// The records of one request in a part of a batch.
struct RequestShare {
    var ticket: AcknowledgementTracker.Ticket
    /// Their place in the ticket's frame.
    var items: Range<Int>
    /// Their place in the part; nil when that is not known, and they may be in another part.
    var places: Range<Int>?

    var count: Int { items.count }

    /// How many of them are among some records of the part: at most so many when nobody knows where they are.
    func refused(of records: [Int]) -> Int {
        guard let places else { return min(records.count, count) }
        return records.count { places.contains($0) }
    }
}

extension PreparedBatch {
    /// What each request has at a place of the batch; all that it has in the batch when the place is not known.
    func shares(at place: Range<Int>?) -> [RequestShare] {
        guard let place else { return parts.map { RequestShare(ticket: $0.ticket, items: $0.items) } }
        var start = 0
        var shares: [RequestShare] = []
        for part in parts {
            defer { start += part.items.count }
            let here = (start..<start + part.items.count).clamped(to: place)
            if here.isEmpty { continue }
            let shift = part.items.lowerBound - start
            shares.append(
                RequestShare(
                    ticket: part.ticket, items: here.lowerBound + shift..<here.upperBound + shift,
                    places: here.lowerBound - place.lowerBound..<here.upperBound - place.lowerBound))
        }
        return shares
    }
}
