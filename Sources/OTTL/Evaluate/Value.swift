import Telemetry

/// What an expression gives. Nothing is owned: texts lie in the batch, in the program or in the evaluation's arena, and
/// lists and maps are the encoded ArrayValue and KeyValueList of OTLP, so that they can be written as they are.
enum Value: BitwiseCopyable {
    case none
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(Text)
    case bytes(Text)
    /// A trace or span id: 16 or 8 bytes.
    case identifier(Text)
    /// Content of an ArrayValue message.
    case list(Text)
    /// Content of a KeyValueList message.
    case map(Text)
    /// All attributes of an owner.
    case set(SetIndex)
    /// Unix nanoseconds.
    case time(Int64)
    /// Nanoseconds.
    case duration(Int64)

    @inline(__always)
    init(_ kind: ValueKind, _ payload: UInt64, _ batch: borrowing RecordBatch) {
        switch kind {
        case .empty, .other: self = .none
        case .bool: self = .bool(payload != 0)
        case .int: self = .int(Int64(bitPattern: payload))
        case .double: self = .double(Double(bitPattern: payload))
        case .string: self = .string(batch.text(Value.reference(payload)))
        case .array: self = .list(batch.text(Value.reference(payload)))
        case .map: self = .map(batch.text(Value.reference(payload)))
        case .bytes: self = .bytes(batch.text(Value.reference(payload)))
        }
    }

    @inline(__always)
    private static func reference(_ payload: UInt64) -> TextRef {
        TextRef(offset: UInt32(truncatingIfNeeded: payload), length: UInt32(truncatingIfNeeded: payload >> 32))
    }

    var isNone: Bool {
        if case .none = self { true } else { false }
    }

    /// In messages.
    var kindName: String {
        switch self {
        case .none: "nil"
        case .bool: "bool"
        case .int: "int"
        case .double: "float"
        case .string: "string"
        case .bytes: "bytes"
        case .identifier: "id"
        case .list: "list"
        case .map, .set: "map"
        case .time: "time"
        case .duration: "duration"
        }
    }
}

/// Why a condition or statement gave no result on one record.
struct EvaluationFailure: Error {
    enum Reason: UInt8, BitwiseCopyable {
        case wrongType, notBoolean, divisionByZero, notIndexable, outOfRange, notFound, invalidText
        case tooLarge, undecided, notStorable, notSettable, wrongMetric, invalidPattern, tooManyPatterns
    }

    var reason: Reason
    /// Byte offset in the text.
    var offset: Int32 = -1

    init(_ reason: Reason) { self.reason = reason }

    var words: String {
        switch reason {
        case .wrongType: "a value has the wrong type, or is not there"
        case .notBoolean: "the condition gave no truth value"
        case .divisionByZero: "division by zero"
        case .notIndexable: "a value that is neither map nor list is indexed, or by the wrong type of key"
        case .outOfRange: "an index or length is out of range"
        case .notFound: "a part is missing"
        case .invalidText: "a text does not have the expected form"
        case .tooLarge: "the results are too large"
        case .undecided: "the pattern's match limit was reached"
        case .notStorable: "a time or duration cannot be stored: use UnixNano() or Nanoseconds()"
        case .wrongMetric: "it is not for metrics of this type, or the metric has no aggregation temporality"
        case .notSettable: "the value does not fit the field"
        case .tooManyPatterns: "more than \(PatternCache.compiledMax) patterns that are no literals in one request"
        case .invalidPattern:
            "the pattern is no regular expression, is longer than \(PatternCache.textBytesMax) bytes, or lacks a group"
        }
    }
}
