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

    package init(_ settings: inout Settings) {
        flushInterval = settings.duration(
            "metrics_flush_interval", default: .seconds(60), in: .milliseconds(100) ... .seconds(3_600),
            "How long spans are gathered into one set of points; at most 16 MiB of spans are.")
        temporality = settings.choice(
            "aggregation_temporality", default: Temporality.cumulative,
            "Cumulative points count since the start of the gateway, delta points since the ones before.")
        seriesMax = settings.int(
            "aggregation_cardinality_limit", default: 2_000, in: 1...100_000, unit: "series",
            "Most series of one metric; what is beyond counts under otel.metric.overflow.")
    }
}

/// Options of the `spanmetrics` connector, with the Collector's names.
package struct SpanMetricsOptions: ComponentOptions {
    package struct Dimension: Sendable {
        package var name: String
        /// Value for spans that have none; without it they get no such attribute.
        package var fallback: String?
    }

    package var output: MetricsOutputOptions
    package var namespace: String
    package var dimensions: [Dimension]
    package var excluded: Set<String>
    /// Upper bounds in the unit of the histogram.
    package var bounds: [Double]
    package var countsSeconds: Bool
    package var hasHistogram: Bool

    /// The dimensions that every point has unless they are excluded.
    static let standard = ["service.name", "span.name", "span.kind", "status.code"]

    package init(_ settings: inout Settings) {
        output = MetricsOutputOptions(&settings)
        namespace = settings.string("namespace", default: "traces.span.metrics", "Beginning of the metrics' names.")
        dimensions = settings.list("dimensions", "Attributes of the span or its resource that tell series apart.") {
            Dimension(
                name: $0.requiredString("name", "Key of the attribute."),
                fallback: $0.optionalString("default", "Value where a span has none."))
        }
        excluded = Set(
            settings.strings(
                "exclude_dimensions", default: [],
                "Standard dimensions to leave out: service.name, span.name, "
                    + "span.kind, status.code."))
        for name in excluded where !Self.standard.contains(name) && !settings.isDescribing {
            settings.problem(
                "\"\(name)\" is no standard dimension: \(Self.standard.joined(separator: ", "))",
                at: "exclude_dimensions")
        }
        var bounds: [Double] = []
        var unit = Unit.milliseconds
        var isDisabled = false
        settings.group("histogram", "The histogram of durations.") { histogram in
            isDisabled = histogram.bool("disable", default: false, "Leaves the histogram out.")
            unit = histogram.choice("unit", default: Unit.milliseconds, "Unit of durations: ms or s.")
            bounds = histogram.group("explicit", "Buckets.") { explicit in
                Self.bounds(&explicit)
            }
        }
        countsSeconds = unit == .seconds
        hasHistogram = !isDisabled
        self.bounds = countsSeconds ? bounds.map { $0 / 1_000 } : bounds
        if zip(bounds, bounds.dropFirst()).contains(where: { $0 >= $1 }) && !settings.isDescribing {
            settings.problem("the bounds must rise", at: "histogram.explicit.buckets")
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
