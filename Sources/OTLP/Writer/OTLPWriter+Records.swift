import Telemetry

extension OTLPWriter {
    func writeSpan(_ batch: borrowing RecordBatch, _ span: SpanRecord, _ output: inout ByteColumn) {
        let open = output.beginMessage(tag: 0x12, guess: Int(span.raw.length))
        var due = span.edits
        var nextEvent = Int(span.events.start)
        var nextLink = Int(span.links.start)
        var cursor = WireCursor(body, range(span.raw))
        while let field = cursor.nextField() {
            switch field.tag {
            case 0x4A where span.edits.contains(.attributes):
                if due.remove(.attributes) != nil { writeAttributes(batch, span.set, tag: 0x4A, &output) }
            case 0x5A where span.edits.contains(.events):
                writeEvent(batch, batch.events[nextEvent], field, &output)
                nextEvent += 1
            case 0x6A where span.edits.contains(.links):
                writeLink(batch, batch.links[nextLink], field, &output)
                nextLink += 1
            case 0x0A, 0x12, 0x22, 0x30, 0x39, 0x41, 0x50, 0x85:
                if !span.edits.contains(.fields) { output.append(body[field.whole]) }
            case 0x60 where span.edits.contains(.droppedCounts), 0x70 where span.edits.contains(.droppedCounts): break
            case 0x2A where span.edits.contains(.name):
                if due.remove(.name) != nil { output.appendField(tag: 0x2A, batch.text(span.name)) }
            case 0x1A where span.edits.contains(.traceState):
                if due.remove(.traceState) != nil { output.appendField(tag: 0x1A, batch.text(span.traceState)) }
            case 0x7A where span.edits.contains(.status):
                if due.remove(.status) != nil { writeStatus(batch, span, &output) }
            default: output.append(body[field.whole])
            }
        }
        // What the received span did not have at all.
        if due.contains(.attributes) { writeAttributes(batch, span.set, tag: 0x4A, &output) }
        if due.contains(.name) { output.appendField(tag: 0x2A, batch.text(span.name)) }
        if due.contains(.traceState) && !span.traceState.isEmpty {
            output.appendField(tag: 0x1A, batch.text(span.traceState))
        }
        if due.contains(.status) { writeStatus(batch, span, &output) }
        if due.contains(.fields) { writeFields(batch, span, &output) }
        if due.contains(.droppedCounts) {
            output.appendScalar(tag: 0x60, UInt64(span.droppedEvents))
            output.appendScalar(tag: 0x70, UInt64(span.droppedLinks))
        }
        if due.contains(.links) { writeNewLinks(batch, span, from: nextLink, &output) }
        if span.edits.contains(.events) {
            for event in nextEvent..<max(nextEvent, span.events.range.upperBound) {
                writeAdded(batch, batch.events[event], &output)
            }
        }
        output.endMessage(open)
    }

    /// An event that a processor made.
    private func writeAdded(_ batch: borrowing RecordBatch, _ event: EventRecord, _ output: inout ByteColumn) {
        if event.edits.contains(.removed) { return }
        let open = output.beginMessage(tag: 0x5A, guess: 256)
        output.appendFixed(tag: 0x09, event.time)
        output.appendField(tag: 0x12, batch.text(event.name))
        writeAttributes(batch, event.set, tag: 0x1A, &output)
        output.appendScalar(tag: 0x20, UInt64(event.droppedAttributes))
        output.endMessage(open)
    }

    /// Ids, kind, times, the number of dropped attributes, and flags.
    private func writeFields(_ batch: borrowing RecordBatch, _ span: SpanRecord, _ output: inout ByteColumn) {
        output.appendField(tag: 0x0A, batch.text(span.traceID))
        output.appendField(tag: 0x12, batch.text(span.spanID))
        if !span.parentID.isEmpty { output.appendField(tag: 0x22, batch.text(span.parentID)) }
        output.appendScalar(tag: 0x30, UInt64(bitPattern: Int64(span.kind)))
        output.appendFixed(tag: 0x39, span.start)
        output.appendFixed(tag: 0x41, span.end)
        output.appendScalar(tag: 0x50, UInt64(span.droppedAttributes))
        if span.flags != 0 {
            output.appendVarint(0x85)
            output.append(littleEndian: span.flags)
        }
    }

