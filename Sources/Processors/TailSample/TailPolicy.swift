import OTTL
import Patterns
import Pipeline
import Telemetry

/// What a policy says of a trace.
enum PolicyVerdict: Equatable {
    case sampled
    case notSampled
    /// The trace goes, whatever other policies say.
    case dropped
    /// From a policy with `invert_match`: weaker than `sampled`, stronger than `notSampled` of others.
    case invertSampled
    case invertNotSampled

    var samples: Bool { self == .sampled || self == .invertSampled }
}

/// A policy with its keys as numbers and its conditions compiled. It looks at a batch that holds one trace; what it
/// says does not depend on the order of the spans.
struct TailPolicy: Sendable {
    let name: String
    private let test: Test

    private indirect enum Test: Sendable {
        case alwaysSample
        case latency(above: UInt64, most: UInt64)
        case attribute(AttributeTest, isInverted: Bool)
        case hash(salt: [UInt8], most: UInt64)
        case status([Int32])
        case spans(TokenBucket)
        case bytes(TokenBucket)
        case count(least: Int, most: Int)
        case traceState(key: [UInt8], values: [[UInt8]])
        case traceFlags
        case conditions(spans: RuleSet, events: RuleSet)
        case and([TailPolicy])
        case not(TailPolicy)
        case drop([TailPolicy])
        case composite(total: Int, [Share])
        case agent(AgentTest)
    }

    private struct Share: Sendable {
        var policy: TailPolicy
        var limit: Int
        var window: SecondWindow
    }

    init(_ option: PolicyOption, errors: Counter, _ build: inout ProcessorBuild) throws(ProcessorBuildFailure) {
        name = option.name
        switch option.rule {
        case .alwaysSample: test = .alwaysSample
        case .latency(let above, let most): test = .latency(above: UInt64(above), most: UInt64(most))
        case .numeric(let key, let range, let isInverted):
            test = .attribute(AttributeTest(key: build.keys.intern(key), .number(range)), isInverted: isInverted)
        case .string(let key, let values, let patterns, let isInverted):
            let wanted = AttributeTest.Wanted.text(values.map { Array($0.utf8) }, patterns)
            test = .attribute(AttributeTest(key: build.keys.intern(key), wanted), isInverted: isInverted)
        case .boolean(let key, let value, let isInverted):
            test = .attribute(AttributeTest(key: build.keys.intern(key), .flag(value)), isInverted: isInverted)
        case .probabilistic(let salt, let percentage):
            test = .hash(salt: Array(salt.utf8), most: TraceHash.threshold(percentage: percentage))
        case .status(let codes): test = .status(codes)
        case .spansPerSecond(let rate, let burst): test = .spans(TokenBucket(perSecond: rate, burst: burst))
        case .bytesPerSecond(let rate, let burst): test = .bytes(TokenBucket(perSecond: rate, burst: burst))
        case .spanCount(let least, let most): test = .count(least: least, most: most)
        case .traceState(let key, let values):
            test = .traceState(key: Array(key.utf8), values: values.map { Array($0.utf8) })
        case .traceFlags: test = .traceFlags
        case .condition(let conditions):
            test = .conditions(
                spans: try RuleSet(conditions, .span, errors: errors, &build),
                events: try RuleSet(conditions, .spanevent, errors: errors, &build))
        case .and(let options): test = .and(try TailPolicy.all(options, errors, &build))
        case .not(let option): test = .not(try TailPolicy(option, errors: errors, &build))
        case .drop(let options): test = .drop(try TailPolicy.all(options, errors, &build))
        case .composite(let option):
            test = .composite(total: option.spansPerSecond, try TailPolicy.shares(option, errors, &build))
        case .toolError, .toolEmptyResult, .loop, .sum, .finishReason, .noFinalAnswer, .finding:
            test = .agent(AgentTest(option.rule, &build.keys))
        }
    }

    private static func all(
        _ options: [PolicyOption], _ errors: Counter, _ build: inout ProcessorBuild
    ) throws(ProcessorBuildFailure) -> [TailPolicy] {
        var policies: [TailPolicy] = []
        for option in options { policies.append(try TailPolicy(option, errors: errors, &build)) }
        return policies
    }

