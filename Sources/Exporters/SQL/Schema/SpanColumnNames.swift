/// For readers of the database: where an attribute of a span is found.
package enum SpanColumnNames {
    /// All columns of `spans`, in order.
    package static var all: [String] { SQLTable.named(.spans).columns.map(\.name) }

    /// Typed columns that may hold the attribute.
    package static func columns(of key: String) -> [String] {
        let known = key == "service.name" ? ["service_name"] : []
        return known + AttributeColumn.all.filter { $0.keys.contains(key) }.map(\.name)
    }
}
