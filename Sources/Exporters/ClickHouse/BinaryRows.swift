import Telemetry

/// Rows in ClickHouse's format RowBinary: numbers little-endian, text behind its length as a varint, a byte in front of
/// each nullable value.
struct BinaryRows: RowReceiver, ~Copyable {
    /// Where a row lies.
    struct Row: BitwiseCopyable {
        var start: Int
        var end: Int
        /// Record (span, log record, point) that the row belongs to.
        var record: Int
        var table: UInt8
    }

    private(set) var bytes = ByteColumn()
    private(set) var rows = Column<Row>()
    private(set) var records = 0

    private static let nullable: [[Bool]] = SQLTable.all.map { $0.columns.map { !$0.isRequired } }
    private static let doubles: [[Bool]] = SQLTable.all.map { $0.columns.map { $0.type == .number } }

    mutating func receive(_ table: SQLTableName, _ row: borrowing RowBuffer) {
        if table.beginsRecord { records += 1 }
        let start = bytes.count
        let nullable = Self.nullable[table.index]
        for index in row.cells.indices {
            let cell = row.cells[index]
            if nullable[index] { bytes.append(UInt8(cell.kind == .null ? 1 : 0)) }
            switch cell.kind {
            case .null: break
            case .integer where Self.doubles[table.index][index]:
                bytes.append(littleEndian: Double(cell.integer).bitPattern)
            case .integer, .time, .real: bytes.append(littleEndian: cell.payload)
            case .text, .json, .bytes:
                let text = row.text(cell)
                bytes.append(varint: UInt64(text.count))
                bytes.append(text)
            }
        }
        rows.append(
            Row(start: start, end: bytes.count, record: records - 1, table: UInt8(truncatingIfNeeded: table.index)))
    }

    /// The rows of one table that belong to `records`, one after the other.
    func body(of table: SQLTableName, records: Range<Int>) -> [UInt8] {
        var size = 0
        for index in rows.indices where isWanted(index, table, records) { size += rows[index].end - rows[index].start }
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            for index in rows.indices where isWanted(index, table, records) {
                let piece = UnsafeRawBufferPointer(rebasing: bytes.bytes[rows[index].start..<rows[index].end])
                UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[count...])
                    .copyMemory(from: piece)
                count += piece.count
            }
        }
    }

    private func isWanted(_ index: Int, _ table: SQLTableName, _ records: Range<Int>) -> Bool {
        Int(rows[index].table) == table.index && records.contains(rows[index].record)
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
