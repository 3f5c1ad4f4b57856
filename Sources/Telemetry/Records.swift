/// Where a run of bytes lies: in the request, in the batch's side buffer of edits, or in the key table's arena.
///
/// The two top bits of the offset name the region, so a batch can address 1 GiB of each.
public struct TextRef: BitwiseCopyable, Equatable, Sendable {
    public var offset: UInt32
    public var length: UInt32

    @inline(__always)
    @inlinable
    public init(offset: UInt32, length: UInt32) {
        self.offset = offset
        self.length = length
    }

    @inlinable public static var editRegion: UInt32 { 0x4000_0000 }
    @inlinable public static var keyRegion: UInt32 { 0x8000_0000 }
    @inlinable public static var offsetMask: UInt32 { 0x3FFF_FFFF }
    /// Most bytes that a region can hold.
    @inlinable public static var regionCapacity: Int { 0x3FFF_FFFF }
    @inlinable public static var empty: TextRef { TextRef(offset: 0, length: 0) }

    @inlinable
    public var isEmpty: Bool { length == 0 }
}

/// A run of consecutive records in one of a batch's columns.
public struct IndexRange: BitwiseCopyable, Equatable, Sendable {
    public var start: UInt32
    public var count: UInt32

    @inline(__always)
    @inlinable
    public init(start: Int, count: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: count)
    }

    @inlinable public static var empty: IndexRange { IndexRange(start: 0, count: 0) }

    @inlinable
    public var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
}

/// Index of an attribute set in `RecordBatch.sets`.
public struct SetIndex: BitwiseCopyable, Hashable, Sendable {
    public let value: UInt32

    @inline(__always)
    @inlinable
    public init(_ value: Int) { self.value = UInt32(truncatingIfNeeded: value) }

    @inlinable
    public var index: Int { Int(value) }
}

/// Which member of AnyValue an attribute or body holds. Presence counts: an empty string is a value, `empty` is none.
public enum ValueKind: UInt8, BitwiseCopyable, Sendable {
    case empty = 0
    case string = 1
    case bool = 2
    case int = 3
    case double = 4
    /// The bytes of an ArrayValue message.
    case array = 5
    /// The bytes of a KeyValueList message.
    case map = 6
    case bytes = 7
    /// A member that Sluice does not interpret (string table index of the profiles signal, later additions).
    case other = 8
}

/// An attribute value or log body. Text, bytes, arrays and maps refer to bytes of the batch.
public enum AttributeValue: BitwiseCopyable, Equatable, Sendable {
    case empty
    case string(TextRef)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    /// Content of an ArrayValue message.
    case array(TextRef)
    /// Content of a KeyValueList message.
    case map(TextRef)
    case bytes(TextRef)
    case other
}

/// One attribute: 32 bytes, no ownership.
public struct AttributeRecord: BitwiseCopyable, Sendable {
    public var key: TextRef
    /// Bits of the value, or offset (low half) and length (high half) of its bytes.
    public var payload: UInt64
    /// The KeyValue message as received; length zero for attributes that Sluice made.
    public var raw: TextRef
    public var keyID: KeyID
    public var kind: ValueKind
    public var flags: AttributeFlags

    @inline(__always)
    @inlinable
    public init(key: TextRef, keyID: KeyID, value: AttributeValue) {
        self.key = key
        self.keyID = keyID
        raw = .empty
        payload = 0
        kind = .empty
        flags = .replaced
        (kind, payload) = AttributeRecord.encode(value)
    }

    /// For decoders, which know the parts.
    @inline(__always)
    @inlinable
    public init(key: TextRef, keyID: KeyID, kind: ValueKind, payload: UInt64, raw: TextRef, flags: AttributeFlags) {
        self.key = key
        self.keyID = keyID
        self.kind = kind
        self.payload = payload
        self.raw = raw
        self.flags = flags
    }

    @inlinable
    public var text: TextRef {
        @inline(__always) get {
            TextRef(offset: UInt32(truncatingIfNeeded: payload), length: UInt32(truncatingIfNeeded: payload >> 32))
        }
    }

