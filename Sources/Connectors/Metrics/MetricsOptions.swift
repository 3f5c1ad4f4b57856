package import Configuration
import OTLP

/// What the connectors that compute metrics from spans have in common.
package struct MetricsOutputOptions: ComponentOptions {
    /// The Collector's names of the temporalities.
    package enum Temporality: String, CaseIterable, Sendable {
        case cumulative = "AGGREGATION_TEMPORALITY_CUMULATIVE"
        case delta = "AGGREGATION_TEMPORALITY_DELTA"
    }

    package var flushInterval: Duration
    package var temporality: Temporality
    package var seriesMax: Int
    /// Nil keeps series for ever.
    package var expiration: Duration?

    package init(_ settings: inout Settings) {
        flushInterval = settings.duration(
            "metrics_flush_interval", default: .seconds(60), in: .milliseconds(100) ... .seconds(3_600),
            "How long spans are gathered into one set of points; at most 16 MiB of spans are.")
        temporality = settings.choice(
            "aggregation_temporality", default: Temporality.cumulative,
            "Cumulative points count since the start of the gateway, delta points since the ones before.")
        let series = settings.int(
            "aggregation_cardinality_limit", default: 2_000, in: 0...Self.seriesLimit, unit: "series",
            "Most series of one metric; what is beyond counts under otel.metric.overflow. 0 is the most there can be.")
        seriesMax = series == 0 ? Self.seriesLimit : series
        let range = Duration.zero ... .seconds(366 * 86_400)
        let expirations = [
            settings.duration(
                "metrics_expiration", default: .zero, in: range,
                "Cumulative series that counted nothing for so long are forgotten; 0 keeps them."),
            settings.duration(
                "series_expiration", default: .zero, in: range,
                "The same, since metrics_expiration holds for each series here; the shorter one counts."),
        ]
        expiration = expirations.filter { $0 > .zero }.min()
        for name in ["dimensions_cache_size", "resource_metrics_cache_size", "metric_timestamp_cache_size"] {
            settings.accepted(name, "aggregation_cardinality_limit bounds what is kept.")
        }
    }

    private static let seriesLimit = 100_000
}

