import FoundationEssentials

/// The findings that a recording must have: one per line, a pattern and, where it matters, the name of the span. Empty
/// lines and lines that begin with # say nothing.
package enum ExpectedFindings {
    package static func read(_ path: String) throws(PayloadFile.Fault) -> [String] {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw PayloadFile.Fault(description: "\(path): cannot be read")
        }
        return parse(String(decoding: data, as: UTF8.self))
    }

    static func parse(_ text: String) -> [String] {
        text.split(separator: "\n").map { line in
            line.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }.filter { !$0.isEmpty && !$0.hasPrefix("#") }
    }

    /// Each line takes one finding; what is left on either side is a difference. Lines that name a span choose first.
    package static func compare(
        _ expected: [String], _ findings: [FindingRecord]
    ) -> (missing: [String], unexpected: [FindingRecord]) {
        var rest = findings
        var missing: [String] = []
        let named = expected.filter { $0.contains(" ") }
        for line in named + expected.filter({ !$0.contains(" ") }) {
            let parts = line.split(separator: " ", maxSplits: 1)
            let index = rest.firstIndex { finding in
                finding.pattern == parts[0] && (parts.count < 2 || finding.spanName == parts[1])
            }
            if let index { rest.remove(at: index) } else { missing.append(line) }
        }
        return (missing, rest)
    }
}
