package import Telemetry

/// The 16 bytes of a trace id as two big-endian halves.
package struct TraceID: Hashable, Comparable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Bytes past the sixteenth are ignored, missing ones count as zero: total on any input.
    package init(_ text: Text) {
        var parts: (UInt64, UInt64) = (0, 0)
        for index in 0..<min(16, text.count) {
            let byte = UInt64(text[index])
            if index < 8 {
                parts.0 |= byte << UInt64(56 - 8 * index)
            } else {
                parts.1 |= byte << UInt64(120 - 8 * index)
            }
        }
        (high, low) = parts
    }

    package static func < (left: TraceID, right: TraceID) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }
}

/// The spans of one trace in one request, as a request of their own.
package struct TracePiece: Sendable {
    package var trace: TraceID
    /// Where the request lies in the splitter's output.
    package var bytes: Range<Int>
    package var items: Int
    /// Whether a span without parent is among them.
    package var hasRoot: Bool

    package init(trace: TraceID, bytes: Range<Int>, items: Int, hasRoot: Bool) {
        self.trace = trace
        self.bytes = bytes
        self.items = items
        self.hasRoot = hasRoot
    }
}

/// Cuts an unedited request into one request per trace: spans are copied as they came, under copies of their resource
/// and scope, unknown fields included.
package enum TraceSplitter {
    /// Appends the requests to `output` and returns where they are, in order of the trace ids. The batch must be what a
    /// reader made of `batch.input`.
    package static func split(_ batch: borrowing RecordBatch, into output: inout ByteColumn) -> [TracePiece] {
        var order: [(trace: TraceID, span: Int)] = []
        order.reserveCapacity(batch.spans.count)
        for index in batch.spans.indices where !batch.isRemoved(span: index) {
            order.append((TraceID(batch.text(batch.spans[index].traceID)), index))
        }
        guard let first = order.first else { return [] }
        if order.count == batch.spans.count, order.allSatisfy({ $0.trace == first.trace }) {
            let start = output.count
            output.append(batch.input)
            let hasRoot = order.contains { batch.spans[$0.span].parentID.isEmpty }
            return [TracePiece(trace: first.trace, bytes: start..<output.count, items: order.count, hasRoot: hasRoot)]
        }
        order.sort { $0.trace != $1.trace ? $0.trace < $1.trace : $0.span < $1.span }
        var heads = EnvelopeHeads(batch)
        var pieces: [TracePiece] = []
        var at = 0
        while at < order.count {
            var end = at
            while end < order.count, order[end].trace == order[at].trace { end += 1 }
            let start = output.count
            let hasRoot = write(order[at..<end], batch, &heads, &output)
            pieces.append(
                TracePiece(trace: order[at].trace, bytes: start..<output.count, items: end - at, hasRoot: hasRoot))
            at = end
        }
        return pieces
    }

    /// Writes the spans of one trace, which stand in the order of the request. Returns whether one has no parent.
    private static func write(
        _ spans: ArraySlice<(trace: TraceID, span: Int)>, _ batch: borrowing RecordBatch, _ heads: inout EnvelopeHeads,
        _ output: inout ByteColumn
    ) -> Bool {
        var hasRoot = false
        var open: (resource: Int, message: OpenMessage)?
        var openScope: (scope: Int, message: OpenMessage)?
        for entry in spans {
            let span = batch.spans[entry.span]
            let scope = Int(span.scope)
            let resource = Int(batch.scopes[scope].resource)
            if openScope?.scope != scope {
                if let openScope { output.endMessage(openScope.message) }
                openScope = nil
                if open?.resource != resource {
                    if let open { output.endMessage(open.message) }
                    open = (resource, output.beginMessage(tag: 0x0A, guess: Int(span.raw.length) + 200))
                    output.append(heads.resource(resource, batch))
                }
                openScope = (scope, output.beginMessage(tag: 0x12, guess: Int(span.raw.length) + 100))
                output.append(heads.scope(scope, batch))
            }
            output.appendField(tag: 0x12, batch.text(span.raw))
            if span.parentID.isEmpty { hasRoot = true }
        }
        if let openScope { output.endMessage(openScope.message) }
        if let open { output.endMessage(open.message) }
        return hasRoot
    }
}

/// What stands around the spans: the fields of each ResourceSpans and ScopeSpans but for the repeated children, which
/// have field number 2 in both.
private struct EnvelopeHeads: ~Copyable {
    private var bytes = ByteColumn()
    private var resources: [Range<Int>?]
    private var scopes: [Range<Int>?]

    init(_ batch: borrowing RecordBatch) {
        resources = Array(repeating: nil, count: batch.resources.count)
        scopes = Array(repeating: nil, count: batch.scopes.count)
    }

    mutating func resource(_ index: Int, _ batch: borrowing RecordBatch) -> Text {
        let range = resources[index] ?? collect(batch.text(batch.resources[index].raw))
        resources[index] = range
        return bytes.text[range]
    }

    mutating func scope(_ index: Int, _ batch: borrowing RecordBatch) -> Text {
        let range = scopes[index] ?? collect(batch.text(batch.scopes[index].raw))
        scopes[index] = range
        return bytes.text[range]
    }

    private mutating func collect(_ message: Text) -> Range<Int> {
        let start = bytes.count
        var cursor = WireCursor(message)
        while let field = cursor.nextField() {
            if field.tag != 0x12 { bytes.append(message[field.whole]) }
        }
        return start..<bytes.count
    }
}