/// Options of the `spanmetrics` connector, with the Collector's names.
package struct SpanMetricsOptions: ComponentOptions {
    package struct Dimension: Sendable {
        /// Empty when there is a pattern instead.
        package var name: String
        /// Pattern of names; empty for none.
        package var glob = ""
        /// Value for spans that have none; without it they get no such attribute.
        package var fallback: String?
    }

    package var output: MetricsOutputOptions
    package var namespace: String
    package var dimensions: [Dimension]
    /// Further dimensions of the counter of calls.
    package var callDimensions: [Dimension]
    /// Further dimensions of the histogram.
    package var durationDimensions: [Dimension] = []
    /// Further dimensions of the counter of events; nil when there is none.
    package var eventDimensions: [Dimension]?
    package var excluded: Set<String>
    package var shape = SeriesShape.explicit([])
    package var countsSeconds = false
    package var hasHistogram = false
    /// Exemplars of a point; 0 for none.
    package var exemplarsMax: Int
    /// Scopes whose name and version become dimensions.
    package var scopes: Set<String>
    package var addsResource: Bool
    /// Whether points tell by `sampling.method` if they count spans or what sampled ones stand for.
    package var addsSamplingMethod: Bool
    /// Resource attributes that tell resources apart; empty for all.
    package var resourceKeys: [String]

    /// Buckets of the histogram.
    package enum SeriesShape: Sendable, Equatable {
        /// Upper bounds in the unit of the histogram.
        case explicit([Double])
        case exponential(sizeMax: Int)
    }

    /// The dimensions that every point has unless they are excluded.
    static let standard = ["service.name", "span.name", "span.kind", "status.code"]

    package init(_ settings: inout Settings) {
        output = MetricsOutputOptions(&settings)
        namespace = settings.string("namespace", default: "traces.span.metrics", "Beginning of the metrics' names.")
        dimensions = Self.dimensions(
            "dimensions", "Attributes of the span or its resource that tell series apart.", &settings)
        callDimensions = Self.dimensions(
            "calls_dimensions", "Further attributes that tell series of the counter of calls apart.", &settings)
        excluded = Set(
            settings.strings(
                "exclude_dimensions", default: [],
                "Standard dimensions to leave out: service.name, span.name, "
                    + "span.kind, status.code."))
        for name in excluded where !Self.standard.contains(name) && !settings.isDescribing {
            settings.warning(
                "\"\(name)\" is no standard dimension and changes nothing",
                fix: "name some of \(Self.standard.joined(separator: ", "))", at: "exclude_dimensions")
        }
        exemplarsMax = settings.group("exemplars", "Spans that points refer to.") { exemplars in
            let isEnabled = exemplars.bool("enabled", default: false, "Whether points have exemplars.")
            let most = exemplars.int(
                "max_per_data_point", default: 5, in: 1...100, "Exemplars of a point, of the first spans it counts.")
            return isEnabled ? most : 0
        }
        eventDimensions = settings.group("events", "A counter of events of spans.") { events in
            let isEnabled = events.bool("enabled", default: false, "Whether events are counted.")
            let dimensions = Self.dimensions(
                "dimensions", "Attributes of the event or resource that tell its series apart.", &events)
            if isEnabled && dimensions.isEmpty && !events.isDescribing {
                events.problem("needs at least one, such as {name: exception.type}", at: "dimensions")
            }
            return isEnabled ? dimensions : nil
        }
        scopes = Set(
            settings.strings(
                "include_instrumentation_scope", default: [],
                "Instrumentation scopes whose name and version become dimensions of their spans."))
        addsResource = settings.bool(
            "add_resource_attributes", default: true, "Whether points carry the attributes of the spans' resource.")
        addsSamplingMethod = settings.bool(
            "enable_metrics_sampling_method", default: false,
            "Whether points have sampling.method: extrapolated for spans that a sampler's threshold in tracestate lets "
                + "count for several, counted for others.")
        resourceKeys = settings.strings(
            "resource_metrics_key_attributes", default: [],
            "Resource attributes that tell resources apart; spans of resources that agree in them count together, "
                + "under the attributes of the first one. Empty means all.")
        settings.group("histogram", "The histogram of durations.") { readHistogram(&$0) }
    }

    private static func dimensions(
        _ key: String, _ sentence: String, _ settings: inout Settings
    ) -> [Dimension] {
        settings.list(key, sentence) { entry in
            let name = entry.string("name", default: "", "Key of the attribute.")
            let glob = entry.string(
                "glob", default: "", "Pattern of keys in place of a name: * stands for any text, ? for one byte.")
            let fallback = entry.optionalString("default", "Value where a span has none; with a name.")
            if name.isEmpty == glob.isEmpty { entry.problem("needs a name or a glob, and not both") }
            if glob.contains(where: { "[]{}\\".contains($0) }) {
                entry.problem("knows * and ? alone: write several entries instead", at: "glob")
            }
            return Dimension(name: name, glob: glob, fallback: fallback)
        }
    }

    private mutating func readHistogram(_ histogram: inout Settings) {
        hasHistogram = !histogram.bool("disable", default: false, "Leaves the histogram out.")
        countsSeconds =
            histogram.choice("unit", default: Unit.milliseconds, "Unit of durations: ms or s.") == .seconds
        durationDimensions = Self.dimensions(
            "dimensions", "Further attributes that tell series of the histogram apart.", &histogram)
        let bounds = histogram.group("explicit", "Buckets with these bounds.") { Self.bounds(&$0) }
        let size = histogram.optionalGroup("exponential", "Buckets whose bounds grow by a factor.") { exponential in
            exponential.int(
                "max_size", default: 160, in: 2...1_000, "Most buckets; the factor grows when more were needed.")
        }
        shape = .explicit(countsSeconds ? bounds.map { $0 / 1_000 } : bounds)
        guard !histogram.isDescribing else { return }
        if let size {
            shape = .exponential(sizeMax: size)
            if histogram.isPresent("explicit") {
                histogram.problem("explicit and exponential exclude each other: keep one", at: "exponential")
            }
        }
        if zip(bounds, bounds.dropFirst()).contains(where: { $0 >= $1 }) {
            histogram.problem("the bounds must rise", at: "explicit")
        }
    }

    private enum Unit: String, CaseIterable, Sendable {
        case milliseconds = "ms"
        case seconds = "s"
    }

    private static let defaultBuckets = [
        "2ms", "4ms", "6ms", "8ms", "10ms", "50ms", "100ms", "200ms", "400ms", "800ms", "1s", "1400ms", "2s", "5s",
        "10s", "15s",
    ]

    /// In milliseconds.
    private static func bounds(_ settings: inout Settings) -> [Double] {
        let texts = settings.strings("buckets", default: defaultBuckets, "Upper bounds of the buckets, rising.")
        return texts.compactMap { text in
            guard let duration = DurationText.parse(text) else {
                settings.problem("\"\(text)\" is no duration; write e.g. 100ms", at: "buckets")
                return nil
            }
            return duration / .milliseconds(1)
        }
    }
}

/// Options of the `gen_ai_metrics` connector.
package struct GenAIMetricsOptions: ComponentOptions {
    package var output: MetricsOutputOptions
    /// Attributes that are kept besides the conventions' own.
    package var dimensions: [String]

    package init(_ settings: inout Settings) {
        output = MetricsOutputOptions(&settings)
        dimensions = settings.strings(
            "dimensions", default: [],
            "Attributes of the span that tell series apart besides the conventions' own, such as gen_ai.agent.name.")
    }
}