    private static func shares(
        _ option: CompositeOption, _ errors: Counter, _ build: inout ProcessorBuild
    ) throws(ProcessorBuildFailure) -> [Share] {
        var shares: [Share] = []
        let equal = option.spansPerSecond / max(1, option.policies.count)
        for name in option.order {
            guard let policy = option.policies.first(where: { $0.name == name }) else { continue }
            let percent = option.percents.first { $0.policy == name }?.percent ?? 0
            shares.append(
                Share(
                    policy: try TailPolicy(policy, errors: errors, &build),
                    limit: percent == 0 ? equal : option.spansPerSecond * percent / 100, window: SecondWindow()))
        }
        return shares
    }

    // MARK: Chance

    /// Whether what it says depends on chance or rates, and not on what a trace is.
    var isByChance: Bool {
        switch test {
        case .alwaysSample, .hash, .spans, .bytes, .composite: true
        case .and(let policies): policies.allSatisfy(\.isByChance)
        case .not(let policy): policy.isByChance
        default: false
        }
    }

    /// Probability with which it samples a trace like one that it sampled: 1 for a policy without chance, and for those
    /// with rates, of which nobody knows.
    var probability: Double {
        switch test {
        case .hash(_, let most): max(Double(most), 1) / 18_446_744_073_709_551_616
        case .and(let policies): policies.reduce(1) { $0 * $1.probability }
        case .not(let policy) where policy.probability < 1: 1 - policy.probability
        default: 1
        }
    }

    /// Text that policies by hash share when they choose the same traces; nil for others.
    var chanceGroup: [UInt8]? {
        switch test {
        case .hash(let salt, _): salt
        default: nil
        }
    }

    // MARK: Deciding

    /// The verdict on the trace in `batch`. `now` is in nanoseconds.
    func verdict(
        _ batch: borrowing RecordBatch, _ state: inout EvaluationState, now: Int64
    ) -> PolicyVerdict {
        switch test {
        case .attribute(let test, let isInverted):
            let isFound = test.holds(batch, state.matcher)
            if isInverted { return isFound ? .invertNotSampled : .invertSampled }
            return isFound ? .sampled : .notSampled
        case .and(let policies):
            for policy in policies where !policy.verdict(batch, &state, now: now).samples { return .notSampled }
            return .sampled
        case .drop(let policies):
            for policy in policies where !policy.verdict(batch, &state, now: now).samples { return .notSampled }
            return .dropped
        case .not(let policy): return policy.verdict(batch, &state, now: now).samples ? .notSampled : .sampled
        case .composite(let total, let shares):
            let spans = batch.liveCount
            for share in shares where share.policy.verdict(batch, &state, now: now).samples {
                let fits = share.window.take(spans, of: min(share.limit, total), now: now)
                return fits ? .sampled : .notSampled
            }
            return .notSampled
        default: return samples(batch, &state, now: now) ? .sampled : .notSampled
        }
    }

    private func samples(
        _ batch: borrowing RecordBatch, _ state: inout EvaluationState, now: Int64
    ) -> Bool {
        switch test {
        case .alwaysSample: return true
        case .latency(let above, let most):
            let milliseconds = TraceShape.duration(of: batch) / 1_000_000
            // As the Collector has it: the lower end belongs to it only while there is no upper one.
            return most == 0 ? milliseconds >= above : milliseconds > above && milliseconds <= most
        case .hash(let salt, let most):
            return most > 0 && TraceHash.of(TraceShape.identifier(of: batch), salt: salt) <= most
        case .status(let codes): return TraceShape.contains(batch) { codes.contains($0.statusCode) }
        case .spans(let bucket): return bucket.take(batch.liveCount, now: now)
        case .bytes(let bucket): return bucket.take(TraceShape.bytes(of: batch), now: now)
        case .count(let least, let most):
            return batch.liveCount >= least && (most == 0 || batch.liveCount <= most)
        case .traceState(let key, let values): return hasMember(key, values, batch)
        case .traceFlags: return TraceShape.contains(batch) { $0.flags & 1 == 1 }
        case .conditions(let spans, let events): return meets(spans, events, batch, &state)
        case .agent(let test): return test.holds(batch)
        case .attribute, .and, .not, .drop, .composite: return false
        }
    }

