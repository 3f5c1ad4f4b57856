import Glibc
import Telemetry

/// Writes values as literals that a database's own tool reads back. A literal never holds a line break, so a statement
/// is one line.
struct SQLLiteral: Sendable {
    let dialect: SQLDialect

    func append(_ cell: RowCell, of row: borrowing RowBuffer, to output: inout ByteColumn) {
        switch cell.kind {
        case .null: output.append("NULL")
        case .integer: output.append(string: String(cell.integer))
        case .real: append(real: cell.real, to: &output)
        case .time: append(time: cell.integer, to: &output)
        case .text: append(text: row.text(cell), to: &output)
        case .json: append(json: row.text(cell), to: &output)
        case .bytes: append(bytes: row.text(cell), to: &output)
        }
    }

    private func append(real: Double, to output: inout ByteColumn) {
        if real.isFinite {
            output.append(string: real.description)
            return
        }
        // A row holds no NaN.
        switch dialect {
        case .sqlite: output.append(real < 0 ? "-9e999" : "9e999")
        case .postgres: output.append(real < 0 ? "'-Infinity'::float8" : "'Infinity'::float8")
        case .clickhouse: output.append(real < 0 ? "-inf" : "inf")
        case .snowflake: output.append(real < 0 ? "'-inf'::float" : "'inf'::float")
        }
    }

    private func append(time: Int64, to output: inout ByteColumn) {
        if dialect == .sqlite { return output.append(string: String(time)) }
        output.append("'")
        // PostgreSQL rounds to microseconds; cut here, so that a COPY of the same row gives the same time.
        SQLTime.append(nanoseconds: time, digits: dialect == .postgres ? 6 : 9, to: &output)
        output.append(dialect == .postgres ? "+00'" : "'")
    }

    private func append(bytes: Text, to output: inout ByteColumn) {
        switch dialect {
        case .sqlite: output.append("X'")
        case .postgres: output.append("decode('")
        case .clickhouse: output.append("unhex('")
        case .snowflake: output.append("TO_BINARY('")
        }
        Self.appendHex(bytes, to: &output)
        switch dialect {
        case .sqlite: output.append("'")
        case .postgres: output.append("', 'hex')")
        case .clickhouse: output.append("')")
        case .snowflake: output.append("', 'HEX')")
        }
    }

    private func append(json: Text, to output: inout ByteColumn) {
        guard dialect == .snowflake else { return append(text: json, isJSON: true, to: &output) }
        output.append("PARSE_JSON(")
        append(text: json, to: &output)
        output.append(")")
    }

    /// `isJSON` replaces the escape of NUL, which PostgreSQL's jsonb does not take, by that of U+FFFD.
    private func append(text: Text, isJSON: Bool = false, to output: inout ByteColumn) {
        if dialect == .sqlite { return appendSQLite(text, to: &output) }
        output.append(dialect == .postgres ? "E'" : "'")
        var at = 0
        while at < text.count {
            let byte = text[at]
            at += 1
            switch byte {
            case UInt8(ascii: "'"): output.append("''")
            case 0x0A: output.append("\\n")
            case 0x0D: output.append("\\r")
            case UInt8(ascii: "\\"):
                output.append("\\\\")
                // The character behind a backslash of JSON never begins another escape.
                guard isJSON, at < text.count else { continue }
                let isNUL = at + 5 <= text.count && text[at..<at + 5] == "u0000"
                if isNUL && dialect == .postgres {
                    output.append("ufffd")
                    at += 5
                } else if text[at] == UInt8(ascii: "\\") {
                    output.append("\\\\")
                    at += 1
                }
            default: output.append(byte)
            }
        }
        output.append("'")
    }

    /// SQLite's literals have no escapes but the doubled quote; line breaks are put in by functions, as its own dump
    /// does it.
    private func appendSQLite(_ text: Text, to output: inout ByteColumn) {
        let hasBreak = text.firstIndex(of: 0x0A) != nil || text.firstIndex(of: 0x0D) != nil
        guard hasBreak else { return appendQuoted(text, to: &output) }
        if text.firstIndex(of: UInt8(ascii: "\\")) != nil {
            output.append("CAST(X'")
            Self.appendHex(text, to: &output)
            output.append("' AS TEXT)")
            return
        }
        output.append("replace(replace(")
        appendQuoted(text, to: &output)
        output.append(", '\\n', char(10)), '\\r', char(13))")
    }

    private func appendQuoted(_ text: Text, to output: inout ByteColumn) {
        output.append("'")
        for index in 0..<text.count {
            switch text[index] {
            case UInt8(ascii: "'"): output.append("''")
            case 0x0A: output.append("\\n")
            case 0x0D: output.append("\\r")
            default: output.append(text[index])
            }
        }
        output.append("'")
    }

    private static func appendHex(_ bytes: Text, to output: inout ByteColumn) {
        output.reserve(bytes.count * 2)
        for index in 0..<bytes.count {
            for digit in [bytes[index] >> 4, bytes[index] & 15] { output.append(digit < 10 ? 48 + digit : 87 + digit) }
        }
    }
}

/// Times as text: `2026-11-26 10:15:00.123456789` in UTC.
enum SQLTime {
    static func append(nanoseconds: Int64, digits: Int, to output: inout ByteColumn) {
        var (second, fraction) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        if fraction < 0 {
            second -= 1
            fraction += 1_000_000_000
        }
        var time = time_t(second)
        var parts = tm()
        gmtime_r(&time, &parts)
        append(Int(parts.tm_year) + 1_900, width: 4, to: &output)
        for value in [Int(parts.tm_mon) + 1, Int(parts.tm_mday)] {
            output.append(UInt8(ascii: "-"))
            append(value, width: 2, to: &output)
        }
        var separator = UInt8(ascii: " ")
        for value in [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)] {
            output.append(separator)
            append(value, width: 2, to: &output)
            separator = UInt8(ascii: ":")
        }
        output.append(UInt8(ascii: "."))
        for _ in digits..<9 { fraction /= 10 }
        append(Int(fraction), width: digits, to: &output)
    }

    private static func append(_ value: Int, width: Int, to output: inout ByteColumn) {
        var divisor = 1
        for _ in 1..<width { divisor *= 10 }
        while divisor > 0 {
            output.append(UInt8(truncatingIfNeeded: value / divisor % 10) + 48)
            divisor /= 10
        }
    }
}
