import OTLP
package import Telemetry

extension Program {
    /// The value of a field of the record at `place` or above it.
    @inline(__always)
    func field(
        _ field: Field, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch field {
        case .spanName: .string(batch.text(batch.spans[Int(place.item)].name))
        case .spanKind: .int(Int64(batch.spans[Int(place.item)].kind))
        case .statusCode: .int(Int64(batch.spans[Int(place.item)].statusCode))
        case .severityNumber: .int(Int64(batch.logs[Int(place.item)].severityNumber))
        case .spanStartNanos: .int(Int64(bitPattern: batch.spans[Int(place.item)].start))
        case .spanEndNanos: .int(Int64(bitPattern: batch.spans[Int(place.item)].end))
        default: try otherField(field, batch, place, &state)
        }
    }

    @inline(never)
    private func otherField(
        _ field: Field, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        switch field {
        case .resourceDropped: return .int(Int64(batch.resources[Int(place.resource)].droppedAttributes))
        case .resourceSchemaURL: return .string(batch.text(batch.resources[Int(place.resource)].schemaURL))
        case .scopeName: return .string(batch.text(batch.scopes[Int(place.scope)].name))
        case .scopeVersion: return .string(batch.text(batch.scopes[Int(place.scope)].version))
        case .scopeSchemaURL: return .string(batch.text(batch.scopes[Int(place.scope)].schemaURL))
        case .scopeDropped: return .int(Int64(batch.scopes[Int(place.scope)].droppedAttributes))
        case .eventName: return .string(batch.text(batch.events[Int(place.part)].name))
        case .eventTime: return .time(Int64(bitPattern: batch.events[Int(place.part)].time))
        case .eventTimeNanos: return .int(Int64(bitPattern: batch.events[Int(place.part)].time))
        case .eventDropped: return .int(Int64(batch.events[Int(place.part)].droppedAttributes))
        case .eventIndex:
            return .int(Int64(Int(place.part) - Int(batch.spans[Int(place.item)].events.start)))
        case .metricName, .metricDescription, .metricUnit, .metricType, .metricTemporality, .metricIsMonotonic,
            .metricPointCount:
            return metricField(field, batch, place)
        case .pointStart, .pointStartNanos, .pointTime, .pointTimeNanos, .pointInt, .pointDouble, .pointCount,
            .pointSum, .pointFlags, .pointScale, .pointZeroCount, .pointMin, .pointMax, .pointBuckets, .pointBounds,
            .pointExemplarCount, .pointZeroThreshold, .pointPositiveOffset, .pointNegativeOffset,
            .pointPositiveCounts, .pointNegativeCounts, .pointQuantileCount:
            return try pointField(field, batch, place, &state)
        case .body, .bodyText, .logTime, .logTimeNanos, .logObservedTime, .logObservedNanos, .severityNumber,
            .severityText, .logEventName, .logTraceID, .logTraceIDText, .logSpanID, .logSpanIDText, .logFlags,
            .logDropped:
            return try logField(field, batch, place, &state)
        default: return try spanField(field, batch, place, &state)
        }
    }

    private func spanField(
        _ field: Field, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let span = batch.spans[Int(place.item)]
        switch field {
        case .spanKindName, .spanKindSymbol:
            return .string(SpanKindText.name(span.kind, isSymbol: field == .spanKindSymbol))
        case .statusMessage: return .string(batch.text(span.statusMessage))
        case .traceState: return .string(batch.text(span.traceState))
        case .spanTraceID: return .identifier(Identifier.bytes(span.traceID, 16, batch))
        case .spanID: return .identifier(Identifier.bytes(span.spanID, 8, batch))
        case .parentID: return .identifier(Identifier.bytes(span.parentID, 8, batch))
        case .spanTraceIDText: return .string(try Identifier.text(span.traceID, batch, &state))
        case .spanIDText: return .string(try Identifier.text(span.spanID, batch, &state))
        case .parentIDText: return .string(try Identifier.text(span.parentID, batch, &state))
        case .spanStart: return .time(Int64(bitPattern: span.start))
        case .spanEnd: return .time(Int64(bitPattern: span.end))
        case .spanStartNanos: return .int(Int64(bitPattern: span.start))
        case .spanEndNanos: return .int(Int64(bitPattern: span.end))
        case .spanDropped: return .int(Int64(span.droppedAttributes))
        case .spanDroppedEvents: return .int(Int64(span.droppedEvents))
        case .spanDroppedLinks: return .int(Int64(span.droppedLinks))
        case .spanFlags: return .int(Int64(span.flags))
        case .spanEventCount:
            var count: Int64 = 0
            for event in span.events.range where !batch.events[event].edits.contains(.removed) { count += 1 }
            return .int(count)
        case .spanLinkCount:
            var count: Int64 = 0
            for link in span.links.range where !batch.links[link].edits.contains(.removed) { count += 1 }
            return .int(count)
        default: return .none
        }
    }

