package import Configuration
package import GenAI

/// Options of the `gen_ai_normalizer` processor, with the Collector's names and defaults where it has them.
package struct NormalizeOptions: ComponentOptions {
    package var engine = NormalizerOptions()
    /// Beginning of our own attribute names.
    package var extensionsPrefix: String
    /// Whether gaps in the instrumentation are counted per service.
    package var reportsQuality: Bool

    package init(_ settings: inout Settings) {
        Self.readSources(&engine, &settings)
        engine.removeOriginals = settings.bool(
            "remove_originals", default: false,
            "Removes an attribute whose whole content was carried into current ones. A document of which something "
                + "has no place stays, counted with the reason partly_placed.")
        engine.overwrite = settings.bool(
            "overwrite", default: false,
            "Lets a dialect's value replace a valid value that the span already has under the current name.")
        engine.customMappings =
            settings.stringMap(
                "custom_mappings", "More attributes to copy, old name: new name; they run before the dialects."
            ).map { ($0.key, $0.value) }
        engine.profile = settings.choice(
            "target_profile", default: TargetProfile.genAIDev,
            "Version of the conventions whose names are written. Names that a version does not have and that had no "
                + "other name before are written as today. For 1.36 each message also becomes a span event "
                + "(gen_ai.user.message and so on, gen_ai.choice), at most 256 a span.")
        engine.emitsAliases = settings.bool(
            "emit_aliases", default: false,
            "Writes the former name beside the current one where names changed: gen_ai.system, "
                + "gen_ai.usage.cache_creation.input_tokens and others, for backends that lag.")
        extensionsPrefix = settings.string(
            "extensions_prefix", default: Tables.usualPrefix,
            "Beginning of the attributes that the conventions have no name for: kind, cost.source, handoff.to ... "
                + "Components that read them expect the default.")
        if !settings.isDescribing, !NormalizeOptions.isPrefix(extensionsPrefix) {
            settings.problem(
                "must be 2 to 64 letters, digits, _ and dots, and end in a dot", at: "extensions_prefix")
        }
        engine.rewritesSpanNames = settings.bool(
            "rewrite_span_names", default: false,
            "Names spans as the conventions want, such as `chat gpt-4.1`; the received name goes into "
                + "sluice.genai.span_name. Backends that group by name see new groups.")
        engine.explains = settings.bool(
            "explain", default: false,
            "Adds sluice.genai.explain: for each attribute that changed, the dialect and the line of its table.")
        reportsQuality = settings.bool(
            "quality_report", default: true,
            "Counts per service and instrumentation what its GenAI spans lack: operation, model, usage, results, "
                + "conversation, a parent in the same request. Names that do not look like those of a service or "
                + "library, or that redaction would mask, count as `other`.")
        Self.readLimits(&engine, &settings)
    }

    private static func readSources(_ engine: inout NormalizerOptions, _ settings: inout Settings) {
        let known = Tables.embeddedDialects
        let given = NormalizeSources(&settings)
        let sources = given.names
        let excluded = settings.strings(
            "exclude_sources", default: [], "Dialects that are not rewritten, whatever sources says.")
        for (key, names) in [("sources", sources), ("exclude_sources", excluded)] {
            for name in names where !known.contains(name) && !settings.isDescribing {
                let fix = Suggestion.fix(for: name, among: known, noun: "dialects") ?? ""
                settings.problem("\"\(name)\" is no GenAI dialect; \(fix)", at: key)
            }
        }
        engine.sources = given.isGiven ? sources.flatMap(NormalizeSources.parts) : nil
        engine.excluded = excluded
        engine.sourceMappings = given.mappings
        engine.sourceOptions = given.options
    }

    private static func readLimits(_ engine: inout NormalizerOptions, _ settings: inout Settings) {
        engine.limits.nodes = settings.int(
            "max_json_values", default: 500_000, in: 1_000...5_000_000,
            "Most values in all JSON of one span; what is beyond stays as it is.")
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

    private static func isPrefix(_ text: String) -> Bool {
        (2...64).contains(text.utf8.count) && text.utf8.last == UInt8(ascii: ".")
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}
