import Telemetry

extension OTLPReader {
    mutating func readSpan(
        _ body: Text, _ range: Range<Int>, scope: Int, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        let index = batch.spans.count
        let set = newSet(index, .span, &batch)
        var span = SpanRecord(raw: WireCursor.reference(range), set: set, scope: scope)
        var hasBrokenID = false
        let firstEvent = batch.events.count
        let firstLink = batch.links.count
        let run = beginRun(batch)
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            if cursor.isNext(0x4A) {
                try readAttributes(body, tag: 0x4A, &cursor, &batch)
                if cursor.isAtEnd { break }
            }
            let tag = try cursor.tag()
            switch tag {
            case 0x4A: try readAttribute(body, try cursor.length(), &batch)
            case 0x0A: span.traceID = try readID(&cursor, 16, &hasBrokenID)
            case 0x12: span.spanID = try readID(&cursor, 8, &hasBrokenID)
            case 0x1A: span.traceState = try readText(body, &cursor, over: span.traceState, &batch)
            case 0x22: span.parentID = try readID(&cursor, 8, &hasBrokenID)
            case 0x2A: span.name = try readText(body, &cursor, over: span.name, &batch)
            case 0x30: span.kind = Int32(truncatingIfNeeded: try cursor.varint())
            case 0x39: span.start = try cursor.fixed64()
            case 0x41: span.end = try cursor.fixed64()
            case 0x50: span.droppedAttributes = UInt32(truncatingIfNeeded: try cursor.varint())
            case 0x5A:
                // Decoded after the span's own attributes, whose run must not be interrupted.
                try charge(EventRecord.self, at: cursor.at)
                let raw = WireCursor.reference(try cursor.length())
                batch.events.append(EventRecord(raw: raw, set: SetIndex(0), span: index))
            case 0x60: span.droppedEvents = UInt32(truncatingIfNeeded: try cursor.varint())
            case 0x6A:
                try charge(LinkRecord.self, at: cursor.at)
                let raw = WireCursor.reference(try cursor.length())
                batch.links.append(LinkRecord(raw: raw, set: SetIndex(0), span: index))
            case 0x70: span.droppedLinks = UInt32(truncatingIfNeeded: try cursor.varint())
            case 0x7A: try readStatus(body, try cursor.length(), &span, &batch)
            case 0x85: span.flags = try cursor.fixed32()
            default: try cursor.skip(tag)
            }
        }
        closeRun(run, set, &batch)
        span.events = IndexRange(start: firstEvent, count: batch.events.count - firstEvent)
        span.links = IndexRange(start: firstLink, count: batch.links.count - firstLink)
        batch.spans.append(span)
        batch.liveCount += 1
        for event in span.events.range { try readEvent(body, event, &batch) }
        for link in span.links.range { try readLink(body, link, &batch) }
        if !isIdentifier(body, span.traceID, 16) || !isIdentifier(body, span.spanID, 8)
            || (span.parentID.length != 0 && span.parentID.length != 8)
        {
            batch.removeSpan(index)
            summary.rejected += 1
            summary.rejectedMessage =
                "spans need a trace id of 16 bytes and a span id of 8 bytes, neither all zeros, "
                + "and a parent span id of 8 bytes or none"
        } else if hasBrokenID {
            // Those that the last ones replace.
            batch.markSpan(index, .fields)
        }
    }

    /// Status: message 2, code 3.
    private func readStatus(
        _ body: Text, _ range: Range<Int>, _ span: inout SpanRecord, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x12: span.statusMessage = try readText(body, &cursor, over: span.statusMessage, &batch)
            case 0x18: span.statusCode = Int32(truncatingIfNeeded: try cursor.varint())
            default: try cursor.skip(tag)
            }
        }
    }

    private mutating func readEvent(_ body: Text, _ index: Int, _ batch: inout RecordBatch) throws(DecodeFailure) {
        let raw = batch.events[index].raw
        let range = Int(raw.offset)..<Int(raw.offset) + Int(raw.length)
        let set = newSet(index, .event, &batch)
        batch.events[index].set = set
        let run = batch.attributes.count
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x09: batch.events[index].time = try cursor.fixed64()
            case 0x12: batch.events[index].name = try readText(body, &cursor, over: batch.events[index].name, &batch)
            case 0x1A: try readAttribute(body, try cursor.length(), &batch)
            case 0x20: batch.events[index].droppedAttributes = UInt32(truncatingIfNeeded: try cursor.varint())
            default: try cursor.skip(tag)
            }
        }
        closeRun(run, set, &batch)
    }

    private mutating func readLink(_ body: Text, _ index: Int, _ batch: inout RecordBatch) throws(DecodeFailure) {
        let raw = batch.links[index].raw
        let range = Int(raw.offset)..<Int(raw.offset) + Int(raw.length)
        let set = newSet(index, .link, &batch)
        batch.links[index].set = set
        var hasBrokenID = false
        let run = batch.attributes.count
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A: batch.links[index].traceID = try readID(&cursor, 16, &hasBrokenID)
            case 0x12: batch.links[index].spanID = try readID(&cursor, 8, &hasBrokenID)
            case 0x1A:
                batch.links[index].traceState = try readText(body, &cursor, over: batch.links[index].traceState, &batch)
            case 0x22: try readAttribute(body, try cursor.length(), &batch)
            default: try cursor.skip(tag)
            }
        }
        closeRun(run, set, &batch)
        if hasBrokenID { dropLink(index, &batch) }
    }

    mutating func readLog(
        _ body: Text, _ range: Range<Int>, scope: Int, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        let index = batch.logs.count
        let set = newSet(index, .log, &batch)
        var log = LogRecord(raw: WireCursor.reference(range), set: set, scope: scope)
        var (hasBrokenTraceID, hasBrokenSpanID) = (false, false)
        var flags: AttributeFlags = []
        let run = beginRun(batch)
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            if cursor.isNext(0x32) {
                try readAttributes(body, tag: 0x32, &cursor, &batch)
                if cursor.isAtEnd { break }
            }
            let tag = try cursor.tag()
            switch tag {
            case 0x32: try readAttribute(body, try cursor.length(), &batch)
            case 0x09: log.time = try cursor.fixed64()
            case 0x10: log.severityNumber = Int32(truncatingIfNeeded: try cursor.varint())
            case 0x1A: log.severityText = try readText(body, &cursor, over: log.severityText, &batch)
            case 0x2A: try readValue(body, try cursor.length(), &log.bodyKind, &log.bodyPayload, &flags)
            case 0x38: log.droppedAttributes = UInt32(truncatingIfNeeded: try cursor.varint())
            case 0x45: log.flags = try cursor.fixed32()
            case 0x4A: log.traceID = try readID(&cursor, 16, &hasBrokenTraceID)
            case 0x52: log.spanID = try readID(&cursor, 8, &hasBrokenSpanID)
            case 0x59: log.observedTime = try cursor.fixed64()
            case 0x62: log.eventName = try readText(body, &cursor, over: log.eventName, &batch)
            default: try cursor.skip(tag)
            }
        }
        closeRun(run, set, &batch)
        log.hasHiddenBodies = flags.contains(.hasHiddenValues)
        if log.hasHiddenBodies, log.bodyKind == .array || log.bodyKind == .map {
            log.bodyPayload = joined(log.bodyKind, of: range, tag: 0x2A, body, &batch)
        }
        // OTLP: a log record with an invalid id is kept and counts as not tied to a trace.
        if !isIdentifier(body, log.traceID, 16) { log.traceID = .empty }
        if !isIdentifier(body, log.spanID, 8) { log.spanID = .empty }
        batch.logs.append(log)
        batch.liveCount += 1
        if hasBrokenTraceID { dropIDs(.traceID, ofLog: index, &batch) }
        if hasBrokenSpanID { dropIDs(.spanID, ofLog: index, &batch) }
    }

    mutating func readMetric(
        _ body: Text, _ range: Range<Int>, scope: Int, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        let index = batch.metrics.count
        let set = newSet(index, .metric, &batch)
        var metric = MetricRecord(raw: WireCursor.reference(range), set: set, scope: scope)
        let firstPoint = batch.points.count
        var firstLive = firstPoint
        let run = batch.attributes.count
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            switch tag {
            case 0x0A: metric.name = try readText(body, &cursor, over: metric.name, &batch)
            case 0x12: metric.details = try readText(body, &cursor, over: metric.details, &batch)
            case 0x1A: metric.unit = try readText(body, &cursor, over: metric.unit, &batch)
            case 0x62: try readAttribute(body, try cursor.length(), &batch)
            default:
                if let kind = MetricShape.kind(ofTag: tag) {
                    if kind != metric.kind { firstLive = batch.points.count }
                    metric.kind = kind
                    try collectPoints(body, try cursor.length(), metric: index, kind, &batch)
                } else {
                    try cursor.skip(tag)
                }
            }
        }
        closeRun(run, set, &batch)
        metric.points = IndexRange(start: firstPoint, count: batch.points.count - firstPoint)
        batch.metrics.append(metric)
        batch.liveCount += batch.points.count - firstPoint
        for point in metric.points.range { try readPoint(body, point, &batch) }
        // Data is one of several: what comes of another kind replaces what was before it.
        for point in firstPoint..<firstLive { batch.removePoint(point) }
    }

    /// The five data messages all keep their points in field 1.
    private mutating func collectPoints(
        _ body: Text, _ range: Range<Int>, metric: Int, _ kind: MetricKind, _ batch: inout RecordBatch
    ) throws(DecodeFailure) {
        var cursor = WireCursor(body, range)
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            guard tag == 0x0A else {
                try cursor.skip(tag)
                continue
            }
            let content = try cursor.length()
            try charge(PointRecord.self, at: content.lowerBound)
            batch.points.append(
                PointRecord(raw: WireCursor.reference(content), set: SetIndex(0), metric: metric, kind: kind))
        }
    }

    private mutating func readPoint(_ body: Text, _ index: Int, _ batch: inout RecordBatch) throws(DecodeFailure) {
        let raw = batch.points[index].raw
        let set = newSet(index, .point, &batch)
        batch.points[index].set = set
        let attributes = MetricShape.attributesTag(batch.points[index].kind)
        var hasBrokenID = false
        let run = batch.attributes.count
        var cursor = WireCursor(body, Int(raw.offset)..<Int(raw.offset) + Int(raw.length))
        while !cursor.isAtEnd {
            let tag = try cursor.tag()
            if tag == attributes {
                try readAttribute(body, try cursor.length(), &batch)
            } else if tag == 0x19 {
                batch.points[index].time = try cursor.fixed64()
            } else {
                try skipPointField(body, tag, batch.points[index].kind, &cursor, &hasBrokenID)
            }
        }
        closeRun(run, set, &batch)
        if hasBrokenID { dropExemplarIDs(body, ofPoint: index, &batch) }
    }
}

/// Field numbers that differ between the kinds of metrics.
enum MetricShape {
    static func kind(ofTag tag: UInt32) -> MetricKind? {
        switch tag {
        case 0x2A: .gauge
        case 0x3A: .sum
        case 0x4A: .histogram
        case 0x52: .exponentialHistogram
        case 0x5A: .summary
        default: nil
        }
    }

    /// Tag of the aggregation temporality in the data that has one.
    static let temporalityTag: UInt32 = 0x10

    /// Sums and both kinds of histogram have one.
    static func hasTemporality(data tag: UInt32) -> Bool { tag == 0x3A || tag == 0x4A || tag == 0x52 }

    /// Tag of the attributes in a data point of this kind.
    static func attributesTag(_ kind: MetricKind) -> UInt32 {
        switch kind {
        case .histogram: 0x4A
        case .exponentialHistogram: 0x0A
        default: 0x3A
        }
    }

    /// Tag of a point's exemplars; 0 where it has none.
    static func exemplarsTag(_ kind: MetricKind) -> UInt32 {
        switch kind {
        case .gauge, .sum: 0x2A
        case .histogram: 0x42
        case .exponentialHistogram: 0x5A
        default: 0
        }
    }
}
