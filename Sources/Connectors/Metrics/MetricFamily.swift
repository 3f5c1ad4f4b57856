import OTLP
import Telemetry

/// A metric that a connector computes: its name, and what was counted.
struct MetricFamily: Sendable {
    let name: String
    let unit: String
    var table: SeriesTable

    /// Without bounds the metric is a sum that counts values.
    init(name: String, unit: String, bounds: [Double] = [], limit: Int) {
        self.name = name
        self.unit = unit
        table = SeriesTable(bounds: bounds, limit: limit)
    }

    /// Writes the points of one resource, nothing when it has none.
    fileprivate func write(_ resource: Text, _ writer: inout MetricsWriter) -> Int {
        table.withKeys { keys in
            let points = table.sorted().filter { keys[table.series[$0].resource] == resource }
            guard !points.isEmpty else { return 0 }
            if table.bounds.isEmpty {
                writer.sum(name: name, unit: unit) { writer in
                    for point in points {
                        let series = table.series[point]
                        writer.sumPoint(keys[series.attributes], value: Int64(clamping: series.count))
                    }
                }
            } else {
                writer.histogram(name: name, unit: unit) { writer in
                    for point in points {
                        let series = table.series[point]
                        writer.histogramPoint(
                            keys[series.attributes], count: series.count, sum: series.sum, min: series.min,
                            max: series.max, buckets: table.bucketCounts(point), bounds: table.bounds)
                    }
                }
            }
            return points.count
        }
    }
}

extension [MetricFamily] {
    /// All points as one request, and how many they are.
    func request(
        scope: String, temporality: MetricsWriter.Temporality, window: MetricsWriter.Window
    ) -> (bytes: [UInt8], points: Int) {
        var resources: Set<[UInt8]> = []
        for family in self {
            family.table.withKeys { keys in
                for series in family.table.series { resources.insert([UInt8](keys[series.resource].bytes)) }
            }
        }
        var writer = MetricsWriter(scope: scope, scopeVersion: "", temporality: temporality, window: window)
        var points = 0
        for resource in resources.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            resource.withUnsafeBytes { bytes in
                writer.resource(Text(bytes)) { writer in
                    for family in self { points += family.write(Text(bytes), &writer) }
                }
            }
        }
        return (writer.bytes, points)
    }
}
