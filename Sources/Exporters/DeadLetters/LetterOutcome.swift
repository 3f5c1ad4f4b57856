package import Pipeline
import Telemetry

/// How one go at delivering a dead letter ended.
package enum LetterOutcome: Sendable, Equatable {
    /// Nothing is left to send. The destination has refused `rejected` records, which nobody can name and which are
    /// never sent again; the message may be there without any.
    case done(rejected: Int, message: String)
    /// Processors take all of it out, so there is nothing to send.
    case filtered(String)
    /// A part of it is done, and these are what is left. Of a connector's letter they are letters of the exporters that
    /// have not taken it.
    case left([DeadLetter], message: String)
    /// All of it has to stay.
    case failed(String)
}

/// What one exporter did with a letter.
package struct LetterAttempt: Sendable {
    /// Records that the destination has refused without saying which, and that are never sent again.
    package var rejected = 0
    /// What it has not taken.
    package var left: [DeadLetter] = []
    package var message = ""
    /// Whether it has done nothing at all: then the letter is left, as it is.
    package var tookNothing = false
}

extension LetterAttempt {
    fileprivate mutating func keepWhole(_ letter: DeadLetter, _ cause: DeadLetter.Cause, _ message: String) {
        var whole = letter
        whole.cause = cause
        whole.message = message
        left = [whole]
        tookNothing = true
    }
}

extension DeadLetter {
    /// Sends it to an exporter that is started, in halves where that finds it too large. Nothing is tried twice.
    package func deliver(to exporter: any Exporter) async -> LetterOutcome {
        let end = await attempt(at: exporter)
        if end.left.isEmpty { return .done(rejected: end.rejected, message: end.message) }
        if end.tookNothing { return .failed(end.message) }
        let lost = end.rejected == 0 ? "" : "; \(end.rejected) that were rejected are lost"
        return .left(end.left, message: end.message + lost)
    }

    /// The same, for a letter that is kept nowhere: what is left of it says why, also where that is all of it.
    package func attempt(at exporter: any Exporter) async -> LetterAttempt {
        var batch = ExportBatch(signal: signal, itemCount: itemCount, bytes: bytes, tenant: tenant, metadata: metadata)
        batch.rowPlaces = rowPlaces
        var waiting = [batch]
        var left: [DeadLetter] = []
        func stays(_ part: DeadLetter) {
            // Requests one behind the other are one, and so many letters would drive others out.
            if var last = left.last, last.cause == part.cause, last.rowPlaces.isEmpty == part.rowPlaces.isEmpty {
                last.bytes += part.bytes
                last.itemCount += part.itemCount
                last.rowPlaces += part.rowPlaces
                left[left.count - 1] = last
            } else {
                left.append(part)
            }
        }
        var messages: [String] = []
        var rejected = 0
        while let next = waiting.popLast() {
            let outcome = await exporter.export(next)
            switch outcome {
            case .delivered, .committed: break
            case .partial(let count, _): rejected += min(max(count, 0), next.itemCount)
            case .refused(let records, let message, let places):
                let refused = FrameSplit.records(Set(records), of: next, places: places)
                for one in refused { stays(part(one, .rejected, message)) }
            case .tooLarge(let reason), .refusedTogether(let reason):
                let halves = Self.halves(of: next)
                waiting.append(contentsOf: halves.reversed())
                let cause: Cause = if case .tooLarge = outcome { .tooLarge } else { .rejected }
                if halves.isEmpty { stays(part(next, cause, reason)) } else { continue }
            case .unprocessed(let reason): stays(part(next, .processorFailed, reason))
            case .permanent(let reason): stays(part(next, .rejected, reason))
            case .retry(let reason, _), .notYet(let reason, _):
                // The rest would fare no better now.
                for one in [next] + waiting.reversed() { stays(part(one, cause, reason)) }
                waiting = []
            }
            if let message = Self.message(outcome), !messages.contains(message), messages.count < 3 {
                messages.append(message)
            }
        }
        var end = LetterAttempt(rejected: rejected, left: left, message: messages.joined(separator: "; "))
        let count = left.reduce(0) { $0 + $1.itemCount }
        // A letter that is refused whole stays as it is rather than in pieces.
        if let first = left.first, count >= itemCount, rejected == 0 { end.keepWhole(self, first.cause, first.message) }
        return end
    }

    /// An attempt that could not begin.
    package func untried(_ reason: String) -> LetterAttempt {
        var end = LetterAttempt(message: reason)
        end.keepWhole(self, cause, reason)
        return end
    }

    private static func message(_ outcome: ExportOutcome) -> String? {
        let text =
            switch outcome {
            case .delivered, .committed: ""
            case .partial(_, let message), .refused(_, let message, _), .refusedTogether(let message): message
            case .unprocessed(let message): "its own processors fail: \(message)"
            case .retry(let reason, _), .notYet(let reason, _), .tooLarge(let reason), .permanent(let reason): reason
            }
        return text.isEmpty ? nil : text
    }

    private func part(_ batch: ExportBatch, _ cause: Cause, _ message: String) -> DeadLetter {
        var letter = DeadLetter(
            exporter: exporter, pipeline: pipeline, cause: cause, message: message, signal: signal,
            itemCount: batch.itemCount, tenant: tenant, metadata: metadata, bytes: batch.bytes)
        letter.rowPlaces = batch.rowPlaces
        return letter
    }

    /// With where their records stood, if that is known. None when it cannot be cut.
    private static func halves(of batch: ExportBatch) -> [ExportBatch] {
        var start = 0
        return FrameSplit.halves(of: batch, requests: []).map { half in
            var half = half.batch
            if batch.rowPlaces.count == batch.itemCount {
                half.rowPlaces = Array(batch.rowPlaces[start..<start + half.itemCount])
            }
            start += half.itemCount
            return half
        }
    }
}
