package import OTLP
package import Telemetry

/// Names each place where the records of a batch differ from what libprotobuf-c reads in the same bytes.
package struct RecordComparison {
    package private(set) var found: [String] = []
    /// How many single values were compared, so that a test can see that there was something to compare.
    package private(set) var compared = 0

    /// Reads `request` both ways.
    package static func run(
        _ request: [UInt8], _ signal: Signal, keys: KeyTable
    ) throws(DecodeFailure) -> RecordComparison {
        var comparison = RecordComparison()
        guard let oracle = OracleMessage.decode(request, .request(signal)) else {
            comparison.found.append("libprotobuf-c does not read it")
            return comparison
        }
        var batch = RecordBatch()
        try Rewriting.read(request, signal, keys: keys, into: &batch) { comparison.compare($0, oracle) }
        return comparison
    }

    private mutating func check<Value: Equatable>(
        _ ours: Value, _ theirs: Value, _ what: @autoclosure () -> String
    ) {
        compared += 1
        if ours != theirs { found.append("\(what()): \(ours), not \(theirs)") }
    }

    private mutating func checkText(
        _ batch: borrowing RecordBatch, _ ours: TextRef, _ theirs: [UInt8], _ what: @autoclosure () -> String
    ) {
        check([UInt8](batch.text(ours).bytes), theirs, what())
    }

    private mutating func compare(_ batch: borrowing RecordBatch, _ request: OracleMessage) {
        let resources = request.messages(1)
        check(batch.resources.count, resources.count, "resources")
        var records = 0
        for (index, theirs) in resources.enumerated() where index < batch.resources.count {
            let ours = batch.resources[index]
            let place = "resource \(index)"
            let resource = theirs.messages(1).first
            check(ours.isPresent, resource != nil, "\(place) present")
            checkText(batch, ours.schemaURL, theirs.bytes(3), "\(place) schema URL")
            check(UInt64(ours.droppedAttributes), resource?.number(2) ?? 0, "\(place) dropped")
            attributes(batch, ours.set, resource?.messages(1) ?? [], place)
            let scopes = theirs.messages(2)
            check(Int(ours.scopes.count), scopes.count, "\(place) scopes")
            for (scope, container) in zip(ours.scopes.range, scopes) {
                records += self.scope(batch, scope, container, resource: index)
            }
        }
        check(batch.liveCount, records, "live records")
        check(batch.isEdited && !Self.hasBrokenIDs(batch), false, "edited")
    }

    /// Whether the reader has taken out ids of a wrong length, or links with such.
    private static func hasBrokenIDs(_ batch: borrowing RecordBatch) -> Bool {
        for span in batch.spans.indices where !batch.spans[span].edits.isDisjoint(with: [.fields, .links]) {
            return true
        }
        for log in batch.logs.indices where !batch.logs[log].edits.isDisjoint(with: [.traceID, .spanID]) {
            return true
        }
        for point in batch.points.indices where batch.points[point].edits.contains(.body) { return true }
        return false
    }

    /// Returns how many spans, log records or points the scope holds.
    private mutating func scope(
        _ batch: borrowing RecordBatch, _ index: Int, _ theirs: OracleMessage, resource: Int
    ) -> Int {
        let ours = batch.scopes[index]
        let place = "scope \(index)"
        let scope = theirs.messages(1).first
        check(ours.isPresent, scope != nil, "\(place) present")
        check(Int(ours.resource), resource, "\(place) resource")
        checkText(batch, ours.name, scope?.bytes(1) ?? [], "\(place) name")
        checkText(batch, ours.version, scope?.bytes(2) ?? [], "\(place) version")
        check(UInt64(ours.droppedAttributes), scope?.number(4) ?? 0, "\(place) dropped")
        checkText(batch, ours.schemaURL, theirs.bytes(3), "\(place) schema URL")
        attributes(batch, ours.set, scope?.messages(3) ?? [], place)
        let items = theirs.messages(2)
        check(Int(ours.items.count), items.count, "\(place) items")
        var records = 0
        for (item, message) in zip(ours.items.range, items) {
            switch batch.signal {
            case .traces: span(batch, batch.spans[item], message, scope: index, "span \(item)")
            case .logs: log(batch, batch.logs[item], message, scope: index, "log \(item)")
            case .metrics:
                records += metric(batch, batch.metrics[item], message, scope: index, "metric \(item)")
                continue
            }
            records += 1
        }
        return records
    }

    private mutating func span(
        _ batch: borrowing RecordBatch, _ ours: SpanRecord, _ theirs: OracleMessage, scope: Int, _ place: String
    ) {
        check(Int(ours.scope), scope, "\(place) scope")
        checkText(batch, ours.traceID, theirs.bytes(1), "\(place) trace id")
        checkText(batch, ours.spanID, theirs.bytes(2), "\(place) span id")
        checkText(batch, ours.traceState, theirs.bytes(3), "\(place) trace state")
        checkText(batch, ours.parentID, theirs.bytes(4), "\(place) parent")
        checkText(batch, ours.name, theirs.bytes(5), "\(place) name")
        check(UInt32(bitPattern: ours.kind), UInt32(theirs.number(6)), "\(place) kind")
        check(ours.start, theirs.number(7), "\(place) start")
        check(ours.end, theirs.number(8), "\(place) end")
        check(UInt64(ours.droppedAttributes), theirs.number(10), "\(place) dropped")
        check(UInt64(ours.droppedEvents), theirs.number(12), "\(place) dropped events")
        var dropped = theirs.number(14)
        for link in ours.links.range where batch.links[link].edits.contains(.removed) { dropped += 1 }
        check(UInt64(ours.droppedLinks), dropped, "\(place) dropped links")
        check(UInt64(ours.flags), theirs.number(16), "\(place) flags")
        let status = theirs.messages(15).first
        checkText(batch, ours.statusMessage, status?.bytes(2) ?? [], "\(place) status message")
        check(UInt32(bitPattern: ours.statusCode), UInt32(status?.number(3) ?? 0), "\(place) status code")
        attributes(batch, ours.set, theirs.messages(9), place)
        check(Int(ours.events.count), theirs.messages(11).count, "\(place) events")
        for (index, event) in zip(ours.events.range, theirs.messages(11)) {
            check(batch.events[index].time, event.number(1), "\(place) event time")
            checkText(batch, batch.events[index].name, event.bytes(2), "\(place) event name")
            check(UInt64(batch.events[index].droppedAttributes), event.number(4), "\(place) event dropped")
            attributes(batch, batch.events[index].set, event.messages(3), "\(place) event \(index)")
        }
        check(Int(ours.links.count), theirs.messages(13).count, "\(place) links")
        for (index, link) in zip(ours.links.range, theirs.messages(13)) {
            checkText(batch, batch.links[index].traceID, link.bytes(1), "\(place) link trace id")
            checkText(batch, batch.links[index].spanID, link.bytes(2), "\(place) link span id")
            checkText(batch, batch.links[index].traceState, link.bytes(3), "\(place) link trace state")
            attributes(batch, batch.links[index].set, link.messages(4), "\(place) link \(index)")
        }
    }

    private mutating func log(
        _ batch: borrowing RecordBatch, _ ours: LogRecord, _ theirs: OracleMessage, scope: Int, _ place: String
    ) {
        check(Int(ours.scope), scope, "\(place) scope")
        check(ours.time, theirs.number(1), "\(place) time")
        check(UInt32(bitPattern: ours.severityNumber), UInt32(theirs.number(2)), "\(place) severity")
        checkText(batch, ours.severityText, theirs.bytes(3), "\(place) severity text")
        value(batch, ours.bodyKind, ours.bodyPayload, theirs.messages(5).first, "\(place) body")
        attributes(batch, ours.set, theirs.messages(6), place)
        check(UInt64(ours.droppedAttributes), theirs.number(7), "\(place) dropped")
        check(UInt64(ours.flags), theirs.number(8), "\(place) flags")
        checkText(batch, ours.traceID, Self.identifier(theirs.bytes(9), 16), "\(place) trace id")
        checkText(batch, ours.spanID, Self.identifier(theirs.bytes(10), 8), "\(place) span id")
        check(ours.observedTime, theirs.number(11), "\(place) observed")
        checkText(batch, ours.eventName, theirs.bytes(12), "\(place) event name")
    }

    /// An id of a log record; one of another length or of zeros alone counts as none.
    private static func identifier(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
        bytes.count == count && bytes.contains { $0 != 0 } ? bytes : []
    }

    /// Returns the number of points.
    private mutating func metric(
        _ batch: borrowing RecordBatch, _ ours: MetricRecord, _ theirs: OracleMessage, scope: Int, _ place: String
    ) -> Int {
        check(Int(ours.scope), scope, "\(place) scope")
        checkText(batch, ours.name, theirs.bytes(1), "\(place) name")
        checkText(batch, ours.details, theirs.bytes(2), "\(place) description")
        checkText(batch, ours.unit, theirs.bytes(3), "\(place) unit")
        attributes(batch, ours.set, theirs.messages(12), place)
        let kinds: [(UInt32, MetricKind, UInt32)] = [
            (5, .gauge, 7), (7, .sum, 7), (9, .histogram, 9), (10, .exponentialHistogram, 1), (11, .summary, 7),
        ]
        let data = kinds.first { theirs.fields[$0.0] != nil }
        check(ours.kind, data?.1 ?? .none, "\(place) kind")
        let points = data.flatMap { theirs.messages($0.0).first?.messages(1) } ?? []
        check(Int(ours.points.count), points.count, "\(place) points")
        for (index, point) in zip(ours.points.range, points) {
            check(batch.points[index].time, point.number(3), "\(place) point time")
            check(batch.points[index].kind, ours.kind, "\(place) point kind")
            attributes(batch, batch.points[index].set, point.messages(data?.2 ?? 0), "\(place) point \(index)")
        }
        return points.count
    }

    private mutating func attributes(
        _ batch: borrowing RecordBatch, _ set: SetIndex, _ theirs: [OracleMessage], _ place: String
    ) {
        let range = batch.range(of: set)
        check(range.count, theirs.count, "\(place) attributes")
        for (index, pair) in zip(range, theirs) {
            let ours = batch.attributes[index]
            checkText(batch, ours.key, pair.bytes(1), "\(place) key")
            check(ours.keyID, batch.keys.id(of: batch.text(ours.key)), "\(place) key number")
            value(batch, ours.kind, ours.payload, pair.messages(2).first, "\(place) value of \(index)")
        }
    }

    private mutating func value(
        _ batch: borrowing RecordBatch, _ kind: ValueKind, _ payload: UInt64, _ theirs: OracleMessage?, _ place: String
    ) {
        let kinds: [UInt32: ValueKind] = [
            1: .string, 2: .bool, 3: .int, 4: .double, 5: .array, 6: .map, 7: .bytes, 8: .other,
        ]
        let member = theirs?.fields.keys.first
        check(kind, member.flatMap { kinds[$0] } ?? .empty, "\(place) kind")
        guard let theirs, let member else { return }
        let ours = AttributeRecord(
            key: .empty, keyID: .unknown, kind: kind, payload: payload, raw: .empty, flags: [])
        switch kind {
        case .bool, .int, .double: check(payload, theirs.number(member), place)
        case .string, .bytes: checkText(batch, ours.text, theirs.bytes(member), place)
        case .array, .map:
            let content = [UInt8](batch.text(ours.text).bytes)
            let decoded = OracleMessage.decode(content, kind == .array ? .array : .map)
            check(decoded, theirs.messages(member).first, place)
        case .empty, .other: break
        }
    }
}
