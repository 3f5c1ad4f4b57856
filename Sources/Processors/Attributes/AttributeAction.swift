package import Configuration
package import Patterns

/// What one action of `attributes` or `resource` does.
package enum ActionKind: String, CaseIterable, Sendable {
    case insert, update, upsert, delete, hash, extract, convert
}

/// Target type of `convert`.
package enum ConvertedType: String, CaseIterable, Sendable {
    case int, double, string
}

/// Where the value of an insert, update or upsert comes from.
package enum ActionSource: Sendable, Equatable {
    case value(ConfigValue)
    case attribute(String)
    /// The authenticated tenant of the request.
    case tenant
    /// A header of the request, by its name in lowercase.
    case metadata(String)
    case none
}

/// One action as written in the file, checked.
package struct AttributeAction: Sendable {
    package var kind: ActionKind
    package var key: String
    package var source: ActionSource
    /// Used when the source has nothing.
    package var fallback: ConfigValue?
    package var pattern: CompiledPattern?
    package var converted: ConvertedType

    /// Reads one entry of `actions`; combinations that the Collector refuses are problems here too.
    package init(_ settings: inout Settings) {
        key = settings.string("key", default: "", "Attribute to act on.")
        let word = settings.string(
            "action", default: "", "What to do: insert, update, upsert, delete, hash, extract or convert.")
        let value = settings.value("value", "Value to write; its type is kept.")
        let from = settings.string("from_attribute", default: "", "Attribute whose value is written.")
        let context = settings.string(
            "from_context", default: "",
            "Value from the request to write: auth.tenant (auth.subject, auth.username) is the authenticated tenant, "
                + "metadata.NAME a header, which needs include_metadata of the receiver.")
        fallback = settings.value("default_value", "Value to write when the source has none.")
        let text = settings.string(
            "pattern", default: "",
            "Regular expression: of keys for delete and hash, of the value with named groups for extract.")
        let target = settings.string("converted_type", default: "", "Target of convert: int, double or string.")
        kind = ActionKind(rawValue: word.lowercased()) ?? .delete
        converted = ConvertedType(rawValue: target) ?? .string
        let undecided = "a key that could not be decided counts as a match"
        pattern = text.isEmpty ? nil : settings.pattern(of: text, at: "pattern", undecided: undecided)
        var sources: [ActionSource] = []
        if let value, value != .null { sources.append(.value(value)) }
        if !from.isEmpty { sources.append(.attribute(from)) }
        if !context.isEmpty {
            sources.append(Self.contextSource(context, &settings))
        }
        source = sources.first ?? .none
        guard !settings.isDescribing else { return }
        if word.isEmpty {
            settings.problem(
                "needs an action: insert, update, upsert, delete, hash, extract or convert",
                at: settings.isPresent("action") ? "action" : "key")
        } else if ActionKind(rawValue: word.lowercased()) == nil {
            settings.problem(
                "there is no action \(word): use insert, update, upsert, delete, hash, extract or convert",
                at: "action")
        } else {
            check(&settings, sources: sources.count, hasPattern: !text.isEmpty, target: target)
        }
    }

    private static func contextSource(_ text: String, _ settings: inout Settings) -> ActionSource {
        let prefix = "metadata."
        if text.hasPrefix(prefix), text.utf8.count > prefix.utf8.count {
            return .metadata(text.dropFirst(prefix.count).lowercased())
        }
        switch text {
        case "auth.tenant", "auth.subject", "auth.username": return .tenant
        case "client.address":
            settings.warning(
                "addresses of senders are not kept with requests: the attribute is not set from here",
                fix: "let the proxy in front say it in a header: `metadata.x-forwarded-for`", at: "from_context")
        case _ where text.hasPrefix("auth.") || text == prefix:
            settings.problem(
                "\(text) is not kept with requests; auth.tenant and metadata.NAME, a header, are", at: "from_context")
        // A name alone is a header, as in older files of the Collector.
        default: return .metadata(text.lowercased())
        }
        return .none
    }

    private func check(_ settings: inout Settings, sources: Int, hasPattern: Bool, target: String) {
        switch kind {
        case .insert, .update, .upsert:
            if key.isEmpty { settings.problem("\(kind.rawValue) needs a key") }
            if sources == 0, fallback == nil {
                settings.problem("\(kind.rawValue) needs a value, from_attribute or from_context")
            }
            if sources > 1 {
                settings.problem("use only one of value, from_attribute and from_context")
            }
            if hasPattern { settings.problem("\(kind.rawValue) has no use for a pattern", at: "pattern") }
        case .delete, .hash:
            if key.isEmpty, !hasPattern { settings.problem("\(kind.rawValue) needs a key, a pattern, or both") }
            if sources > 0 { settings.problem("\(kind.rawValue) has no use for a value") }
        case .extract:
            if key.isEmpty { settings.problem("extract needs a key") }
            if !hasPattern { settings.problem("extract needs a pattern with named groups") }
            if sources > 0 { settings.problem("extract has no use for a value") }
            if let pattern, pattern.groupNames.isEmpty || pattern.groupNames.contains(nil) {
                settings.problem("every group of the pattern needs a name: (?P<name>…)", at: "pattern")
            }
        case .convert:
            if key.isEmpty { settings.problem("convert needs a key") }
            if sources > 0 || hasPattern { settings.problem("convert has no use for a value or pattern") }
            if ConvertedType(rawValue: target) == nil {
                settings.problem("convert needs converted_type: int, double or string", at: "converted_type")
            }
        }
        if kind != .convert, !target.isEmpty {
            settings.problem("only convert uses converted_type", at: "converted_type")
        }
    }
}
