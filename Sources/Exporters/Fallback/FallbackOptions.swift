package import Configuration

/// Options of `fallback`.
package struct FallbackOptions: ComponentOptions {
    package var helper: ExporterHelperOptions
    /// Ids of the exporters, in the order in which they are wanted.
    package var exporters: [String]
    package var switchAfter: Duration
    package var retryInterval: Duration
    package var replays: Bool

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings, defaultTimeout: .zero)
        exporters = settings.strings(
            "exporters", default: [],
            "Ids of other exporters of this file, the one that shall have the data first. Of their own options, "
                + "sending_queue, retry_on_failure and dead_letters do not count here.")
        switchAfter = settings.duration(
            "switch_after", default: .seconds(30), in: .zero ... .seconds(86_400),
            "An exporter that fails for so long is left for the next one; 0 leaves it with its first failure.")
        retryInterval = settings.duration(
            "retry_interval", default: .seconds(30), in: .milliseconds(100) ... .seconds(86_400),
            "So often an exporter that was left is tried again; with its first success it has the data again.")
        replays = settings.bool(
            "replay", default: true,
            "True keeps what others got meanwhile, and sends it to the first exporter too once that works again.")
        guard !settings.isDescribing else { return }
        if exporters.count < 2 {
            settings.problem("needs at least two ids, such as [otlp_http/main, file/spare]", at: "exporters")
        }
        if Set(exporters).count < exporters.count { settings.problem("names one twice", at: "exporters") }
    }
}
