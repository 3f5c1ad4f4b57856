import Foundation
import Testing

/// `docs/metrics.md` lists the metrics of the code, all of them and no others.
@Suite struct MetricsPageTests {
    private struct Metric: Hashable {
        var name: String
        /// The beginning of its help text, where that stands behind the name.
        var help: String?
    }

    /// Tables and settings of the SQL exporters.
    private static let others: Set = ["sluice_cursor", "sluice_record", "sluice_schema"]

    @Test func `every metric is on the page with its help text, and nothing else is`() throws {
        let page = try String(contentsOf: SourceTree.root.appending(path: "docs/metrics.md"), encoding: .utf8)
        var rows: [String: String] = [:]
        for line in page.components(separatedBy: "\n") where line.hasPrefix("| `") {
            let cells = line.components(separatedBy: " | ")
            rows[String(cells[0].dropFirst(3).dropLast())] = cells.dropFirst().joined(separator: " | ")
        }
        let metrics = try Self.metrics()
        #expect(metrics.count > 80)
        for metric in metrics {
            let row = try #require(rows[metric.name], "\(metric.name) is not in docs/metrics.md")
            if let help = metric.help { #expect(row.hasPrefix(help), "\(metric.name): \(help)") }
        }
        for name in rows.keys.sorted() {
            #expect(metrics.contains { $0.name == name }, "\(name) is in docs/metrics.md and not in the code")
        }
    }

    /// What stands in quotes in the sources and is the name of a metric.
    private static func metrics() throws -> Set<Metric> {
        let folder = SourceTree.root.appending(path: "Sources")
        var found: Set<Metric> = []
        let paths = FileManager.default.enumerator(atPath: folder.path)
        while let path = paths?.nextObject() as? String {
            guard path.hasSuffix(".swift") else { continue }
            let text = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
            guard text.contains("\"sluice_") || text.contains("\"otelcol_") else { continue }
            let parts = text.components(separatedBy: "\"")
            for (index, part) in parts.enumerated() {
                guard let name = metricName(part), !others.contains(name) else { continue }
                let isCall = index + 2 < parts.count && parts[index + 1].trimmingCharacters(in: .whitespaces) == ","
                let isWrapped = index + 2 < parts.count && parts[index + 1].split(separator: "\n").count == 2
                let isHelp = isCall || isWrapped && parts[index + 1].hasPrefix(",")
                found.insert(Metric(name: name, help: isHelp ? parts[index + 2] : nil))
            }
        }
        return found
    }

    /// The name with `<records>` for what is put into it; nil for another text.
    private static func metricName(_ text: String) -> String? {
        guard text.hasPrefix("sluice_") || text.hasPrefix("otelcol_") else { return nil }
        var name = text
        while let start = name.range(of: "\\("),
            let end = name.range(of: ")", range: start.upperBound..<name.endIndex)
        {
            name.replaceSubrange(start.lowerBound..<end.upperBound, with: "<records>")
        }
        let plain = name.replacingOccurrences(of: "<records>", with: "")
        return plain.allSatisfy { $0 == "_" || $0.isASCII && ($0.isLowercase || $0.isNumber) } ? name : nil
    }
}
