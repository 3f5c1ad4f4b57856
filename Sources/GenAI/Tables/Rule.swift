import Telemetry

/// A run of elements in one of the tables' pools.
struct PoolRange: BitwiseCopyable, Equatable {
    var start: UInt32
    var count: UInt32

    static let empty = PoolRange(start: 0, count: 0)
    var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
    var isEmpty: Bool { count == 0 }
}

/// Index of an attribute name that some rule reads or writes; zero is no name.
struct NameID: BitwiseCopyable, Hashable {
    var value: UInt16
    static let none = NameID(value: 0)
}

/// Index of an attribute that rules may write; -1 is none.
struct TargetID: BitwiseCopyable, Hashable {
    var value: Int16
    static let none = TargetID(value: -1)
    var exists: Bool { value >= 0 }
}

/// Type of a target's value.
enum TargetType: String, BitwiseCopyable, CaseIterable {
    case string, int, double, bool, strings, json
    case inputMessages = "input_messages"
    case outputMessages = "output_messages"
    case instructions, tools, documents, arguments, result

    /// Whether the value is a message list.
    var isMessages: Bool { self == .inputMessages || self == .outputMessages }
    /// Whether the value is a JSON document in a string.
    var isDocument: Bool {
        switch self {
        case .json, .inputMessages, .outputMessages, .instructions, .tools, .documents, .arguments, .result: true
        case .string, .int, .double, .bool, .strings: false
        }
    }
}

/// Where a rule's value comes from.
enum RuleSource: BitwiseCopyable {
    case attribute(NameID)
    /// Keys that start with a pattern's prefix; `suffix`, when not empty, is what must stand behind the index.
    case pattern(UInt16, suffix: Text)
    case event(Text)
    case spanName(Text)
    case spanNamePrefix(Text)
    case scopePrefix(Text)
    case always
}

/// How words are matched in a value map.
enum MapMatch: UInt8, BitwiseCopyable { case whole, prefix, suffix, firstWord, json }

/// Kinds of pieces that make up the one output message of a span.
enum AssembledPiece: UInt8, BitwiseCopyable { case text, texts, reasoning, calls, files }

/// What a rule does with its value.
enum Transform: BitwiseCopyable {
    case copy, string, int, double, bool, lowercase
    case map(UInt16, MapMatch)
    case strings(map: Int16, splits: Bool, strip: Text)
    case mapEach(UInt16)
    case collectStrings(map: Int16)
    case constant(Text)
    case constantIfTrue(Text)
    case drop, dropPlaceholder
    case scale(Double)
    case isoMinusStart, epochMillisecondsMinusStart, eventMinusStart
    /// What stands behind the prefix that the rule asks of the span's name.
    case rest
    case spanName, scopeProvider, urlHost, firstWord, arrayLength, sumInt
    case statusMessage, levelToStatus
    case renamePrefix(Text)
    case objectToTemplate(Text)
    case json, jsonString, jsonTools, jsonFields
    case jsonPath(Text)
    case parameters(UInt16)
    case toolArguments, toolResult, toolParameters
    case ioValue
    case modelWithoutProvider, providerOfModel, lastOfStream
    case messages, history, conversation
    case textMessage(Role)
    case assemble(AssembledPiece)
    case flatMessages, flatTools, flatDocuments, flatArguments
    case flatText(Role)
    case documents, toolDefinitions, toolSchema, system
    case eventMessage(Role)
    case eventChoice(toolTarget: TargetID)
    case eventTool, eventAppend, eventDocuments, eventField, liftEvent
    case eventStrings(map: Int16)
}

/// How much of its source a transform puts into its target, which decides whether `remove_originals` may take the
/// source away.
enum Carrying: BitwiseCopyable {
    /// All of it: the value moves, or its word is translated, or the span says the same (`drop`).
    case whole
    /// What it uses of a document. The rest is looked at when all rules are done; a value that is no document is used
    /// as a whole.
    case parts
    /// A part of the value, or something that was made of it.
    case little
}

extension Transform {
    var carrying: Carrying {
        switch self {
        case .copy, .string, .int, .double, .bool, .lowercase, .dropPlaceholder, .scale, .isoMinusStart,
            .epochMillisecondsMinusStart, .rest, .json, .jsonString, .modelWithoutProvider, .drop:
            return .whole
        case .map(_, let match): return match == .whole || match == .json ? .whole : .little
        case .strings, .mapEach, .jsonTools, .jsonFields, .jsonPath, .parameters, .toolArguments, .toolResult,
            .toolParameters, .ioValue, .messages, .history, .conversation, .textMessage, .assemble, .documents,
            .toolDefinitions, .toolSchema, .system, .objectToTemplate:
            return .parts
        default: return .little
        }
    }

    /// Whether the transform takes members of a document one by one.
    var takesFields: Bool {
        switch self {
        case .jsonFields, .parameters: true
        default: false
        }
    }
}