    private func logField(
        _ field: Field, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let log = batch.logs[Int(place.item)]
        switch field {
        case .body: return Value(log.bodyKind, log.bodyPayload, batch)
        case .bodyText:
            let mark = state.scratch.count
            ValueText.append(Value(log.bodyKind, log.bodyPayload, batch), batch, to: &state.scratch)
            return .string(try state.take(from: mark))
        case .logTime: return .time(Int64(bitPattern: log.time))
        case .logTimeNanos: return .int(Int64(bitPattern: log.time))
        case .logObservedTime: return .time(Int64(bitPattern: log.observedTime))
        case .logObservedNanos: return .int(Int64(bitPattern: log.observedTime))
        case .severityText: return .string(batch.text(log.severityText))
        case .logEventName: return .string(batch.text(log.eventName))
        case .logTraceID: return .identifier(Identifier.bytes(log.traceID, 16, batch))
        case .logSpanID: return .identifier(Identifier.bytes(log.spanID, 8, batch))
        case .logTraceIDText: return .string(try Identifier.text(log.traceID, batch, &state))
        case .logSpanIDText: return .string(try Identifier.text(log.spanID, batch, &state))
        case .logFlags: return .int(Int64(log.flags))
        case .logDropped: return .int(Int64(log.droppedAttributes))
        default: return .int(Int64(log.severityNumber))
        }
    }

    private func metricField(_ field: Field, _ batch: borrowing RecordBatch, _ place: Place) -> Value {
        let metric = batch.metrics[Int(place.item)]
        switch field {
        case .metricName: return .string(batch.text(metric.name))
        case .metricDescription: return .string(batch.text(metric.details))
        case .metricUnit: return .string(batch.text(metric.unit))
        case .metricType: return .int(Int64(metric.kind.rawValue))
        case .metricPointCount:
            if metric.kind == .none { return .none }
            var count: Int64 = 0
            for point in metric.points.range where !batch.isRemoved(point: point) { count += 1 }
            return .int(count)
        default:
            if field == .metricTemporality, metric.edits.contains(.temporality) {
                return .int(Int64(metric.temporality))
            }
            // Sum 7, Histogram 9, ExponentialHistogram 10: temporality 2, is_monotonic 3.
            let number = Raw.dataNumber(batch.text(metric.raw), tag: field == .metricTemporality ? 0x10 : 0x18)
            if field == .metricTemporality { return .int(number) }
            return metric.kind == .sum ? .bool(number != 0) : .none
        }
    }

    // MARK: Data points

