import Pipeline
import Synchronization

/// A connector, and whose turn it is with it. One that counts what several pipelines send has one seat, which their
/// workers share: from the look at a batch until what came of it is stored nobody else is served.
final class ConnectorSeat: Sendable {
    let connector: any Connector
    private let gate = TurnGate()
    /// The pipeline with a batch that some outputs have stored and others have not.
    private let unfinished = Mutex<String?>(nil)

    init(_ connector: any Connector) { self.connector = connector }

    /// Waits for the turn, which `leave` ends.
    func enter() async { await gate.enter() }

    func leave() { gate.leave() }

    /// Another pipeline whose batch must be stored first. Sums that an output has with that batch would fall in the
    /// next ones if these came without it.
    func pipelineAhead(of pipeline: String) -> String? { unfinished.withLock { $0 == pipeline ? nil : $0 } }

    /// Remembers how a batch of the pipeline whose turn it is has ended; `hasStored` tells whether an output has it.
    func note(_ pipeline: String, comesAgain: Bool, hasStored: Bool) {
        unfinished.withLock { unfinished in
            if !comesAgain {
                unfinished = nil
            } else if hasStored {
                unfinished = pipeline
            }
        }
    }
}

/// Lets one task at a time through, in the order in which they came.
private final class TurnGate: Sendable {
    private struct State {
        var isTaken = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                defer { state.isTaken = true }
                if state.isTaken { state.waiting.append(continuation) }
                return !state.isTaken
            }
            if isFree { continuation.resume() }
        }
    }

    func leave() {
        let next: CheckedContinuation<Void, Never>? = state.withLock { state in
            if state.waiting.isEmpty {
                state.isTaken = false
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