/// Who wins when a target has a value already.
enum Conflict: String, BitwiseCopyable, CaseIterable {
    case keepTarget = "keep_target"
    case preferSource = "prefer_source"
    case preferMapped = "prefer_mapped"
}

/// A value that makes a rule leave its target alone.
enum DropValue: BitwiseCopyable {
    case none
    case no
    case number(Int64)
    case word(Text)
}

/// A condition of a rule. All conditions of a rule must hold.
enum Condition: BitwiseCopyable {
    case targetAbsent, noKind, root, isJSONArray
    /// A switch that this version does not offer: never holds.
    case never
    case absent(PoolRange), present(PoolRange), presentAny(PoolRange), hasAny(PoolRange)
    case absentPrefix(PoolRange), presentPrefix(PoolRange)
    case hasAll(PoolRange)
    case kind(PoolRange), operation(PoolRange), notOperation(PoolRange), rawOperation(PoolRange), provider(PoolRange)
    case scope(PoolRange), scopePrefix(PoolRange), spanName(PoolRange)
    case notSpanNameSuffix(PoolRange)
    case spanNameIs(NameID, path: Text)
    case valueIn(PoolRange), valueContains(PoolRange)
    case attributeEquals(NameID, Text)
    case status(Int32)
    /// Groups of conditions of which one must hold as a whole.
    case any(PoolRange)
}

/// One way a part of a value goes: a field of a JSON object, or the case of one span kind.
struct SubRule: BitwiseCopyable {
    /// Path of the field, or the kind's raw word.
    var label: Text
    /// For kinds: the operation that the dialect maps the word to; empty when none.
    var operation = Text.empty
    var target = TargetID.none
    var transform = Transform.copy
    var conditions = PoolRange.empty
    /// Paths to try in order before the value itself; for sums: the paths to add.
    var paths = PoolRange.empty
    var drop = DropValue.none
}

/// A rule in its fast form.
struct Rule: BitwiseCopyable {
    var source: RuleSource
    var target = TargetID.none
    var transform = Transform.copy
    var conditions = PoolRange.empty
    var conflict = Conflict.keepTarget
    var keepsSource = false
    /// Source and target are one attribute: the rule mends a value in place.
    var isRepair = false
    /// Values come wrapped as `{type, value}`.
    var isTyped = false
    /// Values are JSON throughout: texts stand in quotes.
    var isEncoded = false
    var drop = DropValue.none
    var subRules = PoolRange.empty
    /// Names of more attributes that the transform needs: summands, payloads, lifted attributes.
    var names = PoolRange.empty
    /// Texts that the transform needs: members to unwrap, event fields.
    var texts = PoolRange.empty
    /// Index of a second rule on the same source, -1 for none.
    var also: Int32 = -1
    /// `dialect:line of its table`, which names the rule for a reader.
    var label = Text.empty

    var claim: Claim { Claim(conflict: conflict, isRepair: isRepair) }
}

/// What decides whether a rule may replace a value that is there: all that an offer needs of a rule, which is large.
struct Claim: BitwiseCopyable {
    var conflict: Conflict
    var isRepair: Bool
}

/// Whether a dialect's input token count contains the cached ones.
enum CacheInclusion: BitwiseCopyable { case yes, no, varies }

/// A dialect in its fast form.
struct Dialect: BitwiseCopyable {
    var name: Text
    var priority: Int
    var isComposable: Bool
    var cacheInclusion = CacheInclusion.yes
    /// Attributes that name the kind of span, first one wins: a run of name lists.
    var kinds = PoolRange.empty
    var placeholders = PoolRange.empty
    /// Rules in order of work.
    var run = PoolRange.empty

    var rules: Range<Int> { run.range }
}

/// One sign of a dialect.
enum Detection: BitwiseCopyable {
    case scopeName(Text)
    case scopePrefix(Text)
    case attribute(NameID)
    case attributePrefix(UInt16)
    case attributeEquals(NameID, Text)
    case attributeHasPrefix(NameID, Text)
    case eventName(Text)
    case resourceEquals(NameID, Text)
    case spanNamePrefix(Text)

    /// The attribute of the record that is looked at.
    var attribute: NameID? {
        switch self {
        case .attribute(let name), .attributeEquals(let name, _), .attributeHasPrefix(let name, _): name
        case .scopeName, .scopePrefix, .attributePrefix, .eventName, .resourceEquals, .spanNamePrefix: nil
        }
    }
}

/// A key prefix that rules or conditions look for.
struct KeyPattern: BitwiseCopyable {
    var prefix: Text
    /// A decimal index must follow the prefix.
    var needsIndex: Bool
    /// Dialects that this prefix reveals.
    var detects: UInt64 = 0
    /// Whether a rule or condition asks for it, not only detection.
    var isAsked = false

    func matches(_ key: Text) -> Bool {
        guard key.hasPrefix(prefix) else { return false }
        guard needsIndex else { return true }
        return key.count > prefix.count && key[prefix.count] >= 0x30 && key[prefix.count] <= 0x39
    }
}
