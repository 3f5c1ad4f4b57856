import Exporters
import GRDB

/// One span as the tree shows it.
struct TraceStep: Sendable {
    var id: String
    var parent: String?
    var name: String
    var start: Int64
    var end: Int64
    var milliseconds: Double?
    var isFailed: Bool
    /// Every column of the row.
    var row: [String: QueryValue]

    func text(_ column: String) -> String? { row[column]?.words }

    func number(_ column: String) -> Int64? {
        if case .integer(let number)? = row[column] { return number }
        return nil
    }

    /// A number of things; what is negative is none.
    func count(_ column: String) -> Int64? { number(column).flatMap { $0 < 0 ? nil : $0 } }
}

/// One finding on a step.
struct TraceFinding: Sendable {
    var span: String
    var pattern: String
    var label: String?
    var tier: String?
    var score: Double?
    var rule: String?
    var version: String?
    var explanation: String?
    var evidence: String?
    var cause: String?
    var firstBadStep: String?
}

/// A whole trace as stored.
package struct StoredTrace: Sendable {
    package var id: String
    var steps: [TraceStep]
    var findings: [TraceFinding]
}

extension QueryDatabase {
    /// Most spans that are read of one trace or session.
    package static let stepsMax = 100_000

    /// Whether a text can be a trace's id, or the beginning of one that is long enough to find it.
    package static func isTraceID(_ text: String) -> Bool {
        (4...32).contains(text.utf8.count) && text.utf8.allSatisfy { $0 < 0x80 } && text.allSatisfy(\.isHexDigit)
    }

    /// The trace whose id is, or begins with, `id`, which `isTraceID` says yes to.
    package func trace(_ id: String) throws(QueryFailure) -> StoredTrace {
        let prefix = id.lowercased()
        return try read { database in
            let ids = try String.fetchAll(
                database, sql: "SELECT DISTINCT trace_id FROM spans WHERE trace_id >= ? AND trace_id < ? LIMIT 3",
                arguments: [prefix, prefix + "g"])
            guard let first = ids.first else { throw QueryFailure("no trace \(id) in the database") }
            if ids.count > 1 {
                throw QueryFailure("more than one trace begins with \(id): \(ids.joined(separator: ", "))")
            }
            return try Self.load(first, database)
        }
    }

    /// The traces of a session, oldest first.
    package func session(_ id: String) throws(QueryFailure) -> [StoredTrace] {
        try read { database in
            let ids = try String.fetchAll(
                database,
                sql: "SELECT trace_id FROM spans WHERE conversation_id = ? GROUP BY trace_id "
                    + "ORDER BY min(start_time) LIMIT 1000", arguments: [id])
            guard !ids.isEmpty else { throw QueryFailure("no session \(id) in the database") }
            var traces: [StoredTrace] = []
            var count = 0
            for id in ids where count < Self.stepsMax {
                traces.append(try Self.load(id, database))
                count += traces[traces.count - 1].steps.count
            }
            return traces
        }
    }

    private static func load(_ id: String, _ database: Database) throws -> StoredTrace {
        let rows = try Row.fetchCursor(
            database, sql: "SELECT * FROM spans WHERE trace_id = ? ORDER BY start_time, span_id LIMIT \(stepsMax)",
            arguments: [id])
        var trace = StoredTrace(id: id, steps: [], findings: [])
        while let row = try rows.next() {
            var values: [String: QueryValue] = [:]
            for (name, value) in row { values[name] = QueryValue(value) }
            trace.steps.append(
                TraceStep(
                    id: row["span_id"], parent: row["parent_span_id"], name: row["name"], start: row["start_time"],
                    end: row["end_time"], milliseconds: row["duration_ms"],
                    isFailed: row["status_code"] == "error" || (row["error_type"] as String?) != nil, row: values))
        }
        let findings = try Row.fetchCursor(
            database, sql: "SELECT * FROM findings WHERE trace_id = ? ORDER BY time, span_id, position LIMIT 10000",
            arguments: [id])
        while let row = try findings.next() {
            trace.findings.append(
                TraceFinding(
                    span: row["span_id"], pattern: row["pattern"], label: row["label"], tier: row["tier"],
                    score: row["score"],
                    rule: row["rule"], version: row["version"], explanation: row["explanation"],
                    evidence: row["evidence"], cause: row["cause_span_id"], firstBadStep: row["first_bad_step"]))
        }
        return trace
    }

    /// The spans of traces with all columns, structured texts as JSON.
    package func spans(of traces: [StoredTrace]) throws(QueryFailure) -> QueryResult {
        let columns = SpanColumnNames.all
        return try read { database in
            let isJSON = try database.makeStatement(sql: "SELECT json_valid(?)")
            func value(_ value: QueryValue?) throws -> QueryValue {
                guard case .text(let text)? = value, text.hasPrefix("{") || text.hasPrefix("[") else {
                    return value ?? .null
                }
                return try Bool.fetchOne(isJSON, arguments: [text]) == true ? .json(text) : .text(text)
            }
            var result = QueryResult(columns: columns.map { QueryResult.Column(name: $0) }, rows: [])
            for step in traces.flatMap(\.steps) { result.rows.append(try columns.map { try value(step.row[$0]) }) }
            return result
        }
    }
}
