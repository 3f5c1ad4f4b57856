import Testing

@testable import GenAI

/// The rules of the published conventions, one by one (`rules.jsonl`).
@Suite struct RuleFactTests {
    @Test func `every rule of the conventions gives its target`() throws {
        let bench = try Bench()
        var options = NormalizerOptions()
        options.removeOriginals = true
        let removing = try Bench(options)
        for fact in try RuleFact.all() {
            let misses = try fact.misses(bench, removing: removing)
            if fact.deviates != nil {
                #expect(!misses.isEmpty, "\(fact.id) is honoured now: take its note away")
            } else {
                #expect(misses == [])
            }
        }
    }

    @Test func `the rules are all there`() throws {
        let facts = try RuleFact.all()
        #expect(Set(facts.map(\.rule).filter { !$0.hasPrefix("renames") }).count == 1094)
        #expect(Set(facts.map(\.id)).count == facts.count)
    }
}
