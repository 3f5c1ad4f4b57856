import Telemetry

extension Program {
    /// Gives the field that a node names a value.
    func assign(
        _ index: Int32, _ value: Value, _ batch: inout RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        let node = nodes[Int(index)]
        switch node.operation {
        case .attribute:
            let stored = try self.stored(value, &batch, &state)
            batch.upsert(node.key, stored, in: set(node.owner, batch, place))
        case .namedAttribute:
            let name = try pinned(try text(node.first, batch, place, &state), batch, &state)
            let stored = try self.stored(value, &batch, &state)
            let set = self.set(node.owner, batch, place)
            if let found = batch.find(name: name, in: set) {
                batch.setValue(stored, at: found, in: set)
            } else {
                batch.append(key: batch.reference(to: name), stored, to: set)
            }
        case .set: try replaceAll(index, set(node.owner, batch, place), value, &batch, place, &state)
        case .traceStateMember:
            guard case .string(let member) = value else { throw EvaluationFailure(.notSettable) }
            let key = try text(node.first, batch, place, &state)
            let mark = state.scratch.count
            let old = batch.text(batch.spans[Int(place.item)].traceState)
            TraceStateText.append(old, setting: key, to: member, &state.scratch)
            let text = try state.take(from: mark)
            batch.setTraceState(batch.addText(text), ofSpan: Int(place.item))
        case .cache:
            guard case .map(let content) = try pinned(value, batch, &state) else {
                throw EvaluationFailure(.notSettable)
            }
            // The value may lie in the arena, never in the cache itself: reading the cache copies it.
            state.cache.removeAll()
            state.cache.append(content)
        case .index:
            let container = try self.value(node.first, batch, place, &state)
            let key = try self.value(node.second, batch, place, &state)
            let changed = try replaced(container, key, value, batch, &state)
            try assign(node.first, changed, &batch, place, &state)
        case .field: try assign(node.field, value, &batch, place, &state)
        default: throw EvaluationFailure(.notSettable)
        }
    }

    private func replaceAll(
        _ target: Int32, _ set: SetIndex, _ value: Value, _ batch: inout RecordBatch, _ place: Place,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        guard case .map(let content) = try pinned(value, batch, &state) else { throw EvaluationFailure(.notSettable) }
        _ = state.draft.load(.set(set), batch)
        for index in state.draft.entries.indices { state.draft.entries[index].isRemoved = true }
        var reader = MapReader(content)
        while let member = reader.next() {
            let value = try state.whole(member)
            state.draft.put(member.key, value)
        }
        try store(target, .set(set), &batch, place, &state)
    }

