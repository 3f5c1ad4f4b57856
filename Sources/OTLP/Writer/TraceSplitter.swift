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
/// and scope, unknown fields included. What no schema knows beside the resources is in each.
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
        var writer = PieceWriter(batch)
        var pieces: [TracePiece] = []
        var at = 0
        while at < order.count {
            var end = at
            while end < order.count, order[end].trace == order[at].trace { end += 1 }
            let start = output.count
            writer.write(order[at..<end].lazy.map(\.span), of: batch, into: &output)
            writer.writeUnknown(of: batch, into: &output)
            let hasRoot = order[at..<end].contains { batch.spans[$0.span].parentID.isEmpty }
            pieces.append(
                TracePiece(trace: order[at].trace, bytes: start..<output.count, items: end - at, hasRoot: hasRoot))
            at = end
        }
        return pieces
    }
}
