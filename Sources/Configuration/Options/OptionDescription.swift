/// What is known of one option: the source of the reference page, of help and of suggestions.
package struct OptionDescription: Sendable {
    /// The key in its mapping.
    package var key: String
    /// The dotted path below the component; elements of a list are written `key[]`.
    package var path: String
    /// The type in words: `boolean`, `integer`, `duration`, `list of strings`.
    package var type: String
    /// The default as it would be written in YAML, or nil when there is none.
    package var defaultText: String?
    /// The allowed range, such as `1 to 100`, or nil when every value of the type is allowed.
    package var range: String?
    /// The unit of a bare number, or nil.
    package var unit: String?
    /// One sentence on what the option does.
    package var sentence: String
    /// The options of a nested mapping, or of one element of a list of mappings.
    package var nested: [OptionDescription]
    /// True when the option must be given.
    package var isRequired: Bool
    /// The allowed values, in order; empty when the option is no choice.
    package var choices: [String]
    /// Other spellings that read as this option.
    package var aliases: [String]
    /// True when the option is taken for the sake of existing files and has no effect.
    package var isAccepted: Bool
    /// True when the value is never printed.
    package var isSecret: Bool

    /// Makes a description; everything but key, path, type and sentence may be left out.
    package init(
        key: String, path: String, type: String, defaultText: String? = nil, range: String? = nil,
        unit: String? = nil, sentence: String, nested: [OptionDescription] = [], isRequired: Bool = false,
        choices: [String] = [], aliases: [String] = [], isAccepted: Bool = false, isSecret: Bool = false
    ) {
        self.key = key
        self.path = path
        self.type = type
        self.defaultText = defaultText
        self.range = range
        self.unit = unit
        self.sentence = sentence
        self.nested = nested
        self.isRequired = isRequired
        self.choices = choices
        self.aliases = aliases
        self.isAccepted = isAccepted
        self.isSecret = isSecret
    }
}
