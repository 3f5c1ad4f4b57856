import GRDB
import GRDBSQLite
import Pipeline
import Telemetry

/// Binds rows to prepared statements and runs them.
///
/// Through SQLite's own functions, because a row has some fifty values: boxing each and copying each text costs more
/// than the insert. Values are bound where they lie; the row does not change before the statement has run.
struct SQLiteRowWriter: RowReceiver {
    private let database: Database
    private let connection: SQLiteConnection?
    /// In the order of `SQLTableName.allCases`.
    private let inserts: [Statement]
    /// Make room for a span that is there.
    private let replacements: [Statement]
    /// Take away what a new result of a replaced span says anew.
    private let supersedings: [Statement]
    /// Whether the rows that come belong to a span that was there.
    private var isReplacing = false
    private(set) var records = 0
    /// Records of the batch, from zero, of which the database refused a row: it takes back that statement alone.
    private(set) var refused: [Int] = []
    /// Where refused records without an id would have stood.
    private var places: [Int: RowPlace] = [:]
    /// Why it refused the last one.
    private var reason = ""

    /// Within a transaction of `database`.
    init(_ database: Database) throws {
        self.database = database
        connection = database.sqliteConnection
        inserts = try SQLTable.all.map { try database.cachedStatement(sql: Self.insert(into: $0)) }
        replacements = try SpanReplacement.statements.map { try database.cachedStatement(sql: $0) }
        supersedings = try SpanReplacement.supersedings.map { try database.cachedStatement(sql: $0) }
    }

    /// Counts records from zero again.
    mutating func beginBatch() {
        records = 0
        refused.removeAll()
        places.removeAll()
    }

    /// What became of the batch, once all its rows were received and if the transaction commits.
    var outcome: ExportOutcome {
        refused.isEmpty ? .delivered : .refused(records: refused, message: reason, places: places)
    }

    /// Records with an id of their own are found again and replaced; blocks of logs and points are never different.
    private static func insert(into table: SQLTable) -> String {
        let names = table.columns.map(\.name).joined(separator: ", ")
        let marks = table.columns.map { _ in "?" }.joined(separator: ", ")
        let verb = table.name.beginsRecord ? "INSERT OR IGNORE" : "INSERT OR REPLACE"
        return "\(verb) INTO \(table.name.rawValue) (\(names)) VALUES (\(marks))"
    }

    /// Whether an error speaks of the row, so that trying again would not help.
    static func isAboutData(_ error: DatabaseError) -> Bool {
        [.SQLITE_CONSTRAINT, .SQLITE_TOOBIG, .SQLITE_MISMATCH, .SQLITE_RANGE].contains(error.resultCode)
    }

    mutating func receive(_ table: SQLTableName, _ row: borrowing RowBuffer) throws {
        if table.beginsRecord { records += 1 }
        guard refused.last != records - 1 else { return }
        do { try write(table, row) } catch let error as DatabaseError {
            // An error that has ended the transaction is one of all its rows.
            guard Self.isAboutData(error), sqlite3_get_autocommit(connection) == 0 else { throw error }
            refused.append(records - 1)
            if table == .logs || table == .metricPoints {
                places[records - 1] = RowPlace(
                    block: Array(row.text(row.cells[0]).bytes), position: row.cells[1].integer)
            }
            reason = SQLiteStore.words(error)
        }
    }

    /// A span that is already there is replaced with all that belongs to it, so delivering it twice leaves one.
    private mutating func write(_ table: SQLTableName, _ row: borrowing RowBuffer) throws {
        if table.beginsRecord { isReplacing = false }
        if table == .findings && isReplacing {
            for statement in supersedings { try run(statement, row, count: SpanReplacement.resultCells) }
        }
        try run(inserts[table.index], row, count: row.cells.count)
        guard table == .spans, sqlite3_changes(connection) == 0 else { return }
        isReplacing = true
        for statement in replacements { try run(statement, row, count: SpanReplacement.spanCells) }
        try run(inserts[table.index], row, count: row.cells.count)
    }

    /// Runs a statement with the first cells of a row.
    private func run(_ statement: Statement, _ row: borrowing RowBuffer, count: Int) throws {
        bind(row, count: count, to: statement.sqliteStatement)
        try run(statement.sqliteStatement)
    }

    private func bind(_ row: borrowing RowBuffer, count: Int, to statement: SQLiteStatement) {
        for index in 0..<count {
            let cell = row.cells[index]
            let place = Int32(truncatingIfNeeded: index + 1)
            switch cell.kind {
            case .null: sqlite3_bind_null(statement, place)
            case .integer, .time: sqlite3_bind_int64(statement, place, cell.integer)
            case .real: sqlite3_bind_double(statement, place, cell.real)
            case .text, .json:
                let text = row.text(cell)
                sqlite3_bind_text64(
                    statement, place, text.start.assumingMemoryBound(to: CChar.self), UInt64(text.count), nil,
                    UInt8(SQLITE_UTF8))
            case .bytes:
                let text = row.text(cell)
                sqlite3_bind_blob64(statement, place, text.start, UInt64(text.count), nil)
            }
        }
    }

    private func run(_ statement: SQLiteStatement) throws {
        let code = sqlite3_step(statement)
        // Resetting repeats the code of a failed step; the message must be read before.
        let message = code == SQLITE_DONE ? nil : String(cString: sqlite3_errmsg(connection))
        sqlite3_reset(statement)
        guard code == SQLITE_DONE else {
            throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message)
        }
    }
}

/// What becomes of a span's rows when the span comes again.
///
/// Results of evaluations stay: a sender that repeats a span does not repeat what was said of it, and the gateway says
/// it of one copy, or of a trace that was whole then. They move behind all places that the new rows can have, and go
/// when the same rule says the same again; of repeats when it says anything, since they are a loop or a storm.
private enum SpanReplacement {
    /// Cells that name the span.
    static let spanCells = 2
    /// Cells of a finding up to its rule.
    static let resultCells = 6

    /// Places of results that stayed. Those of log records are behind them.
    private static let firstKept = 0x8000_0000
    private static let lastKept = 0xFFFF_FFFF

    private static let span = "trace_id = ?1 AND span_id = ?2"
    private static let isNew = "\(span) AND position < \(firstKept)"
    private static let isSaidAnew =
        "\(span) AND position BETWEEN \(firstKept) AND \(lastKept) AND rule IS ?6 "
        + "AND (pattern = ?5 OR ?6 LIKE 'repeat.%')"
    private static let shift =
        "position = position + "
        + "(SELECT max(\(firstKept), ifnull(max(position), 0) + 1) FROM span_events WHERE \(span))"

    /// In front of the span's row, whose first cells are the parameters.
    static let statements = [
        "UPDATE findings SET \(shift) WHERE \(isNew)",
        "UPDATE span_events SET \(shift) WHERE \(isNew) AND name = '\(FindingRows.eventName)'",
        "DELETE FROM span_events WHERE \(isNew)",
        "DELETE FROM span_links WHERE \(span)",
        "DELETE FROM spans WHERE \(span)",
    ]

    /// In front of a finding's row.
    static let supersedings = [
        "DELETE FROM span_events WHERE \(span) AND position IN (SELECT position FROM findings WHERE \(isSaidAnew))",
        "DELETE FROM findings WHERE \(isSaidAnew)",
    ]
}
