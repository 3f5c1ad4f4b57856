/// One insert of a delivery: names, and rows in the format RowBinary.
struct ClickHouseInsert {
    var table: String
    /// Column names as they stand in the statement.
    var columns: String
    var body: [UInt8]
}

/// The rows of one delivery, in one of the shapes of tables.
protocol ClickHouseRows: ~Copyable {
    /// Inserts of a delivery that has something for each table, in the order in which they are sent.
    static var insertCount: Int { get }
    var records: Int { get }
    /// The rows of the table at `place` that belong to `records`, nil when there are none.
    func insert(_ place: Int, records: Range<Int>) -> ClickHouseInsert?
}

extension BinaryRows: ClickHouseRows {
    /// The parts of spans before the spans: who sees a span sees all of it.
    private static let order: [SQLTableName] = [.spanEvents, .spanLinks, .findings, .spans, .logs, .metricPoints]

    static var insertCount: Int { order.count }

    func insert(_ place: Int, records: Range<Int>) -> ClickHouseInsert? {
        let name = Self.order[place]
        let body = body(of: name, records: records)
        guard !body.isEmpty else { return nil }
        let columns = SQLTable.named(name).columns.map(\.name).joined(separator: ", ")
        return ClickHouseInsert(table: name.rawValue, columns: columns, body: body)
    }
}
