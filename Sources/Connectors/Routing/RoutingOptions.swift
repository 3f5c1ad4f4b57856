package import Configuration
package import OTTL
import Telemetry

/// What a route's condition looks at, as the Collector names it.
package enum RouteContext: String, CaseIterable, Sendable {
    case resource, span, metric, datapoint, log, request

    var language: OTTLContext {
        switch self {
        case .resource: .resource
        case .span: .span
        case .metric: .metric
        case .datapoint: .datapoint
        case .log: .log
        case .request: .request
        }
    }
}

/// How much goes along when a condition holds.
package enum RouteMatch: String, CaseIterable, Sendable {
    /// What the condition looked at.
    case record
    /// All spans of its trace in the batch.
    case trace
}

/// Whether what a route took is still there for the routes behind it.
package enum RouteAction: String, CaseIterable, Sendable {
    case move, copy
}

/// One row of the routing table.
package struct RouteOption: Sendable {
    package var context: RouteContext
    package var match: RouteMatch
    package var action: RouteAction
    /// A boolean expression; empty when there is a statement.
    package var condition: String
    /// An editor with a `where` clause, such as `route() where …`.
    package var statement: String
    package var pipelines: [String]

    init(_ settings: inout Settings) {
        context = settings.choice(
            "context", default: RouteContext.resource,
            "What the condition looks at; left out, what its paths begin with, such as span.attributes or "
                + "otelcol.client.metadata.")
        condition = settings.string("condition", default: "", "OTTL condition of what is routed.")
        statement = settings.string("statement", default: "", "The same as a statement: route() where ….")
        pipelines = settings.strings("pipelines", default: [], "Pipelines that get what matches.")
        action = settings.choice(
            "action", default: RouteAction.move,
            "copy leaves what matched to the routes behind this one, and to default_pipelines when none of them moves "
                + "it; move does not.")
        match = settings.choice(
            "match", default: RouteMatch.record,
            "trace sends all spans of a trace once one matches, as far as they are in one batch.")
        guard !settings.isDescribing else { return }
        if !settings.isPresent("context"),
            let named = OTTLInference.context(condition: condition, statement: statement)
        {
            context = RouteContext(rawValue: named.rawValue) ?? context
        }
        if condition.isEmpty == statement.isEmpty {
            settings.problem("needs a condition or a statement, and not both", at: "condition")
        }
        if pipelines.isEmpty { settings.problem("needs the pipelines that get what matches", at: "pipelines") }
        if match == .trace, context != .span {
            settings.problem("match: trace needs context: span", at: "match")
        }
        check(&settings)
    }

    /// Names in lowercase that the condition asks the request for.
    var requestKeys: Set<String> {
        guard context == .request else { return [] }
        var keys: Set<String> = []
        for start in ["request[", "metadata["] {
            for part in condition.split(separator: start, omittingEmptySubsequences: false).dropFirst() {
                guard let quote = part.first, quote == "\"" || quote == "'" else { continue }
                keys.insert(part.dropFirst().prefix { $0 != quote }.lowercased())
            }
        }
        return keys
    }

    /// What it asks for in a spelling that equal routes share; nil for what cannot be read.
    fileprivate var canonical: String? {
        statement.isEmpty
            ? ConditionText.canonical(condition, context.language)
            : ConditionText.canonical(statement: statement, context.language)
    }

    /// Whether nothing is left for the routes behind it.
    fileprivate var takesAll: Bool {
        statement.isEmpty ? ConditionText.isAlwaysTrue(condition, context.language) : canonical == "true"
    }

    private func check(_ settings: inout Settings) {
        if context == .request {
            if !statement.isEmpty { settings.problem("the request context takes a condition", at: "statement") }
            if !condition.isEmpty, requestKeys.isEmpty {
                settings.problem(
                    "the request context asks for a header, request[\"X-Tenant\"], or for request[\"auth.tenant\"], "
                        + "the authenticated tenant", at: "condition")
            }
        }
        if !condition.isEmpty { settings.check(condition: condition, context.language, at: "condition") }
        if !statement.isEmpty { settings.check(statement: statement, context.language, at: "statement") }
    }
}

/// Options of the `routing` connector: the Collector's, with `match`.
package struct RoutingOptions: ComponentOptions {
    package var table: [RouteOption]
    package var defaultPipelines: [String]
    package var errorMode: OTTLErrorMode

    package init(_ settings: inout Settings) {
        table = settings.list("table", "Routes in order; the first that matches gets the record.") { RouteOption(&$0) }
        defaultPipelines = settings.strings(
            "default_pipelines", default: [],
            "Pipelines that get what no route moved; without any, what no route matched is dropped.")
        errorMode = settings.choice(
            "error_mode", default: OTTLErrorMode.ignore,
            "What a condition that fails does: ignore and silent take it as not met and ask the next route, ignore "
                + "tells it in the log, propagate keeps the record as a dead letter.")
        settings.accepted("match_once", "a record goes to the first route that matches, unless that one copies")
        warnOfUnreachable(&settings)
        if table.isEmpty, !settings.isDescribing { settings.problem("needs at least one route", at: "table") }
    }

    /// Names in lowercase of the request headers that routes ask for.
    package var contextKeys: [String] {
        table.reduce(into: Set<String>()) { $0.formUnion($1.requestKeys) }.subtracting(["auth.tenant"]).sorted()
    }

    /// Routes behind one that takes everything, and routes that ask what one before them has moved away.
    private func warnOfUnreachable(_ settings: inout Settings) {
        let asked = table.map(\.canonical)
        var told: Set<Int> = []
        for (index, route) in table.enumerated() where route.action == .move {
            let isAll = route.takesAll
            for (offset, other) in table[(index + 1)...].enumerated() {
                let isSame =
                    other.context == route.context && other.match == route.match && asked[index] != nil
                    && asked[index + 1 + offset] == asked[index]
                guard isAll || isSame, told.insert(index + 1 + offset).inserted else { continue }
                settings.warning(
                    "route \(index + offset + 2) is never asked: route \(index + 1) "
                        + (isAll ? "takes everything" : "has the same condition"),
                    fix: "change their order, or write `action: copy` at route \(index + 1)", at: "table")
            }
        }
    }
}
