package import Configuration
package import OTTL
import Telemetry

/// One metric that the `count` connector makes.
package struct CountMetric: Sendable {
    /// An attribute of the points; records without it do not count unless there is a default.
    package struct Dimension: Sendable {
        package var key: String
        package var fallback: String?
    }

    package var name: String
    package var description: String
    package var context: OTTLContext
    /// One must hold; all records count when empty.
    package var conditions: [String] = []
    package var dimensions: [Dimension] = []
}

/// Options of the `count` connector, the Collector's.
package struct CountOptions: ComponentOptions {
    package var metrics: [CountMetric] = []

    package init(_ settings: inout Settings) {
        let kinds: [(key: String, context: OTTLContext, name: String, what: String)] = [
            ("spans", .span, "trace.span.count", "spans"),
            ("spanevents", .spanevent, "trace.span.event.count", "span events"),
            ("metrics", .metric, "metric.count", "metrics"),
            ("datapoints", .datapoint, "metric.datapoint.count", "data points"),
            ("logs", .log, "log.record.count", "log records"),
        ]
        for kind in kinds {
            let value = settings.value(
                kind.key,
                "Metrics by name, each with description, conditions (OTTL) and attributes (key, default_value); "
                    + "\(kind.name) when absent.")
            guard case .map(let entries) = value else {
                if let value, value != .null { settings.problem("expects a mapping of metric names", at: kind.key) }
                let description = "The number of \(kind.what) observed."
                metrics.append(CountMetric(name: kind.name, description: description, context: kind.context))
                continue
            }
            for (name, body) in entries {
                metrics.append(CountOptions.metric(name, kind.context, body, at: kind.key, &settings))
            }
        }
    }

    private static func metric(
        _ name: String, _ context: OTTLContext, _ body: ConfigValue, at key: String, _ settings: inout Settings
    ) -> CountMetric {
        var metric = CountMetric(name: name, description: "", context: context)
        guard case .map(let members) = body else {
            if body != .null { settings.problem("\(name) expects a mapping", at: key) }
            return metric
        }
        for (option, value) in members {
            switch (option, value) {
            case ("description", .string(let text)): metric.description = text
            case ("conditions", .list(let entries)):
                for case .string(let text) in entries {
                    settings.check(condition: text, context, at: key)
                    metric.conditions.append(text)
                }
            case ("attributes", .list(let entries)):
                for entry in entries {
                    guard let dimension = dimension(entry) else {
                        settings.problem("attributes of \(name) have a key and may have a default_value", at: key)
                        continue
                    }
                    metric.dimensions.append(dimension)
                }
            default:
                let known = ["description", "conditions", "attributes"]
                let hint = Suggestion.nearest(to: option, among: known).map { ", did you mean \($0)?" } ?? ""
                settings.problem("\(name) cannot have \(option) of this form\(hint)", at: key)
            }
        }
        return metric
    }

    private static func dimension(_ entry: ConfigValue) -> CountMetric.Dimension? {
        guard case .map(let members) = entry else { return nil }
        var dimension = CountMetric.Dimension(key: "")
        for (name, value) in members {
            switch (name, value) {
            case ("key", .string(let text)): dimension.key = text
            case ("default_value", .string(let text)): dimension.fallback = text
            case ("default_value", .int(let number)): dimension.fallback = String(number)
            default: return nil
            }
        }
        return dimension.key.isEmpty ? nil : dimension
    }
}