    @inlinable
    public var value: AttributeValue {
        switch kind {
        case .empty: .empty
        case .string: .string(text)
        case .bool: .bool(payload != 0)
        case .int: .int(Int64(bitPattern: payload))
        case .double: .double(Double(bitPattern: payload))
        case .array: .array(text)
        case .map: .map(text)
        case .bytes: .bytes(text)
        case .other: .other
        }
    }

    /// Replaces the value, and marks the attribute for writing anew.
    @inline(__always)
    @inlinable
    public mutating func set(_ value: AttributeValue) {
        (kind, payload) = AttributeRecord.encode(value)
        flags.formUnion(.replaced)
    }

    /// The kind of a value and its 64 bits: a number as it is, or a reference as `pack` has it.
    @inline(__always)
    @inlinable
    public static func encode(_ value: AttributeValue) -> (ValueKind, UInt64) {
        switch value {
        case .empty: (.empty, 0)
        case .string(let text): (.string, pack(text))
        case .bool(let flag): (.bool, flag ? 1 : 0)
        case .int(let number): (.int, UInt64(bitPattern: number))
        case .double(let number): (.double, number.bitPattern)
        case .array(let text): (.array, pack(text))
        case .map(let text): (.map, pack(text))
        case .bytes(let text): (.bytes, pack(text))
        case .other: (.other, 0)
        }
    }

    /// Offset in the lower, length in the upper 32 bits.
    @inline(__always)
    @inlinable
    public static func pack(_ text: TextRef) -> UInt64 { UInt64(text.offset) | UInt64(text.length) << 32 }
}

/// What the writer needs to know of an attribute beside its value.
public struct AttributeFlags: OptionSet, BitwiseCopyable, Sendable {
    public let rawValue: UInt8
    @inlinable
    @inline(__always) public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The value or key differs from `raw`, or there is no `raw`.
    @inlinable public static var edited: AttributeFlags { AttributeFlags(rawValue: 1) }
    /// `raw` holds fields that the schema does not know; they are copied when the attribute is written anew.
    @inlinable public static var hasUnknownFields: AttributeFlags { AttributeFlags(rawValue: 2) }
    /// The value is not the one in `raw`.
    @inlinable public static var hasNewValue: AttributeFlags { AttributeFlags(rawValue: 4) }
    /// `raw` holds more than one value, which other readers may take for the value.
    @inlinable public static var hasHiddenValues: AttributeFlags { AttributeFlags(rawValue: 8) }
    /// `raw` holds more than one key.
    @inlinable public static var hasHiddenKeys: AttributeFlags { AttributeFlags(rawValue: 16) }
    /// Edited, with a new value. A literal of both would make an array where nothing is optimized.
    @inlinable public static var replaced: AttributeFlags { AttributeFlags(rawValue: 1 | 4) }
}

/// What owns an attribute set.
public enum OwnerKind: UInt8, BitwiseCopyable, Sendable {
    case resource, scope, span, event, link, log, metric, point
}

/// The attributes of one owner: a run in `RecordBatch.attributes`, in order.
public struct AttributeSet: BitwiseCopyable, Sendable {
    public var attributes: IndexRange
    /// Index of the owner in the column of its kind.
    public var owner: UInt32
    public var kind: OwnerKind
    public var isEdited: Bool

    @inlinable
    public init(owner: Int, kind: OwnerKind) {
        attributes = .empty
        self.owner = UInt32(truncatingIfNeeded: owner)
        self.kind = kind
        isEdited = false
    }
}

/// Parts of a record that differ from the received bytes.
public struct EditFlags: OptionSet, BitwiseCopyable, Sendable {
    public let rawValue: UInt16
    @inlinable
    @inline(__always) public init(rawValue: UInt16) { self.rawValue = rawValue }