    /// Links that Sluice made; they have no received bytes.
    private func writeNewLinks(
        _ batch: borrowing RecordBatch, _ span: SpanRecord, from first: Int, _ output: inout ByteColumn
    ) {
        for index in first..<max(first, span.links.range.upperBound) {
            let link = batch.links[index]
            if link.edits.contains(.removed) || !link.raw.isEmpty { continue }
            let open = output.beginMessage(tag: 0x6A, guess: 32)
            output.appendField(tag: 0x0A, batch.text(link.traceID))
            output.appendField(tag: 0x12, batch.text(link.spanID))
            if !link.traceState.isEmpty { output.appendField(tag: 0x1A, batch.text(link.traceState)) }
            writeAttributes(batch, link.set, tag: 0x22, &output)
            output.endMessage(open)
        }
    }

    /// One Status from all occurrences, with the span's message and code in place of theirs.
    private func writeStatus(_ batch: borrowing RecordBatch, _ span: SpanRecord, _ output: inout ByteColumn) {
        let open = output.beginMessage(tag: 0x7A, guess: Int(span.statusMessage.length) + 4)
        var outer = WireCursor(body, range(span.raw))
        while let occurrence = outer.nextField() {
            guard occurrence.tag == 0x7A else { continue }
            var inner = WireCursor(body, occurrence.content)
            while let field = inner.nextField() {
                if field.tag != 0x12 && field.tag != 0x18 { output.append(body[field.whole]) }
            }
        }
        if !span.statusMessage.isEmpty { output.appendField(tag: 0x12, batch.text(span.statusMessage)) }
        output.appendScalar(tag: 0x18, UInt64(bitPattern: Int64(span.statusCode)))
        output.endMessage(open)
    }

    /// An event or a link of a span as the writer sees it: its attributes, one text and, of an event, its time and the
    /// number of dropped attributes may be edited.
    private struct SpanPart {
        var tag: UInt32
        var edits: EditFlags
        var set: SetIndex
        var attributesTag: UInt32
        var textTag: UInt32
        var textEdit: EditFlags
        var text: TextRef
        /// Of an event.
        var time: UInt64?
        var droppedAttributes: UInt32 = 0
    }

    private func writeEvent(
        _ batch: borrowing RecordBatch, _ event: EventRecord, _ field: WireField, _ output: inout ByteColumn
    ) {
        let part = SpanPart(
            tag: 0x5A, edits: event.edits, set: event.set, attributesTag: 0x1A, textTag: 0x12, textEdit: .name,
            text: event.name, time: event.time, droppedAttributes: event.droppedAttributes)
        write(batch, part, field, &output)
    }

    private func writeLink(
        _ batch: borrowing RecordBatch, _ link: LinkRecord, _ field: WireField, _ output: inout ByteColumn
    ) {
        let part = SpanPart(
            tag: 0x6A, edits: link.edits, set: link.set, attributesTag: 0x22, textTag: 0x1A, textEdit: .traceState,
            text: link.traceState)
        write(batch, part, field, &output)
    }

    private func write(
        _ batch: borrowing RecordBatch, _ part: SpanPart, _ field: WireField, _ output: inout ByteColumn
    ) {
        if part.edits.contains(.removed) { return }
        if part.edits.isEmpty {
            output.append(body[field.whole])
            return
        }
        let open = output.beginMessage(tag: part.tag, guess: field.content.count)
        var due = part.edits
        var cursor = WireCursor(body, field.content)
        while let inner = cursor.nextField() {
            switch inner.tag {
            case part.attributesTag where part.edits.contains(.attributes):
                if due.remove(.attributes) != nil { writeAttributes(batch, part.set, tag: part.attributesTag, &output) }
            case part.textTag where part.edits.contains(part.textEdit):
                if due.remove(part.textEdit) != nil { output.appendField(tag: part.textTag, batch.text(part.text)) }
            case 0x09 where part.time != nil && part.edits.contains(.fields),
                0x20 where part.edits.contains(.droppedCounts):
                continue
            default: output.append(body[inner.whole])
            }
        }
        if let time = part.time, due.contains(.fields) { output.appendFixed(tag: 0x09, time) }
        if due.contains(.droppedCounts) { output.appendScalar(tag: 0x20, UInt64(part.droppedAttributes)) }
        if due.contains(.attributes) { writeAttributes(batch, part.set, tag: part.attributesTag, &output) }
        if due.contains(part.textEdit) { output.appendField(tag: part.textTag, batch.text(part.text)) }
        output.endMessage(open)
    }

