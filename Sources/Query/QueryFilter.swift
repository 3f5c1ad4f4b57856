import Exporters
import GRDB

/// Which records a question is about.
package struct QueryFilter: Sendable {
    /// Unix nanoseconds; earlier records are left out.
    package var since: Int64?
    package var service: String?
    package var agent: String?
    package var tool: String?
    package var model: String?
    package var user: String?
    /// Attributes of the span or its resource that must have a value.
    package var attributes: [(key: String, value: String)] = []
    /// Most rows, 0 for all.
    package var limit = 50
    /// The column whose index is walked when several are asked for; nil leaves it to the database's planner.
    var lead: Column?

    package init() {}

    /// A condition with its arguments.
    struct Condition {
        var sql: [String] = []
        var arguments: [any DatabaseValueConvertible] = []

        mutating func add(_ text: String, _ values: any DatabaseValueConvertible...) {
            sql.append(text)
            arguments += values
        }

        /// ` AND …` for each part.
        var suffix: String { sql.map { " AND (\($0))" }.joined() }
    }

    /// Conditions on a span under the alias `s`, without the time.
    var spanCondition: Condition { condition { lead == nil || lead == $0 } }

    /// Conditions on spans that are walked by time, of which a span meets at most one: a model's name stands in one of
    /// two columns, each with an index of its own.
    var walkConditions: [Condition] {
        guard let model, lead == nil || lead == .model else { return [spanCondition] }
        var others = self
        others.model = nil
        return ["s.request_model = ?", "s.response_model = ? AND s.response_model IS NOT s.request_model"].map { sql in
            var condition = others.spanCondition
            condition.add(sql, model)
            return condition
        }
    }

    /// For failed tool calls: those of one tool are few and have an index of their own, which the database's planner
    /// would not prefer to that of a user, an agent or a service without being told.
    var failedToolCondition: Condition { tool == nil ? spanCondition : condition { $0 == .tool } }

    /// For spans that something else leads to: no column's index is of use.
    var followingCondition: Condition { condition { _ in false } }

    /// A plus in front of a column keeps the planner from its index.
    private func condition(mayLead: (Column) -> Bool) -> Condition {
        func mark(_ column: Column) -> String { mayLead(column) ? "" : "+" }
        var condition = Condition()
        if let service { condition.add("\(mark(.service))s.service_name = ?", service) }
        if let agent { condition.add("\(mark(.agent))s.agent_name = ?", agent) }
        // Calls alone, since they have an index by tool.
        if let tool { condition.add("s.operation = 'execute_tool' AND \(mark(.tool))s.tool_name = ?", tool) }
        if let model { condition.add("+s.request_model = ? OR +s.response_model = ?", model, model) }
        if let user { condition.add("\(mark(.user))s.user_id = ?", user) }
        for (key, value) in attributes { Self.add(key, value, to: &condition) }
        return condition
    }

    var hasSpanCondition: Bool { !spanCondition.sql.isEmpty }

    /// An attribute stands in its typed column, among the rest, or on the resource.
    private static func add(_ key: String, _ value: String, to condition: inout Condition) {
        var parts = SpanColumnNames.columns(of: key).map { "CAST(s.\($0) AS TEXT) = ?" }
        var values: [any DatabaseValueConvertible] = parts.map { _ in value }
        // Most spans have not the key; a look for it as it is written costs a third of taking their JSON apart.
        let written = SpanColumnNames.jsonMember(key)
        for column in ["attributes", "resource"] {
            parts.append(
                "instr(s.\(column), ?) > 0 AND EXISTS (SELECT 1 FROM json_each(s.\(column)) AS j WHERE j.key = ? AND "
                    + "CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "
                    + "ELSE CAST(j.value AS TEXT) END = ?)"
            )
            values += [written, key, value]
        }
        condition.sql.append(parts.map { "(\($0))" }.joined(separator: " OR "))
        condition.arguments += values
    }
}
