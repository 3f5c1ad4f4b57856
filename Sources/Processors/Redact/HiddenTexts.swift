import Telemetry

/// A text field that protobuf says twice: its last occurrence counts, and is all that the rest of the walk sees.
extension RedactionPolicy {
    /// Marks the texts of all records as new, so that the writer leaves out what stands behind them in the bytes. Runs
    /// for requests in which some text came twice, which senders do not write.
    func dropHiddenTexts(_ batch: inout RecordBatch) {
        for index in batch.resources.indices { batch.setSchemaURL(batch.resources[index].schemaURL, ofResource: index) }
        for index in batch.scopes.indices {
            batch.setSchemaURL(batch.scopes[index].schemaURL, ofScope: index)
            if batch.scopes[index].isPresent { batch.changeScope(index) { _ in } }
        }
        switch batch.signal {
        case .traces: dropHiddenSpanTexts(&batch)
        case .logs:
            for index in batch.logs.indices where !batch.isRemoved(log: index) {
                if has([0x1A, 0x62], batch.logs[index].raw, batch) { batch.changeLog(index) { _ in } }
            }
        case .metrics:
            for index in batch.metrics.indices where has([0x0A, 0x12, 0x1A], batch.metrics[index].raw, batch) {
                batch.changeMetric(index) { _ in }
            }
        }
    }

    private func dropHiddenSpanTexts(_ batch: inout RecordBatch) {
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let span = batch.spans[index]
            if has([0x2A], span.raw, batch) { batch.setName(span.name, ofSpan: index) }
            if has([0x7A], span.raw, batch) { batch.setStatusMessage(span.statusMessage, ofSpan: index) }
            if has([0x1A], span.raw, batch) { batch.setTraceState(span.traceState, ofSpan: index) }
        }
        for index in batch.events.indices where has([0x12], batch.events[index].raw, batch) {
            batch.setName(batch.events[index].name, ofEvent: index)
        }
        for index in batch.links.indices where has([0x1A], batch.links[index].raw, batch) {
            batch.setTraceState(batch.links[index].traceState, ofLink: index)
        }
    }

    /// Whether one of these fields is in a record's bytes: what is not there must not be written as empty.
    private func has(_ tags: [UInt32], _ raw: TextRef, _ batch: borrowing RecordBatch) -> Bool {
        var fields = NestedFields(batch.text(raw))
        while let field = fields.next() {
            if tags.contains(field.tag) { return true }
        }
        return false
    }
}