    func writeLog(_ batch: borrowing RecordBatch, _ log: LogRecord, _ output: inout ByteColumn) {
        let open = output.beginMessage(tag: 0x12, guess: Int(log.raw.length))
        var due = log.edits
        var cursor = WireCursor(body, range(log.raw))
        while let field = cursor.nextField() {
            switch field.tag {
            case 0x32 where log.edits.contains(.attributes):
                if due.remove(.attributes) != nil { writeAttributes(batch, log.set, tag: 0x32, &output) }
            case 0x62 where log.edits.contains(.name):
                if due.remove(.name) != nil { output.appendField(tag: 0x62, batch.text(log.eventName)) }
            case 0x2A where log.edits.contains(.body):
                if due.remove(.body) != nil { writeBody(batch, log, &output) }
            case 0x38 where log.edits.contains(.droppedCounts), 0x4A where log.edits.contains(.traceID),
                0x52 where log.edits.contains(.spanID):
                break
            case 0x09, 0x10, 0x1A, 0x45, 0x59, 0x62:
                if !log.edits.contains(.fields) { output.append(body[field.whole]) }
            default: output.append(body[field.whole])
            }
        }
        if due.contains(.attributes) { writeAttributes(batch, log.set, tag: 0x32, &output) }
        if due.contains(.body) { writeBody(batch, log, &output) }
        if due.contains(.fields) { writeFields(batch, log, &output) }
        if due.contains(.droppedCounts) { output.appendScalar(tag: 0x38, UInt64(log.droppedAttributes)) }
        if due.contains(.traceID) && !log.traceID.isEmpty { output.appendField(tag: 0x4A, batch.text(log.traceID)) }
        if due.contains(.spanID) && !log.spanID.isEmpty { output.appendField(tag: 0x52, batch.text(log.spanID)) }
        if due.contains(.name) && !log.eventName.isEmpty { output.appendField(tag: 0x62, batch.text(log.eventName)) }
        output.endMessage(open)
    }

    private func writeBody(_ batch: borrowing RecordBatch, _ log: LogRecord, _ output: inout ByteColumn) {
        writeValue(batch, tag: 0x2A, log.bodyKind, log.bodyPayload, keepingUnknownOf: log.raw, &output)
    }

    /// Times, severity, flags and event name.
    private func writeFields(_ batch: borrowing RecordBatch, _ log: LogRecord, _ output: inout ByteColumn) {
        output.appendFixed(tag: 0x09, log.time)
        output.appendScalar(tag: 0x10, UInt64(bitPattern: Int64(log.severityNumber)))
        if !log.severityText.isEmpty { output.appendField(tag: 0x1A, batch.text(log.severityText)) }
        if log.flags != 0 {
            output.appendVarint(0x45)
            output.append(littleEndian: log.flags)
        }
        output.appendFixed(tag: 0x59, log.observedTime)
        if !log.eventName.isEmpty { output.appendField(tag: 0x62, batch.text(log.eventName)) }
    }

    func writeMetric(_ batch: borrowing RecordBatch, _ metric: MetricRecord, _ output: inout ByteColumn) {
        let open = output.beginMessage(tag: 0x12, guess: Int(metric.raw.length))
        let raw = body[range(metric.raw)]
        var due = metric.edits
        var nextPoint = Int(metric.points.start)
        var cursor = WireCursor(raw)
        let hasNewData = metric.edits.contains(.points) || metric.edits.contains(.temporality)
        while let field = cursor.nextField() {
            if hasNewData && MetricShape.kind(ofTag: field.tag) != nil {
                writeData(batch, metric, field, of: raw, &nextPoint, &output)
            } else {
                writeField(batch, metric, field, of: raw, &due, &output)
            }
        }
        writeDue(batch, metric, due, &output)
        output.endMessage(open)
    }

    /// The fields of a metric in `fields`, which holds no data.
    func writeHead(
        _ batch: borrowing RecordBatch, _ metric: MetricRecord, of fields: Text, _ output: inout ByteColumn
    ) {
        var due = metric.edits
        var cursor = WireCursor(fields)
        while let field = cursor.nextField() { writeField(batch, metric, field, of: fields, &due, &output) }
        writeDue(batch, metric, due, &output)
    }

