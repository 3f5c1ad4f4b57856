import Pipeline
import Telemetry

/// Rows in the form of PostgreSQL's binary COPY (manual, COPY, "Binary Format"): per row the number of fields as int16,
/// then per field its length as int32, -1 for NULL, and its bytes; integers big-endian. Behind a table's columns stands
/// the record that the row belongs to (`PostgresStatements.recordColumn`).
struct CopyRows: RowReceiver, ~Copyable {
    /// Where a row lies.
    struct Row: BitwiseCopyable {
        var start: Int
        var end: Int
        /// Record (span, log record, point) that the row belongs to.
        var record: Int32
        var table: UInt8
    }

    static let header: [UInt8] = [UInt8]("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0] + [UInt8](repeating: 0, count: 8)
    static let trailer: [UInt8] = [0xFF, 0xFF]

    private(set) var bytes = ByteColumn()
    private(set) var rows = Column<Row>()
    private(set) var records = 0
    /// Days since 1970 of the rows' own times.
    private(set) var days: Set<Int> = []
    private var lastDay = Int.min

    mutating func removeAll() {
        bytes.removeAll()
        bytes.shrink(to: 8 << 20)
        rows.removeAll()
        records = 0
        days.removeAll(keepingCapacity: true)
        lastDay = .min
    }

    /// Takes back everything behind the first `count` records.
    mutating func truncate(toRecords count: Int) {
        var kept = rows.count
        while kept > 0, rows[kept - 1].record >= count { kept -= 1 }
        bytes.truncate(to: kept == 0 ? 0 : rows[kept - 1].end)
        rows.truncate(to: kept)
        records = count
    }

    mutating func receive(_ table: SQLTableName, _ row: borrowing RowBuffer) {
        if table.beginsRecord { records += 1 }
        let start = bytes.count
        append(UInt16(truncatingIfNeeded: row.cells.count + 1))
        for index in row.cells.indices {
            let cell = row.cells[index]
            switch cell.kind {
            case .null: append(UInt32.max)
            case .integer where Self.isDouble(table, index): append(double: Double(cell.integer))
            case .integer: append(word: UInt64(bitPattern: cell.integer))
            case .real: append(double: cell.real)
            case .time: append(word: UInt64(bitPattern: Self.microseconds(cell.integer)))
            case .text, .bytes:
                let text = row.text(cell)
                append(UInt32(truncatingIfNeeded: text.count))
                bytes.append(text)
            case .json: append(json: row.text(cell))
            }
        }
        let record = Int32(truncatingIfNeeded: records - 1)
        append(UInt32(4))
        append(record)
        if let place = Self.timePlaces[table.index] { note(row.cells[place].integer) }
        rows.append(
            Row(
                start: start, end: bytes.count, record: record,
                table: UInt8(truncatingIfNeeded: table.index)))
    }

    /// Microseconds since 2000 of Unix nanoseconds, rounded down.
    static func microseconds(_ nanoseconds: Int64) -> Int64 {
        let (quotient, remainder) = nanoseconds.quotientAndRemainder(dividingBy: 1_000)
        return quotient - (remainder < 0 ? 1 : 0) - 946_684_800_000_000
    }

    /// Where a row has its own time.
    private static let timePlaces: [Int?] = SQLTable.all.map { table in
        table.columns.firstIndex { $0.name == table.timeColumn }
    }

    private mutating func note(_ nanoseconds: Int64) {
        let day = Int((nanoseconds / 86_400_000_000_000))
        guard day != lastDay else { return }
        lastDay = day
        days.insert(day)
    }

    private static let doubles: [[Bool]] = SQLTable.all.map { $0.columns.map { $0.type == .number } }

    private static func isDouble(_ table: SQLTableName, _ index: Int) -> Bool {
        table == .metricPoints && doubles[table.index][index]
    }

    private mutating func append<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        bytes.append(littleEndian: value.byteSwapped)
    }

    private mutating func append(word: UInt64) {
        append(UInt32(8))
        append(word)
    }

    private mutating func append(double: Double) { append(word: double.bitPattern) }

    /// jsonb: a version byte, then the text. It knows no NUL, so the escape of one becomes that of U+FFFD.
    private mutating func append(json: Text) {
        append(UInt32(truncatingIfNeeded: json.count + 1))
        bytes.append(UInt8(1))
        bytes.append(jsonWithoutNUL: json)
    }
}

extension CopyRows {
    /// Places of the rows of some records: rows stand in the order of their records.
    func rows(of records: Range<Int>) -> Range<Int> {
        func place(_ record: Int) -> Int {
            var (low, high) = (0, rows.count)
            while low < high {
                let middle = (low + high) / 2
                if Int(rows[middle].record) < record { low = middle + 1 } else { high = middle }
            }
            return low
        }
        return place(records.lowerBound)..<place(records.upperBound)
    }

    /// What a record is known by that has no id: its row begins with the block's hash and the place in it.
    func place(of record: Int) -> RowPlace? {
        guard let index = rows(of: record..<record + 1).first else { return nil }
        let row = rows[index]
        guard [SQLTableName.logs.index, SQLTableName.metricPoints.index].contains(Int(row.table)) else { return nil }
        let start = row.start + 6
        let position = start + 16 + 4
        return RowPlace(
            block: (0..<16).map { bytes[start + $0] },
            position: (0..<8).reduce(0) { $0 << 8 | Int64(bytes[position + $1]) })
    }

    /// The length that stands in front of a field.
    func int32(at offset: Int) -> Int32 {
        var value: UInt32 = 0
        for index in 0..<4 { value = value << 8 | UInt32(bytes[offset + index]) }
        return Int32(bitPattern: value)
    }
}
