/// The statements that store rows: one bound text per statement, a JSON array of rows, each an array of cells.
///
/// Keys are not enforced, so MERGE leaves out what is there, and QUALIFY what stands twice in the same text.
enum SnowflakeStatements {
    /// In the order of `SQLTableName.allCases`.
    static let merges: [String] = SQLTable.all.map { table in
        let cells = table.columns.enumerated().map { "\(cell($0.offset, $0.element)) AS \($0.element.name)" }
        let keys = table.key.compactMap { name in table.columns.firstIndex { $0.name == name } }
        let partition = keys.map { "f.value[\($0)]::VARCHAR" }.joined(separator: ", ")
        let match = table.key.map { "t.\($0) = s.\($0)" }.joined(separator: " AND ")
        let names = table.columns.map(\.name).joined(separator: ", ")
        let values = table.columns.map { "s.\($0.name)" }.joined(separator: ", ")
        // 'd' lets an object have a key twice, the last one counts: OTLP does not forbid it.
        return "MERGE INTO \(table.name.rawValue) AS t USING (SELECT \(cells.joined(separator: ", ")) "
            + "FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?, 'd'))) AS f "
            + "QUALIFY row_number() OVER (PARTITION BY \(partition) ORDER BY f.index) = 1) AS s ON \(match) "
            + "WHEN NOT MATCHED THEN INSERT (\(names)) VALUES (\(values))"
    }

    private static func cell(_ index: Int, _ column: SQLColumn) -> String {
        let value = "f.value[\(index)]"
        switch column.type {
        case .text: return "\(value)::VARCHAR"
        case .json: return value
        case .integer: return "\(value)::NUMBER(38, 0)"
        case .real, .number: return "\(value)::FLOAT"
        case .time: return "TO_TIMESTAMP_NTZ(\(value)::NUMBER(38, 0), 9)"
        case .bytes: return "TO_BINARY(\(value)::VARCHAR, 'HEX')"
        }
    }
}
