package import Telemetry

/// Caps on what one request may hold, whatever its size in bytes.
package struct ReadLimits: Sendable {
    /// Bytes that records, attributes, events and links of one request may take together, besides the request itself:
    /// an empty span is two bytes on the wire and a hundred times that in memory. 64 MiB of usual spans need 90 MB.
    package var memory = 128 << 20
    /// The part of it that a request may have whatever its size; beyond, `memoryPerByte` for each byte of the body.
    /// The least attribute takes nine bytes there and 32 here, but an empty record of two becomes some 200.
    package var freeMemory = 2 << 20
    package var memoryPerByte = 16
    /// Levels of arrays and maps inside one value.
    package var depth = 64

    package init() {}
}

/// What reading found besides the records.
package struct ReadSummary: Sendable, Equatable {
    /// Records refused for a trace or span id of wrong length or all zeros; they are already taken out of the batch.
    package var rejected = 0
    /// Why, or what else was changed; with none rejected a warning.
    package var rejectedMessage: String = ""

    package init() {}
}

/// Decodes one protobuf `Export…ServiceRequest` into a batch of flat records: one pass, no allocation once the
/// batch has grown.
///
/// Unknown fields stay in the records' raw bytes. Repeated occurrences of a singular message are merged as protobuf
/// asks. Values of arrays and maps are checked but stay raw.
package struct OTLPReader {
    let limits: ReadLimits
    private let memoryMax: Int
    var summary = ReadSummary()
    private var memory = 0
    /// Where the attributes of the last span or log record begin, and how far before the present ones that is.
    private var lastRun = Int.max
    private(set) var distance = 0

    init(limits: ReadLimits, bodySize: Int) {
        self.limits = limits
        memoryMax = min(limits.memory, limits.freeMemory &+ bodySize &* limits.memoryPerByte)
    }

    /// Reads `body`, which must stay where it is as long as the batch is used.
    package static func read(
        _ body: Text, signal: Signal, keys: KeyTable, limits: ReadLimits = ReadLimits(), into batch: inout RecordBatch
    ) throws(DecodeFailure) -> ReadSummary {
        batch.reset(signal: signal, input: body, keys: keys)
        guard body.count <= TextRef.regionCapacity else { throw DecodeFailure(.tooManyElements, at: 0) }
        var reader = OTLPReader(limits: limits, bodySize: body.count)
        var cursor = WireCursor(body)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            if tag == 0x0A {
                try reader.readResourceContainer(body, try cursor.length(), &batch)
            } else {
                try cursor.skip(tag)
            }
        }
        return reader.summary
    }

    /// Counts one more element of a type, with the attribute set that records have.
    @inline(__always)
    mutating func charge<Element>(_ type: Element.Type, hasSet: Bool = true, at offset: Int) throws(DecodeFailure) {
        memory &+= MemoryLayout<Element>.stride &+ (hasSet ? MemoryLayout<AttributeSet>.stride : 0)
        if memory > memoryMax { throw DecodeFailure(.tooManyElements, at: offset) }
    }

    /// ResourceSpans, ResourceLogs and ResourceMetrics have one shape: resource 1, scope containers 2, schema URL 3.
    private mutating func readResourceContainer(
        _ body: Text, _ range: Range<Int>, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        try charge(ResourceRecord.self, at: range.lowerBound)
        let index = batch.resources.count
        let set = newSet(index, .resource, &batch)
        var record = ResourceRecord(raw: WireCursor.reference(range), set: set)
        batch.resources.append(record)
        let firstScope = batch.scopes.count
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A:
                record.isPresent = true
                let content = try cursor.length()
                try readResource(body, content, set, &record.droppedAttributes, &batch)
            case 0x12: try readScopeContainer(body, try cursor.length(), resource: index, &batch)
            case 0x1A: record.schemaURL = try readText(body, &cursor, over: record.schemaURL, &batch)
            default: try cursor.skip(tag)
            }
        }
        record.scopes = IndexRange(start: firstScope, count: batch.scopes.count - firstScope)
        record.edits = batch.resources[index].edits
        batch.resources[index] = record
    }

    /// ScopeSpans, ScopeLogs and ScopeMetrics: scope 1, records 2, schema URL 3.
    private mutating func readScopeContainer(
        _ body: Text, _ range: Range<Int>, resource: Int, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        try charge(ScopeRecord.self, at: range.lowerBound)
        let index = batch.scopes.count
        let set = newSet(index, .scope, &batch)
        var record = ScopeRecord(raw: WireCursor.reference(range), set: set, resource: resource)
        batch.scopes.append(record)
        let first = itemCount(batch)
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A:
                record.isPresent = true
                try readScope(body, try cursor.length(), &record, &batch)
            case 0x12:
                let content = try cursor.length()
                switch batch.signal {
                case .traces: try charge(SpanRecord.self, at: content.lowerBound)
                case .logs: try charge(LogRecord.self, at: content.lowerBound)
                case .metrics: try charge(MetricRecord.self, at: content.lowerBound)
                }
                switch batch.signal {
                case .traces: try readSpan(body, content, scope: index, &batch)
                case .logs: try readLog(body, content, scope: index, &batch)
                case .metrics: try readMetric(body, content, scope: index, &batch)
                }
            case 0x1A: record.schemaURL = try readText(body, &cursor, over: record.schemaURL, &batch)
            default: try cursor.skip(tag)
            }
        }
        record.items = IndexRange(start: first, count: itemCount(batch) - first)
        record.edits = batch.scopes[index].edits
        batch.scopes[index] = record
    }

    private func itemCount(_ batch: borrowing RecordBatch) -> Int {
        switch batch.signal {
        case .traces: batch.spans.count
        case .logs: batch.logs.count
        case .metrics: batch.metrics.count
        }
    }

    /// InstrumentationScope: name 1, version 2, attributes 3, dropped count 4.
    private mutating func readScope(
        _ body: Text, _ range: Range<Int>, _ record: inout ScopeRecord, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        let run = batch.attributes.count
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A: record.name = try readText(body, &cursor, over: record.name, &batch)
            case 0x12: record.version = try readText(body, &cursor, over: record.version, &batch)
            case 0x1A: try readAttribute(body, try cursor.length(), &batch)
            case 0x20: record.droppedAttributes = UInt32(truncatingIfNeeded: try cursor.varint())
            default: try cursor.skip(tag)
            }
        }
        closeRun(run, record.set, &batch)
    }

    // MARK: Parts that all records share

    func newSet(_ owner: Int, _ kind: OwnerKind, _ batch: inout RecordBatch) -> SetIndex {
        batch.sets.append(AttributeSet(owner: owner, kind: kind))
        return SetIndex(batch.sets.count - 1)
    }

    /// Begins the attributes of a span or log record: senders write the same keys in the same order in each, so each is
    /// first compared with the one at the same place of the record before.
    @inline(__always)
    mutating func beginRun(_ batch: borrowing RecordBatch) -> Int {
        distance = batch.attributes.count &- lastRun
        lastRun = batch.attributes.count
        return lastRun
    }

    /// Gives the attributes appended since `start` to `set`, behind those it may have from an earlier occurrence.
    @inline(__always)
    func closeRun(_ start: Int, _ set: SetIndex, _ batch: inout RecordBatch) {
        let added = batch.attributes.count - start
        let before = batch.sets[set.index].attributes
        if before.count == 0 {
            batch.sets[set.index].attributes = IndexRange(start: start, count: added)
        } else if added > 0 {
            let merged = batch.attributes.count
            batch.attributes.appendCopy(of: before.range)
            batch.attributes.appendCopy(of: start..<start + added)
            batch.sets[set.index].attributes = IndexRange(start: merged, count: Int(before.count) + added)
        }
    }

    /// Resource: attributes 1, dropped count 2, entities 3.
    private mutating func readResource(
        _ body: Text, _ range: Range<Int>, _ set: SetIndex, _ dropped: inout UInt32, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        let run = batch.attributes.count
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A: try readAttribute(body, try cursor.length(), &batch)
            case 0x10: dropped = UInt32(truncatingIfNeeded: try cursor.varint())
            case 0x1A: try checkEntity(body, try cursor.length())
            default: try cursor.skip(tag)
            }
        }
        closeRun(run, set, &batch)
    }

    /// A string field: its place, after checking that it is UTF-8.
    @inline(__always)
    func readText(_ body: Text, _ cursor: inout WireCursor) throws(DecodeFailure) -> TextRef {
        let range = try cursor.length()
        guard Text(start: body.start + range.lowerBound, count: range.count).isValidUTF8 else {
            throw DecodeFailure(.invalidUTF8, at: range.lowerBound)
        }
        return WireCursor.reference(range)
    }
    /// The same for a field of a record that the batch keeps: `old` is what came for it before, if anything.
    @inline(__always)
    func readText(
        _ body: Text, _ cursor: inout WireCursor, over old: TextRef, _ batch: inout RecordBatch
    ) throws(DecodeFailure) -> TextRef {
        if old.length != 0 { batch.hasHiddenTexts = true }
        return try readText(body, &cursor)
    }
}
