import Configuration
import GenAI
import Testing

@testable import Processors

/// The forms in which Collector files name what is normalized.
@Suite struct NormalizeSourcesTests {
    @Test(arguments: [
        "sources: [openinference, openllmetry]", "sources: [{name: openinference}, {name: openllmetry}]",
        "sources: {openinference: {}, openllmetry: {}}",
    ]) func `names, entries and mappings are the same`(yaml: String) {
        let read = options(NormalizeOptions.self, yaml)
        #expect(read.headlines == [])
        #expect(read.options.engine.sources?.contains("openinference") == true)
        #expect(read.options.engine.sources?.contains("openllmetry_legacy") == true)
        #expect(read.options.engine.removeOriginals == false)
    }

    @Test func `options of a source count for that source`() {
        let read = options(
            NormalizeOptions.self,
            "sources: {openinference: {remove_originals: true, custom_mappings: {a: b}}, "
                + "openllmetry: {overwrite: true}, custom: {remove_originals: true, custom_mappings: {c: d}}}")
        #expect(read.headlines == [])
        let engine = read.options.engine
        #expect(!engine.removeOriginals && !engine.overwrite)
        #expect(engine.sourceOptions["openinference"]?.removeOriginals == true)
        #expect(engine.sourceOptions["openinference"]?.overwrite == nil)
        #expect(engine.sourceOptions["openllmetry_legacy"]?.overwrite == true)
        #expect(engine.sourceMappings.map(\.from) == ["a", "c"])
        #expect(engine.sourceMappings.map(\.dialects) == [["openinference"], []])
        #expect(
            engine.sources?.sorted() == ["openinference", "openllmetry", "openllmetry_legacy", "traceloop_entities"])
        let custom = options(NormalizeOptions.self, "sources: {custom: {custom_mappings: {c: d}}}")
        #expect(custom.headlines == [] && custom.options.engine.sources == [])
        let mixed = options(
            NormalizeOptions.self, "sources: {openinference: {overwrite: true}, openllmetry: {overwrite: false}}")
        #expect(mixed.headlines == [])
    }

    @Test(arguments: [
        ("sources: [{nam: openinference}]", "has no name"), ("sources: [3]", "neither a name"),
        ("sources: {openinference: {remove: true}}", "no option of a source"),
        ("sources: {openinference: {custom_mappings: {a: 5}}}", "no name to go to"),
        ("sources: [openinferense]", "no GenAI dialect"), ("sources: 5", "list of names"),
    ]) func `says what is wrong`(yaml: String, words: String) {
        let headlines = options(NormalizeOptions.self, yaml).headlines
        #expect(headlines.count == 1 && headlines[0].contains(words), "\(headlines)")
    }
}
