package import Configuration

/// How `probabilistic_sampler` decides.
package enum SamplerMode: String, CaseIterable, Sendable {
    /// A 14-bit hash of the trace id and `hash_seed`.
    case hashSeed = "hash_seed"
    /// OpenTelemetry's 56 random bits; what arrives is thinned by the percentage.
    case proportional
    /// The same bits; what arrives is brought down to the percentage.
    case equalizing
}

/// Where the randomness of a log record comes from.
package enum SamplerSource: String, CaseIterable, Sendable {
    case traceID
    case record
}

/// Options of the `probabilistic_sampler` processor, with the Collector's names, meanings and defaults.
package struct SamplerOptions: ComponentOptions {
    /// As the Collector keeps it: 32 bits decide in `hash_seed` mode. Above 100 counts as 100.
    package var percentage: Float
    package var hashSeed: UInt32
    package var mode: SamplerMode
    package var failClosed: Bool
    package var precision: Int
    package var source: SamplerSource
    package var fromAttribute: String
    package var samplingPriority: String

    package init(_ settings: inout Settings) {
        percentage = Float(
            settings.double(
                "sampling_percentage", default: 0, in: 0...1_000_000, unit: "%",
                "Share of traces or log records kept; 100 and more keeps all, 0 none."))
        hashSeed = UInt32(
            truncatingIfNeeded: settings.int(
                "hash_seed", default: 0, in: 0...Int(UInt32.max),
                "Seed of the hash in hash_seed mode; gateways of one tier must share it."))
        mode = settings.choice(
            "mode", default: SamplerMode.hashSeed,
            "hash_seed hashes the trace id; proportional and equalizing use OpenTelemetry's randomness and threshold.")
        failClosed = settings.bool(
            "fail_closed", default: true, "Drops records whose sampling information is missing or wrong.")
        precision = settings.int(
            "sampling_precision", default: 4, in: 1...SamplingThreshold.digits, unit: "digits",
            "Hexadecimal digits of the threshold that is recorded.")
        source = settings.choice(
            "attribute_source", default: SamplerSource.traceID,
            "Logs: the trace id, or the record's `from_attribute`, gives the randomness.")
        fromAttribute = settings.string(
            "from_attribute", default: "",
            "Logs, hash_seed mode: attribute that is hashed when there is no trace id or `attribute_source` is record.")
        samplingPriority = settings.string(
            "sampling_priority", default: "",
            "Logs: attribute with a percentage of its own; 0 drops the record, 100 keeps it.")
        if percentage > 0, Double(percentage) / 100 < 1 / Double(SamplingThreshold.range) {
            settings.problem("is too small: the least is 2^-56", at: "sampling_percentage")
        }
        if source == .record, fromAttribute.isEmpty {
            settings.problem("attribute_source: record needs from_attribute", at: "attribute_source")
        }
    }
}
