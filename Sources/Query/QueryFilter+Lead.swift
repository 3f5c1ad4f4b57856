import GRDB

/// Which index a question walks that asks for several columns. The planner knows nothing of values and takes any: the
/// spans of a service may be a thousand times those of a user.
extension QueryFilter {
    /// A column with an index of its own by time.
    enum Column: CaseIterable { case service, agent, tool, model, user }

    /// Spans of a value from the newest on, of which the last tells how rare the value is.
    static let probedSpans = 2_000

    /// The filter with the column of the rarest value in front; unchanged unless there are several.
    func led(_ database: Database) throws -> QueryFilter {
        let asked = Column.allCases.compactMap { column in value(column).map { (column, $0) } }
        guard asked.count > 1 else { return self }
        var best: (column: Column, reach: Int64)?
        for (column, value) in asked {
            let reach = try reach(column, value, database)
            if best.map({ reach < $0.reach }) ?? true { best = (column, reach) }
        }
        var led = self
        led.lead = best?.column
        return led
    }

    private func value(_ column: Column) -> String? {
        switch column {
        case .service: service
        case .agent: agent
        case .tool: tool
        case .model: model
        case .user: user
        }
    }

    /// How far back in time the newest spans of a value lead: the further, the fewer there are. The least of all
    /// numbers when they end before.
    private func reach(_ column: Column, _ value: String, _ database: Database) throws -> Int64 {
        let conditions =
            switch column {
            case .service: ["service_name = ?"]
            case .agent: ["agent_name = ?"]
            case .tool: ["operation = 'execute_tool' AND tool_name = ?"]
            case .model: ["request_model = ?", "response_model = ? AND response_model IS NOT request_model"]
            case .user: ["user_id = ?"]
            }
        var latest = Int64.min
        for condition in conditions {
            let time = try Int64.fetchOne(
                database.cachedStatement(
                    sql: "SELECT start_time FROM spans WHERE \(condition) AND start_time >= ? "
                        + "ORDER BY start_time DESC LIMIT 1 OFFSET \(Self.probedSpans)"),
                arguments: [value, since ?? Int64.min])
            latest = max(latest, time ?? Int64.min)
        }
        return latest
    }
}
