package import Telemetry

/// Encodes a batch as one protobuf `Export…ServiceRequest`.
///
/// What nobody edited is copied as the very bytes that came in; an edited message is written by walking its received
/// fields and replacing only the edited ones, so unknown fields survive at every level. Empty envelopes left by removed
/// records are not written.
package struct OTLPWriter {
    let body: Text
    /// Records to write, by index in the signal's column (for metrics: metrics). All by default.
    let window: Range<Int>
    let isWindowed: Bool

    /// Appends the request to `output`. Nothing is appended when no record is left.
    package static func write(_ batch: borrowing RecordBatch, into output: inout ByteColumn) {
        if !batch.isEdited {
            output.append(batch.input)
            return
        }
        let writer = OTLPWriter(body: batch.input, window: 0..<Int.max, isWindowed: false)
        writer.writeRequest(batch, &output)
    }

    /// Appends a request with only the records of `window`.
    package static func write(
        _ batch: borrowing RecordBatch, window: Range<Int>, into output: inout ByteColumn
    ) {
        let writer = OTLPWriter(body: batch.input, window: window, isWindowed: true)
        writer.writeRequest(batch, &output)
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
            if record.edits.isEmpty && !isWindowed {
                output.append(body[field.whole])
            } else if hasLiveRecords(batch, record) {
                writeResourceContainer(batch, record, &output)
            }
        }
    }

    // MARK: What is left to write

    func isLive(_ batch: borrowing RecordBatch, item: Int) -> Bool {
        guard window.contains(item) else { return false }
        switch batch.signal {
        case .traces: return !batch.spans[item].edits.contains(.removed)
        case .logs: return !batch.logs[item].edits.contains(.removed)
        case .metrics: return isLiveMetric(batch, batch.metrics[item])
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
        if items.isEmpty { return !isWindowed }
        if !isWindowed && !scope.edits.contains(.children) { return true }
        for item in items.clamped(to: window) where isLive(batch, item: item) { return true }
        return false
    }

    private func hasLiveRecords(_ batch: borrowing RecordBatch, _ resource: ResourceRecord) -> Bool {
        let scopes = resource.scopes.range
        if scopes.isEmpty { return !isWindowed }
        if !isWindowed && !resource.edits.contains(.children) { return true }
        for scope in scopes where hasLiveItems(batch, batch.scopes[scope]) { return true }
        return false
    }

    // MARK: Containers

    private func writeResourceContainer(
        _ batch: borrowing RecordBatch, _ record: ResourceRecord, _ output: inout ByteColumn
    ) {
        let open = output.beginMessage(tag: 0x0A, guess: Int(record.raw.length))
        var resourceIsDue = record.edits.contains(.attributes)
        var schemaIsDue = record.edits.contains(.schemaURL)
        var nextScope = Int(record.scopes.start)
        var cursor = WireCursor(body, range(record.raw))
        while let field = cursor.nextField() {
            switch field.tag {
            case 0x0A where record.edits.contains(.attributes):
                if resourceIsDue {
                    writeMerged(batch, container: record.raw, set: record.set, attributes: 0x0A, &output)
                    resourceIsDue = false
                }
            case 0x1A where record.edits.contains(.schemaURL):
                if schemaIsDue { output.appendField(tag: 0x1A, batch.text(record.schemaURL)) }
                schemaIsDue = false
            case 0x12:
                let scope = batch.scopes[nextScope]
                nextScope += 1
                if scope.edits.isEmpty && !isWindowed {
                    output.append(body[field.whole])
                } else if hasLiveItems(batch, scope) {
                    writeScopeContainer(batch, scope, &output)
                }
            default: output.append(body[field.whole])
            }
        }
        if resourceIsDue { writeMerged(batch, container: record.raw, set: record.set, attributes: 0x0A, &output) }
        output.endMessage(open)
    }

    private func writeScopeContainer(
        _ batch: borrowing RecordBatch, _ record: ScopeRecord, _ output: inout ByteColumn
    ) {
        let open = output.beginMessage(tag: 0x12, guess: Int(record.raw.length))
        let rewritesScope = record.edits.contains(.attributes) || record.edits.contains(.fields)
        var scopeIsDue = rewritesScope
        var schemaIsDue = record.edits.contains(.schemaURL)
        var next = Int(record.items.start)
        var cursor = WireCursor(body, range(record.raw))
        while let field = cursor.nextField() {
            switch field.tag {
            case 0x0A where rewritesScope:
                if scopeIsDue { writeScope(batch, record, &output) }
                scopeIsDue = false
            case 0x1A where record.edits.contains(.schemaURL):
                if schemaIsDue { output.appendField(tag: 0x1A, batch.text(record.schemaURL)) }
                schemaIsDue = false
            case 0x12:
                writeItem(batch, next, field, &output)
                next += 1
            default: output.append(body[field.whole])
            }
        }
        if scopeIsDue { writeScope(batch, record, &output) }
        output.endMessage(open)
    }

    private func writeItem(
        _ batch: borrowing RecordBatch, _ item: Int, _ field: WireField, _ output: inout ByteColumn
    ) {
        guard isLive(batch, item: item) else { return }
        switch batch.signal {
        case .traces where !batch.spans[item].edits.isEmpty: writeSpan(batch, batch.spans[item], &output)
        case .logs where !batch.logs[item].edits.isEmpty: writeLog(batch, batch.logs[item], &output)
        case .metrics where !batch.metrics[item].edits.isEmpty: writeMetric(batch, batch.metrics[item], &output)
        default: output.append(body[field.whole])
        }
    }

    private func writeScope(_ batch: borrowing RecordBatch, _ record: ScopeRecord, _ output: inout ByteColumn) {
        let hasNewName = record.edits.contains(.fields)
        writeMerged(
            batch, container: record.raw, set: record.set, attributes: 0x1A,
            names: hasNewName ? (record.name, record.version) : nil, &output)
    }

    /// Writes the Resource or InstrumentationScope (field 1 of its container) with the set's attributes, and a scope's
    /// name and version when they are new. All occurrences in the container are merged into one.
    private func writeMerged(
        _ batch: borrowing RecordBatch, container: TextRef, set: SetIndex, attributes: UInt32,
        names: (name: TextRef, version: TextRef)? = nil, _ output: inout ByteColumn
    ) {
        let open = output.beginMessage(tag: 0x0A, guess: 300)
        var outer = WireCursor(body, range(container))
        while let occurrence = outer.nextField() {
            guard occurrence.tag == 0x0A else { continue }
            var inner = WireCursor(body, occurrence.content)
            while let field = inner.nextField() {
                if field.tag == attributes { continue }
                if names != nil, field.tag == 0x0A || field.tag == 0x12 { continue }
                output.append(body[field.whole])
            }
        }
        if let names {
            if !names.name.isEmpty { output.appendField(tag: 0x0A, batch.text(names.name)) }
            if !names.version.isEmpty { output.appendField(tag: 0x12, batch.text(names.version)) }
        }
        writeAttributes(batch, set, tag: attributes, &output)
        output.endMessage(open)
    }

    func range(_ reference: TextRef) -> Range<Int> {
        Int(reference.offset)..<Int(reference.offset) + Int(reference.length)
    }
}
