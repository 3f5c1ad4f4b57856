/// Findings as a list for people: trace by trace, the worst first, with what to type next.
package struct FindingsList {
    private let style: TextStyle
    private var columns: [String: Int] = [:]

    package init(style: TextStyle) { self.style = style }

    package mutating func render(_ result: QueryResult) -> String {
        if result.rows.isEmpty { return "nothing found\n" }
        for (index, column) in result.columns.enumerated() { columns[column.name] = index }
        var traces: [(id: String, rows: [[QueryValue]])] = []
        var places: [String: Int] = [:]
        for row in result.rows {
            let id = text("trace", row) ?? ""
            if let place = places[id] {
                traces[place].rows.append(row)
            } else {
                places[id] = traces.count
                traces.append((id, [row]))
            }
        }
        var output = ""
        for trace in traces { output += draw(trace.id, trace.rows) }
        let count = result.rows.count
        output += "\(count) finding\(count == 1 ? "" : "s") in \(traces.count) trace\(traces.count == 1 ? "" : "s")"
        if result.isCut { output += "; there are more: raise --limit" }
        if let first = traces.first { output += ". Look closer: sluice trace \(Self.short(first.id))" }
        return output + "\n"
    }

    private static func short(_ id: String) -> String { String(id.prefix(12)) }

    private func text(_ column: String, _ row: [QueryValue]) -> String? { columns[column].flatMap { row[$0].words } }

    private func draw(_ id: String, _ rows: [[QueryValue]]) -> String {
        var parts = [style.paint("trace " + Self.short(id), .bold)]
        if let column = columns["time"], case .integer(let time) = rows[0][column] {
            parts.append(ShownText.time(nanoseconds: time))
        }
        for (name, lead) in [("service", ""), ("agent", "agent "), ("session", "session ")] {
            if let value = rows.lazy.compactMap({ text(name, $0) }).first {
                parts.append(lead + ShownText.safe(value, limit: 60))
            }
        }
        var output = parts.joined(separator: "  ") + "\n"
        for row in rows.sorted(by: { Self.rank($0, self) > Self.rank($1, self) }) { output += line(row) }
        return output + "\n"
    }

    private static func rank(_ row: [QueryValue], _ list: FindingsList) -> Int {
        switch list.text("tier", row) ?? list.text("label", row) {
        case "alert", "fail": 3
        case "tag": 2
        case "hint": 1
        default: 0
        }
    }

    private func line(_ row: [QueryValue]) -> String {
        let tier = text("tier", row) ?? text("label", row) ?? "-"
        let padded = ShownText.safe(tier, limit: 6)
        let mark = padded + String(repeating: " ", count: max(0, 6 - padded.count))
        let pattern = ShownText.safe(text("pattern", row) ?? "?", limit: 60)
        var lead = "  " + style.paint(mark, style.colour(ofTier: tier)) + " "
        var output = ""
        let sentence = text("explanation", row) ?? text("evidence", row) ?? ""
        for (index, part) in style.wrap(pattern + ": " + sentence, behind: 9).enumerated() {
            if index > 0 { lead = String(repeating: " ", count: 9) }
            output += lead + part + "\n"
        }
        if style.isFull, let evidence = text("evidence", row) {
            output += "         " + ShownText.safe(evidence, limit: Int.max) + "\n"
        }
        return output
    }
}
