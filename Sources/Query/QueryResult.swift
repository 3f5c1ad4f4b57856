import GRDB

/// One value of an answer.
package enum QueryValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    /// JSON that stands as it is in JSON output.
    case json(String)
    case bytes(Int)

    init(_ value: DatabaseValue) {
        switch value.storage {
        case .null: self = .null
        case .int64(let number): self = .integer(number)
        case .double(let number): self = .real(number)
        case .string(let text): self = .text(text)
        case .blob(let data): self = .bytes(data.count)
        }
    }

    /// The plain text, nil for NULL.
    var words: String? {
        switch self {
        case .null: nil
        case .integer(let number): String(number)
        case .real(let number): Self.exact(number)
        case .text(let text), .json(let text): text
        case .bytes(let count): "<\(count) bytes>"
        }
    }

    /// The shortest text that reads back as the same number; whole numbers without a point.
    private static func exact(_ number: Double) -> String {
        let isWhole = number == number.rounded() && number.magnitude < 1e15
        return isWhole && !(number == 0 && number.sign == .minus) ? String(Int64(number)) : "\(number)"
    }
}

/// How a column is shown in a table.
package enum QueryColumnKind: Sendable, Equatable {
    case plain
    /// Unix nanoseconds.
    case time
    /// Milliseconds.
    case milliseconds
    /// Sums of prices, which are rarely read further than to six decimals.
    case cost
}

extension QueryColumnKind {
    init(ofColumn name: String) {
        switch name {
        case "time", "last_seen": self = .time
        case "cost_usd": self = .cost
        case _ where name.hasSuffix("_time"): self = .time
        case _ where name.hasSuffix("_ms"): self = .milliseconds
        default: self = .plain
        }
    }
}

/// Rows with their columns.
package struct QueryResult: Sendable, Equatable {
    package struct Column: Sendable, Equatable {
        package var name: String
        package var kind = QueryColumnKind.plain
    }

    package var columns: [Column]
    package var rows: [[QueryValue]]
    /// True when there were more rows than asked for.
    package var isCut = false

    /// Reads up to `limit` rows of a statement, 0 for all.
    static func fetch(
        _ statement: Statement, arguments: [any DatabaseValueConvertible], limit: Int
    ) throws
        -> QueryResult
    {
        let columns = statement.columnNames.map { name in
            Column(name: name, kind: QueryColumnKind(ofColumn: name))
        }
        var result = QueryResult(columns: columns, rows: [])
        let cursor = try Row.fetchCursor(statement, arguments: StatementArguments(arguments))
        while let row = try cursor.next() {
            if limit > 0 && result.rows.count == limit {
                result.isCut = true
                break
            }
            result.rows.append(row.databaseValues.map(QueryValue.init))
        }
        return result
    }
}
