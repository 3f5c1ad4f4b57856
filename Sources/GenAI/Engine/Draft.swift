import Telemetry

/// A value as a transform makes it: a number, borrowed bytes, or bytes in the span's output buffer.
struct MadeValue: BitwiseCopyable {
    var kind: ValueKind
    var bits: UInt64 = 0
    var text = Text.empty
    /// The bytes lie in the output buffer at `bits` (offset, low half; length, high half).
    var isOutput = false
    /// A message list without parts: yields to every other source.
    var isWeak = false
    /// The bytes are part of the batch, and `bits` is their reference.
    var isStored = false

    static func string(_ text: Text) -> MadeValue { MadeValue(kind: .string, text: text) }
    static func int(_ value: Int64) -> MadeValue { MadeValue(kind: .int, bits: UInt64(bitPattern: value)) }
    static func double(_ value: Double) -> MadeValue { MadeValue(kind: .double, bits: value.bitPattern) }
    static func bool(_ value: Bool) -> MadeValue { MadeValue(kind: .bool, bits: value ? 1 : 0) }
    static func output(_ kind: ValueKind, from start: Int, to end: Int) -> MadeValue {
        MadeValue(kind: kind, bits: UInt64(start) | UInt64(end - start) << 32, isOutput: true)
    }

    /// Where the bytes lie in the batch once they are stored there.
    var reference: TextRef {
        TextRef(offset: UInt32(truncatingIfNeeded: bits), length: UInt32(truncatingIfNeeded: bits >> 32))
    }

    var outputRange: Range<Int> {
        let start = Int(bits & 0xFFFF_FFFF)
        return start..<start + Int(bits >> 32)
    }
}

/// What a transform gives.
enum Outcome {
    case nothing
    /// The table says that this value has no current form.
    case withdraw
    case value(MadeValue)
}

/// State of one target attribute while a span is normalized.
struct Draft: BitwiseCopyable {
    enum State: UInt8, BitwiseCopyable {
        /// No value; the attribute may be there with a value that is not of the target's shape.
        case absent
        /// The received value is good and stays.
        case current
        /// The received value is a message list without parts.
        case weakCurrent
        /// A rule gave the value.
        case mapped
        /// A rule gave a message list without parts.
        case weakMapped
        /// The received value is to be removed.
        case withdrawn

        var isFilled: Bool { self == .current || self == .mapped }
    }

    var stamp: UInt32 = 0
    var state = State.absent
    /// Place of the received attribute in the span's set, -1 when there is none.
    var origin: Int32 = -1
    var value = MadeValue(kind: .empty)
    /// Where the value comes from: index of a rule, or a negative number for the engine's own work.
    var rule = EngineStep.none

    /// Whether conditions and later sources see a value.
    var isFilled: Bool { state.isFilled }
    /// Whether a rule, or the engine, gave the value.
    var isMade: Bool { state == .mapped || state == .weakMapped }
    /// Whether the span has or gets any value, weak ones included.
    var exists: Bool { state != .absent && state != .withdrawn }
}

/// Work of the engine that is no rule of a table, numbered like rules but below zero.
enum EngineStep {
    static let none: Int32 = -1
    static let custom: Int32 = -2
    static let recast: Int32 = -3
    static let repair: Int32 = -4
    static let inclusiveTokens: Int32 = -5
    static let finishReasons: Int32 = -6
    static let truncation: Int32 = -7
    static let ambiguousTokens: Int32 = -8
    static let body: Int32 = -9

    static func name(_ step: Int32) -> StaticString {
        switch step {
        case custom: "custom_mappings"
        case recast: "engine:recast"
        case repair: "engine:repair"
        case inclusiveTokens: "engine:inclusive_tokens"
        case finishReasons: "engine:finish_reasons"
        case truncation: "engine:truncation"
        case ambiguousTokens: "engine:ambiguous_tokens"
        case body: "engine:log_body"
        default: "engine"
        }
    }
}

