import Exporters
import Pipeline

/// Writes the gateway's own metrics in Prometheus' text format, version 0.0.4.
enum PrometheusText {
    static func render(_ series: [SelfMetrics.Series]) -> String {
        var order: [String] = []
        var families: [String: [SelfMetrics.Series]] = [:]
        for one in series {
            if families[one.name] == nil { order.append(one.name) }
            families[one.name, default: []].append(one)
        }
        var text = ""
        for name in order {
            guard let family = families[name], let first = family.first else { continue }
            text += "# HELP \(name) \(PrometheusSyntax.help(first.help))\n"
            text += "# TYPE \(name) \(first.kind == .counter ? "counter" : "gauge")\n"
            for one in family { text += "\(name)\(labels(one.labels)) \(PrometheusSyntax.number(one.read()))\n" }
        }
        return text
    }

    private static func labels(_ labels: [(name: String, value: String)]) -> String {
        labels.isEmpty ? "" : "{\(PrometheusSyntax.labels(labels))}"
    }
}
