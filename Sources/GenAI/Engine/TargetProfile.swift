import Telemetry

/// Version of the conventions whose names are written.
package enum TargetProfile: String, BitwiseCopyable, CaseIterable, Sendable, Comparable {
    case semconv136 = "semconv-1.36"
    case semconv137 = "semconv-1.37"
    case semconv138 = "semconv-1.38"
    case semconv139 = "semconv-1.39"
    case semconv140 = "semconv-1.40"
    case semconv141 = "semconv-1.41"
    case genAIDev = "genai-dev"

    private var rank: Int { TargetProfile.allCases.firstIndex(of: self) ?? 0 }
    package static func < (left: TargetProfile, right: TargetProfile) -> Bool { left.rank < right.rank }
}

/// A former name of a target. Names that a version does not have yet and that have no former name are written as today:
/// a reader ignores what it does not know.
struct TargetAlias: BitwiseCopyable {
    var target: TargetID
    var name: NameID
    /// Last version that has the former name.
    var last: TargetProfile
    /// Current word and the former one where words changed too.
    var words: Frozen<(word: Text, former: Text)>

    struct Pair {
        var current: String
        var former: String
        var last: TargetProfile
        var words: [(String, String)] = []
    }

    static let all = [
        Pair(current: "gen_ai.provider.name", former: "gen_ai.system", last: .semconv136, words: [("x_ai", "xai")]),
        Pair(
            current: "gen_ai.usage.cache_write.input_tokens", former: "gen_ai.usage.cache_creation.input_tokens",
            last: .semconv141),
        Pair(current: "gen_ai.retrieval.top_k", former: "gen_ai.request.top_k", last: .semconv141),
        Pair(
            current: "openai.request.service_tier", former: "gen_ai.openai.request.service_tier", last: .semconv136),
        Pair(
            current: "openai.response.service_tier", former: "gen_ai.openai.response.service_tier", last: .semconv136),
        Pair(
            current: "openai.response.system_fingerprint", former: "gen_ai.openai.response.system_fingerprint",
            last: .semconv136),
    ]
}

extension Normalizer {
    /// Whether the profile has another type for a target: `gen_ai.request.top_k` was a double up to 1.41.
    mutating func hasFormerType(_ target: TargetID) -> Bool {
        target == tables.layout.known.topK && target.exists && options.profile < .genAIDev
    }

    /// A value in the type that the profile has for its target.
    @inline(__always)
    mutating func profiled(_ value: MadeValue, _ target: TargetID) -> MadeValue {
        guard options.profile != .genAIDev, value.kind == .int, hasFormerType(target) else { return value }
        return .double(Double(Int64(bitPattern: value.bits)))
    }

    /// Writes former names: instead of the current ones for an older profile, beside them with `emit_aliases`.
    mutating func applyProfile(_ batch: inout RecordBatch) -> Bool {
        guard options.profile != .genAIDev || options.emitsAliases else { return false }
        var isChanged = false
        for (index, alias) in tables.layout.aliases.enumerated() {
            let isFormer = options.profile <= alias.last
            guard isFormer || options.emitsAliases, let value = written(alias, &batch) else { continue }
            let key = tables.layout.nameTexts[Int(alias.name.value)]
            if let place = batch.find(name: key, in: facts.set) {
                // In an older profile this is the attribute itself; as an alias it may be another emitter's own word.
                guard isFormer, !isSame(batch.attributes[place], value, &batch) else { continue }
                batch.setValue(attributeValue(value), at: place, in: facts.set)
            } else {
                let reference = batch.addText(key)
                batch.append(key: reference, attributeValue(value), to: facts.set)
            }
            isChanged = true
            if options.explains { explained.append(Int32(-1 - index)) }
        }
        return isChanged
    }

    /// The value of a target as it will stand, with its bytes in the batch; nil when there is none.
    private mutating func written(_ alias: TargetAlias, _ batch: inout RecordBatch) -> MadeValue? {
        let draft = drafts[Int(alias.target.value)]
        guard draft.stamp == stamp, draft.isFilled else { return nil }
        var value = draft.value
        if draft.state == .current {
            let record = batch.attributes[batch.range(of: facts.set).lowerBound + Int(draft.origin)]
            value = MadeValue(kind: record.kind, bits: record.payload)
        }
        if options.profile <= alias.last {
            value = profiled(value, tables.layout.nameTargets[Int(alias.name.value)])
        }
        guard value.kind == .string, !alias.words.isEmpty else { return value }
        for (word, former) in alias.words where batch.text(value.reference) == word {
            value.bits = AttributeRecord.pack(batch.addText(former))
        }
        return value
    }
}
