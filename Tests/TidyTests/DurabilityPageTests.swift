import Foundation
import Testing

/// The tests that `docs/durability.md` names are there.
@Suite struct DurabilityPageTests {
    @Test func `every fault has a test that exists`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/durability.md"), encoding: .utf8)
        let sources = try Self.suites(root.appending(path: "Tests"))
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| ") && !$0.hasPrefix("| ---") }
        let faults = rows.filter { !$0.hasPrefix("| fault ") }
        #expect(faults.count > 35)
        for row in faults {
            let named = row.split(separator: "|").last.map(Self.names) ?? []
            #expect(!named.isEmpty, "no test: \(row)")
            for name in named {
                #expect(sources[name.suite]?.contains("func `\(name.test)`") == true, "\(name.suite): \(name.test)")
            }
        }
    }

    /// What stands between backticks as `suite: test`.
    private static func names(_ cell: Substring) -> [(suite: String, test: String)] {
        cell.split(separator: "`").compactMap { text in
            guard let colon = text.range(of: ": ") else { return nil }
            return (String(text[..<colon.lowerBound]), String(text[colon.upperBound...]))
        }
    }

    /// Sources by the name of a suite in them.
    private static func suites(_ folder: URL) throws -> [String: String] {
        var found: [String: String] = [:]
        let paths = FileManager.default.enumerator(atPath: folder.path)
        while let path = paths?.nextObject() as? String {
            guard path.hasSuffix("Tests.swift") else { continue }
            let text = try String(contentsOf: folder.appending(path: path), encoding: .utf8)
            let suites = text.replacingOccurrences(of: "final class ", with: "struct ")
            for part in suites.components(separatedBy: "struct ").dropFirst() {
                let name = String(part.prefix { $0.isLetter || $0.isNumber })
                if name.hasSuffix("Tests") { found[name, default: ""] += text }
            }
        }
        return found
    }
}