    /// A copy of a list or map in which one part has another value. All other parts are as they came. A missing
    /// container becomes a map.
    private func replaced(
        _ container: Value, _ key: Value, _ value: Value, _ batch: borrowing RecordBatch,
        _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> Value {
        let mark = state.scratch.count
        switch (container, key) {
        case (.none, .string(let name)):
            try state.scratch.appendMember(name, value, batch)
            return .map(try state.take(from: mark))
        case (.set(let set), .string):
            try state.scratch.appendMembers(of: set, batch)
            return try replaced(.map(try state.take(from: mark)), key, value, batch, &state)
        case (.map(let content), .string(let name)):
            var isFound = false
            var reader = MapReader(content)
            while let member = reader.next() {
                if !(member.key == name) {
                    state.scratch.append(member.field)
                } else if !isFound {
                    isFound = true
                    try state.scratch.appendMember(name, value, replacing: member.field, batch)
                }
            }
            if !isFound { try state.scratch.appendMember(name, value, batch) }
            state.scratch.appendOthers(of: content)
            return .map(try state.take(from: mark))
        case (.list(let content), .int(let wanted)):
            var reader = ListReader(content)
            var index: Int64 = 0
            while let item = reader.nextItem() {
                if index == wanted {
                    try state.scratch.appendValue(tag: 0x0A, value, replacingThoseOf: item.field, batch)
                } else {
                    state.scratch.append(item.field)
                }
                index += 1
            }
            guard wanted >= 0, wanted < index else {
                state.scratch.truncate(to: mark)
                throw EvaluationFailure(.outOfRange)
            }
            state.scratch.appendOthers(of: content)
            return .list(try state.take(from: mark))
        default: throw EvaluationFailure(.notIndexable)
        }
    }

    // MARK: Fields

    private func assign(
        _ field: Field, _ value: Value, _ batch: inout RecordBatch, _ place: Place, _ state: inout EvaluationState
    ) throws(EvaluationFailure) {
        switch field {
        case .body, .bodyText:
            if field == .bodyText {
                guard case .string = value else { throw EvaluationFailure(.notSettable) }
            }
            batch.setBody(try stored(value, &batch, &state), ofLog: Int(place.item))
        case .spanName, .statusMessage, .traceState, .eventName, .scopeName, .scopeVersion, .severityText,
            .logEventName, .metricName, .metricDescription, .metricUnit, .resourceSchemaURL, .scopeSchemaURL:
            guard case .string(let text) = value else { throw EvaluationFailure(.notSettable) }
            assign(field, text: batch.reference(to: text), &batch, place)
        case .spanKind, .statusCode, .severityNumber, .logFlags:
            guard case .int(let number) = value, let small = Int32(exactly: number) else {
                throw EvaluationFailure(.notSettable)
            }
            assign(field, number: small, &batch, place)
        case .spanFlags, .spanDropped:
            guard case .int(let number) = value, let small = UInt32(exactly: number) else {
                throw EvaluationFailure(.notSettable)
            }
            batch.changeSpan(Int(place.item)) { span in
                if field == .spanFlags { span.flags = small } else { span.droppedAttributes = small }
            }
        case .spanDroppedEvents, .spanDroppedLinks, .resourceDropped, .scopeDropped, .eventDropped, .logDropped:
            guard case .int(let number) = value, let count = UInt32(exactly: number) else {
                throw EvaluationFailure(.notSettable)
            }
            assign(field, dropped: count, &batch, place)
        case .spanKindName, .spanKindSymbol:
            guard case .string(let name) = value,
                let kind = SpanKindText.kind(name, isSymbol: field == .spanKindSymbol)
            else { throw EvaluationFailure(.notSettable) }
            assign(.spanKind, number: kind, &batch, place)
        case .spanTraceID, .spanTraceIDText, .logTraceID, .logTraceIDText:
            assign(field, id: try identifier(value, 16, &batch, &state), &batch, place)
        case .spanID, .spanIDText, .parentID, .parentIDText, .logSpanID, .logSpanIDText:
            assign(field, id: try identifier(value, 8, &batch, &state), &batch, place)
        case .pointStart, .pointStartNanos, .pointTime, .pointTimeNanos, .pointInt, .pointDouble, .pointCount,
            .pointSum, .pointFlags, .pointScale, .pointZeroCount, .pointMin, .pointMax, .pointBuckets, .pointBounds,
            .pointZeroThreshold, .pointPositiveOffset, .pointNegativeOffset, .pointPositiveCounts,
            .pointNegativeCounts:
            try assign(point: field, value, &batch, place, &state)
        default: try assign(field, time: value, &batch, place)
        }
    }

    private func assign(_ field: Field, text: TextRef, _ batch: inout RecordBatch, _ place: Place) {
        let item = Int(place.item)
        switch field {
        case .spanName: batch.setName(text, ofSpan: item)
        case .statusMessage: batch.setStatusMessage(text, ofSpan: item)
        case .traceState: batch.setTraceState(text, ofSpan: item)
        case .eventName: batch.setName(text, ofEvent: Int(place.part))
        case .scopeName: batch.changeScope(Int(place.scope)) { $0.name = text }
        case .scopeVersion: batch.changeScope(Int(place.scope)) { $0.version = text }
        case .severityText: batch.changeLog(item) { $0.severityText = text }
        case .logEventName: batch.changeLog(item) { $0.eventName = text }
        case .metricName: batch.changeMetric(item) { $0.name = text }
        case .metricDescription: batch.changeMetric(item) { $0.details = text }
        case .resourceSchemaURL: batch.setSchemaURL(text, ofResource: Int(place.resource))
        case .scopeSchemaURL: batch.setSchemaURL(text, ofScope: Int(place.scope))
        default: batch.changeMetric(item) { $0.unit = text }
        }
    }

    private func assign(_ field: Field, number: Int32, _ batch: inout RecordBatch, _ place: Place) {
        let item = Int(place.item)
        switch field {
        case .spanKind: batch.changeSpan(item) { $0.kind = number }
        case .statusCode: batch.setStatusCode(number, ofSpan: item)
        case .logFlags: batch.changeLog(item) { $0.flags = UInt32(bitPattern: number) }
        default: batch.changeLog(item) { $0.severityNumber = number }
        }
    }

    /// A span's own attributes are not among these.
    private func assign(_ field: Field, dropped count: UInt32, _ batch: inout RecordBatch, _ place: Place) {
        let item = Int(place.item)
        switch field {
        case .resourceDropped: batch.setDropped(count, ofResource: Int(place.resource))
        case .scopeDropped: batch.setDropped(count, ofScope: Int(place.scope))
        case .eventDropped: batch.setDropped(count, ofEvent: Int(place.part))
        case .logDropped: batch.setDropped(count, ofLog: item)
        case .spanDroppedEvents:
            batch.setDropped(events: count, links: batch.spans[item].droppedLinks, ofSpan: item)
        default: batch.setDropped(events: batch.spans[item].droppedEvents, links: count, ofSpan: item)
        }
    }

    private func assign(_ field: Field, id: TextRef, _ batch: inout RecordBatch, _ place: Place) {
        let item = Int(place.item)
        switch field {
        case .spanTraceID, .spanTraceIDText: batch.changeSpan(item) { $0.traceID = id }
        case .spanID, .spanIDText: batch.changeSpan(item) { $0.spanID = id }
        case .parentID, .parentIDText: batch.changeSpan(item) { $0.parentID = id }
        case .logTraceID, .logTraceIDText: batch.setTraceID(id, ofLog: item)
        default: batch.setSpanID(id, ofLog: item)
        }
    }

    private func assign(
        _ field: Field, time value: Value, _ batch: inout RecordBatch, _ place: Place
    ) throws(EvaluationFailure) {
        let isNanos: Bool
        switch field {
        case .spanStartNanos, .spanEndNanos, .eventTimeNanos, .logTimeNanos, .logObservedNanos: isNanos = true
        default: isNanos = false
        }
        let time: UInt64
        switch value {
        case .time(let nanoseconds) where !isNanos && nanoseconds >= 0: time = UInt64(nanoseconds)
        case .int(let nanoseconds) where isNanos && nanoseconds >= 0: time = UInt64(nanoseconds)
        default: throw EvaluationFailure(.notSettable)
        }
        let item = Int(place.item)
        switch field {
        case .spanStart, .spanStartNanos: batch.changeSpan(item) { $0.start = time }
        case .spanEnd, .spanEndNanos: batch.changeSpan(item) { $0.end = time }
        case .eventTime, .eventTimeNanos: batch.setTime(time, ofEvent: Int(place.part))
        case .logTime, .logTimeNanos: batch.changeLog(item) { $0.time = time }
        case .logObservedTime, .logObservedNanos: batch.changeLog(item) { $0.observedTime = time }
        default: throw EvaluationFailure(.notSettable)
        }
    }

    /// An id from bytes of its length or from hexadecimal digits; all zeros and an empty text mean none.
    private func identifier(
        _ value: Value, _ length: Int, _ batch: inout RecordBatch, _ state: inout EvaluationState
    ) throws(EvaluationFailure) -> TextRef {
        switch value {
        case .identifier(let bytes), .bytes(let bytes):
            guard bytes.count == length else { throw EvaluationFailure(.notSettable) }
            return Identifier.isZero(bytes) ? .empty : batch.reference(to: bytes)
        case .string(let digits):
            if digits.isEmpty { return .empty }
            guard digits.count == length * 2 else { throw EvaluationFailure(.notSettable) }
            let mark = state.scratch.count
            for index in 0..<length {
                guard let high = Lexer.hexDigit(digits[index * 2]), let low = Lexer.hexDigit(digits[index * 2 + 1])
                else {
                    state.scratch.truncate(to: mark)
                    throw EvaluationFailure(.notSettable)
                }
                state.scratch.append(high << 4 | low)
            }
            let bytes = try state.take(from: mark)
            return Identifier.isZero(bytes) ? .empty : batch.addText(bytes)
        default: throw EvaluationFailure(.notSettable)
        }
    }
}
