import Exporters
import Pipeline
import Synchronization
import Telemetry

/// Keeps and counts what an output of a connector refuses for good, which the other outputs have.
final class ConnectorLosses: Sendable {
    private let connector: String
    /// The pipeline that writes to the connector.
    private let input: String
    private let metrics: SelfMetrics
    private let letters: DeadLetterBox?
    private let effects: WorkerEffects
    private let log: @Sendable (LogLevel, String) -> Void
    private let lines = Mutex(LogLimiter())

    /// Without `letters` what is refused is only counted.
    init(
        connector: String, input: String, metrics: SelfMetrics, letters: DeadLetterBox?,
        effects: WorkerEffects = .system(), log: @escaping @Sendable (LogLevel, String) -> Void
    ) {
        self.connector = connector
        self.input = input
        self.metrics = metrics
        self.letters = letters
        self.effects = effects
        self.log = log
    }

    /// Keeps a dead letter, which names the output as its pipeline, and counts. Gives why it cannot be kept for now;
    /// then nothing is counted.
    func settle(
        _ refused: ConnectorRound.Refused, of output: PipelineIntake, _ origin: RequestOrigin
    ) async -> String? {
        var fate = "dropped"
        if let letters {
            let letter = DeadLetter(
                exporter: connector, pipeline: output.id, cause: refused.cause, message: refused.message,
                signal: output.signal, itemCount: refused.itemCount, tenant: origin.tenant, metadata: origin.metadata,
                bytes: refused.bytes)
            switch await letters.keep(letter) {
            case .success: fate = "kept as a dead letter"
            case .failure(let failure) where failure.isFinal: fate = "dropped, as no letter can hold them (\(failure))"
            case .failure(let failure): return "a dead letter waits: \(failure)"
            }
        }
        let labels = [(name: "exporter", value: "\(connector) to \(output.id)"), (name: "pipeline", value: input)]
        DeliveryAccount.droppedCounter(metrics, labels, reason: refused.cause.rawValue).add(refused.itemCount)
        tell(
            "\(refused.itemCount) \(output.signal.itemName) are never taken by pipeline \(output.id), and \(fate) "
                + "(\(refused.cause.rawValue)): \(refused.message)")
        return nil
    }

    private func tell(_ message: String) {
        guard let leftOut = lines.withLock({ $0.allow(at: effects.now(), cause: message) }) else { return }
        let more = leftOut > 0 ? " (\(leftOut) more such lines left out)" : ""
        log(.error, "connector \(connector): \(message)\(more)")
    }
}
