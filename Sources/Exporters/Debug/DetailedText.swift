import Telemetry

/// A whole request in the words and the layout of the Collector's `debug` exporter with `verbosity: detailed`:
/// resources, scopes and records with their ids, times, attributes, events and links. Values are cut and control
/// characters escaped; of attributes, buckets and the like of one record no more than `listMax` are shown.
struct DetailedText {
    /// Most attributes, events, buckets and so on of one record.
    static let listMax = 200

    var lines: [String] = []

    mutating func append(_ batch: borrowing RecordBatch) {
        let (resourceName, scopeName): (String, String) =
            switch batch.signal {
            case .traces: ("ResourceSpans", "ScopeSpans")
            case .logs: ("ResourceLog", "ScopeLogs")
            case .metrics: ("ResourceMetrics", "ScopeMetrics")
            }
        for index in batch.resources.indices {
            let resource = batch.resources[index]
            lines.append("\(resourceName) #\(index)")
            lines.append("Resource SchemaURL: " + shown(batch.text(resource.schemaURL)))
            appendAttributes("Resource attributes:", resource.set, batch)
            appendCount("DroppedAttributesCount", UInt64(resource.droppedAttributes))
            for (number, scope) in resource.scopes.range.enumerated() {
                appendScope(scope, "\(scopeName) #\(number)", "\(scopeName) SchemaURL: ", batch)
            }
        }
    }

    private mutating func appendScope(
        _ index: Int, _ title: String, _ schema: String, _ batch: borrowing RecordBatch
    ) {
        let scope = batch.scopes[index]
        lines.append(title)
        lines.append(schema + shown(batch.text(scope.schemaURL)))
        lines.append("InstrumentationScope \(shown(batch.text(scope.name))) \(shown(batch.text(scope.version)))")
        appendAttributes("InstrumentationScope attributes:", scope.set, batch)
        for (number, item) in scope.items.range.enumerated() {
            switch batch.signal {
            case .traces: appendSpan(item, number, batch)
            case .logs: appendLog(item, number, batch)
            case .metrics: appendMetric(item, number, batch)
            }
        }
    }

    // MARK: Spans

    private static let kinds = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"]

    private mutating func appendSpan(_ index: Int, _ number: Int, _ batch: borrowing RecordBatch) {
        let span = batch.spans[index]
        lines.append("Span #\(number)")
        appendField("Trace ID", Self.id(batch.text(span.traceID)))
        appendField("Parent ID", Self.id(batch.text(span.parentID)))
        appendField("ID", Self.id(batch.text(span.spanID)))
        appendField("Name", shown(batch.text(span.name)))
        appendField("Kind", Self.name(span.kind, Self.kinds))
        if !span.traceState.isEmpty { appendField("TraceState", shown(batch.text(span.traceState))) }
        appendField("Start time", Self.time(span.start))
        appendField("End time", Self.time(span.end))
        appendField("Status code", Self.name(span.statusCode, ["Unset", "Ok", "Error"]))
        appendField("Status message", shown(batch.text(span.statusMessage)))
        appendAttributes("Attributes:", span.set, batch)
        appendCount("DroppedAttributesCount", UInt64(span.droppedAttributes))
        appendEvents(span, batch)
        appendCount("DroppedEventsCount", Self.number(batch.text(span.raw), tag: 0x60))
        appendLinks(span, batch)
        appendCount("DroppedLinksCount", Self.number(batch.text(span.raw), tag: 0x70))
    }

    private mutating func appendEvents(_ span: SpanRecord, _ batch: borrowing RecordBatch) {
        if span.events.count > 0 { lines.append("Events:") }
        for (number, index) in span.events.range.prefix(Self.listMax).enumerated() {
            let event = batch.events[index]
            lines.append("SpanEvent #\(number)")
            lines.append("     -> Name: " + shown(batch.text(event.name)))
            lines.append("     -> Timestamp: " + Self.time(event.time))
            lines.append("     -> DroppedAttributesCount: \(Self.number(batch.text(event.raw), tag: 0x20))")
            appendAttributes("     -> Attributes::", event.set, batch, indent: "     ")
        }
        appendRest(Int(span.events.count))
    }

    private mutating func appendLinks(_ span: SpanRecord, _ batch: borrowing RecordBatch) {
        if span.links.count > 0 { lines.append("Links:") }
        for (number, index) in span.links.range.prefix(Self.listMax).enumerated() {
            let link = batch.links[index]
            lines.append("SpanLink #\(number)")
            lines.append("     -> Trace ID: " + Self.id(batch.text(link.traceID)))
            lines.append("     -> ID: " + Self.id(batch.text(link.spanID)))
            lines.append("     -> TraceState: " + shown(batch.text(link.traceState)))
            lines.append("     -> DroppedAttributesCount: \(Self.number(batch.text(link.raw), tag: 0x28))")
            appendAttributes("     -> Attributes::", link.set, batch, indent: "     ")
        }
        appendRest(Int(span.links.count))
    }