    private func pointField(
        _ field: Field, _ batch: borrowing RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let point = batch.points[Int(place.part)]
        let kind = batch.metrics[Int(point.metric)].kind
        let raw = batch.text(point.raw)
        let isNumber = kind == .gauge || kind == .sum
        switch field {
        case .pointTime: return .time(Int64(bitPattern: point.time))
        case .pointTimeNanos: return .int(Int64(bitPattern: point.time))
        case .pointStart: return .time(Int64(bitPattern: Raw.fixed64(raw, tag: 0x11) ?? 0))
        case .pointStartNanos: return .int(Int64(bitPattern: Raw.fixed64(raw, tag: 0x11) ?? 0))
        case .pointInt: return isNumber ? .int(Int64(bitPattern: Raw.number(raw, tag: 0x31))) : .none
        case .pointDouble: return isNumber ? .double(Double(bitPattern: Raw.number(raw, tag: 0x21))) : .none
        case .pointFlags:
            return .int(Raw.varint(raw, tag: isNumber || kind == .summary ? 0x40 : 0x50))
        case .pointBuckets, .pointBounds: return try buckets(field, kind, raw, batch, &state)
        case .pointExemplarCount: return .int(Int64((try? MetricPoint(raw, kind))?.exemplars.count ?? 0))
        case .pointQuantileCount:
            guard kind == .summary else { return .none }
            return .int(Int64((try? MetricPoint(raw, kind, onlyNumbers: true))?.quantiles.count ?? 0))
        default: break
        }
        guard !isNumber else { return .none }
        switch field {
        case .pointCount: return .int(Int64(bitPattern: Raw.fixed64(raw, tag: 0x21) ?? 0))
        case .pointSum: return .double(Double(bitPattern: Raw.fixed64(raw, tag: 0x29) ?? 0))
        case .pointScale:
            let zigzag = UInt64(bitPattern: Raw.varint(raw, tag: 0x30))
            return kind == .exponentialHistogram ? .int(Int64(zigzag >> 1) ^ -Int64(zigzag & 1)) : .none
        case .pointZeroCount:
            return kind == .exponentialHistogram ? .int(Int64(bitPattern: Raw.fixed64(raw, tag: 0x39) ?? 0)) : .none
        case .pointZeroThreshold:
            let bits = Raw.fixed64(raw, tag: 0x71) ?? 0
            return kind == .exponentialHistogram ? .double(Double(bitPattern: bits)) : .none
        case .pointPositiveOffset, .pointNegativeOffset, .pointPositiveCounts, .pointNegativeCounts:
            return try side(field, kind, raw, batch, &state)
        case .pointMin: return limit(raw, kind == .histogram ? 0x59 : 0x61, kind)
        case .pointMax: return limit(raw, kind == .histogram ? 0x61 : 0x69, kind)
        default: return .none
        }
    }

    private func limit(_ raw: Text, _ tag: UInt32, _ kind: MetricKind) -> Value {
        guard kind != .summary, let bits = Raw.fixed64(raw, tag: tag) else { return .none }
        return .double(Double(bitPattern: bits))
    }

    /// Offset or counts of the buckets of an exponential histogram on one side of zero.
    private func side(
        _ field: Field, _ kind: MetricKind, _ raw: Text, _ batch: borrowing RecordBatch,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        guard kind == .exponentialHistogram, let point = try? MetricPoint(raw, kind) else { return .none }
        let isPositive = field == .pointPositiveOffset || field == .pointPositiveCounts
        let buckets = isPositive ? point.positive : point.negative
        if field == .pointPositiveOffset || field == .pointNegativeOffset { return .int(buckets.offset) }
        let mark = state.scratch.count
        for count in buckets.counts { try state.scratch.appendValue(tag: 0x0A, .int(Int64(bitPattern: count)), batch) }
        return .list(try state.take(from: mark))
    }

    /// Bucket counts or bounds of a histogram, packed or not, as a list.
    private func buckets(
        _ field: Field, _ kind: MetricKind, _ raw: Text, _ batch: borrowing RecordBatch,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        guard kind == .histogram else { return .none }
        let mark = state.scratch.count
        let packed: UInt32 = field == .pointBuckets ? 0x32 : 0x3A
        var cursor = WireCursor(raw)
        while let part = cursor.nextField() {
            var content: Range<Int>
            if part.tag == packed {
                content = part.content
            } else if part.tag == packed - 1 {
                content = part.whole.upperBound - 8..<part.whole.upperBound
            } else {
                continue
            }
            while content.count >= 8 {
                let bits = UInt64(
                    littleEndian: (raw.start + content.lowerBound).loadUnaligned(as: UInt64.self))
                let value: Value =
                    field == .pointBuckets ? .int(Int64(bitPattern: bits)) : .double(.init(bitPattern: bits))
                try state.scratch.appendValue(tag: 0x0A, value, batch)
                content = content.lowerBound + 8..<content.upperBound
            }
        }
        return .list(try state.take(from: mark))
    }
}

/// Fields that the decoder leaves in a record's received bytes.
enum Raw {
    /// A varint field of a metric's data. Pieces of one kind of data are merged; another kind takes their place.
    static func dataNumber(_ metric: Text, tag: UInt32) -> Int64 {
        var (found, last): (Int64, UInt32) = (0, 0)
        var outer = WireCursor(metric)
        while let data = outer.nextField() {
            switch data.tag {
            case 0x2A, 0x5A: (found, last) = (0, data.tag)
            case 0x3A, 0x4A, 0x52:
                if data.tag != last { (found, last) = (0, data.tag) }
                found = varint(outer.bytes[data.content], tag: tag, else: found)
            default: break
            }
        }
        return found
    }

