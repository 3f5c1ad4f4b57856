import Configuration
import GenAI

/// `sources` in its forms: names, or the Collector's entries with options of their own, as a list with `name` or as a
/// mapping by name.
struct NormalizeSources {
    var names: [String] = []
    /// Settings of single dialects, by name; `custom` stands for the mappings that belong to none.
    var options: [String: SourceOptions] = [:]
    var mappings: [SourceMapping] = []
    /// Whether anything is named, if only `custom`, which stands for no dialect.
    var isGiven = false

    private static let keys = ["name", "remove_originals", "overwrite", "custom_mappings"]

    init(_ settings: inout Settings) {
        let value = settings.value(
            "sources",
            "Dialects that are rewritten: a list of names, or the Collector's mapping of names to remove_originals, "
                + "overwrite and custom_mappings, which count for that dialect alone; all of them when it is empty.")
        switch value {
        case nil, .null: return
        case .string(let name): names = [name]
        case .list(let entries):
            for entry in entries { read(entry, &settings) }
        case .map(let members):
            for (name, options) in members { read(name, options, &settings) }
        default: settings.problem("expects a list of names, such as [openinference, openllmetry]", at: "sources")
        }
        isGiven = !names.isEmpty
        names.removeAll { $0 == "custom" }
    }

    private mutating func read(_ entry: ConfigValue, _ settings: inout Settings) {
        switch entry {
        case .string(let name): names.append(name)
        case .map(let members):
            guard case .string(let name)? = members.first(where: { $0.0 == "name" })?.1 else {
                return settings.problem("an entry has no name: write `- name: openinference`", at: "sources")
            }
            read(name, entry, &settings)
        default: settings.problem("an entry is neither a name nor a mapping with name", at: "sources")
        }
    }

    private mutating func read(_ name: String, _ options: ConfigValue, _ settings: inout Settings) {
        names.append(name)
        guard case .map(let members) = options else { return }
        for (key, value) in members where key != "name" {
            switch (key, value) {
            case ("remove_originals", .bool(let flag)):
                for part in Self.parts(of: name) { self.options[part, default: SourceOptions()].removeOriginals = flag }
            case ("overwrite", .bool(let flag)):
                for part in Self.parts(of: name) { self.options[part, default: SourceOptions()].overwrite = flag }
            case ("custom_mappings", .map(let pairs)):
                for (old, value) in pairs { map(old, value, of: name, &settings) }
            default:
                let hint = Self.keys.contains(key) ? "has the wrong type" : "is no option of a source"
                settings.problem(
                    "\(key) of \(name) \(hint); known: \(Self.keys.joined(separator: ", "))", at: "sources")
            }
        }
    }

    private mutating func map(_ old: String, _ value: ConfigValue, of name: String, _ settings: inout Settings) {
        guard case .string(let new) = value else {
            return settings.problem("custom_mappings of \(name): \(old) has no name to go to", at: "sources")
        }
        let dialects = name == "custom" ? [] : Self.parts(of: name)
        mappings.append(SourceMapping(from: old, to: new, source: name, dialects: dialects))
    }

    /// The dialects that a name stands for: the Collector's `openllmetry` means both generations.
    static func parts(of name: String) -> [String] {
        name == "openllmetry" ? ["openllmetry", "openllmetry_legacy", "traceloop_entities"] : [name]
    }
}
