import Telemetry

/// Rows in ClickHouse's format RowBinary: numbers little-endian, text behind its length as a varint, a byte in front of
/// each nullable value.
///
/// Rows that begin a record (spans, log records, points) lie one behind the other, since nearly all bytes are theirs;
/// those that belong to a record before them lie in a second run.
struct BinaryRows: RowReceiver, ~Copyable {
    /// Where a row of the second run lies.
    struct Part: BitwiseCopyable {
        var start: Int
        var end: Int
        /// Record that the row belongs to.
        var record: Int
        var table: UInt8
    }

    private var bytes = ByteColumn()
    /// Ends of the records' own rows.
    private var ends = Column<Int>()
    private var mainTable = SQLTableName.spans
    private var partBytes = ByteColumn()
    private var parts = Column<Part>()

    var records: Int { ends.count }

    /// Of each table a bit per column: arrays of arrays would be retained and released for each cell.
    private static let nullable = bits { !$0.isRequired }
    private static let doubles = bits { $0.type == .number }

    private static func bits(_ isSet: (SQLColumn) -> Bool) -> [UInt64] {
        SQLTable.all.map { table in
            precondition(table.columns.count <= 64, "a table has more columns than a word has bits")
            return table.columns.enumerated().reduce(0) { isSet($1.element) ? $0 | 1 << UInt64($1.offset) : $0 }
        }
    }

    /// `sizeHint`: bytes of the request, which its rows come near.
    init(sizeHint: Int) { bytes.reserve(sizeHint) }

    mutating func receive(_ table: SQLTableName, _ row: borrowing RowBuffer) {
        if table.beginsRecord {
            // One request has records of one signal.
            mainTable = table
            Self.append(row, of: table, to: &bytes)
            ends.append(bytes.count)
        } else {
            let start = partBytes.count
            Self.append(row, of: table, to: &partBytes)
            parts.append(
                Part(
                    start: start, end: partBytes.count, record: records - 1,
                    table: UInt8(truncatingIfNeeded: table.index)))
        }
    }

    private static func append(_ row: borrowing RowBuffer, of table: SQLTableName, to output: inout ByteColumn) {
        let nullable = nullable[table.index]
        let doubles = doubles[table.index]
        for index in row.cells.indices {
            let cell = row.cells[index]
            let bit: UInt64 = 1 << UInt64(truncatingIfNeeded: index)
            if nullable & bit != 0 { output.append(UInt8(cell.kind == .null ? 1 : 0)) }
            switch cell.kind {
            case .null: break
            case .integer where doubles & bit != 0: output.append(littleEndian: Double(cell.integer).bitPattern)
            case .integer, .time, .real: output.append(littleEndian: cell.payload)
            case .text, .json, .bytes:
                let text = row.text(cell)
                output.append(varint: UInt64(text.count))
                output.append(text)
            }
        }
    }

    /// The rows of one table that belong to `records`, one after the other.
    func body(of table: SQLTableName, records: Range<Int>) -> [UInt8] {
        if table.beginsRecord {
            guard table == mainTable, !records.isEmpty else { return [] }
            let start = records.lowerBound == 0 ? 0 : ends[records.lowerBound - 1]
            return [UInt8](bytes.text[start..<ends[records.upperBound - 1]].bytes)
        }
        var result: [UInt8] = []
        for index in parts.indices {
            let part = parts[index]
            guard Int(part.table) == table.index, records.contains(part.record) else { continue }
            result.append(contentsOf: partBytes.text[part.start..<part.end].bytes)
        }
        return result
    }
}

extension ByteColumn {
    /// A length in front of text, or of an array's members.
    mutating func append(varint: UInt64) {
        var value = varint
        while value >= 0x80 {
            append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        append(UInt8(truncatingIfNeeded: value))
    }
}