/// Where a rule's value comes from, in one form for attributes, event fields and parts of documents.
struct SourceValue: BitwiseCopyable {
    var kind: ValueKind
    var bits: UInt64 = 0
    var text = Text.empty
    /// Place in the span's set, -1 for anything else.
    var attribute: Int32 = -1
    /// A part of a document; then kind is `other`.
    var ref = JSONRef.none
    /// An attribute whose value is none, OTLP's null; then kind is `empty`.
    var isNull = false

    static var none: SourceValue { SourceValue(kind: .empty) }
    static func text(_ text: Text) -> SourceValue { SourceValue(kind: .string, text: text) }
    static func node(_ ref: JSONRef) -> SourceValue {
        ref.exists ? SourceValue(kind: .other, ref: ref) : .none
    }

    var exists: Bool { kind != .empty }
    /// Whether there is an attribute or part at all, with null for a value too.
    var isValue: Bool { exists || isNull }
}

/// Facts about the span at hand that rules ask for.
struct SpanFacts: BitwiseCopyable {
    var span = 0
    var set = SetIndex(0)
    /// First attribute of the span in the batch's column, and how many there are.
    var start = 0
    var count = 0
    var name = Text.empty
    var scope = Text.empty
    var startTime: UInt64 = 0
    var status: Int32 = 0
    var isRoot = false
    var events = IndexRange.empty
    /// Active dialects.
    var active: UInt64 = 0
    /// Index of the dialect whose rules run.
    var dialect = 0
    /// The kind that the dialect `kindDialect` sees in the record.
    var kind: Text?
    var kindDialect = -1
    /// Dialects whose rules have run.
    var passed: UInt64 = 0
    /// Rule that runs, or the engine's own step.
    var rule = EngineStep.none
    /// Attribute that the rule reads, -1 for anything else.
    var local: Int32 = -1
    /// Whether the dialect whose rules run has its originals removed, and values that were there overwritten.
    var removes = false
    var overwrites = false
    var isLog = false
    /// The arguments of the tool call were one bare value without the parameter's name.
    var hasBareInput = false
    /// Every output message that was made has a finish reason.
    var isFinished = false
    /// The output messages were made by our writer, so the reasons they have are in the schema's words.
    var isWritten = false
}

/// What one dialect has of its own; nil is what all of them have.
package struct SourceOptions: Sendable {
    package var removeOriginals: Bool?
    package var overwrite: Bool?

    package init() {}
}

/// An attribute name to copy where a dialect is recognized.
package struct SourceMapping: Sendable {
    package var from: String
    package var to: String
    /// Name of the source whose settings count for it.
    package var source: String
    /// Dialects of which one must be recognized; none for everywhere.
    package var dialects: [String]

    package init(from: String, to: String, source: String, dialects: [String]) {
        self.from = from
        self.to = to
        self.source = source
        self.dialects = dialects
    }
}

/// Options of the engine. Defaults are those of the processor.
package struct NormalizerOptions: Sendable {
    package var removeOriginals = false
    package var overwrite = false
    /// Names of dialects that do not run, whatever `sources` says.
    package var excluded: [String] = []
    package var profile = TargetProfile.genAIDev
    /// Writes the former name of an attribute beside the current one where names changed.
    package var emitsAliases = false
    /// Renames spans to `{operation} {model, agent or tool}`.
    package var rewritesSpanNames = false
    /// Adds `sluice.genai.explain`: which rule produced which attribute.
    package var explains = false
    /// Highest index of an indexed attribute (`llm.input_messages.<i>`).
    package var maxIndex = 10_000
    package var limits = JSONLimits()
    /// Names of the dialects that run; nil for all.
    package var sources: [String]?
    /// Dialects with settings of their own, by name.
    package var sourceOptions: [String: SourceOptions] = [:]
    /// Attribute names to copy, in order.
    package var customMappings: [(from: String, to: String)] = []
    /// The same for single dialects, after those for all.
    package var sourceMappings: [SourceMapping] = []

    package init() {}
}
