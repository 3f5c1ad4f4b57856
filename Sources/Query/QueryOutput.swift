import Exporters

/// Forms of an answer.
package enum QueryFormat: String, CaseIterable, Sendable { case table, json, csv }

/// Renders rows. Nothing in them can steer the terminal: control characters are escaped in every form.
package enum QueryOutput {
    /// Longest cell of a table in characters.
    static let cellMax = 60

    package static func render(_ result: QueryResult, as format: QueryFormat, isFull: Bool = false) -> String {
        switch format {
        case .table: table(result, cellMax: isFull ? Int.max : cellMax)
        case .json: json(result)
        case .csv: csv(result)
        }
    }

    // MARK: Table

    private static func table(_ result: QueryResult, cellMax: Int) -> String {
        if result.rows.isEmpty { return "nothing found\n" }
        // Columns without any value say nothing.
        let shown = result.columns.indices.filter { column in result.rows.contains { $0[column] != .null } }
        var lines = [shown.map { ShownText.safe(result.columns[$0].name, limit: 40) }]
        for row in result.rows {
            lines.append(shown.map { cell(row[$0], result.columns[$0].kind, max: cellMax) })
        }
        let widths = shown.indices.map { index in lines.map { $0[index].count }.max() ?? 0 }
        let isNumber = shown.map { column in
            result.rows.allSatisfy { row in
                switch row[column] {
                case .integer, .real, .null: true
                default: false
                }
            }
        }
        var output = ""
        for line in lines {
            var text = ""
            for (index, cell) in line.enumerated() {
                let padding = String(repeating: " ", count: widths[index] - cell.count)
                text += isNumber[index] ? padding + cell : cell + padding
                text += "  "
            }
            while text.last == " " { text.removeLast() }
            output += text + "\n"
        }
        if result.isCut { output += "… more: raise --limit (\(result.rows.count) shown)\n" }
        return output
    }

    private static func cell(_ value: QueryValue, _ kind: QueryColumnKind, max: Int) -> String {
        switch (kind, value) {
        case (.time, .integer(let nanoseconds)): return ShownText.time(nanoseconds: nanoseconds)
        case (.milliseconds, .real(let milliseconds)): return ShownText.decimal(milliseconds, 3)
        // What rounds to nothing is not nothing.
        case (.cost, .real(let cost)) where cost.magnitude >= 1e-6: return ShownText.decimal(cost, 6)
        case (_, .null): return ""
        default: return ShownText.safe(value.words ?? "", limit: max)
        }
    }

    // MARK: JSON

    private static func json(_ result: QueryResult) -> String {
        let names = result.columns.map { quoted($0.name) }
        let objects = result.rows.map { row in
            "{" + zip(names, row).map { "\($0): \(json($1))" }.joined(separator: ", ") + "}"
        }
        return objects.isEmpty ? "[]\n" : "[\n" + objects.joined(separator: ",\n") + "\n]\n"
    }

    private static func json(_ value: QueryValue) -> String {
        switch value {
        case .null: "null"
        case .integer(let number): String(number)
        case .real(let number): number.isFinite ? number.description : quoted("\(number)")
        case .text(let text): quoted(text)
        case .json(let text): escaped(text)
        case .bytes: quoted(value.words ?? "")
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default: append(scalar, to: &result)
            }
        }
        return result + "\""
    }

    /// JSON whose strings may hold controls that JSON itself allows. Line breaks and tabs can only stand between its
    /// tokens, where an escape would not be JSON.
    private static func escaped(_ json: String) -> String {
        var result = ""
        for scalar in json.unicodeScalars {
            if ["\n", "\r", "\t"].contains(scalar) {
                result.unicodeScalars.append(" ")
            } else {
                append(scalar, to: &result)
            }
        }
        return result
    }

    private static func append(_ scalar: Unicode.Scalar, to result: inout String) {
        guard isControl(scalar) else { return result.unicodeScalars.append(scalar) }
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0...0x1F, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2028, 0x2029, 0x2066...0x2069: true
        default: false
        }
    }

    // MARK: CSV

    /// RFC 4180: fields in quotes where needed, lines end in CRLF, line breaks stay within quotes.
    private static func csv(_ result: QueryResult) -> String {
        let lines = [result.columns.map { field($0.name) }] + result.rows.map { $0.map { field($0.words ?? "") } }
        return lines.map { $0.joined(separator: ",") + "\r\n" }.joined()
    }

    private static func field(_ text: String) -> String {
        var safe = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) && !["\n", "\r", "\t"].contains(scalar) {
                safe += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                safe.unicodeScalars.append(scalar)
            }
        }
        guard safe.unicodeScalars.contains(where: { ["\"", ",", "\n", "\r"].contains($0) }) else { return safe }
        return "\"" + safe.replacing("\"", with: "\"\"") + "\""
    }
}