    @inlinable public static var attributes: EditFlags { EditFlags(rawValue: 1) }
    @inlinable public static var name: EditFlags { EditFlags(rawValue: 1 << 1) }
    @inlinable public static var status: EditFlags { EditFlags(rawValue: 1 << 2) }
    @inlinable public static var traceState: EditFlags { EditFlags(rawValue: 1 << 3) }
    @inlinable public static var events: EditFlags { EditFlags(rawValue: 1 << 4) }
    @inlinable public static var links: EditFlags { EditFlags(rawValue: 1 << 5) }
    @inlinable public static var body: EditFlags { EditFlags(rawValue: 1 << 6) }
    @inlinable public static var points: EditFlags { EditFlags(rawValue: 1 << 7) }
    /// Something below (a span of a scope, a scope of a resource) is edited or removed.
    @inlinable public static var children: EditFlags { EditFlags(rawValue: 1 << 8) }
    /// Scalar fields: ids, kind, times, dropped attributes and flags of a span; times, severity, flags and event name
    /// of a log record; the time of an event; name, description and unit of a metric; name and version of a scope.
    @inlinable public static var fields: EditFlags { EditFlags(rawValue: 1 << 9) }
    /// The schema URL of a resource or scope.
    @inlinable public static var schemaURL: EditFlags { EditFlags(rawValue: 1 << 10) }
    /// The aggregation temporality of a metric.
    @inlinable public static var temporality: EditFlags { EditFlags(rawValue: 1 << 11) }
    /// Numbers of what its sender dropped: of a span's events and links, of attributes in all others.
    @inlinable public static var droppedCounts: EditFlags { EditFlags(rawValue: 1 << 12) }
    /// The ids of a log record, which else keep what came, also where that is none.
    @inlinable public static var traceID: EditFlags { EditFlags(rawValue: 1 << 13) }
    @inlinable public static var spanID: EditFlags { EditFlags(rawValue: 1 << 14) }
    /// The record is not written.
    @inlinable public static var removed: EditFlags { EditFlags(rawValue: 1 << 15) }
}

/// One ResourceSpans, ResourceLogs or ResourceMetrics with its Resource.
public struct ResourceRecord: BitwiseCopyable, Sendable {
    /// Content of the Resource… message.
    public var raw: TextRef
    public var schemaURL: TextRef = .empty
    public var set: SetIndex
    public var scopes: IndexRange = .empty
    public var droppedAttributes: UInt32 = 0
    public var edits: EditFlags = []
    /// Whether a Resource message is there at all.
    public var isPresent = false

    @inlinable
    public init(raw: TextRef, set: SetIndex) {
        self.raw = raw
        self.set = set
    }
}

/// One ScopeSpans, ScopeLogs or ScopeMetrics with its InstrumentationScope.
public struct ScopeRecord: BitwiseCopyable, Sendable {
    public var raw: TextRef
    public var name: TextRef = .empty
    public var version: TextRef = .empty
    public var schemaURL: TextRef = .empty
    public var set: SetIndex
    public var resource: UInt32
    /// Spans, logs or metrics of this scope, by the batch's signal.
    public var items: IndexRange = .empty
    public var droppedAttributes: UInt32 = 0
    public var edits: EditFlags = []
    public var isPresent = false

    @inlinable
    public init(raw: TextRef, set: SetIndex, resource: Int) {
        self.raw = raw
        self.set = set
        self.resource = UInt32(truncatingIfNeeded: resource)
    }
}

/// One span. Ids refer to 16 and 8 bytes of the batch; a missing parent is empty.
public struct SpanRecord: BitwiseCopyable, Sendable {
    public var raw: TextRef
    public var traceID: TextRef = .empty
    public var spanID: TextRef = .empty
    public var parentID: TextRef = .empty
    public var traceState: TextRef = .empty
    public var name: TextRef = .empty
    public var statusMessage: TextRef = .empty
    /// Unix nanoseconds.
    public var start: UInt64 = 0
    public var end: UInt64 = 0
    public var kind: Int32 = 0
    public var statusCode: Int32 = 0
    public var flags: UInt32 = 0
    public var droppedAttributes: UInt32 = 0
    public var droppedEvents: UInt32 = 0
    public var droppedLinks: UInt32 = 0
    public var set: SetIndex
    public var scope: UInt32
    public var events: IndexRange = .empty
    public var links: IndexRange = .empty
    public var edits: EditFlags = []

