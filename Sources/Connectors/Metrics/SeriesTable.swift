import OTLP
import Telemetry

/// The series of one metric: counts, sums and buckets by resource and attributes, bounded in number.
///
/// Looking a series up allocates nothing once it exists. Beyond the limit, values count under one series with the
/// attribute `otel.metric.overflow`, as the metrics SDK specification has it.
struct SeriesTable: Sendable {
    struct Series: Sendable {
        /// Where the resource's and the point's attributes lie in `keys`.
        var resource: Range<Int>
        var attributes: Range<Int>
        var hash: UInt64
        var count: UInt64 = 0
        var sum = 0.0
        var min = Double.infinity
        var max = -Double.infinity
        /// When it last counted a value, Unix nanoseconds.
        var touched: UInt64 = 0
        /// Of an exponential histogram.
        var exponential: ExponentialBuckets?
        var exemplars: [MetricsWriter.Exemplar] = []
    }

    /// How values are put into buckets.
    enum Shape: Sendable, Equatable {
        /// Values are only counted.
        case counter
        case explicit([Double])
        case exponential(sizeMax: Int)
    }

    /// Bytes of the keys of all series.
    static let keyBytesMax = 32 << 20

    let shape: Shape
    /// Upper bounds of the buckets; empty for a metric that has none.
    let bounds: [Double]
    private let limit: Int
    /// Most exemplars of a series between two times that it is sent.
    private let exemplarsMax: Int
    private var keys: [UInt8] = []
    private(set) var series: [Series] = []
    /// Bucket counts of all series, one run of `bounds.count + 1` each.
    private var buckets: [UInt64] = []
    private var slots: [Int32] = Array(repeating: -1, count: 64)
    /// Values that found no room under their own attributes.
    private(set) var overflowed = 0

    init(_ shape: Shape = .counter, limit: Int, exemplarsMax: Int = 0) {
        self.shape = shape
        if case .explicit(let bounds) = shape { self.bounds = bounds } else { bounds = [] }
        self.limit = max(1, limit)
        self.exemplarsMax = exemplarsMax
    }

    var isEmpty: Bool { series.isEmpty }

    /// Adds a value that counts so many times. The texts are attribute lists; `exemplar` tells where it came from.
    mutating func add(
        _ value: Double, times: UInt64 = 1, resource: Text, attributes: Text, exemplar: MetricsWriter.Exemplar? = nil
    ) {
        var index = find(resource, attributes)
        if index == nil, series.count < limit, hasRoom(resource, attributes) { index = insert(resource, attributes) }
        if index == nil {
            overflowed += 1
            index = overflow()
        }
        guard let index else { return }
        series[index].count &+= times
        if series[index].exemplars.count < exemplarsMax, let exemplar {
            series[index].exemplars.append(exemplar)
        }
        guard shape != .counter else { return }
        series[index].sum += value * Double(times)
        series[index].min = Swift.min(series[index].min, value)
        series[index].max = Swift.max(series[index].max, value)
        if !bounds.isEmpty { buckets[index * (bounds.count + 1) + bucket(of: value)] &+= times }
        series[index].exponential?.add(value, times: times)
    }

    /// Whether the keys of another series may be kept: senders choose how long they are.
    private func hasRoom(_ resource: Text, _ attributes: Text) -> Bool {
        keys.count + resource.count + attributes.count <= Self.keyBytesMax
    }

    /// Adds all that another table of the same shape has counted by `time`.
    mutating func merge(_ other: SeriesTable, at time: UInt64 = 0) {
        for (number, one) in other.series.enumerated() {
            let index = other.keys.withUnsafeBytes { bytes -> Int? in
                let keys = Text(bytes)
                let (resource, attributes) = (keys[one.resource], keys[one.attributes])
                if let known = find(resource, attributes) { return known }
                let isRoom = series.count <= limit && hasRoom(resource, attributes)
                return isRoom ? insert(resource, attributes) : overflow()
            }
            guard let index else { continue }
            series[index].count &+= one.count
            series[index].sum += one.sum
            series[index].min = Swift.min(series[index].min, one.min)
            series[index].max = Swift.max(series[index].max, one.max)
            series[index].touched = time
            series[index].exemplars = Array((series[index].exemplars + one.exemplars).prefix(exemplarsMax))
            if let exponential = one.exponential { series[index].exponential?.merge(exponential) }
            let width = bounds.count + 1
            guard !bounds.isEmpty else { continue }
            for bucket in 0..<width { buckets[index * width + bucket] &+= other.buckets[number * width + bucket] }
        }
        overflowed += other.overflowed
    }

