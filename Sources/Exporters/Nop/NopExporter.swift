package import Configuration
package import Pipeline

/// Options of the `nop` exporter: only those of the exporter helper.
package struct NopOptions: ComponentOptions {
    package let helper: ExporterHelperOptions

    package init(_ settings: inout Settings) { helper = ExporterHelperOptions(&settings) }
}

/// Takes every batch and keeps nothing, as the Collector's `nop`: for trying a pipeline and for measuring one.
package struct NopExporter: Exporter {
    package let maxConcurrency = Int.max

    package init() {}

    package func start() async throws {}

    package func export(_ batch: ExportBatch) async -> ExportOutcome { .delivered }

    package func shutdown() async {}
}
