import Configuration

/// `sources` in its forms: names, or the Collector's entries with options of their own, as a list with `name` or as a
/// mapping by name.
struct NormalizeSources {
    var names: [String] = []
    var removesOriginals: Bool?
    var overwrites: Bool?
    var customMappings: [(String, String)] = []
    /// Whether anything is named, if only `custom`, which stands for no dialect.
    var isGiven = false

    private static let keys = ["name", "remove_originals", "overwrite", "custom_mappings"]

    init(_ settings: inout Settings) {
        let value = settings.value(
            "sources",
            "Dialects that are rewritten: a list of names, or the Collector's mapping of names to remove_originals, "
                + "overwrite and custom_mappings; all of them when it is empty.")
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
            case ("remove_originals", .bool(let flag)): take(flag, into: \.removesOriginals, key, &settings)
            case ("overwrite", .bool(let flag)): take(flag, into: \.overwrites, key, &settings)
            case ("custom_mappings", .map(let pairs)):
                for case (let old, .string(let new)) in pairs { customMappings.append((old, new)) }
            default:
                let hint = Self.keys.contains(key) ? "has the wrong type" : "is no option of a source"
                settings.problem(
                    "\(key) of \(name) \(hint); known: \(Self.keys.joined(separator: ", "))", at: "sources")
            }
        }
    }

    /// The normalizer has one setting for all dialects.
    private mutating func take(
        _ flag: Bool, into field: WritableKeyPath<NormalizeSources, Bool?>, _ key: String, _ settings: inout Settings
    ) {
        if let other = self[keyPath: field], other != flag {
            settings.problem("\(key) must be the same for all sources here: use two processors", at: "sources")
        }
        self[keyPath: field] = flag
    }
}