    /// Forgets exemplars, which were sent, and series that counted nothing since `time`.
    mutating func settle(expiredBefore time: UInt64?) {
        for index in series.indices { series[index].exemplars = [] }
        guard let time, series.contains(where: { $0.touched < time }) else { return }
        var kept = SeriesTable(shape, limit: limit, exemplarsMax: exemplarsMax)
        kept.overflowed = overflowed
        for (number, one) in series.enumerated() where one.touched >= time {
            keys.withUnsafeBytes { bytes in
                let index = kept.insert(Text(bytes)[one.resource], Text(bytes)[one.attributes])
                let place = (kept.series[index].resource, kept.series[index].attributes)
                kept.series[index] = one
                (kept.series[index].resource, kept.series[index].attributes) = place
                let width = bounds.count + 1
                guard !bounds.isEmpty else { return }
                for bucket in 0..<width { kept.buckets[index * width + bucket] = buckets[number * width + bucket] }
            }
        }
        self = kept
    }

    /// Indices of the series, those of one resource together, in a fixed order.
    func sorted() -> [Int] {
        series.indices.sorted { left, right in
            let (one, other) = (series[left], series[right])
            let resources = keys[one.resource].lexicographicallyPrecedes(keys[other.resource])
            if resources || keys[other.resource].lexicographicallyPrecedes(keys[one.resource]) { return resources }
            return keys[one.attributes].lexicographicallyPrecedes(keys[other.attributes])
        }
    }

    func bucketCounts(_ index: Int) -> ArraySlice<UInt64> {
        let width = bounds.count + 1
        return bounds.isEmpty ? [] : buckets[index * width..<(index + 1) * width]
    }

    /// Runs `body` on the bytes of the keys.
    func withKeys<Result>(_ body: (Text) -> Result) -> Result { keys.withUnsafeBytes { body(Text($0)) } }

    /// The first bucket whose bound is not below the value; a value that is not a number counts in the last.
    private func bucket(of value: Double) -> Int { bounds.firstIndex { value <= $0 } ?? bounds.count }

    // MARK: Looking up

    private static func hash(_ resource: Text, _ attributes: Text) -> UInt64 {
        // Over all of both: lists differ anywhere, and many begin and end alike.
        let hash = FNV.hash(attributes.bytes, after: FNV.hash(resource.bytes))
        return hash ^ hash >> 32
    }

    private func find(_ resource: Text, _ attributes: Text) -> Int? {
        let hash = Self.hash(resource, attributes)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        return keys.withUnsafeBytes { bytes -> Int? in
            let keys = Text(bytes)
            while slots[slot] >= 0 {
                let one = series[Int(slots[slot])]
                if one.hash == hash, keys[one.resource] == resource, keys[one.attributes] == attributes {
                    return Int(slots[slot])
                }
                slot = (slot + 1) & (slots.count - 1)
            }
            return nil
        }
    }

    private mutating func insert(_ resource: Text, _ attributes: Text) -> Int {
        let start = keys.count
        keys.append(contentsOf: resource.bytes)
        let middle = keys.count
        keys.append(contentsOf: attributes.bytes)
        let hash = Self.hash(resource, attributes)
        var one = Series(resource: start..<middle, attributes: middle..<keys.count, hash: hash)
        if case .exponential(let sizeMax) = shape { one.exponential = ExponentialBuckets(sizeMax: sizeMax) }
        series.append(one)
        if !bounds.isEmpty { buckets.append(contentsOf: repeatElement(0, count: bounds.count + 1)) }
        if series.count * 2 > slots.count {
            slots = Array(repeating: -1, count: slots.count * 2)
            for index in series.indices { place(index) }
        } else {
            place(series.count - 1)
        }
        return series.count - 1
    }

    private mutating func place(_ index: Int) {
        var slot = Int(truncatingIfNeeded: series[index].hash) & (slots.count - 1)
        while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
        slots[slot] = Int32(index)
    }

    private mutating func overflow() -> Int {
        var list = ByteColumn()
        AttributeList.append(Text("otel.metric.overflow"), Text("true"), to: &list)
        return find(.empty, list.text) ?? insert(.empty, list.text)
    }
}