    // MARK: Log records

    private mutating func appendLog(_ index: Int, _ number: Int, _ batch: borrowing RecordBatch) {
        let log = batch.logs[index]
        lines.append("LogRecord #\(number)")
        lines.append("ObservedTimestamp: " + Self.time(log.observedTime))
        lines.append("Timestamp: " + Self.time(log.time))
        lines.append("SeverityText: " + shown(batch.text(log.severityText)))
        lines.append("SeverityNumber: \(Self.severity(log.severityNumber))(\(log.severityNumber))")
        if !log.eventName.isEmpty { lines.append("EventName: " + shown(batch.text(log.eventName))) }
        lines.append("Body: " + shown(log.body, batch))
        appendAttributes("Attributes:", log.set, batch)
        appendCount("DroppedAttributesCount", Self.number(batch.text(log.raw), tag: 0x38))
        lines.append("Trace ID: " + Self.id(batch.text(log.traceID)))
        lines.append("Span ID: " + Self.id(batch.text(log.spanID)))
        lines.append("Flags: \(log.flags)")
    }

    private static func severity(_ number: Int32) -> String {
        guard (1...24).contains(number) else { return number == 0 ? "Unspecified" : "" }
        let step = (number - 1) % 4
        return name((number - 1) / 4, ["Trace", "Debug", "Info", "Warn", "Error", "Fatal"])
            + (step == 0 ? "" : "\(step + 1)")
    }

    // MARK: Lines

    private mutating func appendField(_ name: String, _ value: String) {
        lines.append("    \(name)\(String(repeating: " ", count: max(0, 15 - name.count))): \(value)")
    }

    /// What a sender has dropped, when it has.
    private mutating func appendCount(_ name: String, _ count: UInt64) {
        if count > 0 { lines.append("    \(name): \(count)") }
    }

    /// How many of so many are not shown.
    mutating func appendRest(_ count: Int) {
        if count > Self.listMax { lines.append("… \(count - Self.listMax) more") }
    }

    /// A line for each of some things, as many as are shown.
    mutating func appendList<Item>(_ items: [Item], _ line: (Int, Item) -> String) {
        for (index, item) in items.prefix(Self.listMax).enumerated() { lines.append(line(index, item)) }
        appendRest(items.count)
    }

    mutating func appendAttributes(
        _ title: String, _ set: SetIndex, _ batch: borrowing RecordBatch, indent: String = ""
    ) {
        let range = batch.range(of: set)
        if range.isEmpty { return }
        lines.append(title)
        for index in range.prefix(Self.listMax) {
            let attribute = batch.attributes[index]
            lines.append("\(indent)     -> \(shown(batch.text(attribute.key))): \(shown(attribute.value, batch))")
        }
        appendRest(range.count)
    }

    // MARK: Values

    func shown(_ text: Text) -> String { EscapedText.make(utf8: text.bytes, limit: DebugPrinter.valueMax) }

    /// A value with the Collector's word for its type.
    private func shown(_ value: AttributeValue, _ batch: borrowing RecordBatch) -> String {
        switch value {
        case .empty, .other: return "Empty()"
        case .string(let text): return "Str(\(shown(batch.text(text))))"
        case .bool(let flag): return "Bool(\(flag))"
        case .int(let number): return "Int(\(number))"
        case .double(let number): return "Double(\(number))"
        case .array: return "Slice(\(json(value, batch)))"
        case .map: return "Map(\(json(value, batch)))"
        case .bytes:
            let base64 = json(value, batch).filter { $0 != "\"" }
            return "Bytes(\(base64))"
        }
    }

    private func json(_ value: AttributeValue, _ batch: borrowing RecordBatch) -> String {
        var json = ByteColumn()
        ValueJSON.append(value, of: batch, to: &json)
        return shown(json.text)
    }

    /// An id in hexadecimal digits; what is longer than any id is cut.
    static func id(_ text: Text) -> String { text.count <= 32 ? text.hex : text[0..<32].hex + "…" }

    /// The name of a number that counts from 0, empty for one that has none.
    private static func name(_ number: Int32, _ names: [String]) -> String {
        number >= 0 && Int(number) < names.count ? names[Int(number)] : ""
    }

    /// Unix nanoseconds as Go writes times: `2026-11-26 10:15:00.5 +0000 UTC`.
    static func time(_ nanoseconds: UInt64) -> String {
        var column = ByteColumn()
        SQLTime.append(nanoseconds: Int64(clamping: nanoseconds), digits: 9, to: &column)
        var text = column.text.string
        while text.hasSuffix("0") { text.removeLast() }
        if text.hasSuffix(".") { text.removeLast() }
        return text + " +0000 UTC"
    }

    /// The last number of a message's field with this tag, 0 when there is none.
    static func number(_ message: Text, tag: UInt32) -> UInt64 {
        var found: UInt64 = 0
        var walker = WireWalker(message)
        while let field = walker.next() { if field.tag == tag { found = field.number } }
        return found
    }
}
