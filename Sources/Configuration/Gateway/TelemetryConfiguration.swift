/// The gateway's own telemetry: `service.telemetry`, with the Collector's names.
package struct TelemetryConfiguration: ComponentOptions {
    /// How much the gateway measures of itself.
    package enum MetricsLevel: String, Sendable, CaseIterable {
        case none
        case basic
        case normal
        case detailed
    }

    /// The least severity that is logged.
    package enum LogLevel: String, Sendable, CaseIterable {
        case debug
        case info
        case warn
        case error
        /// Levels of the Collector's logger above error, which nothing here logs at: like error.
        case dpanic
        case panic
        case fatal
    }

    /// How much a tap shows.
    package enum Tap: String, Sendable, CaseIterable {
        case off
        /// What pipelines have stored, behind their redaction.
        case processed
        /// That, and what receivers take, as it comes.
        case raw
    }

    /// How log records are written.
    package enum LogEncoding: String, Sendable, CaseIterable {
        /// Text for people.
        case console
        /// One JSON object per line.
        case json
    }

    /// Where Prometheus text is served.
    package struct Address: Sendable, Hashable {
        /// The address to bind; a name is looked up.
        package var host: String
        /// The port, 0 for any free one.
        package var port: Int

        /// Makes an address.
        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }

        /// Reads `host:port`, `:port` (all addresses) or `[::1]:port`; nil when it is none of them.
        package init?(_ text: String) {
            guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
                return nil
            }
            var host = text[..<colon]
            if host.hasPrefix("["), host.hasSuffix("]") {
                host = host.dropFirst().dropLast()
            } else if host.contains(":") {
                return nil
            }
            self.host = host.isEmpty ? "0.0.0.0" : String(host)
            self.port = Int(port)
        }

        /// The same for a listener whose name for this machine alone, `localhost`, is one address.
        package init?(listening text: String) {
            self.init(text.hasPrefix("localhost:") ? "127.0.0.1" + text.dropFirst("localhost".count) : text)
        }
    }

    /// Where the gateway serves its metrics unless the file says otherwise.
    package static let defaultAddress = Address(host: "127.0.0.1", port: 8888)

    /// How much is measured.
    package let metricsLevel: MetricsLevel
    /// Where metrics are served, empty for nowhere.
    package let metricsAddresses: [Address]
    /// The least severity that is logged.
    package let logLevel: LogLevel
    /// How log records are written.
    package let logEncoding: LogEncoding
    /// What `sluice tap` may see.
    package let tap: Tap
    /// Attributes of the gateway's own resource in file order; a null takes a default attribute away.
    package let resource: [(key: String, value: ConfigValue)]

    /// Reads `service.telemetry`; nil stands for the defaults.
    package init(_ node: ConfigNode?, problems: inout ConfigProblems) {
        let place = node?.place ?? .nowhere
        self = readOptions(
            TelemetryConfiguration.self, node: node ?? .emptyMap(at: place), path: "service.telemetry",
            problems: &problems)
    }

    /// Declares and reads the options.
    package init(_ settings: inout Settings) {
        (metricsLevel, metricsAddresses) = settings.group("metrics", "Metrics of the gateway itself.") { metrics in
            TelemetryConfiguration.readMetrics(&metrics)
        }
        (logLevel, logEncoding) = settings.group("logs", "Log records of the gateway itself.") { logs in
            TelemetryConfiguration.readLogs(&logs)
        }
        tap = settings.choice(
            "tap", default: Tap.processed,
            "What `sluice tap` may see over the metrics listener, from this machine only: nothing, what is stored "
                + "behind all processors, or with raw also what comes in, before any redaction.")
        settings.accepted("traces", "The gateway does not trace itself.")
        switch settings.value("resource", "Attributes that describe the gateway in its own telemetry.") {
        case .map(let entries)?: resource = entries.map { ($0.0, $0.1) }
        case nil, .null?: resource = []
        default:
            settings.problem("expects a mapping of attributes", at: "resource")
            resource = []
        }
    }

    private static func readMetrics(_ settings: inout Settings) -> (MetricsLevel, [Address]) {
        let level = settings.choice("level", default: MetricsLevel.normal, "How much is measured; none serves nothing.")
        let old = settings.optionalString("address", "Older form of readers: host:port to serve Prometheus text on.")
        let readers = settings.list("readers", "Where metrics are read from.") { reader in
            readReader(&reader)
        }
        settings.accepted("views", "All metrics are offered; choose where they are stored.")
        var addresses = settings.isPresent("readers") ? readers.compactMap(\.self) : [defaultAddress]
        if let old {
            if settings.isPresent("readers") {
                settings.problem("cannot be given together with readers; keep readers", at: "address")
            } else if let address = Address(old) {
                addresses = [address]
            } else {
                settings.problem("expects host:port, such as 127.0.0.1:8888", at: "address")
            }
        }
        return (level, level == .none ? [] : addresses)
    }

    private static func readReader(_ settings: inout Settings) -> Address? {
        settings.accepted("periodic", "The gateway's metrics are pulled as Prometheus text, not pushed.")
        return settings.optionalGroup("pull", "A reader that waits to be asked.") { pull -> Address? in
            pull.accepted("producers", "Only the gateway's own metrics are offered.")
            pull.accepted("cardinality_limits", "The gateway's own metrics are few.")
            return pull.group("exporter", "The form metrics are offered in.") { exporter -> Address? in
                exporter.optionalGroup("prometheus", "Prometheus text over HTTP.") { readPrometheus(&$0) }
            }
        } ?? nil
    }

    private static func readPrometheus(_ settings: inout Settings) -> Address {
        let host = settings.string("host", default: defaultAddress.host, "Address to listen on.")
        let port = settings.int("port", default: defaultAddress.port, in: 0...65535, "Port to listen on; 0 for any.")
        for key in [
            "without_scope_info", "without_type_suffix", "without_units", "without_target_info",
            "with_resource_constant_labels", "translation_strategy",
        ] {
            settings.accepted(key, "The form of the text is fixed.")
        }
        return Address(host: host, port: port)
    }

    private static func readLogs(_ settings: inout Settings) -> (LogLevel, LogEncoding) {
        let level = settings.choice(
            "level", default: LogLevel.info,
            "Least severity that is logged; dpanic, panic and fatal, which the Collector knows, are error.")
        let encoding = settings.choice("encoding", default: LogEncoding.console, "Text for people, or JSON lines.")
        settings.accepted("development", "There is one mode.")
        settings.accepted("disable_caller", "Records name no source line.")
        settings.accepted("disable_stacktrace", "Records hold no stack traces.")
        settings.accepted("output_paths", "Records go to standard error.")
        settings.accepted("error_output_paths", "Records go to standard error.")
        settings.accepted("initial_fields", "Records hold the gateway's fields only.")
        settings.accepted("sampling", "Repeated records are limited where they arise.")
        settings.accepted("processors", "Records go to standard error.")
        return (level, encoding)
    }
}
