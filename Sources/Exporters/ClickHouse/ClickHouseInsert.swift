/// One insert of a delivery.
struct ClickHouseInsert {
    /// Made once per table: it is some two kilobytes of names.
    struct Statement: Sendable {
        var table: String
        /// The statement as it stands in the URL.
        var query: String

        /// `columns` as they stand in the statement.
        init(table: String, columns: String) {
            self.table = table
            query = ClickHouseClient.escaped("INSERT INTO \(table) (\(columns)) FORMAT RowBinary")
        }
    }

    var statement: Statement
    /// Rows in the format RowBinary.
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

    private static let statements = order.map { name in
        ClickHouseInsert.Statement(
            table: name.rawValue, columns: SQLTable.named(name).columns.map(\.name).joined(separator: ", "))
    }

    static var insertCount: Int { order.count }

    func insert(_ place: Int, records: Range<Int>) -> ClickHouseInsert? {
        let body = body(of: Self.order[place], records: records)
        return body.isEmpty ? nil : ClickHouseInsert(statement: Self.statements[place], body: body)
    }
}
