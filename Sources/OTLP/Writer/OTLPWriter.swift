package import Telemetry

/// Encodes a batch as one protobuf `Export…ServiceRequest`.
///
/// What nobody edited is copied as the very bytes that came in; an edited message is written by walking its received
/// fields and replacing only the edited ones, so unknown fields survive at every level. Empty envelopes left by removed
/// records are not written.
package struct OTLPWriter {
    let body: Text

    /// Appends the request to `output`. Nothing is appended when no record is left.
    package static func write(_ batch: borrowing RecordBatch, into output: inout ByteColumn) {
        if batch.isEdited {
            OTLPWriter(body: batch.input).writeRequest(batch, &output)
        } else {
            output.append(batch.input)
        }
    }

    private func writeRequest(_ batch: borrowing RecordBatch, _ output: inout ByteColumn) {
        output.reserve(body.count + batch.edits.count + 64)
        var cursor = WireCursor(body)
        var next = 0
        while let field = cursor.nextField() {
            guard field.tag == 0x0A, next < batch.resources.count else {
                output.append(body[field.whole])
                continue
            }
            let record = batch.resources[next]
            next += 1
            if record.edits.isEmpty {
                output.append(body[field.whole])
            } else if hasLiveRecords(batch, record) {
                writeResourceContainer(batch, record, &output)
            }
        }
    }

    // MARK: What is left to write

    private func isLive(_ batch: borrowing RecordBatch, item: Int) -> Bool {
        switch batch.signal {
        case .traces: !batch.spans[item].edits.contains(.removed)
        case .logs: !batch.logs[item].edits.contains(.removed)
        case .metrics: isLiveMetric(batch, batch.metrics[item])
        }
    }

    /// A metric stays unless it was removed or all of its points were; one that never had points stays.
    private func isLiveMetric(_ batch: borrowing RecordBatch, _ metric: MetricRecord) -> Bool {
        if metric.edits.contains(.removed) { return false }
        if !metric.edits.contains(.points) || metric.points.count == 0 { return true }
        for point in metric.points.range where !batch.points[point].edits.contains(.removed) { return true }
        return false
    }

    /// An envelope that came empty stays as it came; one that lost all its records goes.
    private func hasLiveItems(_ batch: borrowing RecordBatch, _ scope: ScopeRecord) -> Bool {
        let items = scope.items.range
        if items.isEmpty || !scope.edits.contains(.children) { return true }
        for item in items where isLive(batch, item: item) { return true }
        return false
    }

    private func hasLiveRecords(_ batch: borrowing RecordBatch, _ resource: ResourceRecord) -> Bool {
        let scopes = resource.scopes.range
        if scopes.isEmpty || !resource.edits.contains(.children) { return true }
        for scope in scopes where hasLiveItems(batch, batch.scopes[scope]) { return true }
        return false
    }

    // MARK: Containers

    private func writeResourceContainer(
        _ batch: borrowing RecordBatch, _ record: ResourceRecord, _ output: inout ByteColumn
    ) {
        let open = output.beginMessage(tag: 0x0A, guess: Int(record.raw.length))
        let raw = batch.text(record.raw)
        var due = record.edits
        var nextScope = Int(record.scopes.start)
        var cursor = WireCursor(raw)
        while let field = cursor.nextField() {
            guard field.tag == 0x12 else {
                writeField(batch, record, field, of: raw, &due, &output)
                continue
            }
            let scope = batch.scopes[nextScope]
            nextScope += 1
            if scope.edits.isEmpty {
                output.append(raw[field.whole])
            } else if hasLiveItems(batch, scope) {
                writeScopeContainer(batch, scope, &output)
            }
        }
        writeDue(batch, record, of: raw, due, &output)
        writeDue(batch, schemaURL: record.schemaURL, due, &output)
        output.endMessage(open)
    }

    private func writeScopeContainer(
        _ batch: borrowing RecordBatch, _ record: ScopeRecord, _ output: inout ByteColumn
    ) {
        let open = output.beginMessage(tag: 0x12, guess: Int(record.raw.length))
        let raw = batch.text(record.raw)
        var due = record.edits
        var next = Int(record.items.start)
        var cursor = WireCursor(raw)
        while let field = cursor.nextField() {
            guard field.tag == 0x12 else {
                writeField(batch, record, field, of: raw, &due, &output)
                continue
            }
            if isLive(batch, item: next) { writeRecord(batch, next, &output) }
            next += 1
        }
        writeDue(batch, record, of: raw, due, &output)
        writeDue(batch, schemaURL: record.schemaURL, due, &output)
        output.endMessage(open)
    }

    /// A record of the signal, whether it is live or not.
    func writeRecord(_ batch: borrowing RecordBatch, _ item: Int, _ output: inout ByteColumn) {
        let raw: TextRef
        switch batch.signal {
        case .traces:
            if !batch.spans[item].edits.isEmpty { return writeSpan(batch, batch.spans[item], &output) }
            raw = batch.spans[item].raw
        case .logs:
            if !batch.logs[item].edits.isEmpty { return writeLog(batch, batch.logs[item], &output) }
            raw = batch.logs[item].raw
        case .metrics:
            if !batch.metrics[item].edits.isEmpty { return writeMetric(batch, batch.metrics[item], &output) }
            raw = batch.metrics[item].raw
        }
        output.appendField(tag: 0x12, body[range(raw)])
    }

    // MARK: What an envelope has besides its records

    /// The fields of a resource's container in `fields`, which holds no scopes.
    func writeHead(
        _ batch: borrowing RecordBatch, _ record: ResourceRecord, of fields: Text, _ output: inout ByteColumn
    ) {
        var due = record.edits
        var cursor = WireCursor(fields)
        while let field = cursor.nextField() { writeField(batch, record, field, of: fields, &due, &output) }
        writeDue(batch, record, of: fields, due, &output)
        writeDue(batch, schemaURL: record.schemaURL, due, &output)
    }

    /// The fields of a scope's container in `fields`, which holds no records.
    func writeHead(
        _ batch: borrowing RecordBatch, _ record: ScopeRecord, of fields: Text, _ output: inout ByteColumn
    ) {
        var due = record.edits
        var cursor = WireCursor(fields)
        while let field = cursor.nextField() { writeField(batch, record, field, of: fields, &due, &output) }
        writeDue(batch, record, of: fields, due, &output)
        writeDue(batch, schemaURL: record.schemaURL, due, &output)
    }

    /// A field of a resource's container that is no scope: what was edited takes the place of its first occurrence.
    private func writeField(
        _ batch: borrowing RecordBatch, _ record: ResourceRecord, _ field: WireField, of source: Text,
        _ due: inout EditFlags, _ output: inout ByteColumn
    ) {
        switch field.tag {
        case 0x0A where record.edits.contains(.attributes) || record.edits.contains(.droppedCounts):
            writeDue(batch, record, of: source, due, &output)
            due.subtract([.attributes, .droppedCounts])
        case 0x1A where record.edits.contains(.schemaURL):
            if due.remove(.schemaURL) != nil { output.appendField(tag: 0x1A, batch.text(record.schemaURL)) }
        default: output.append(source[field.whole])
        }
    }

    private func writeDue(
        _ batch: borrowing RecordBatch, _ record: ResourceRecord, of source: Text, _ due: EditFlags,
        _ output: inout ByteColumn
    ) {
        guard due.contains(.attributes) || due.contains(.droppedCounts) else { return }
        writeMerged(
            batch, of: source, set: record.set, attributes: 0x0A,
            dropped: record.edits.contains(.droppedCounts) ? (0x10, record.droppedAttributes) : nil, &output)
    }

    /// The same for a scope's container.
    private func writeField(
        _ batch: borrowing RecordBatch, _ record: ScopeRecord, _ field: WireField, of source: Text,
        _ due: inout EditFlags, _ output: inout ByteColumn
    ) {
        switch field.tag {
        case 0x0A where Self.isInside(record.edits):
            writeDue(batch, record, of: source, due, &output)
            due.subtract([.attributes, .fields, .droppedCounts])
        case 0x1A where record.edits.contains(.schemaURL):
            if due.remove(.schemaURL) != nil { output.appendField(tag: 0x1A, batch.text(record.schemaURL)) }
        default: output.append(source[field.whole])
        }
    }

    private func writeDue(
        _ batch: borrowing RecordBatch, _ record: ScopeRecord, of source: Text, _ due: EditFlags,
        _ output: inout ByteColumn
    ) {
        guard Self.isInside(due) else { return }
        writeMerged(
            batch, of: source, set: record.set, attributes: 0x1A,
            names: record.edits.contains(.fields) ? (record.name, record.version) : nil,
            dropped: record.edits.contains(.droppedCounts) ? (0x20, record.droppedAttributes) : nil, &output)
    }

    /// Whether an InstrumentationScope itself is edited, not only what stands beside it.
    private static func isInside(_ edits: EditFlags) -> Bool {
        edits.contains(.attributes) || edits.contains(.fields) || edits.contains(.droppedCounts)
    }

    /// The schema URL of a container that came without one.
    private func writeDue(
        _ batch: borrowing RecordBatch, schemaURL: TextRef, _ due: EditFlags, _ output: inout ByteColumn
    ) {
        if due.contains(.schemaURL), !schemaURL.isEmpty { output.appendField(tag: 0x1A, batch.text(schemaURL)) }
    }

    /// Writes the Resource or InstrumentationScope (field 1 of its container) with the set's attributes, and a scope's
    /// name and version and the number of dropped attributes, which has the given tag, when they are new. All
    /// occurrences in the container are merged into one.
    private func writeMerged(
        _ batch: borrowing RecordBatch, of container: Text, set: SetIndex, attributes: UInt32,
        names: (name: TextRef, version: TextRef)? = nil, dropped: (tag: UInt32, count: UInt32)? = nil,
        _ output: inout ByteColumn
    ) {
        let open = output.beginMessage(tag: 0x0A, guess: 300)
        var outer = WireCursor(container)
        while let occurrence = outer.nextField() {
            guard occurrence.tag == 0x0A else { continue }
            var inner = WireCursor(container, occurrence.content)
            while let field = inner.nextField() {
                if field.tag == attributes || field.tag == dropped?.tag { continue }
                if names != nil, field.tag == 0x0A || field.tag == 0x12 { continue }
                output.append(container[field.whole])
            }
        }
        if let names {
            if !names.name.isEmpty { output.appendField(tag: 0x0A, batch.text(names.name)) }
            if !names.version.isEmpty { output.appendField(tag: 0x12, batch.text(names.version)) }
        }
        writeAttributes(batch, set, tag: attributes, &output)
        if let dropped { output.appendScalar(tag: dropped.tag, UInt64(dropped.count)) }
        output.endMessage(open)
    }

    func range(_ reference: TextRef) -> Range<Int> {
        Int(reference.offset)..<Int(reference.offset) + Int(reference.length)
    }
}
