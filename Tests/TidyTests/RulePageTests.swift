import Foundation
import Testing

/// The pages that say which test holds which rule.
@Suite struct `Pages of rules` {
    private static let pages = ["docs/otlp.md", "docs/security.md"]
    /// What stands before the names of tests that hold a row, or before the reason why there is none.
    private static let states = ["holds", "differs", "not served", "outside"]

    private struct Row {
        var page: String
        var cells: [String]

        /// Names of tests: what stands in backticks in the third cell.
        var tests: [String] {
            cells[2].components(separatedBy: "`").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
        }
    }

    private static func rows() throws -> [Row] {
        try pages.flatMap { page in
            let text = try String(contentsOf: SourceTree.root.appending(path: page), encoding: .utf8)
            return text.split(separator: "\n").compactMap { line -> Row? in
                let cells = line.components(separatedBy: " | ")
                guard line.hasPrefix("| "), cells.count == 4, !line.hasPrefix("| ---"), !line.hasPrefix("| rule"),
                    !line.hasPrefix("| threat")
                else { return nil }
                let trimmed = cells.map { $0.trimmingCharacters(in: CharacterSet(charactersIn: "| ")) }
                return Row(page: page, cells: trimmed)
            }
        }
    }

    @Test func `each row is held by tests, or says why not`() throws {
        let rows = try Self.rows()
        #expect(rows.count > 120)
        for row in rows {
            let state = Self.states.first { row.cells[3].hasPrefix($0) }
            #expect(state != nil, "\(row.page): \(row.cells)")
            if state == "holds" { #expect(!row.tests.isEmpty, "\(row.page): no test for \(row.cells[0])") }
            if state != "holds" { #expect(row.cells[3].count > 20, "\(row.page): no reason for \(row.cells[0])") }
        }
    }

    @Test func `each test that is named exists`() throws {
        var names: Set<String> = []
        for file in try SourceTree.load() where file.isTest && file.isSwift {
            let parts = String(decoding: file.text.bytes, as: UTF8.self).components(separatedBy: "func `")
            names.formUnion(parts.dropFirst().map { String($0.prefix { $0 != "`" }) })
        }
        #expect(names.count > 500)
        for row in try Self.rows() {
            for test in row.tests { #expect(names.contains(test), "\(row.page): no test is named \(test)") }
        }
    }

    @Test func `the rules of OTLP are all there`() throws {
        let numbers = try Self.rows().filter { $0.page == "docs/otlp.md" }.compactMap { Int($0.cells[0]) }
        #expect(Set(numbers).isSuperset(of: 1...69))
    }
}
