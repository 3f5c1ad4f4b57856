import Pipeline
import Telemetry

/// The threshold of a sampler for what arrives.
struct SamplerRule: Sendable {
    let mode: SamplerMode
    let seed: UInt32
    /// Nothing is kept but by priority.
    let isNever: Bool
    private let own: SamplingThreshold
    private let ratio: Double
    private let precision: Int

    init(_ options: SamplerOptions) {
        mode = options.mode
        seed = options.hashSeed
        precision = options.precision
        let percentage = min(options.percentage, 100)
        ratio = Double(percentage) / 100
        switch options.mode {
        case .hashSeed: own = HashedRandomness.threshold(percentage: percentage)
        case .equalizing, .proportional:
            own = SamplingThreshold(probability: ratio, precision: options.precision)
        }
        isNever = percentage == 0 || own == .never
    }

    /// The threshold to apply to a record that an earlier sampler let pass at `arrived`.
    func threshold(over arrived: SamplingThreshold?) -> SamplingThreshold {
        if isNever { return .never }
        guard let arrived else { return own }
        switch mode {
        case .hashSeed: return own
        case .equalizing: return max(own, arrived)
        case .proportional:
            return SamplingThreshold(probability: arrived.probability * ratio, precision: precision)
        }
    }

    /// The last 56 bits of a trace id (W3C Trace Context Level 2, random flag); nil when the id is missing or zero.
    static func randomness(ofTraceID id: Text) -> UInt64? {
        guard id.count == 16 else { return nil }
        let high = UInt64(bigEndian: id.start.loadUnaligned(as: UInt64.self))
        let low = UInt64(bigEndian: id.start.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        guard high | low != 0 else { return nil }
        return low & (SamplingThreshold.range - 1)
    }
}

/// What decided, with the Collector's words for its counters.
enum SamplerPolicy: Int, CaseIterable {
    case hash, traceID, explicit, attribute, priority, missing

    var name: String {
        switch self {
        case .hash: "trace_id_hash"
        case .traceID: "trace_id_w3c"
        case .explicit: "sampling_randomness"
        case .attribute: "attribute"
        case .priority: "sampling_priority"
        case .missing: "missing_randomness"
        }
    }
}

/// Decisions of one batch, counted without touching shared memory.
struct SamplerTally {
    var kept: InlineArray<6, Int> = .init(repeating: 0)
    var dropped: InlineArray<6, Int> = .init(repeating: 0)

    @inline(__always)
    mutating func add(_ policy: SamplerPolicy, _ isKept: Bool) {
        if isKept { kept[policy.rawValue] += 1 } else { dropped[policy.rawValue] += 1 }
    }
}

/// The Collector's counters of sampling decisions.
struct SamplerCounters: Sendable {
    private let kept: [Counter]
    private let dropped: [Counter]

    init(_ build: ProcessorBuild) {
        let what = build.signal == .logs ? "logs" : "traces"
        func counter(_ policy: SamplerPolicy, _ sampled: String) -> Counter {
            build.metrics.counter(
                "otelcol_processor_probabilistic_sampler_count_\(what)_sampled",
                "Records that the sampler decided on, by what decided and whether they were kept.",
                [("policy", policy.name), ("sampled", sampled)] + build.labels)
        }
        kept = SamplerPolicy.allCases.map { counter($0, "true") }
        dropped = SamplerPolicy.allCases.map { counter($0, "false") }
    }

    func add(_ tally: SamplerTally, _ context: inout ProcessContext) {
        for policy in SamplerPolicy.allCases {
            let index = policy.rawValue
            context.count(tally.kept[index], kept[index])
            context.dropped(tally.dropped[index], dropped[index])
        }
    }
}
