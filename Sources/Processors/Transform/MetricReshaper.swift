import OTLP
import OTTL
import Pipeline
import Synchronization
import Telemetry

/// Runs statements that change what metrics are, or add some, on the metrics of a request, one after the other.
///
/// A batch lies over the bytes that came in and cannot hold another metric. So each metric gets a small batch of its
/// own, with its resource and scope, which is written and read again around every such statement; the request is put
/// together from what comes out. What is added stands behind the other metrics of its scope, and all statements see it
/// as well, as in the Collector.
// Unchecked because the pool hands it to one run at a time and nobody else holds it.
final class MetricReshaper: @unchecked Sendable {
    /// Most metrics that statements may add to one request, and their bytes: a copy that its own condition matches
    /// would go on forever.
    static let addedMax = 2_000
    static let addedBytesMax = 16 << 20

    /// What the statements of one group do to the metric in hand.
    typealias Work = (MetricReshaper, inout EvaluationState) throws -> Void

    /// The metric in hand, with its resource and scope.
    var batch = RecordBatch()
    private var input = ByteColumn()
    private var written = ByteColumn()
    private(set) var output = ByteColumn()
    private var keys = KeyTable.empty

    /// All fields of the containers but what they contain.
    private var resource: [UInt8] = []
    private var scope: [UInt8] = []
    private var metric: [UInt8] = []
    private var added: [[UInt8]] = []
    private var addedCount = 0
    private var addedBytes = 0

    /// Puts together what `work` makes of the metrics of a request.
    func run(
        _ request: Text, _ keys: KeyTable, _ state: inout EvaluationState, _ work: Work
    ) throws {
        self.keys = keys
        (addedCount, addedBytes) = (0, 0)
        output.removeAll()
        var cursor = WireCursor(request)
        while let field = cursor.nextField() {
            guard field.tag == 0x0A else {
                output.append(request[field.whole])
                continue
            }
            let parts = MetricReshaper.parts(request[field.content])
            resource = parts.head
            var scopes: [(head: [UInt8], metrics: [[UInt8]])] = []
            for container in parts.contents { scopes.append(try run(scope: container, &state, work)) }
            let open = output.beginMessage(tag: 0x0A, guess: field.content.count)
            MetricReshaper.append(resource, to: &output)
            for (head, metrics) in scopes {
                let inner = output.beginMessage(tag: 0x12, guess: 1 << 10)
                MetricReshaper.append(head, to: &output)
                for metric in metrics { metric.withUnsafeBytes { output.appendField(tag: 0x12, Text($0)) } }
                output.endMessage(inner)
            }
            output.endMessage(open)
        }
    }

    private func run(
        scope container: [UInt8], _ state: inout EvaluationState, _ work: Work
    ) throws -> (head: [UInt8], metrics: [[UInt8]]) {
        let parts = container.withUnsafeBytes { MetricReshaper.parts(Text($0)) }
        scope = parts.head
        var metrics = parts.contents
        var index = 0
        // Bounded by `addedMax`.
        while index < metrics.count {
            metric = metrics[index]
            added = []
            try load()
            try work(self, &state)
            save()
            metrics[index] = metric
            metrics += added
            index += 1
        }
        return (scope, metrics)
    }

    /// Does what a statement that has just run wants. True when the metric is another one now.
    func reshape(
        _ statement: OTTLStatement, point: Int?, isFirst: Bool, _ state: inout EvaluationState
    ) throws -> Bool {
        save()
        let room = addedCount < MetricReshaper.addedMax ? MetricReshaper.addedBytesMax - addedBytes : -1
        let made = try metric.withUnsafeBytes { bytes throws(OTTLFailure) in
            try statement.reshape(Text(bytes), point: point, isFirst: isFirst, room: room, &state)
        }
        if let new = made.added {
            added.append(new)
            addedCount += 1
            addedBytes += new.count
        }
        guard let changed = made.changed else { return false }
        metric = changed
        try load()
        return true
    }

    // MARK: One metric

    private func load() throws(DecodeFailure) {
        input.removeAll()
        let open = input.beginMessage(tag: 0x0A, guess: resource.count + scope.count + metric.count)
        MetricReshaper.append(resource, to: &input)
        let inner = input.beginMessage(tag: 0x12, guess: scope.count + metric.count)
        MetricReshaper.append(scope, to: &input)
        metric.withUnsafeBytes { input.appendField(tag: 0x12, Text($0)) }
        input.endMessage(inner)
        input.endMessage(open)
        _ = try OTLPReader.read(input.text, signal: .metrics, keys: keys, into: &batch)
    }

    /// Takes over what statements have changed in the batch.
    private func save() {
        guard batch.isEdited else { return }
        written.removeAll()
        OTLPWriter.write(batch, into: &written)
        var cursor = WireCursor(written.text)
        guard let field = cursor.nextField(), field.tag == 0x0A else { return }
        let above = MetricReshaper.parts(written.text[field.content])
        guard let container = above.contents.first else { return }
        let below = container.withUnsafeBytes { MetricReshaper.parts(Text($0)) }
        guard let found = below.contents.first else { return }
        (resource, scope, metric) = (above.head, below.head, found)
    }

    // MARK: Containers

    /// The contents of the fields with number 2, and all other fields.
    private static func parts(_ container: Text) -> (head: [UInt8], contents: [[UInt8]]) {
        var head: [UInt8] = []
        var contents: [[UInt8]] = []
        var cursor = WireCursor(container)
        while let field = cursor.nextField() {
            if field.tag == 0x12 {
                contents.append([UInt8](container[field.content].bytes))
            } else {
                head += container[field.whole].bytes
            }
        }
        return (head, contents)
    }

    private static func append(_ bytes: [UInt8], to output: inout ByteColumn) {
        bytes.withUnsafeBytes { output.append(Text($0)) }
    }
}

/// Idle working memories.
final class MetricReshaperPool: Sendable {
    private let idle = Mutex<[MetricReshaper]>([])

    func take() -> MetricReshaper { idle.withLock { $0.popLast() } ?? MetricReshaper() }

    func give(_ reshaper: MetricReshaper) {
        idle.withLock { all in
            if all.count < 4 { all.append(reshaper) }
        }
    }
}
