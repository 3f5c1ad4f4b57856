import Configuration
import Pipeline
import Synchronization
import Telemetry

/// How a sender's request ended in one pipeline.
enum Reception: Sendable {
    /// It is as safe as the pipeline's `ack` promises.
    case taken
    /// With `ack: delivered`: it is kept, but an exporter gave up that many of its records.
    case undelivered(Int, reason: String)
    /// The sender may try again after the hint, unless the refusal is final: then the request is too large.
    case refused(reason: String, retryAfter: Duration, isFinal: Bool = false)
}

extension PipelineIntake {
    /// Appends the frame of a request that lost `filtered` records on its way. `completion` runs exactly once, when the
    /// pipeline's `ack` says that the sender may be answered, on an unspecified thread, and must not block.
    func receive(_ frame: Frame, filtered: Int, completion: @escaping @Sendable (Reception) -> Void) {
        switch acknowledgement {
        case .durable:
            append(frame, filtered: filtered, .moreFollows) { completion(Reception($0)) }
        case .received:
            let answer = FirstAnswer(completion)
            let isAppended = offer(frame, filtered: filtered, [.moreFollows, .isAnswered]) { [self] result in
                let isTold = answer.give(Reception(result))
                guard case .refused = result else { return }
                if isTold { countRefused(frame, filtered: filtered) } else { countLost(frame, filtered: filtered) }
            }
            // What is refused at once is by now. What waits for room has its sender wait, as `block_on_overflow` asks.
            if isAppended, !journal.holdsAnswers { answer.give(.taken) }
        case .delivered:
            append(frame, filtered: filtered, [.moreFollows, .awaitsReaders]) { [self] result in
                guard case .stored(let sequence) = result, let watch else { return completion(Reception(result)) }
                watch.wait(for: StoredFrame(sequence: sequence, frame: frame), completion)
            }
        }
    }
}

extension Reception {
    init(_ result: AppendResult) {
        switch result {
        case .stored: self = .taken
        case .refused(let reason, let retryAfter, let isFinal):
            self = .refused(reason: reason, retryAfter: retryAfter, isFinal: isFinal)
        }
    }
}

/// Lets the first of several answers through.
private final class FirstAnswer: Sendable {
    private let completion: Mutex<(@Sendable (Reception) -> Void)?>

    init(_ completion: @escaping @Sendable (Reception) -> Void) { self.completion = Mutex(completion) }

    /// False when there was an answer before.
    @discardableResult
    func give(_ answer: Reception) -> Bool {
        let completion = completion.withLock { completion in
            defer { completion = nil }
            return completion
        }
        completion?(answer)
        return completion != nil
    }
}
