import Testing

@Suite struct `The house is tidy` {
    private static let files = Result { try SourceTree.load() }

    @Test(arguments: Rules.all)
    func `every file keeps the rule`(rule: Rule) throws {
        let findings = try Self.files.get().flatMap(rule.check)
            .filter { finding in !RuleException.all.contains { $0.covers(finding, of: rule) } }
        for finding in findings { Issue.record("\(rule.name): \(finding)") }
    }

    @Test func `every exception has a reason and is still needed`() throws {
        let files = try Self.files.get()
        for exception in RuleException.all {
            #expect(exception.reason.count > 10)
            let rule = try #require(Rules.rule(exception.rule), "no rule is named \(exception.rule)")
            let isNeeded = files.contains { rule.check($0).contains { exception.covers($0, of: rule) } }
            #expect(isNeeded, "exception for \(exception.path) in \(exception.rule): nothing left to except, remove it")
        }
        for effect in BannedCall.effects {
            #expect(files.contains { $0.path == effect }, "effect file \(effect) is gone: remove it from the list")
        }
    }

    @Test func `the walk reaches sources, tests and scripts`() throws {
        let paths = Set(try Self.files.get().map(\.path))
        #expect(paths.contains("Tests/TidyTests/TidyTests.swift"))
        #expect(paths.contains("Sources/Telemetry/Text.swift"))
        #expect(!paths.contains { $0.hasPrefix("Sources/COTLP/") || $0.hasPrefix("Tests/Fixtures/") })
    }
}
