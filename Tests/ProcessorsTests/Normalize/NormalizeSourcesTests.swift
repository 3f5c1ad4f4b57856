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

    @Test func `options of a source count for all`() {
        let read = options(
            NormalizeOptions.self,
            "sources: {openinference: {remove_originals: true, overwrite: true, custom_mappings: {a: b}}, "
                + "custom: {custom_mappings: {c: d}}}")
        #expect(read.headlines == [])
        #expect(read.options.engine.removeOriginals && read.options.engine.overwrite)
        #expect(read.options.engine.customMappings.map(\.0) == ["a", "c"])
        #expect(read.options.engine.sources == ["openinference"])
        let custom = options(NormalizeOptions.self, "sources: {custom: {custom_mappings: {c: d}}}")
        #expect(custom.headlines == [] && custom.options.engine.sources == [])
    }

    @Test(arguments: [
        ("sources: [{nam: openinference}]", "has no name"), ("sources: [3]", "neither a name"),
        ("sources: {openinference: {remove: true}}", "no option of a source"),
        ("sources: {openinference: {overwrite: true}, openllmetry: {overwrite: false}}", "must be the same"),
        ("sources: [openinferense]", "no GenAI dialect"), ("sources: 5", "list of names"),
    ]) func `says what is wrong`(yaml: String, words: String) {
        let headlines = options(NormalizeOptions.self, yaml).headlines
        #expect(headlines.count == 1 && headlines[0].contains(words), "\(headlines)")
    }
}