    /// The last varint field of this tag, `other` when there is none.
    static func varint(_ content: Text, tag wanted: UInt32, else other: Int64 = 0) -> Int64 {
        var found = UInt64(bitPattern: other)
        var cursor = WireCursor(content)
        do throws(DecodeFailure) {
            while !cursor.isAtEnd {
                let tag = try cursor.tag()
                if tag == wanted { found = try cursor.varint() } else { try cursor.skip(tag) }
            }
        } catch { return Int64(bitPattern: found) }
        return Int64(bitPattern: found)
    }

    /// The value of a gauge's or sum's point when it is the member with this tag, else 0: of a oneof the last counts.
    static func number(_ content: Text, tag wanted: UInt32) -> UInt64 {
        fixed64(content, tag: wanted, replacedBy: wanted == 0x21 ? 0x31 : 0x21) ?? 0
    }

    static func fixed64(_ content: Text, tag wanted: UInt32, replacedBy other: UInt32? = nil) -> UInt64? {
        var found: UInt64?
        var cursor = WireCursor(content)
        do throws(DecodeFailure) {
            while !cursor.isAtEnd {
                let tag = try cursor.tag()
                if tag == other { found = nil }
                if tag == wanted { found = try cursor.fixed64() } else { try cursor.skip(tag) }
            }
        } catch { return found }
        return found
    }
}

/// Trace and span ids.
enum Identifier {
    private static let zeros: StaticString = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

    /// The id's bytes; a missing one is all zeros.
    static func bytes(_ reference: TextRef, _ length: Int, _ batch: borrowing RecordBatch) -> Text {
        reference.isEmpty ? Text(zeros)[0..<length] : batch.text(reference)
    }

    /// Lower-case hexadecimal digits, empty for a missing id.
    static func text(
        _ reference: TextRef, _ batch: borrowing RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Text {
        let mark = state.scratch.count
        ValueText.appendHex(batch.text(reference), to: &state.scratch)
        return try state.take(from: mark)
    }

    static func isZero(_ text: Text) -> Bool { text.bytes.allSatisfy { $0 == 0 } }
}

/// Names of span kinds.
enum SpanKindText {
    private static let names: [StaticString] = [
        "Unspecified", "Internal", "Server", "Client", "Producer", "Consumer",
    ]
    private static let symbols: [StaticString] = [
        "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER",
        "SPAN_KIND_CONSUMER",
    ]

    static func name(_ kind: Int32, isSymbol: Bool) -> Text {
        guard kind >= 0, kind < 6 else { return .empty }
        return Text(isSymbol ? symbols[Int(kind)] : names[Int(kind)])
    }

    /// The kind of a name, nil for a text that is none.
    static func kind(_ name: Text, isSymbol: Bool) -> Int32? {
        (isSymbol ? symbols : names).firstIndex { name == $0 }.map { Int32($0) }
    }
}

/// Members of a W3C `tracestate`: `key=value`, separated by commas.
package enum TraceStateText {
    /// The value of the first member with this key.
    package static func member(_ key: Text, of state: Text) -> Text? {
        var found: Text?
        forEach(state) { name, value in if found == nil, name == key { found = value } }
        return found
    }

    /// Appends the state with one member changed, or put in front when it is new.
    static func append(_ state: Text, setting key: Text, to value: Text, _ output: inout ByteColumn) {
        output.append(key)
        output.append("=")
        output.append(value)
        var index = 0
        while index < state.count {
            let end = state.firstIndex(of: 0x2C, from: index) ?? state.count
            let member = trimmed(state[index..<end])
            index = end + 1
            if member.isEmpty { continue }
            let equals = member.firstIndex(of: 0x3D) ?? member.count
            if member[0..<equals] == key { continue }
            output.append(",")
            output.append(member)
        }
    }

    private static func forEach(_ state: Text, _ body: (Text, Text) -> Void) {
        var index = 0
        while index < state.count {
            let end = state.firstIndex(of: 0x2C, from: index) ?? state.count
            let member = trimmed(state[index..<end])
            index = end + 1
            guard let equals = member.firstIndex(of: 0x3D) else { continue }
            body(member[0..<equals], member[equals + 1..<member.count])
        }
    }

    private static func trimmed(_ text: Text) -> Text {
        var low = 0
        var high = text.count
        while low < high, text[low] == 0x20 || text[low] == 0x09 { low += 1 }
        while high > low, text[high - 1] == 0x20 || text[high - 1] == 0x09 { high -= 1 }
        return text[low..<high]
    }
}
