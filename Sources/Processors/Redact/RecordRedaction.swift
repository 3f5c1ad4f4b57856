import Telemetry

/// The walk over a batch.
extension RedactionPolicy {
    func redact(_ batch: inout RecordBatch, _ state: inout RedactionState) {
        if state.table !== batch.keys {
            state.table = batch.keys
            state.keyVerdicts.removeAll(keepingCapacity: true)
        }
        for index in batch.sets.indices {
            if isGone(batch.sets[index], batch) { continue }
            redact(SetIndex(index), &batch, &state)
        }
        if batch.hasHiddenTexts, !isDryRun { dropHiddenTexts(&batch) }
        redactResources(&batch, &state)
        redactScopes(&batch, &state)
        switch batch.signal {
        case .traces: redactSpans(&batch, &state)
        case .logs: redactLogs(&batch, &state)
        case .metrics:
            redactMetrics(&batch, &state)
            redactExemplars(&batch, &state)
        }
    }

    /// Whether the owner of a set was taken out by an earlier step and will not be written.
    private func isGone(_ set: AttributeSet, _ batch: borrowing RecordBatch) -> Bool {
        switch set.kind {
        case .span: batch.isRemoved(span: Int(set.owner))
        case .log: batch.isRemoved(log: Int(set.owner))
        default: false
        }
    }

    // MARK: Records

    private func redactResources(_ batch: inout RecordBatch, _ state: inout RedactionState) {
        for index in batch.resources.indices {
            if let text = redacted(batch.resources[index].schemaURL, &batch, &state) {
                batch.setSchemaURL(text, ofResource: index)
            }
        }
    }

    private func redactScopes(_ batch: inout RecordBatch, _ state: inout RedactionState) {
        for index in batch.scopes.indices {
            let scope = batch.scopes[index]
            if let text = redacted(scope.name, &batch, &state) { batch.changeScope(index) { $0.name = text } }
            if let text = redacted(scope.version, &batch, &state) { batch.changeScope(index) { $0.version = text } }
            if let text = redacted(scope.schemaURL, &batch, &state) { batch.setSchemaURL(text, ofScope: index) }
        }
    }

    private func redactMetrics(_ batch: inout RecordBatch, _ state: inout RedactionState) {
        for index in batch.metrics.indices {
            let metric = batch.metrics[index]
            if let text = redacted(metric.name, &batch, &state) { batch.changeMetric(index) { $0.name = text } }
            if let text = redacted(metric.details, &batch, &state) { batch.changeMetric(index) { $0.details = text } }
            if let text = redacted(metric.unit, &batch, &state) { batch.changeMetric(index) { $0.unit = text } }
        }
    }

