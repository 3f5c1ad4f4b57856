import Configuration
import FoundationEssentials

/// The findings that a recording must have, from a file in one of two forms. As YAML:
///
///     findings:
///       - {pattern: silent_empty_response, span: execute_tool fetch_order_history, tier: alert, count: 3}
///
/// or as lines with a pattern and, where it matters, the name of the span; empty lines and lines that begin with # say
/// nothing.
package struct ExpectedFinding: Sendable, Equatable {
    package var pattern: String
    /// Name of the span, empty for any.
    package var span = ""
    package var tier = ""

    init(pattern: String, span: String = "", tier: String = "") {
        self.pattern = pattern
        self.span = span
        self.tier = tier
    }

    func fits(_ finding: FindingRecord) -> Bool {
        pattern == finding.pattern && (span.isEmpty || span == finding.spanName)
            && (tier.isEmpty || tier == finding.tier)
    }

    /// How much it asks for; those that ask for more choose first.
    fileprivate var weight: Int { (span.isEmpty ? 0 : 2) + (tier.isEmpty ? 0 : 1) }

    /// As in the file.
    package var line: String { [pattern, span, tier].filter { !$0.isEmpty }.joined(separator: " ") }
}

/// Reading and comparing what is expected.
package enum ExpectedFindings {
    package static func read(_ path: String) throws(PayloadFile.Fault) -> [ExpectedFinding] {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw PayloadFile.Fault(unreadable: path)
        }
        return try parse(String(decoding: data, as: UTF8.self), name: path)
    }

    static func parse(_ text: String, name: String) throws(PayloadFile.Fault) -> [ExpectedFinding] {
        let lines = text.split(separator: "\n").map { line in
            line.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }.filter { !$0.isEmpty && !$0.hasPrefix("#") }
        if lines.first?.hasPrefix("findings:") == true { return try yaml(text, name: name) }
        return lines.map { line in
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            return ExpectedFinding(pattern: parts[0], span: parts.count > 1 ? parts[1] : "")
        }
    }

    private static func yaml(_ text: String, name: String) throws(PayloadFile.Fault) -> [ExpectedFinding] {
        var problems = ConfigProblems()
        let loader = ConfigLoader(environment: SystemFacts.environment)
        let tree = loader.load([.text(name: name, text)], overrides: [], problems: &problems)
        let expected = readSettings(node: tree, path: "", problems: &problems) { settings in
            settings.list("findings", "The findings that there must be, no more and no fewer.") { one in
                let finding = ExpectedFinding(
                    pattern: one.requiredString("pattern", "Name of the finding or evaluation."),
                    span: one.string("span", default: "", "Name of its span; any when empty."),
                    tier: one.string("tier", default: "", "Its tier; any when empty."))
                let count = one.int("count", default: 1, in: 1...1_000_000, "How many of them.")
                return [ExpectedFinding](repeating: finding, count: count)
            }.flatMap { $0 }
        }
        if problems.hasErrors { throw PayloadFile.Fault(description: problems.report()) }
        return expected
    }

    /// Each expectation takes one finding; what is left on either side is a difference.
    package static func compare(
        _ expected: [ExpectedFinding], _ findings: [FindingRecord]
    ) -> (missing: [ExpectedFinding], unexpected: [FindingRecord]) {
        var rest = findings
        var missing: [ExpectedFinding] = []
        for (_, one) in expected.enumerated().sorted(by: {
            ($1.element.weight, $0.offset) < ($0.element.weight, $1.offset)
        }) {
            if let index = rest.firstIndex(where: one.fits) { rest.remove(at: index) } else { missing.append(one) }
        }
        return (missing, rest)
    }
}
