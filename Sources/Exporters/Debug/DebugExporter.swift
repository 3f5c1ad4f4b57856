package import Pipeline
import Synchronization
import Telemetry

/// Shows batches in the terminal.
package final class DebugExporter: Exporter {
    package let maxConcurrency = 1
    private let printer: DebugPrinter
    private let sampler: Mutex<DisplaySampler>
    private let write: @Sendable (String) -> Void
    private let now: @Sendable () -> Duration

    /// `write` and `now` are for tests; by default the text goes to standard output or standard error.
    package init(
        options: DebugOptions, build: ExporterBuild, write: (@Sendable (String) -> Void)? = nil,
        now: @escaping @Sendable () -> Duration = WorkerEffects.system().now
    ) {
        printer = DebugPrinter(verbosity: options.verbosity)
        sampler = Mutex(DisplaySampler(initial: options.samplingInitial, thereafter: options.samplingThereafter))
        let descriptor: Int32 = options.writesToStandardError ? 2 : 1
        self.write = write ?? { Self.write($0, to: descriptor) }
        self.now = now
    }

    package func start() async throws {}

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        let time = now()
        guard sampler.withLock({ $0.shows(at: time) }) else { return .delivered }
        do {
            write(try batch.bytes.withUnsafeBytes { try printer.text(Text($0), signal: batch.signal) })
            return .delivered
        } catch {
            return .permanent(reason: "not a valid request: \(error)")
        }
    }

    package func shutdown() async {}

    /// What cannot be shown is not worth stopping for: a closed terminal must not hold back the pipeline.
    private static func write(_ text: String, to descriptor: Int32) {
        var text = text
        text.withUTF8 { _ = Descriptor.writeAll(UnsafeRawBufferPointer($0), to: descriptor) }
    }
}
