import Foundation
import Testing

@testable import GenAI

/// Two fixtures per dialect. After a change of the tables `SLUICE_WRITE_GOLDEN=1 swift test --filter GoldenTests`
/// writes the expectations anew; read the difference before committing it.
@Suite struct GoldenTests {
    static let isWriting = ProcessInfo.processInfo.environment["SLUICE_WRITE_GOLDEN"] != nil

    @Test func `every dialect becomes what its fixtures say`() throws {
        try check(GoldenFile.all())
    }

    @Test func `what real frameworks write becomes what their recordings say`() throws {
        try check(GoldenFile.all(in: GoldenFile.frameworks))
    }

    private func check(_ files: [GoldenFile]) throws {
        let bench = try Bench()
        for file in files {
            if Self.isWriting {
                try file.regenerated(bench).write(to: file.url, atomically: true, encoding: .utf8)
                continue
            }
            for (index, span) in file.spans.enumerated() {
                let (changed, removed) = try GoldenFile.run(span.input, bench)
                let seen = changed.map { "\($0.0): \(GoldenFile.text(of: $0.1))" }
                let wanted = span.expect.map { "\($0.0): \(GoldenFile.text(of: $0.1))" }
                #expect(seen == wanted, "\(file.name), span \(index + 1)")
                #expect(removed == span.removed, "\(file.name), span \(index + 1)")
            }
        }
    }

    @Test func `every dialect has a minimal and a rich fixture`() throws {
        let names = Set(try GoldenFile.all().map(\.name))
        for dialect in Tables.embeddedDialects {
            #expect(names.contains("\(dialect).minimal"), "\(dialect)")
            #expect(names.contains("\(dialect).rich"), "\(dialect)")
        }
    }

    @Test func `fixtures come out the same twice, in any order, and lose nothing`() throws {
        let bench = try Bench()
        var generator = Seeded(state: 11)
        for file in try GoldenFile.all() + GoldenFile.all(in: GoldenFile.frameworks) {
            for span in file.spans {
                let once = try bench.run(span.input.request, span.input.signal)
                #expect(try bench.run(once, span.input.signal) == once, "\(file.name)")
                let expected = try bench.attributes(span.input)
                var shuffled = span.input
                for _ in 0..<3 {
                    shuffled.attributes.shuffle(using: &generator)
                    #expect(try bench.attributes(shuffled) == expected, "\(file.name)")
                }
            }
        }
    }
}