    private func redactSpans(_ batch: inout RecordBatch, _ state: inout RedactionState) {
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            let span = batch.spans[index]
            if let text = redacted(span.name, &batch, &state) { batch.setName(text, ofSpan: index) }
            if let text = redacted(span.statusMessage, &batch, &state) { batch.setStatusMessage(text, ofSpan: index) }
            if let text = redacted(span.traceState, &batch, &state) { batch.setTraceState(text, ofSpan: index) }
        }
        for index in batch.events.indices {
            let event = batch.events[index]
            if let text = redacted(event.name, &batch, &state) { batch.setName(text, ofEvent: index) }
        }
        for index in batch.links.indices {
            let link = batch.links[index]
            if let text = redacted(link.traceState, &batch, &state) { batch.setTraceState(text, ofLink: index) }
        }
    }

    private func redactLogs(_ batch: inout RecordBatch, _ state: inout RedactionState) {
        for index in batch.logs.indices where !batch.isRemoved(log: index) {
            let log = batch.logs[index]
            if let text = redacted(log.eventName, &batch, &state) { batch.setEventName(text, ofLog: index) }
            if let text = redacted(log.severityText, &batch, &state) {
                batch.changeLog(index) { $0.severityText = text }
            }
            redactBody(index, log, &batch, &state)
        }
    }

    /// Exemplars keep attributes that the point itself lost; the rest of a point is numbers.
    private func redactExemplars(_ batch: inout RecordBatch, _ state: inout RedactionState) {
        for index in batch.points.indices where !batch.isRemoved(point: index) {
            let point = batch.points[index]
            let tag: UInt32
            switch point.kind {
            case .gauge, .sum: tag = 0x2A
            case .histogram: tag = 0x42
            case .exponentialHistogram: tag = 0x5A
            case .summary, .none: continue
            }
            begin(&state)
            state.output.removeAll()
            let result = redactExemplars(batch.text(point.raw), exemplar: tag, &state)
            if result == .changed, !isDryRun {
                batch.setContent(batch.addText(state.output.text), ofPoint: index)
            }
        }
    }

    private func redactBody(
        _ index: Int, _ log: LogRecord, _ batch: inout RecordBatch, _ state: inout RedactionState
    ) {
        begin(&state)
        if log.hasHiddenBodies, !isDryRun { batch.markLog(index, .body) }
        switch log.body {
        case .string(let reference):
            let value = batch.text(reference)
            if !text.allowedValues.isEmpty, text.isAllowed(value, state) { return }
            guard let new = redacted(reference, &batch, &state) else { return }
            state.summary.masked = 1
            note(.masked, Text("body"), &state)
            batch.setBody(.string(new), ofLog: index)
        case .bytes(let reference):
            guard batch.text(reference).isValidUTF8, let new = redacted(reference, &batch, &state) else { return }
            state.summary.masked = 1
            note(.masked, Text("body"), &state)
            batch.setBody(.bytes(new), ofLog: index)
        case .array(let reference), .map(let reference):
            let isMap = log.bodyKind == .map
            state.output.removeAll()
            switch redactNested(batch.text(reference), isMap: isMap, .body, &state) {
            case .clean, .removed: break
            case .changed where isDryRun: break
            case .changed:
                let new = batch.addText(state.output.text)
                batch.setBody(isMap ? .map(new) : .array(new), ofLog: index)
            case .withheld:
                guard let new = withheld(&batch, &state) else { break }
                batch.setBody(.string(new), ofLog: index)
            }
        case .int, .double, .bool:
            guard redactsAllTypes, let new = redactedNumber(log.body, &batch, &state) else { return }
            state.summary.masked = 1
            batch.setBody(.string(new), ofLog: index)
        case .empty, .other: return
        }
        summarize(log.set, bodyKeys, &batch, &state)
    }

    /// The new text of a field, nil when nothing was found in it.
    private func redacted(
        _ reference: TextRef, _ batch: inout RecordBatch, _ state: inout RedactionState
    ) -> TextRef? {
        guard !reference.isEmpty else { return nil }
        state.output.removeAll()
        let old = batch.text(reference)
        if !text.allowedValues.isEmpty, text.isAllowed(old, state) { return nil }
        guard text.redact(old, &state), !isDryRun else { return nil }
        return batch.addText(state.output.text)
    }

    private func redactedNumber(
        _ value: AttributeValue, _ batch: inout RecordBatch, _ state: inout RedactionState
    ) -> TextRef? {
        var digits = ByteColumn()
        switch value {
        case .int(let number): digits.appendDecimal(number)
        case .double(let number): digits.append(string: number.description)
        case .bool(let flag): digits.append(flag ? "true" : "false")
        default: return nil
        }
        state.output.removeAll()
        guard !text.isAllowed(digits.text, state), text.redact(digits.text, &state), !isDryRun else { return nil }
        return batch.addText(state.output.text)
    }

    private func withheld(_ batch: inout RecordBatch, _ state: inout RedactionState) -> TextRef? {
        state.counts[Int(MatchTag.tooDeep.rawValue)] += 1
        return isDryRun ? nil : batch.addText(Text("[REDACTED:TOO_DEEP]"))
    }

    // MARK: Attribute sets

    private func begin(_ state: inout RedactionState) {
        state.summary = SummaryCounts()
        state.maskedNames = 0
        state.names.removeAll()
        state.path.removeAll()
    }

    private func redact(_ set: SetIndex, _ batch: inout RecordBatch, _ state: inout RedactionState) {
        begin(&state)
        let range = batch.range(of: set)
        // Those that stay move forward over those that go.
        var kept = range.lowerBound
        for index in range {
            let attribute = batch.attributes[index]
            let key = batch.text(attribute.key)
            if isIgnored(attribute.keyID, key, state) {
                state.summary.ignored += 1
            } else if !isAllowed(attribute.keyID) {
                state.summary.redacted += 1
                note(.redacted, key, &state)
                state.counts[Int(MatchTag.removedKey.rawValue)] += 1
                if !isDryRun { continue }
            } else {
                redact(attribute, at: index, in: set, &batch, &state)
            }
            if kept < index { batch.attributes[kept] = batch.attributes[index] }
            kept += 1
        }
        batch.cut(set, at: kept)
        state.key = .empty
        summarize(set, attributeKeys, &batch, &state)
    }

    private func redact(
        _ attribute: AttributeRecord, at index: Int, in set: SetIndex, _ batch: inout RecordBatch,
        _ state: inout RedactionState
    ) {
        let key = batch.text(attribute.key)
        if !isDryRun { dropHidden(attribute.flags, at: index, in: set, &batch) }
        state.key = key
        state.summary.mark = state.summary.masked
        state.summary.nameMark = state.names.count
        state.output.removeAll()
        if !text.allowedValues.isEmpty, isAllowedValue(attribute, batch, state) {
            state.summary.allowed += 1
            note(.allowed, key, &state)
            return
        }
        if isBlocked(attribute.keyID, key, &state) {
            text.mask.append(.blockedKey, scalarText(attribute, batch), to: &state.output)
            state.counts[Int(MatchTag.blockedKey.rawValue)] += 1
            if isDryRun { return }
            mask(index, .string(batch.addText(state.output.text)), set, &batch, &state)
            return
        }
        if let value = redactedValue(attribute, &batch, &state) {
            mask(index, value, set, &batch, &state)
        }
        // Keys of the table are names that the configuration chose.
        state.key = .empty
        if attribute.keyID == .unknown, redacted(attribute.key, &batch, &state) != nil {
            text.mask.number(&state.maskedNames, &state.output)
            batch.attributes[index].key = batch.addText(state.output.text)
            batch.attributes[index].flags.insert(.edited)
            batch.markEdited(set)
        }
    }

    /// Only the last key and value of an attribute are looked at, so only those stay; its value as it came where it has
    /// one alone.
    private func dropHidden(
        _ flags: AttributeFlags, at index: Int, in set: SetIndex, _ batch: inout RecordBatch
    ) {
        if flags.contains(.hasHiddenValues) {
            batch.attributes[index].flags.formUnion(.replaced)
        } else if flags.contains(.hasHiddenKeys) {
            batch.attributes[index].flags.insert(.edited)
        } else {
            return
        }
        batch.markEdited(set)
    }

    private func mask(
        _ index: Int, _ value: AttributeValue, _ set: SetIndex, _ batch: inout RecordBatch,
        _ state: inout RedactionState
    ) {
        // An attribute counts once, however many finds are below it.
        state.summary.masked = state.summary.mark + 1
        state.names.truncate(to: state.summary.nameMark)
        note(.masked, batch.text(batch.attributes[index].key), &state)
        batch.setValue(value, at: index, in: set)
    }

    /// The new value of an attribute, nil when nothing was found in it.
    private func redactedValue(
        _ attribute: AttributeRecord, _ batch: inout RecordBatch, _ state: inout RedactionState
    ) -> AttributeValue? {
        switch attribute.kind {
        case .string:
            let old = batch.text(attribute.text)
            if let detector = text.detectors.label(of: state.key, for: old) {
                maskWhole(old, detector, &state)
                return isDryRun ? nil : .string(batch.addText(state.output.text))
            }
            guard let new = redacted(attribute.text, &batch, &state) else { return nil }
            return .string(new)
        case .bytes:
            guard batch.text(attribute.text).isValidUTF8, let new = redacted(attribute.text, &batch, &state) else {
                return nil
            }
            return .bytes(new)
        case .array, .map:
            switch redactNested(batch.text(attribute.text), isMap: attribute.kind == .map, .attribute, &state) {
            case .clean, .removed: return nil
            case .withheld: return withheld(&batch, &state).map { .string($0) }
            case .changed where isDryRun: return nil
            case .changed:
                let new = batch.addText(state.output.text)
                return attribute.kind == .map ? .map(new) : .array(new)
            }
        case .int, .double, .bool:
            guard redactsAllTypes, let new = redactedNumber(attribute.value, &batch, &state) else { return nil }
            return .string(new)
        case .empty, .other: return nil
        }
    }

    private func isAllowedValue(
        _ attribute: AttributeRecord, _ batch: borrowing RecordBatch, _ state: borrowing RedactionState
    ) -> Bool {
        attribute.kind == .string && text.isAllowed(batch.text(attribute.text), state)
    }

    private func scalarText(_ attribute: AttributeRecord, _ batch: borrowing RecordBatch) -> Text {
        attribute.kind == .string ? batch.text(attribute.text) : .empty
    }
}
