import Glibc
import OTLP
import Pipeline
import Telemetry

/// Statements or CSV, one piece per request. A statement is one line and a piece of statements ends in a line of its
/// own, so that what a crash left behind is found.
struct SQLFileForm: FileForm, ~Copyable {
    private static let mark = "-- Sluice"
    private static let end = "-- end of request\n"

    private let options: SQLFileOptions
    private let requests = RequestRows()
    private var scratch = RowScratch()
    private let inserts: [String]

    init(options: SQLFileOptions) {
        self.options = options
        let dialect = options.dialect
        inserts = SQLTable.all.map { dialect.insertHead($0) }
    }

    var kind: String {
        options.format == .sql
            ? "SQL of this exporter" : "CSV of \(options.table.rawValue)"
    }

    private var csvHead: String {
        SQLTable.named(options.table).columns.map(\.name).joined(separator: ",") + "\n"
    }

    func appendHead(to output: inout ByteColumn) {
        switch options.format {
        case .csv: output.append(string: csvHead)
        case .sql:
            let schema = options.createsSchema ? SQLSchema.script(options.dialect) : ""
            let encoding = options.dialect == .postgres ? "SET client_encoding = 'UTF8';\n" : ""
            output.append(string: "\(Self.mark): rows of telemetry, in UTF-8\n\(encoding)\(schema)\(Self.end)")
        }
    }

    mutating func append(_ batch: ExportBatch, to output: inout ByteColumn) -> String? {
        do {
            // Rows go through a column of their own: a receiver cannot hold the caller's.
            var rows = SQLFileRows(options: options, inserts: inserts)
            if options.format == .sql { rows.output.append(string: options.dialect.begin) }
            try requests.write(batch, blockKey: .fixed, &scratch, to: &rows)
            output.append(rows.output.text)
            if options.format == .sql { output.append(string: options.dialect.commit + Self.end) }
            return nil
        } catch let failure as DecodeFailure {
            return "not a valid request: \(failure.message)"
        } catch { return "\(error)" }
    }

    func goodSize(_ descriptor: Int32, size: Int) -> Int? {
        guard size > 0 else { return 0 }
        let head = options.format == .sql ? Self.mark : csvHead
        var first = [UInt8](repeating: 0, count: head.utf8.count)
        let count = pread(descriptor, &first, first.count, 0)
        guard count > 0, head.utf8.starts(with: first[..<count]) else { return nil }
        guard count == first.count else { return 0 }
        return options.format == .sql ? Self.lastEnd(descriptor, size) : Self.lastLine(descriptor, size)
    }

    /// Behind the last end mark. No literal holds a line break, so the mark at the beginning of a line is one.
    private static func lastEnd(_ descriptor: Int32, _ size: Int) -> Int? {
        let wanted = Array("\n".utf8) + Array(end.utf8)
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        var at = size
        while at > 0 {
            let start = max(0, at - chunk.count)
            guard pread(descriptor, &chunk, at - start, off_t(start)) == at - start else { return nil }
            var place = at - start - wanted.count
            while place >= 0 {
                if chunk[place] == wanted[0], chunk[place..<place + wanted.count].elementsEqual(wanted) {
                    return start + place + wanted.count
                }
                place -= 1
            }
            if start == 0 { break }
            at = start + wanted.count - 1
        }
        return 0
    }

    /// Behind the last line break outside of quotes.
    private static func lastLine(_ descriptor: Int32, _ size: Int) -> Int? {
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        var at = 0
        var good = 0
        var isQuoted = false
        while at < size {
            let count = pread(descriptor, &chunk, min(chunk.count, size - at), off_t(at))
            guard count > 0 else { return nil }
            for index in 0..<count {
                if chunk[index] == UInt8(ascii: "\"") { isQuoted.toggle() }
                if chunk[index] == 0x0A && !isQuoted { good = at + index + 1 }
            }
            at += count
        }
        return good
    }
}

/// Renders rows.
struct SQLFileRows: RowReceiver, ~Copyable {
    private let options: SQLFileOptions
    private let inserts: [String]
    private let literal: SQLLiteral
    var output = ByteColumn()

    init(options: SQLFileOptions, inserts: [String]) {
        self.options = options
        self.inserts = inserts
        literal = SQLLiteral(dialect: options.dialect)
    }

    mutating func receive(_ table: SQLTableName, _ row: borrowing RowBuffer) {
        switch options.format {
        case .sql:
            output.append(string: inserts[table.index])
            for index in row.cells.indices {
                if index > 0 { output.append(", ") }
                literal.append(row.cells[index], of: row, to: &output)
            }
            output.append(string: options.dialect.insertTail)
        case .csv:
            guard table == options.table else { return }
            for index in row.cells.indices {
                if index > 0 { output.append(",") }
                appendField(row.cells[index], row)
            }
            output.append("\n")
        }
    }

    /// RFC 4180; NULL is nothing, an empty text is `""`, times are UTC, bytes are hexadecimal.
    private mutating func appendField(_ cell: RowCell, _ row: borrowing RowBuffer) {
        switch cell.kind {
        case .null: break
        case .integer: output.append(string: String(cell.integer))
        case .real: output.append(string: cell.real.description)
        case .time: SQLTime.append(nanoseconds: cell.integer, digits: 9, to: &output)
        case .text, .json:
            let text = row.text(cell)
            output.append("\"")
            for index in 0..<text.count {
                if text[index] == UInt8(ascii: "\"") { output.append("\"") }
                output.append(text[index])
            }
            output.append("\"")
        case .bytes:
            let text = row.text(cell)
            for index in 0..<text.count {
                for digit in [text[index] >> 4, text[index] & 15] {
                    output.append(digit < 10 ? 48 + digit : 87 + digit)
                }
            }
        }
    }
}

extension SQLDialect {
    fileprivate var begin: String { self == .clickhouse ? "" : "BEGIN;\n" }
    fileprivate var commit: String { self == .clickhouse ? "" : "COMMIT;\n" }

    /// Up to the first value. Loading a file twice, or files that overlap, leaves each row once where the database can
    /// tell: Snowflake does not enforce keys.
    fileprivate func insertHead(_ table: SQLTable) -> String {
        let names = table.columns.map(\.name).joined(separator: ", ")
        let verb = self == .sqlite ? "INSERT OR IGNORE INTO" : "INSERT INTO"
        return "\(verb) \(table.name.rawValue) (\(names)) \(self == .snowflake ? "SELECT " : "VALUES (")"
    }

    fileprivate var insertTail: String {
        switch self {
        case .sqlite, .clickhouse: ");\n"
        case .postgres: ") ON CONFLICT DO NOTHING;\n"
        case .snowflake: ";\n"
        }
    }
}
