import Telemetry

/// What tells one stream from all others, as 128 bits of two keyed hashes: whoever sends points cannot choose them so
/// that two streams are one.
struct StreamKey: Hashable, Sendable {
    var high: UInt64
    var low: UInt64
}

/// Hashes the parts of a stream's name. A copy goes on from what was added.
struct StreamHasher {
    private var first = Hasher()
    private var second = Hasher()

    init() { second.combine(UInt8(1)) }

    mutating func add(_ number: UInt64) {
        first.combine(number)
        second.combine(number)
    }

    /// With its length, so that what follows cannot be taken for a part of it.
    mutating func add(_ text: Text) {
        add(UInt64(text.count))
        first.combine(bytes: text.bytes)
        second.combine(bytes: text.bytes)
    }

    /// Attributes in whatever order they come.
    mutating func add(_ set: SetIndex, _ batch: borrowing RecordBatch) {
        var sum = StreamKey(high: 0, low: 0)
        let range = batch.range(of: set)
        for index in range {
            let attribute = batch.attributes[index]
            var hasher = StreamHasher()
            hasher.add(batch.text(attribute.key))
            hasher.add(UInt64(attribute.kind.rawValue))
            switch attribute.kind {
            case .string, .array, .map, .bytes: hasher.add(batch.text(attribute.text))
            case .empty, .bool, .int, .double: hasher.add(attribute.payload)
            case .other: hasher.add(batch.text(attribute.raw))
            }
            let key = hasher.key
            sum.high &+= key.high
            sum.low &+= key.low
        }
        add(UInt64(range.count))
        add(sum.high)
        add(sum.low)
    }

    var key: StreamKey {
        let (first, second) = (self.first, self.second)
        return StreamKey(
            high: UInt64(bitPattern: Int64(first.finalize())), low: UInt64(bitPattern: Int64(second.finalize())))
    }
}

/// Names the streams of one batch. What is above them is hashed once.
///
/// As in the Collector a stream is known by tenant, resource, scope, metric (name, unit and type), type of its numbers,
/// attributes and start time: where several processes send under one name, their start times tell them apart.
struct StreamNames {
    private let base: StreamHasher
    private var resource: (index: Int, hasher: StreamHasher)?
    private var scope: (index: Int, hasher: StreamHasher)?
    private var metric = StreamHasher()

    init(tenant: String) {
        var base = StreamHasher()
        var tenant = tenant
        tenant.withUTF8 { base.add(Text(UnsafeRawBufferPointer($0))) }
        self.base = base
    }

    /// Begins the points of one metric.
    mutating func begin(_ record: MetricRecord, _ batch: borrowing RecordBatch) {
        metric = hasher(ofScope: Int(record.scope), batch)
        metric.add(batch.text(record.name))
        metric.add(batch.text(record.unit))
        metric.add(UInt64(record.kind.rawValue))
    }

    /// The stream of a point of that metric.
    func key(_ set: SetIndex, start: UInt64, isDouble: Bool, _ batch: borrowing RecordBatch) -> StreamKey {
        var hasher = metric
        hasher.add(set, batch)
        hasher.add(start)
        hasher.add(isDouble ? 1 : 0)
        return hasher.key
    }

    private mutating func hasher(ofScope index: Int, _ batch: borrowing RecordBatch) -> StreamHasher {
        if let scope, scope.index == index { return scope.hasher }
        let record = batch.scopes[index]
        var hasher = hasher(ofResource: Int(record.resource), batch)
        hasher.add(batch.text(record.name))
        hasher.add(batch.text(record.version))
        hasher.add(batch.text(record.schemaURL))
        hasher.add(record.set, batch)
        scope = (index, hasher)
        return hasher
    }

    private mutating func hasher(ofResource index: Int, _ batch: borrowing RecordBatch) -> StreamHasher {
        if let resource, resource.index == index { return resource.hasher }
        var hasher = base
        hasher.add(batch.resources[index].set, batch)
        resource = (index, hasher)
        return hasher
    }
}
