package import Configuration
package import Patterns
package import Telemetry

/// What becomes of the first point of a stream, of which nobody knows how much was passed on before.
package enum InitialValue: String, CaseIterable, Sendable {
    /// As `keep` when the stream began after the gateway did, else as `drop`.
    case auto
    case keep, drop
}

/// Options of the `cumulativetodelta` processor: the Collector's, and limits on what it remembers.
package struct CumulativeToDeltaOptions: ComponentOptions {
    package var include: MetricChoice
    package var exclude: MetricChoice
    /// Zero is no limit.
    package var maxStaleness: Duration
    package var initialValue: InitialValue
    package var streamsMax: Int
    package var stateBytesMax: Int

    package init(_ settings: inout Settings) {
        include = settings.group("include", "Metrics that become deltas; all when neither this nor exclude is given.") {
            MetricChoice(&$0)
        }
        exclude = settings.group("exclude", "Metrics that stay as they are, also where include names them.") {
            MetricChoice(&$0)
        }
        let year = Duration.seconds(366 * 86_400)
        maxStaleness = settings.duration(
            "max_staleness", default: .zero, in: .zero...year,
            "How long a stream is remembered after its last point; 0 is without an end.")
        initialValue = settings.choice(
            "initial_value", default: InitialValue.auto,
            "What the first point of a stream becomes: drop remembers and drops it, keep passes its whole value on, "
                + "auto does so when its start time is after the start of the gateway and not its own time.")
        streamsMax = settings.int(
            "max_streams", default: 250_000, in: 1...10_000_000, unit: "streams",
            "How many streams are remembered, at some 160 bytes each and 8 for every bucket; beyond, the one that "
                + "was not seen for longest is forgotten, and its next point is a first one.")
        stateBytesMax = settings.bytes(
            "max_state_size", default: 128 << 20, in: 64 << 10...16 << 30,
            "What the remembered streams may take in memory together.")
        settings.alias("max_stale", for: "max_staleness")
        if maxStaleness > .zero, maxStaleness < .milliseconds(1) {
            settings.problem("is less than a millisecond: give it a unit, such as 300s", at: "max_staleness")
        }
        readOlderNames(&settings)
    }

    /// The list of names that was there before `include`.
    private mutating func readOlderNames(_ settings: inout Settings) {
        let names = settings.strings("metrics", default: [], "The older form of include with match_type strict.")
        guard !names.isEmpty else { return }
        guard include.isEmpty, exclude.isEmpty else {
            return settings.problem("cannot stand beside include and exclude: write it as include", at: "metrics")
        }
        include.names = names
        settings.warning(
            "is the older form of include", fix: "write `include: {match_type: strict, metrics: […]}`", at: "metrics")
    }
}

/// Names and types of metrics: an `include` or `exclude`.
package struct MetricChoice: Sendable {
    package var type: MatchType
    package var names: [String]
    /// The names where they are patterns.
    package var patterns: [CompiledPattern]
    package var kinds: Set<MetricKind>

    var isEmpty: Bool { names.isEmpty && kinds.isEmpty }

    init(_ settings: inout Settings) {
        let type = settings.choice(
            "match_type", default: MatchType.strict,
            "strict compares whole names, regexp searches in them; must be given with metrics.")
        names = settings.strings("metrics", default: [], "Names of metrics, or patterns.")
        let types = settings.strings(
            "metric_types", default: [], "Types of metrics: sum, histogram, exponentialhistogram.")
        var kinds: Set<MetricKind> = []
        for text in types {
            if let kind = MetricChoice.kind(text) {
                kinds.insert(kind)
            } else {
                settings.problem(
                    "has a type that is none of sum, histogram and exponentialhistogram", at: "metric_types", on: text)
            }
        }
        var patterns: [CompiledPattern] = []
        if type == .regexp {
            for text in names {
                if let pattern = settings.pattern(of: text, at: "metrics") { patterns.append(pattern) }
            }
        }
        _ = settings.optionalGroup("regexp", "Settings of the Collector's match cache.") { inner in
            inner.accepted("cacheenabled", "matches are not cached, the patterns are compiled")
            inner.accepted("cachemaxnumentries", "matches are not cached, the patterns are compiled")
        }
        (self.type, self.kinds, self.patterns) = (type, kinds, patterns)
        let hasType = settings.isPresent("match_type")
        if !names.isEmpty, !hasType { settings.problem("needs match_type beside it: strict or regexp", at: "metrics") }
        if names.isEmpty, hasType { settings.problem("needs metrics beside it", at: "match_type") }
    }

    private static func kind(_ text: String) -> MetricKind? {
        switch text.lowercased() {
        case "sum": .sum
        case "histogram": .histogram
        case "exponentialhistogram": .exponentialHistogram
        default: nil
        }
    }
}
