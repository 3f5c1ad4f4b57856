/// One request as flat records over its bytes: a struct of columns, filled by a reader, changed by processors, written
/// by a writer.
///
/// Nothing here owns an object per record. A batch is pooled and reused; all its references are valid until `reset`.
/// Records that nobody touched are written back as the very bytes that came in.
public struct RecordBatch: ~Copyable {
    public var signal: Signal = .traces
    public var keys: KeyTable
    /// The protobuf request, borrowed from whoever called `reset`; JSON is first transcoded into `transcoded`.
    public var input = Text.empty
    public var transcoded = ByteColumn()
    /// Side buffer: text that processors made.
    public var edits = ByteColumn()

    public var resources = Column<ResourceRecord>()
    public var scopes = Column<ScopeRecord>()
    public var spans = Column<SpanRecord>()
    public var events = Column<EventRecord>()
    public var links = Column<LinkRecord>()
    public var logs = Column<LogRecord>()
    public var metrics = Column<MetricRecord>()
    public var points = Column<PointRecord>()
    public var sets = Column<AttributeSet>()
    public var attributes = Column<AttributeRecord>()

    /// Whether anything differs from `input`.
    public var isEdited = false
    /// A text field came more than once in a record: all but the last are in its bytes only, where nobody looks.
    public var hasHiddenTexts = false
    /// Records (spans, logs, points) that are still to be written.
    public var liveCount = 0

    @inlinable
    public init(keys: KeyTable = .empty) { self.keys = keys }

    /// Empties the batch for a new request. `input` must outlive every use of the batch until the next reset.
    @inlinable
    public mutating func reset(signal: Signal, input: Text, keys: KeyTable) {
        self.signal = signal
        self.input = input
        self.keys = keys
        edits.removeAll()
        resources.removeAll()
        scopes.removeAll()
        spans.removeAll()
        events.removeAll()
        links.removeAll()
        logs.removeAll()
        metrics.removeAll()
        points.removeAll()
        sets.removeAll()
        attributes.removeAll()
        isEdited = false
        hasHiddenTexts = false
        liveCount = 0
    }

    /// The bytes behind a reference. Valid until the next edit.
    @inline(__always)
    @inlinable
    public func text(_ reference: TextRef) -> Text {
        let offset = Int(reference.offset & TextRef.offsetMask)
        let end = offset &+ Int(reference.length)
        switch reference.offset & ~TextRef.offsetMask {
        case 0:
            precondition(end <= input.count, "reference outside the request")
            return Text(start: input.start + offset, count: Int(reference.length))
        case TextRef.editRegion:
            precondition(end <= edits.count, "reference outside the edits")
            return Text(start: UnsafeRawPointer(edits.base) + offset, count: Int(reference.length))
        default:
            return keys.text(of: reference)
        }
    }

    /// Copies bytes into the side buffer. Beyond 1 GiB of edits the text is dropped and the reference is empty.
    @inlinable
    public mutating func addText(_ text: Text) -> TextRef {
        guard edits.count &+ text.count <= TextRef.regionCapacity else { return .empty }
        let start = edits.count
        let distance = text.start - UnsafeRawPointer(edits.base)
        if distance >= 0 && distance < start {
            // The text lies in this very buffer, which may move when it grows.
            edits.appendCopy(of: distance..<min(distance + text.count, start))
        } else {
            edits.append(text)
        }
        return TextRef(offset: TextRef.editRegion | UInt32(start), length: UInt32(edits.count - start))
    }

    /// A reference to bytes wherever they lie: no copy when they are part of this batch, else one in the side buffer.
    @inlinable
    public mutating func reference(to text: Text) -> TextRef {
        if text.count == 0 { return .empty }
        if let place = place(of: text, in: input, region: 0) { return place }
        if let place = place(of: text, in: edits.text, region: TextRef.editRegion) { return place }
        return addText(text)
    }

    /// Whether bytes lie in the side buffer, which may move with the next edit.
    @inlinable
    public func isInEdits(_ text: Text) -> Bool {
        text.count > 0 && place(of: text, in: edits.text, region: TextRef.editRegion) != nil
    }

    @inlinable
    func place(of text: Text, in whole: Text, region: UInt32) -> TextRef? {
        let distance = text.start - whole.start
        guard distance >= 0, distance &+ text.count <= whole.count else { return nil }
        return TextRef(offset: region | UInt32(distance), length: UInt32(text.count))
    }

    /// Runs `build` on the side buffer and returns what it appended. `build` must only append, and must not read
    /// references of this batch that lie in the side buffer.
    @inlinable
    public mutating func buildText(_ build: (inout ByteColumn) -> Void) -> TextRef {
        let start = edits.count
        build(&edits)
        let length = edits.count - start
        guard edits.count <= TextRef.regionCapacity, length >= 0 else {
            edits.truncate(to: min(start, edits.count))
            return .empty
        }
        return TextRef(offset: TextRef.editRegion | UInt32(start), length: UInt32(length))
    }

    /// Copies part of the request or of earlier edits, with `prefix` and `suffix` around it, into the side buffer.
    @inlinable
    public mutating func addText(prefix: StaticString, _ middle: TextRef, suffix: StaticString) -> TextRef {
        let total = prefix.utf8CodeUnitCount &+ Int(middle.length) &+ suffix.utf8CodeUnitCount
        guard edits.count &+ total <= TextRef.regionCapacity else { return .empty }
        edits.reserve(total)
        let start = edits.count
        edits.append(prefix)
        edits.append(text(middle))
        edits.append(suffix)
        return TextRef(offset: TextRef.editRegion | UInt32(start), length: UInt32(total))
    }

    /// Live records of the signal, before and after processing.
    @inlinable
    public var recordCount: Int {
        switch signal {
        case .traces: spans.count
        case .logs: logs.count
        case .metrics: points.count
        }
    }

    /// Bytes that the batch holds on to, for the pool's limit.
    @inlinable
    public var footprint: Int {
        transcoded.capacity + edits.capacity + spans.footprint + attributes.footprint + sets.footprint
            + resources.footprint + scopes.footprint + events.footprint + links.footprint + logs.footprint
            + points.footprint + metrics.footprint
    }

    /// Makes the writer look at the records instead of copying the request; each edit does it.
    @inlinable
    public mutating func markEdited() { isEdited = true }
}