    /// A field of a metric of which no point changed.
    private func writeField(
        _ batch: borrowing RecordBatch, _ metric: MetricRecord, _ field: WireField, of source: Text,
        _ due: inout EditFlags, _ output: inout ByteColumn
    ) {
        switch field.tag {
        case 0x62 where metric.edits.contains(.attributes):
            if due.remove(.attributes) != nil { writeAttributes(batch, metric.set, tag: 0x62, &output) }
        case 0x0A where metric.edits.contains(.fields), 0x12 where metric.edits.contains(.fields),
            0x1A where metric.edits.contains(.fields):
            break
        default: output.append(source[field.whole])
        }
    }

    private func writeDue(
        _ batch: borrowing RecordBatch, _ metric: MetricRecord, _ due: EditFlags, _ output: inout ByteColumn
    ) {
        if due.contains(.attributes) { writeAttributes(batch, metric.set, tag: 0x62, &output) }
        guard due.contains(.fields) else { return }
        output.appendField(tag: 0x0A, batch.text(metric.name))
        if !metric.details.isEmpty { output.appendField(tag: 0x12, batch.text(metric.details)) }
        if !metric.unit.isEmpty { output.appendField(tag: 0x1A, batch.text(metric.unit)) }
    }

    /// A Gauge, Sum, … message whose points or temporality changed.
    private func writeData(
        _ batch: borrowing RecordBatch, _ metric: MetricRecord, _ data: WireField, of source: Text,
        _ nextPoint: inout Int, _ output: inout ByteColumn
    ) {
        let open = output.beginMessage(tag: data.tag, guess: data.content.count)
        var isDue = hasNewTemporality(metric, data: data.tag)
        let isNew = isDue
        var cursor = WireCursor(source, data.content)
        while let field = cursor.nextField() {
            if field.tag == 0x0A {
                let point = batch.points[nextPoint]
                nextPoint += 1
                if !point.edits.contains(.removed) { writePoint(batch, point, &output) }
            } else if field.tag == MetricShape.temporalityTag, isNew {
                writeTemporality(metric, &isDue, &output)
            } else {
                output.append(source[field.whole])
            }
        }
        writeTemporality(metric, &isDue, &output)
        output.endMessage(open)
    }

    /// The fields of a Gauge, Sum, … message in `fields`, which holds no points.
    func writeDataHead(_ metric: MetricRecord, data tag: UInt32, of fields: Text, _ output: inout ByteColumn) {
        var isDue = hasNewTemporality(metric, data: tag)
        guard isDue else { return output.append(fields) }
        var cursor = WireCursor(fields)
        while let field = cursor.nextField() {
            if field.tag == MetricShape.temporalityTag {
                writeTemporality(metric, &isDue, &output)
            } else {
                output.append(fields[field.whole])
            }
        }
        writeTemporality(metric, &isDue, &output)
    }

    /// Whether data of this tag is to say another temporality than it came with; gauges and summaries have none.
    private func hasNewTemporality(_ metric: MetricRecord, data tag: UInt32) -> Bool {
        metric.edits.contains(.temporality) && MetricShape.hasTemporality(data: tag)
    }

    /// Writes the new temporality where the first of the received ones stood, or behind the other fields.
    private func writeTemporality(_ metric: MetricRecord, _ isDue: inout Bool, _ output: inout ByteColumn) {
        guard isDue else { return }
        isDue = false
        output.appendScalar(tag: MetricShape.temporalityTag, UInt64(metric.temporality))
    }

    /// A data point, whether it is live or not.
    func writePoint(_ batch: borrowing RecordBatch, _ point: PointRecord, _ output: inout ByteColumn) {
        // Of a point with a new body `raw` is that.
        let content = batch.text(point.raw)
        if point.edits.contains(.attributes) {
            let attributes = MetricShape.attributesTag(point.kind)
            writeWithAttributes(batch, content, tag: 0x0A, set: point.set, attributes: attributes, &output)
        } else {
            output.appendField(tag: 0x0A, content)
        }
    }

    /// A message of which only the attributes changed.
    private func writeWithAttributes(
        _ batch: borrowing RecordBatch, _ content: Text, tag: UInt32, set: SetIndex, attributes: UInt32,
        _ output: inout ByteColumn
    ) {
        let open = output.beginMessage(tag: tag, guess: content.count)
        var isDue = true
        var cursor = WireCursor(content)
        while let part = cursor.nextField() {
            if part.tag != attributes {
                output.append(content[part.whole])
            } else if isDue {
                writeAttributes(batch, set, tag: attributes, &output)
                isDue = false
            }
        }
        if isDue { writeAttributes(batch, set, tag: attributes, &output) }
        output.endMessage(open)
    }
}
