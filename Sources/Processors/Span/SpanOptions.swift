package import Configuration
package import Patterns

/// Options of the `span` processor, named as the Collector's.
package struct SpanOptions: ComponentOptions {
    package enum Status: String, CaseIterable, Sendable {
        case unset = "Unset"
        case ok = "Ok"
        case error = "Error"

        /// As OTLP numbers them.
        var code: Int32 {
            switch self {
            case .unset: 0
            case .ok: 1
            case .error: 2
            }
        }
    }

    package var include: MatchOptions?
    package var exclude: MatchOptions?
    package var fromAttributes: [String] = []
    package var separator = ""
    package var rules: [CompiledPattern] = []
    package var breaksAfterMatch = false
    package var keepsName = false
    package var status: (code: Status, description: String)?

    package init(_ settings: inout Settings) {
        include = settings.optionalGroup("include", "Only spans that match are changed.") { MatchOptions(&$0) }
        exclude = settings.optionalGroup("exclude", "Spans that match are left alone.") { MatchOptions(&$0) }
        settings.group("name", "How names of spans are made or taken apart.") { readName(&$0) }
        status = settings.optionalGroup("status", "Status that spans get.") { group in
            let code = group.requiredChoice("code", "Unset, Ok or Error.") as Status
            let description = group.string("description", default: "", "Message of the status Error.")
            if code != .error, !description.isEmpty {
                group.problem("only the status Error has a description", at: "description")
            }
            return (code, description)
        }
        if fromAttributes.isEmpty, rules.isEmpty, status == nil, !settings.isDescribing {
            settings.problem("needs name.from_attributes, name.to_attributes or status")
        }
    }

    private mutating func readName(_ name: inout Settings) {
        fromAttributes = name.strings(
            "from_attributes", default: [], "Keys whose values make the name, when the span has all of them.")
        separator = name.string("separator", default: "", "Text between the values.")
        name.group("to_attributes", "Parts of the name that become attributes.") { group in
            let texts = group.strings(
                "rules", default: [],
                "Regular expressions with named groups: each group's text becomes an attribute and {group} takes its "
                    + "place in the name.")
            for text in texts {
                guard let pattern = group.pattern(of: text, at: "rules") else { continue }
                if pattern.groupNames.isEmpty || pattern.groupNames.contains(nil) {
                    group.problem(
                        "every group of \(text) needs a name, and there must be one: (?P<name>…)", at: "rules")
                }
                rules.append(pattern)
            }
            breaksAfterMatch = group.bool(
                "break_after_match", default: false, "True leaves the rules behind the first that matches out.")
            keepsName = group.bool("keep_original_name", default: false, "True leaves the name as it is.")
        }
    }
}
