import OTLP
import Telemetry

/// Rows as JSON arrays of cells: numbers and JSON as they are, times in nanoseconds, bytes in hexadecimal digits.
struct JSONRows: RowReceiver, ~Copyable {
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

    mutating func receive(_ table: SQLTableName, _ row: borrowing RowBuffer) {
        if table.beginsRecord { records += 1 }
        let start = bytes.count
        for index in row.cells.indices {
            bytes.append(index == 0 ? UInt8(ascii: "[") : UInt8(ascii: ","))
            append(row.cells[index], row)
        }
        bytes.append(UInt8(ascii: "]"))
        rows.append(
            Row(start: start, end: bytes.count, record: records - 1, table: UInt8(truncatingIfNeeded: table.index)))
    }

    private mutating func append(_ cell: RowCell, _ row: borrowing RowBuffer) {
        switch cell.kind {
        case .null: bytes.append("null")
        case .integer, .time: JSONText.append(cell.integer, to: &bytes)
        case .real where cell.real.isInfinite: bytes.append(cell.real < 0 ? "\"-inf\"" : "\"inf\"")
        case .real: JSONText.append(cell.real, to: &bytes)
        case .text: JSONText.append(row.text(cell), to: &bytes)
        case .json: bytes.append(jsonWithoutNUL: row.text(cell))
        case .bytes:
            let text = row.text(cell)
            bytes.append(UInt8(ascii: "\""))
            for index in 0..<text.count {
                bytes.append(RowBuffer.digit(text[index] >> 4))
                bytes.append(RowBuffer.digit(text[index] & 15))
            }
            bytes.append(UInt8(ascii: "\""))
        }
    }

    /// The rows of one table that belong to `records` as one JSON array, nil when there are none.
    func document(of table: SQLTableName, records: Range<Int>) -> ByteColumn? {
        var document = ByteColumn()
        for index in rows.indices {
            let row = rows[index]
            guard Int(row.table) == table.index, records.contains(row.record) else { continue }
            document.append(document.count == 0 ? UInt8(ascii: "[") : UInt8(ascii: ","))
            document.append(bytes.text[row.start..<row.end])
        }
        guard document.count > 0 else { return nil }
        document.append(UInt8(ascii: "]"))
        return document
    }

    /// All records in groups whose rows take at most `size` bytes; a larger record is a group of its own.
    func groups(ofAtMost size: Int) -> [Range<Int>] {
        var groups: [Range<Int>] = []
        var first = 0
        var start = 0
        for index in rows.indices where rows[index].record > first && rows[index].end - start > size {
            groups.append(first..<rows[index].record)
            first = rows[index].record
            start = rows[index].start
        }
        if first < records { groups.append(first..<records) }
        return groups
    }
}

extension ByteColumn {
    /// JSON for databases that know no NUL: its escape becomes that of U+FFFD.
    mutating func append(jsonWithoutNUL json: Text) {
        let start = count
        append(json)
        var at = 0
        while let backslash = json.firstIndex(of: UInt8(ascii: "\\"), from: at), backslash + 1 < json.count {
            // What follows a backslash is never the beginning of another escape.
            at = backslash + 2
            guard json[backslash + 1] == UInt8(ascii: "u"), backslash + 6 <= json.count else { continue }
            guard json[backslash + 2..<backslash + 6] == "0000" else { continue }
            for (offset, byte) in "fffd".utf8.enumerated() { self[start + backslash + 2 + offset] = byte }
        }
    }
}
