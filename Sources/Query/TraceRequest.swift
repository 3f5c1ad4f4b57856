import Exporters
import FoundationEssentials
import GRDB

/// A stored trace as the request it came in with, for what runs recorded telemetry again.
///
/// Typed columns become the attributes that they were made of, and the name of an agent's span that names no agent
/// otherwise becomes one. What the gateway itself said of the trace, findings and
/// their marks, is left out: it is to be found anew. The kind of a number that JSON cannot tell (1.0 or 1), bytes and
/// non-finite numbers come back as the store holds them.
extension QueryDatabase {
    /// An Export request of spans in OTLP JSON with the trace whose id is, or begins with, `id`.
    package func request(_ id: String) throws(QueryFailure) -> [UInt8] {
        let stored = try trace(id)
        return try read { database in
            var events: [String: [JSONValue]] = [:]
            for row in try Row.fetchAll(
                database, sql: "SELECT * FROM span_events WHERE trace_id = ? ORDER BY span_id, position",
                arguments: [stored.id])
            {
                if let event = try Self.event(row) { events[row["span_id"], default: []].append(event) }
            }
            var links: [String: [JSONValue]] = [:]
            for row in try Row.fetchAll(
                database, sql: "SELECT * FROM span_links WHERE trace_id = ? ORDER BY span_id, position",
                arguments: [stored.id])
            {
                links[row["span_id"], default: []].append(try Self.link(row))
            }
            let resources = try stored.steps.map { step in
                JSONValue.object([
                    "resource": .object(["attributes": try Self.attributes(step.text("resource"))]),
                    "scopeSpans": .list([
                        .object([
                            "scope": try Self.scope(step.text("scope")),
                            "spans": .list([
                                try Self.span(
                                    step, trace: stored.id, events: events[step.id] ?? [], links: links[step.id] ?? [])
                            ]),
                        ])
                    ]),
                ])
            }
            return Array(try JSONEncoder().encode(JSONValue.object(["resourceSpans": .list(resources)])))
        }
    }

    private static func span(
        _ step: TraceStep, trace: String, events: [JSONValue], links: [JSONValue]
    ) throws -> JSONValue {
        var fields: [String: JSONValue] = [
            "traceId": .string(trace), "spanId": .string(step.id), "name": .string(step.name),
            "startTimeUnixNano": .string(String(step.start)), "endTimeUnixNano": .string(String(step.end)),
            "kind": .int(Int(SpanWords.kind(step.text("kind") ?? ""))), "flags": .int(Int(step.number("flags") ?? 0)),
            "events": .list(events), "links": .list(links), "attributes": try spanAttributes(step),
        ]
        if let parent = step.parent { fields["parentSpanId"] = .string(parent) }
        if let state = step.text("trace_state") { fields["traceState"] = .string(state) }
        var status: [String: JSONValue] = ["code": .int(Int(SpanWords.status(step.text("status_code") ?? "")))]
        if let message = step.text("status_message") { status["message"] = .string(message) }
        fields["status"] = .object(status)
        return .object(fields)
    }

    private static func spanAttributes(_ step: TraceStep) throws -> JSONValue {
        var all = try members(step.text("attributes")).filter { !isOwn($0.key) }
        for column in AttributeColumn.all where !column.keys.contains(where: { all[$0] != nil }) {
            switch step.row[column.name] {
            case .integer(let number): all[column.keys[0]] = .int(Int(number))
            case .real(let number): all[column.keys[0]] = .double(number)
            case .text(let text), .json(let text):
                // Reasons are a list; other structures are read from their text as well.
                let list =
                    column.name == "finish_reasons" ? try? JSONDecoder().decode(JSONValue.self, from: text) : nil
                all[column.keys[0]] = list ?? .string(text)
            case .null, .bytes, nil: break
            }
        }
        return .attributes(all)
    }

    /// Nil for what the gateway itself added.
    private static func event(_ row: Row) throws -> JSONValue? {
        let members = try members(row["attributes"])
        let name: String = row["name"]
        if name == "gen_ai.evaluation.result", members.keys.contains(where: isOwn) { return nil }
        return .object([
            "name": .string(name), "timeUnixNano": .string(String(row["time"] as Int64)),
            "attributes": .attributes(members),
        ])
    }

    private static func link(_ row: Row) throws -> JSONValue {
        .object([
            "traceId": .string(row["linked_trace_id"]), "spanId": .string(row["linked_span_id"]),
            "traceState": .string(row["trace_state"] ?? ""), "attributes": try attributes(row["attributes"]),
        ])
    }

    private static func scope(_ text: String?) throws -> JSONValue {
        var fields = try members(text)
        if case .object(let members)? = fields["attributes"] { fields["attributes"] = .attributes(members) }
        fields["schema_url"] = nil
        return .object(fields)
    }

    /// Marks of findings and evaluators.
    private static func isOwn(_ key: String) -> Bool {
        ["sluice.finding", "sluice.trace.findings"].contains { key.hasPrefix($0) }
    }

    private static func attributes(_ text: String?) throws -> JSONValue { .attributes(try members(text)) }

    private static func members(_ text: String?) throws -> [String: JSONValue] {
        guard let text, case .object(let members) = try JSONDecoder().decode(JSONValue.self, from: text) else {
            return [:]
        }
        return members
    }
}

extension JSONDecoder {
    fileprivate func decode<Value: Decodable>(_ type: Value.Type, from text: String) throws -> Value {
        try decode(type, from: Data(text.utf8))
    }
}

extension JSONValue {
    /// As an attribute's value of OTLP.
    fileprivate var attribute: JSONValue {
        switch self {
        case .null: .object([:])
        case .bool: .object(["boolValue": self])
        case .int(let number): .object(["intValue": .string(String(number))])
        case .double: .object(["doubleValue": self])
        case .string: .object(["stringValue": self])
        case .list(let items): .object(["arrayValue": .object(["values": .list(items.map(\.attribute))])])
        case .object(let members): .object(["kvlistValue": .object(["values": .attributes(members)])])
        }
    }

    /// Attributes by name.
    fileprivate static func attributes(_ members: [String: JSONValue]) -> JSONValue {
        .list(
            members.sorted { $0.key < $1.key }.map { .object(["key": .string($0.key), "value": $0.value.attribute]) })
    }
}
