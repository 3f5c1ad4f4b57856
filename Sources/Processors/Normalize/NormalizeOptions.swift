package import Configuration
package import GenAI

/// Options of the `gen_ai_normalizer` processor, with the Collector's names and defaults where it has them.
package struct NormalizeOptions: ComponentOptions {
    package var engine = NormalizerOptions()

    package init(_ settings: inout Settings) {
        let known = Tables.embeddedDialects
        let sources = settings.strings(
            "sources", default: [],
            "Dialects that are rewritten, by name; all of them when the list is empty.")
        for name in sources where !known.contains(name) && !settings.isDescribing {
            let fix = Suggestion.fix(for: name, among: known, noun: "dialects") ?? ""
            settings.problem("\"\(name)\" is no GenAI dialect; \(fix)", at: "sources")
        }
        engine.sources = sources.isEmpty ? nil : NormalizeOptions.expand(sources)
        engine.removeOriginals = settings.bool(
            "remove_originals", default: false,
            "Removes an attribute whose whole content was carried into current ones.")
        engine.overwrite = settings.bool(
            "overwrite", default: false,
            "Lets a dialect's value replace a valid value that the span already has under the current name.")
        engine.customMappings = settings.stringMap(
            "custom_mappings", "More attributes to copy, old name: new name; they run before the dialects."
        ).map { ($0.key, $0.value) }
        engine.limits.bytes = settings.bytes(
            "max_json_bytes", default: 4 << 20, in: 1 << 10...64 << 20,
            "Longest attribute that is read as JSON; a longer one stays as it is.")
        engine.maxIndex = settings.int(
            "max_index", default: 10_000, in: 1...1_000_000,
            "Highest index of an indexed attribute such as llm.input_messages.<i>; others stay as they are.")
        engine.limits.depth = settings.int(
            "max_depth", default: 64, in: 4...256,
            "Deepest nesting of JSON that is read; a deeper value stays as it is.")
    }

    /// The names used before: they are part of every choice of dialects that wrote them.
    private static func expand(_ sources: [String]) -> [String] {
        var all = sources
        // The Collector's `openllmetry` means both generations.
        if sources.contains("openllmetry") { all += ["openllmetry_legacy", "traceloop_entities"] }
        return all
    }
}
