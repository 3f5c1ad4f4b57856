package import Configuration

/// Options of the `attributes` processor.
package struct AttributesOptions: ComponentOptions {
    package var actions: [AttributeAction]
    package var include: MatchOptions?
    package var exclude: MatchOptions?

    package init(_ settings: inout Settings) {
        actions = settings.list(
            "actions", "What to do with attributes of spans, log records and data points, in order."
        ) {
            AttributeAction(&$0)
        }
        include = settings.optionalGroup("include", "Only records that match are changed.") { MatchOptions(&$0) }
        exclude = settings.optionalGroup("exclude", "Records that match are left alone.") { MatchOptions(&$0) }
        if actions.isEmpty, !settings.isDescribing { settings.problem("needs at least one action", at: "actions") }
    }
}

/// Options of the `resource` processor.
package struct ResourceOptions: ComponentOptions {
    package var actions: [AttributeAction]

    package init(_ settings: inout Settings) {
        actions = settings.list("attributes", "What to do with the attributes of resources, in order.") {
            AttributeAction(&$0)
        }
        if actions.isEmpty, !settings.isDescribing { settings.problem("needs at least one action", at: "attributes") }
    }
}

/// How the texts of a match are compared.
package enum MatchType: String, CaseIterable, Sendable {
    case strict, regexp
}

/// A key that must be there, with a value when one is named.
package struct MatchAttribute: Sendable {
    package var key: String
    package var value: ConfigValue?

    init(_ settings: inout Settings) {
        key = settings.requiredString("key", "Key that must be present.")
        value = settings.value("value", "Value it must have; any when absent.")
    }
}

/// An instrumentation scope to match.
package struct MatchLibrary: Sendable {
    package var name: String
    package var version: String?

    init(_ settings: inout Settings) {
        name = settings.requiredString("name", "Name of the instrumentation scope.")
        version = settings.optionalString("version", "Its version; any when absent.")
    }
}

/// One `include` or `exclude`: every condition given must hold; of a list's entries one must, of attributes all.
package struct MatchOptions: Sendable {
    package var type: MatchType
    package var services: [String]
    package var spanNames: [String]
    package var spanKinds: [String]
    package var logBodies: [String]
    package var severityTexts: [String]
    package var metricNames: [String]
    package var attributes: [MatchAttribute]
    package var resources: [MatchAttribute]
    package var libraries: [MatchLibrary]
    /// Least severity number, and whether records without one match.
    package var severity: (least: Int, matchesUndefined: Bool)?

    init(_ settings: inout Settings) {
        type = settings.requiredChoice("match_type", "strict compares whole texts, regexp searches.")
        services = settings.strings("services", default: [], "Service names of spans.")
        spanNames = settings.strings("span_names", default: [], "Names of spans.")
        spanKinds = settings.strings("span_kinds", default: [], "Kinds of spans, such as SPAN_KIND_CLIENT.")
        logBodies = settings.strings("log_bodies", default: [], "String bodies of log records.")
        severityTexts = settings.strings("log_severity_texts", default: [], "Severity texts of log records.")
        metricNames = settings.strings("metric_names", default: [], "Names of metrics.")
        attributes = settings.list("attributes", "Attributes of the record.") { MatchAttribute(&$0) }
        resources = settings.list("resources", "Attributes of the resource.") { MatchAttribute(&$0) }
        libraries = settings.list("libraries", "Instrumentation scopes.") { MatchLibrary(&$0) }
        severity = settings.optionalGroup("log_severity_number", "Severity of log records.") { inner in
            (
                inner.int("min", default: 0, in: 0...24, "Least severity number that matches."),
                inner.bool("match_undefined", default: false, "Whether records without a severity match.")
            )
        }
        _ = settings.optionalGroup("regexp", "Settings of the Collector's match cache.") { inner in
            inner.accepted("cacheenabled", "matches are not cached, the patterns are compiled")
            inner.accepted("cachemaxnumentries", "matches are not cached, the patterns are compiled")
        }
        let names = services + spanNames + spanKinds + logBodies + severityTexts + metricNames
        if type == .regexp {
            for text in names { _ = settings.pattern(of: text, at: "match_type") }
            for entry in attributes + resources {
                if case .string(let text) = entry.value { _ = settings.pattern(of: text, at: "match_type") }
            }
            for library in libraries { _ = settings.pattern(of: library.name, at: "match_type") }
        }
        let isEmpty = names.isEmpty && attributes.isEmpty && resources.isEmpty && libraries.isEmpty && severity == nil
        if isEmpty, !settings.isDescribing {
            settings.problem("needs a condition, such as services, span_names or attributes")
        }
    }
}
