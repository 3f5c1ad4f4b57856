import OTLP
import Telemetry

/// A metric that a connector computes: its name, and what was counted.
struct MetricFamily: Sendable {
    let name: String
    let description: String
    let unit: String
    var table: SeriesTable

    /// A counter is written as a sum, the other shapes as histograms.
    init(
        name: String, description: String = "", unit: String, shape: SeriesTable.Shape = .counter, limit: Int,
        exemplarsMax: Int = 0
    ) {
        self.name = name
        self.description = description
        self.unit = unit
        table = SeriesTable(shape, limit: limit, exemplarsMax: exemplarsMax)
    }

    init(name: String, unit: String, bounds: [Double], limit: Int) {
        self.init(name: name, unit: unit, shape: .explicit(bounds), limit: limit)
    }

    /// Writes the points of one resource, nothing when it has none.
    fileprivate func write(_ resource: Text, _ writer: inout MetricsWriter) -> Int {
        table.withKeys { keys in
            let points = table.sorted().filter { keys[table.series[$0].resource] == resource }
            guard !points.isEmpty else { return 0 }
            switch table.shape {
            case .counter:
                writer.sum(name: name, description: description, unit: unit) { writer in
                    for point in points {
                        let series = table.series[point]
                        writer.sumPoint(
                            keys[series.attributes], value: Int64(clamping: series.count), exemplars: series.exemplars)
                    }
                }
            case .explicit:
                writer.histogram(name: name, unit: unit) { writer in
                    for point in points { write(explicit: point, keys, &writer) }
                }
            case .exponential:
                writer.exponentialHistogram(name: name, unit: unit) { writer in
                    for point in points { write(exponential: point, keys, &writer) }
                }
            }
            return points.count
        }
    }

    private func write(explicit point: Int, _ keys: Text, _ writer: inout MetricsWriter) {
        let series = table.series[point]
        writer.histogramPoint(
            keys[series.attributes], count: series.count, sum: series.sum, min: series.min, max: series.max,
            buckets: table.bucketCounts(point), bounds: table.bounds, exemplars: series.exemplars)
    }

    private func write(exponential point: Int, _ keys: Text, _ writer: inout MetricsWriter) {
        let series = table.series[point]
        guard let buckets = series.exponential else { return }
        writer.exponentialPoint(
            keys[series.attributes], count: series.count, sum: series.sum, min: series.min, max: series.max,
            scale: buckets.scale, zeros: buckets.zeros, offset: buckets.offset, counts: buckets.counts,
            exemplars: series.exemplars)
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
