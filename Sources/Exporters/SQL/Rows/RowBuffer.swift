import Telemetry

/// One value of a row: a number, or a run of the row's bytes.
struct RowCell: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case null, integer, real, time, text, json, bytes
    }

    var kind: Kind
    /// Bits of the number, or offset (low half) and length (high half).
    var payload: UInt64

    var integer: Int64 { Int64(bitPattern: payload) }
    var real: Double { Double(bitPattern: payload) }
}

/// One row of any table, in the order of its columns. Memory is kept from row to row.
///
/// What all databases can store is settled here: text is valid UTF-8 without NUL (both become U+FFFD), NaN is NULL,
/// numbers beyond 64 signed bits stand at the end of the range.
struct RowBuffer: ~Copyable {
    /// Text and JSON of the cells. Writers of JSON append here between `mark` and `json(from:)`.
    var bytes = ByteColumn()
    private(set) var cells = Column<RowCell>()

    mutating func begin() {
        bytes.removeAll()
        bytes.shrink(to: 4 << 20)
        cells.removeAll()
    }

    /// The bytes of a text, JSON or bytes cell. Valid until the next change.
    func text(_ cell: RowCell) -> Text {
        let offset = Int(cell.payload & 0xFFFF_FFFF)
        return bytes.text[offset..<offset + Int(cell.payload >> 32)]
    }

    // MARK: Appending cells

    mutating func null() { cells.append(RowCell(kind: .null, payload: 0)) }

    mutating func integer(_ value: Int64) {
        cells.append(RowCell(kind: .integer, payload: UInt64(bitPattern: value)))
    }

    mutating func integer(_ value: Int64?) { if let value { integer(value) } else { null() } }

    mutating func real(_ value: Double?) {
        guard let value, !value.isNaN else { return null() }
        cells.append(RowCell(kind: .real, payload: value.bitPattern))
    }

    /// Unix nanoseconds.
    mutating func time(_ nanoseconds: UInt64) {
        cells.append(RowCell(kind: .time, payload: UInt64(bitPattern: Int64(clamping: nanoseconds))))
    }

    mutating func text(_ text: Text) {
        let start = mark
        if let repaired = text.storable { bytes.append(string: repaired) } else { bytes.append(text) }
        end(.text, from: start)
    }

    /// A text cell, NULL when empty.
    mutating func textOrNull(_ text: Text) { if text.isEmpty { null() } else { self.text(text) } }

    mutating func text(_ word: StaticString) { text(Text(word)) }

    mutating func text(string: String) {
        var string = string
        string.withUTF8 { text(Text(UnsafeRawBufferPointer($0))) }
    }

    /// An id in lower-case hexadecimal digits.
    mutating func hex(_ id: Text) {
        let start = mark
        bytes.reserve(id.count * 2)
        for index in 0..<id.count {
            bytes.append(Self.digit(id[index] >> 4))
            bytes.append(Self.digit(id[index] & 15))
        }
        end(.text, from: start)
    }

    mutating func hexOrNull(_ id: Text) { if id.isEmpty { null() } else { hex(id) } }

    mutating func bytes(_ first: UInt64, _ second: UInt64) {
        let start = mark
        bytes.append(littleEndian: first)
        bytes.append(littleEndian: second)
        end(.bytes, from: start)
    }

    /// JSON that was made before.
    mutating func json(_ text: Text) {
        let start = mark
        bytes.append(text)
        end(.json, from: start)
    }

    /// Where what is appended next begins.
    var mark: Int { bytes.count }

    /// Makes what was appended to `bytes` since `mark` a cell.
    mutating func end(_ kind: RowCell.Kind, from start: Int) {
        cells.append(RowCell(kind: kind, payload: UInt64(start) | UInt64(bytes.count - start) << 32))
    }

    /// A hexadecimal digit.
    static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }
}

extension Text {
    /// The text with U+FFFD for NUL and for what is not UTF-8; nil when it has neither.
    var storable: String? {
        guard !isValidUTF8 || firstIndex(of: 0) != nil else { return nil }
        var copy = String.UnicodeScalarView()
        copy.append(contentsOf: string.unicodeScalars.map { $0.value == 0 ? "\u{FFFD}" : $0 })
        return String(copy)
    }
}

/// Takes rows: a statement, a COPY stream, a file.
protocol RowReceiver: ~Copyable {
    /// Rows of a span's events, links and findings come behind the span's own row.
    mutating func receive(_ table: SQLTableName, _ row: borrowing RowBuffer) throws
}