    @inlinable
    public init(raw: TextRef, set: SetIndex, scope: Int) {
        self.raw = raw
        self.set = set
        self.scope = UInt32(truncatingIfNeeded: scope)
    }
}

/// One event of a span.
public struct EventRecord: BitwiseCopyable, Sendable {
    public var raw: TextRef
    public var name: TextRef = .empty
    public var time: UInt64 = 0
    public var droppedAttributes: UInt32 = 0
    public var set: SetIndex
    public var span: UInt32
    public var edits: EditFlags = []

    @inlinable
    public init(raw: TextRef, set: SetIndex, span: Int) {
        self.raw = raw
        self.set = set
        self.span = UInt32(truncatingIfNeeded: span)
    }
}

/// One link of a span.
public struct LinkRecord: BitwiseCopyable, Sendable {
    public var raw: TextRef
    public var traceID: TextRef = .empty
    public var spanID: TextRef = .empty
    public var traceState: TextRef = .empty
    public var set: SetIndex
    public var span: UInt32
    public var edits: EditFlags = []

    @inlinable
    public init(raw: TextRef, set: SetIndex, span: Int) {
        self.raw = raw
        self.set = set
        self.span = UInt32(truncatingIfNeeded: span)
    }
}

/// One log record. Ids that are not 16 and 8 bytes long are empty: the record is not tied to a trace.
public struct LogRecord: BitwiseCopyable, Sendable {
    public var raw: TextRef
    public var time: UInt64 = 0
    public var observedTime: UInt64 = 0
    public var severityText: TextRef = .empty
    public var eventName: TextRef = .empty
    public var traceID: TextRef = .empty
    public var spanID: TextRef = .empty
    public var severityNumber: Int32 = 0
    public var flags: UInt32 = 0
    public var droppedAttributes: UInt32 = 0
    public var set: SetIndex
    public var scope: UInt32
    public var bodyPayload: UInt64 = 0
    public var bodyKind: ValueKind = .empty
    /// The body as received holds more than one value.
    public var hasHiddenBodies = false
    public var edits: EditFlags = []

    @inlinable
    public init(raw: TextRef, set: SetIndex, scope: Int) {
        self.raw = raw
        self.set = set
        self.scope = UInt32(truncatingIfNeeded: scope)
    }

    @inlinable
    public var body: AttributeValue {
        AttributeRecord(
            key: .empty, keyID: .unknown, kind: bodyKind, payload: bodyPayload, raw: .empty, flags: []
        ).value
    }
}

/// Which data a metric holds.
public enum MetricKind: UInt8, BitwiseCopyable, Sendable {
    case none, gauge, sum, histogram, exponentialHistogram, summary
}

/// One metric. Its points keep their bytes; only their attributes are decoded.
public struct MetricRecord: BitwiseCopyable, Sendable {
    public var raw: TextRef
    public var name: TextRef = .empty
    public var details: TextRef = .empty
    public var unit: TextRef = .empty
    public var set: SetIndex
    public var scope: UInt32
    public var points: IndexRange = .empty
    public var kind: MetricKind = .none
    /// The aggregation temporality that it was given, as the schema numbers it; without an edit its bytes tell.
    public var temporality: UInt8 = 0
    public var edits: EditFlags = []

    @inlinable
    public init(raw: TextRef, set: SetIndex, scope: Int) {
        self.raw = raw
        self.set = set
        self.scope = UInt32(truncatingIfNeeded: scope)
    }
}

/// One data point of a metric.
public struct PointRecord: BitwiseCopyable, Sendable {
    public var raw: TextRef
    public var time: UInt64 = 0
    public var set: SetIndex
    public var metric: UInt32
    public var edits: EditFlags = []
    /// Kind of the data message that holds the point. A metric should have one; of several the last is its kind.
    public var kind: MetricKind

    @inlinable
    public init(raw: TextRef, set: SetIndex, metric: Int, kind: MetricKind) {
        self.raw = raw
        self.set = set
        self.metric = UInt32(truncatingIfNeeded: metric)
        self.kind = kind
    }
}
