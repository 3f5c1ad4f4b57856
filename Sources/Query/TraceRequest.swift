import Exporters
import FoundationEssentials
import GRDB

/// A stored trace as the request it came in with, for what runs recorded telemetry again.
///
/// Typed columns become the attributes that they were made of. What the gateway itself said of the trace, findings and
/// their marks, is left out: it is to be found anew. The kind of a number that JSON cannot tell (1.0 or 1), bytes and
/// non-finite numbers come back as the store holds them.
extension QueryDatabase {
    /// An Export request of spans in OTLP JSON with the trace whose id is, or begins with, `id`.
    package func request(_ id: String) throws(QueryFailure) -> [UInt8] {
        let stored = try trace(id)
        return try read { database in
            var events: [String: [StoredValue]] = [:]
            for row in try Row.fetchAll(
                database, sql: "SELECT * FROM span_events WHERE trace_id = ? ORDER BY span_id, position",
                arguments: [stored.id])
            {
                if let event = try Self.event(row) { events[row["span_id"], default: []].append(event) }
            }
            var links: [String: [StoredValue]] = [:]
            for row in try Row.fetchAll(
                database, sql: "SELECT * FROM span_links WHERE trace_id = ? ORDER BY span_id, position",
                arguments: [stored.id])
            {
                links[row["span_id"], default: []].append(try Self.link(row))
            }
            let resources = try stored.steps.map { step in
                StoredValue.object([
                    "resource": .object(["attributes": try Self.attributes(step.text("resource"))]),
                    "scopeSpans": .array([
                        .object([
                            "scope": try Self.scope(step.text("scope")),
                            "spans": .array([
                                try Self.span(
                                    step, trace: stored.id, events: events[step.id] ?? [], links: links[step.id] ?? [])
                            ]),
                        ])
                    ]),
                ])
            }
            return Array(try JSONEncoder().encode(StoredValue.object(["resourceSpans": .array(resources)])))
        }
    }

    private static func span(
        _ step: TraceStep, trace: String, events: [StoredValue], links: [StoredValue]
    ) throws
        -> StoredValue
    {
        var fields: [String: StoredValue] = [
            "traceId": .string(trace), "spanId": .string(step.id), "name": .string(step.name),
            "startTimeUnixNano": .string(String(step.start)), "endTimeUnixNano": .string(String(step.end)),
            "kind": .integer(SpanWords.kind(step.text("kind") ?? "")), "flags": .integer(step.number("flags") ?? 0),
            "events": .array(events), "links": .array(links), "attributes": try spanAttributes(step),
        ]
        if let parent = step.parent { fields["parentSpanId"] = .string(parent) }
        if let state = step.text("trace_state") { fields["traceState"] = .string(state) }
        var status: [String: StoredValue] = ["code": .integer(SpanWords.status(step.text("status_code") ?? ""))]
        if let message = step.text("status_message") { status["message"] = .string(message) }
        fields["status"] = .object(status)
        return .object(fields)
    }

    private static func spanAttributes(_ step: TraceStep) throws -> StoredValue {
        var all = try members(step.text("attributes")).filter { !isOwn($0.key) }
        for column in AttributeColumn.all where !column.keys.contains(where: { all[$0] != nil }) {
            switch step.row[column.name] {
            case .integer(let number): all[column.keys[0]] = .integer(number)
            case .real(let number): all[column.keys[0]] = .real(number)
            case .text(let text), .json(let text):
                // Reasons are a list; other structures are read from their text as well.
                let list =
                    column.name == "finish_reasons" ? try? JSONDecoder().decode(StoredValue.self, from: text) : nil
                all[column.keys[0]] = list ?? .string(text)
            case .null, .bytes, nil: break
            }
        }
        return .list(of: all)
    }

    /// Nil for what the gateway itself added.
    private static func event(_ row: Row) throws -> StoredValue? {
        let members = try members(row["attributes"])
        let name: String = row["name"]
        if name == "gen_ai.evaluation.result", members.keys.contains(where: isOwn) { return nil }
        return .object([
            "name": .string(name), "timeUnixNano": .string(String(row["time"] as Int64)),
            "attributes": .list(of: members),
        ])
    }

    private static func link(_ row: Row) throws -> StoredValue {
        .object([
            "traceId": .string(row["linked_trace_id"]), "spanId": .string(row["linked_span_id"]),
            "traceState": .string(row["trace_state"] ?? ""), "attributes": try attributes(row["attributes"]),
        ])
    }

    private static func scope(_ text: String?) throws -> StoredValue {
        var fields = try members(text)
        if case .object(let members)? = fields["attributes"] { fields["attributes"] = .list(of: members) }
        fields["schema_url"] = nil
        return .object(fields)
    }

    /// Marks of findings and evaluators.
    private static func isOwn(_ key: String) -> Bool {
        ["sluice.finding", "sluice.trace.findings"].contains { key.hasPrefix($0) }
    }

    private static func attributes(_ text: String?) throws -> StoredValue { .list(of: try members(text)) }

    private static func members(_ text: String?) throws -> [String: StoredValue] {
        guard let text, case .object(let members) = try JSONDecoder().decode(StoredValue.self, from: text) else {
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

/// JSON of the store.
private indirect enum StoredValue: Codable {
    case null
    case flag(Bool)
    case integer(Int64)
    case real(Double)
    case string(String)
    case array([StoredValue])
    case object([String: StoredValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Int64.self) {
            self = .integer(number)
        } else if let number = try? container.decode(Double.self) {
            self = .real(number)
        } else if let text = try? container.decode(String.self) {
            self = .string(text)
        } else if let items = try? container.decode([StoredValue].self) {
            self = .array(items)
        } else {
            self = .object(try container.decode([String: StoredValue].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .flag(let flag): try container.encode(flag)
        case .integer(let number): try container.encode(number)
        case .real(let number): try container.encode(number)
        case .string(let text): try container.encode(text)
        case .array(let items): try container.encode(items)
        case .object(let members): try container.encode(members)
        }
    }

    /// As an attribute's value of OTLP.
    var attribute: StoredValue {
        switch self {
        case .null: .object([:])
        case .flag: .object(["boolValue": self])
        case .integer(let number): .object(["intValue": .string(String(number))])
        case .real: .object(["doubleValue": self])
        case .string: .object(["stringValue": self])
        case .array(let items): .object(["arrayValue": .object(["values": .array(items.map(\.attribute))])])
        case .object(let members): .object(["kvlistValue": .object(["values": .list(of: members)])])
        }
    }

    /// Attributes by name.
    static func list(of members: [String: StoredValue]) -> StoredValue {
        .array(
            members.sorted { $0.key < $1.key }.map { .object(["key": .string($0.key), "value": $0.value.attribute]) })
    }
}
