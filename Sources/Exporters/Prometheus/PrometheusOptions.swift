package import Configuration

/// Options of `prometheus`, under the Collector's names.
package struct PrometheusOptions: ComponentOptions {
    package var helper: ExporterHelperOptions
    package var address: TelemetryConfiguration.Address
    package var names: PrometheusNames
    package var constantLabels: [(key: String, value: String)]
    package var sendsTimestamps: Bool
    package var expiration: Duration
    package var takesResource: Bool
    package var leavesOutScope: Bool
    package var offersOpenMetrics: Bool
    package var seriesMax: Int

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings)
        let endpoint = settings.string("endpoint", default: "", "host:port to serve the page on, such as 0.0.0.0:8889.")
        address = TelemetryConfiguration.Address(host: "127.0.0.1", port: 8889)
        if let read = TelemetryConfiguration.Address(listening: endpoint) {
            address = read
        } else if !settings.isDescribing {
            settings.problem("expects host:port to listen on, such as 0.0.0.0:8889", at: "endpoint")
        }
        let namespace = settings.string("namespace", default: "", "Put before all names, with an underscore.")
        let addsSuffixes = settings.bool(
            "add_metric_suffixes", default: true, "Adds units and _total to names, as OpenMetrics asks for.")
        names = PrometheusNames(namespace: namespace, addsSuffixes: addsSuffixes)
        constantLabels = settings.stringMap(
            "const_labels", "Labels with these values on every series but target_info.")
        sendsTimestamps = settings.bool(
            "send_timestamps", default: false, "Writes the time of each point beside its value.")
        expiration = settings.duration(
            "metric_expiration", default: .seconds(300), in: .seconds(1) ... .seconds(366 * 86_400),
            "Series that got no point for this long leave the page.")
        takesResource = settings.group(
            "resource_to_telemetry_conversion", "What becomes of the attributes of resources."
        ) { group in
            _ = group.bool(
                "exclude_service_attributes", default: false, "Accepted; job and instance are labels in any case.")
            return group.bool(
                "enabled", default: false,
                "True makes them labels of every series. They are on target_info in any case, where the resource has "
                    + "service.name and service.instance.id, which are job and instance.")
        }
        leavesOutScope = settings.bool(
            "without_scope_info", default: false,
            "Leaves out the labels of scopes: otel_scope_name, otel_scope_version, otel_scope_schema_url and "
                + "otel_scope_ATTRIBUTE. Series of scopes that differ in them alone are one then.")
        offersOpenMetrics = settings.bool(
            "enable_open_metrics", default: false,
            "Answers scrapers that ask for OpenMetrics in that format, which has exemplars.")
        seriesMax = settings.int(
            "max_series", default: 100_000, in: 1...10_000_000, unit: "series",
            "Most series held; points of further ones are refused and counted.")
        settings.accepted("translation_strategy", "Names are escaped with underscores; see add_metric_suffixes.")
        for key in ["tls", "auth"] where settings.value(key, "Not served.") != nil {
            settings.problem(
                "the page is served in plain HTTP: remove \(key), listen on a loopback address, and let a proxy add it",
                at: key)
        }
    }
}