    private func hasMember(_ key: [UInt8], _ values: [[UInt8]], _ batch: borrowing RecordBatch) -> Bool {
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let state = batch.text(batch.spans[index].traceState)
            guard !state.isEmpty else { continue }
            let member = key.withUnsafeBytes { TraceStateText.member(Text($0), of: state) }
            if let member, values.contains(where: { member.bytes.elementsEqual($0) }) { return true }
        }
        return false
    }

    private func meets(
        _ spans: RuleSet, _ events: RuleSet, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) -> Bool {
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            if !spans.isEmpty, spans.holds(batch, at: Place(span: index, batch), &state) { return true }
            if events.isEmpty { continue }
            for event in batch.spans[index].events.range where !batch.events[event].edits.contains(.removed) {
                if events.holds(batch, at: Place(event: event, batch), &state) { return true }
            }
        }
        return false
    }
}

/// A key of a span or resource and what its value must be.
struct AttributeTest: Sendable {
    enum Wanted: Sendable {
        case number(ClosedRange<Double>)
        case text([[UInt8]], [CompiledPattern])
        case flag(Bool)
    }

    let key: KeyID
    let wanted: Wanted

    init(key: KeyID, _ wanted: Wanted) {
        self.key = key
        self.wanted = wanted
    }

    /// Whether a resource or a span of the batch has it.
    func holds(_ batch: borrowing RecordBatch, _ matcher: borrowing PatternMatcher) -> Bool {
        for index in batch.resources.indices where holds(batch, batch.resources[index].set, matcher) { return true }
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            if holds(batch, batch.spans[index].set, matcher) { return true }
        }
        return false
    }

    private func holds(
        _ batch: borrowing RecordBatch, _ set: SetIndex, _ matcher: borrowing PatternMatcher
    ) -> Bool {
        guard let index = batch.find(key, in: set) else { return false }
        switch (wanted, batch.attributes[index].value) {
        case (.number(let range), .int(let number)): return range.contains(Double(number))
        case (.number(let range), .double(let number)): return range.contains(number)
        case (.flag(let flag), .bool(let value)): return flag == value
        case (.text(let texts, let patterns), .string(let reference)):
            let text = batch.text(reference)
            for wanted in texts where text.count == wanted.count && text.bytes.elementsEqual(wanted) { return true }
            for pattern in patterns where pattern.matches(text, matcher, otherwise: false) { return true }
            return false
        default: return false
        }
    }
}

/// The Collector's hash of a trace id, and of names that are too long to keep: FNV-1a of 64 bits over salt and text.
enum TraceHash {
    static func of(_ trace: Text, salt: [UInt8]) -> UInt64 {
        FNV.hash(trace.bytes, after: FNV.hash(salt))
    }

    /// The largest hash that is sampled; 0 means none.
    static func threshold(percentage: Double) -> UInt64 {
        let ratio = percentage / 100
        if ratio >= 1 { return .max }
        // The share of 2^64-1: one less than that of 2^64, which is exact.
        let scaled = UInt64(ratio * 18_446_744_073_709_551_616)
        return scaled == 0 ? 0 : scaled - 1
    }
}

/// Facts about the one trace of a batch.
enum TraceShape {
    /// Nanoseconds from the first start to the last end.
    static func duration(of batch: borrowing RecordBatch) -> UInt64 {
        var first = UInt64.max
        var last: UInt64 = 0
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            first = min(first, batch.spans[index].start)
            last = max(last, batch.spans[index].end)
        }
        return last > first ? last - first : 0
    }

    /// Encoded bytes of the spans alone: what stands around them depends on how they came.
    static func bytes(of batch: borrowing RecordBatch) -> Int {
        var bytes = 0
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            bytes += Int(batch.spans[index].raw.length)
        }
        return bytes
    }

    static func identifier(of batch: borrowing RecordBatch) -> Text {
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            return batch.text(batch.spans[index].traceID)
        }
        return .empty
    }

    static func contains(_ batch: borrowing RecordBatch, _ test: (SpanRecord) -> Bool) -> Bool {
        for index in batch.spans.indices where !batch.isRemoved(span: index) && test(batch.spans[index]) {
            return true
        }
        return false
    }
}
