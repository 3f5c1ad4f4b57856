/// The page that scrapers read: Prometheus' text format 0.0.4, or OpenMetrics 1.0.0, which has exemplars.
struct PrometheusPage {
    enum Format: Sendable {
        case text, openMetrics

        var contentType: String {
            switch self {
            case .text: "text/plain; version=0.0.4; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
        }
    }

    private let format: Format
    private let sendsTimestamps: Bool
    private var text = ""

    static func render(_ store: PrometheusStore, format: Format, sendsTimestamps: Bool) -> String {
        var page = PrometheusPage(format: format, sendsTimestamps: sendsTimestamps)
        for (name, family) in store.families.sorted(by: { $0.key < $1.key }) { page.append(name, family) }
        if format == .openMetrics { page.text += "# EOF\n" }
        return page.text
    }

    private init(format: Format, sendsTimestamps: Bool) {
        self.format = format
        self.sendsTimestamps = sendsTimestamps
    }

    private mutating func append(_ name: String, _ family: PrometheusStore.Family) {
        var head = name
        // OpenMetrics names a family of counters without the suffix that its samples must have.
        if format == .openMetrics, family.kind == .counter, name.hasSuffix("_total") { head = String(name.dropLast(6)) }
        let isUnknown = format == .openMetrics && family.kind == .counter && head == name
        text += "# HELP \(head) \(PrometheusSyntax.help(family.help))\n"
        text += "# TYPE \(head) \(isUnknown ? "unknown" : family.kind.rawValue)\n"
        for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) { append(name, labels, series.point) }
    }

    private mutating func append(_ name: String, _ labels: String, _ point: PrometheusPoint) {
        switch point.value {
        case .number(let value):
            let exemplar = name.hasSuffix("_total") ? point.exemplars.max { $0.time < $1.time } : nil
            sample(name, labels, value, point, exemplar)
        case .summary(let count, let sum, let quantiles):
            for one in quantiles {
                sample(
                    name, Self.joined(labels, "quantile", PrometheusSyntax.number(one.quantile)), one.value, point)
            }
            sample(name + "_sum", labels, sum, point)
            sample(name + "_count", labels, Double(count), point)
        case .histogram(let buckets):
            var total: UInt64 = 0
            var least = -Double.infinity
            for (bound, count) in zip(buckets.bounds, buckets.counts) {
                total = Buckets.sum(total, count)
                bucket(name, labels, bound, Swift.min(total, buckets.count), above: least, point)
                least = bound
            }
            bucket(name, labels, .infinity, buckets.count, above: least, point)
            // With negative values the sum can fall; OpenMetrics has none then, and a count only beside a sum.
            let isFalling = format == .openMetrics && (buckets.bounds.first ?? 0) < 0
            if let sum = buckets.sum, !isFalling {
                sample(name + "_sum", labels, sum, point)
            } else if format == .openMetrics {
                return
            }
            sample(name + "_count", labels, Double(buckets.count), point)
        }
    }

    private mutating func bucket(
        _ name: String, _ labels: String, _ bound: Double, _ count: UInt64, above least: Double,
        _ point: PrometheusPoint
    ) {
        let exemplar = point.exemplars.filter { $0.value > least && $0.value <= bound }.max { $0.time < $1.time }
        sample(
            name + "_bucket", Self.joined(labels, "le", PrometheusSyntax.number(bound)), Double(count), point, exemplar)
    }

    private mutating func sample(
        _ name: String, _ labels: String, _ value: Double, _ point: PrometheusPoint,
        _ exemplar: PrometheusPoint.Exemplar? = nil
    ) {
        text += labels.isEmpty ? name : "\(name){\(labels)}"
        text += " \(PrometheusSyntax.number(value))"
        if sendsTimestamps { text += " \(time(point.time))" }
        if format == .openMetrics, let exemplar {
            text += " # {\(exemplar.labels)} \(PrometheusSyntax.number(exemplar.value))"
            if exemplar.time > 0 { text += " \(time(exemplar.time))" }
        }
        text += "\n"
    }

    /// Milliseconds, or in OpenMetrics seconds.
    private func time(_ nanoseconds: UInt64) -> String {
        let milliseconds = nanoseconds / 1_000_000
        guard format == .openMetrics else { return String(milliseconds) }
        let rest = String(milliseconds % 1_000)
        return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - rest.utf8.count))\(rest)"
    }

    private static func joined(_ labels: String, _ name: String, _ value: String) -> String {
        (labels.isEmpty ? "" : labels + ",") + "\(name)=\"\(value)\""
    }
}
