import Telemetry

/// Ids of traces and spans. Readers as strict as the Collector's refuse a whole request for one id that is neither
/// empty nor as long as it should be, and with it all that is in the same batch: such ids go no further.
extension OTLPReader {
    /// An id with its length, which was not read yet; `isBroken` is set when it is of another length than `count` and
    /// not empty.
    @inline(__always)
    func readID(_ cursor: inout WireCursor, _ count: Int, _ isBroken: inout Bool) throws(DecodeFailure) -> TextRef {
        let range = try cursor.length()
        if range.count != count, !range.isEmpty { isBroken = true }
        return WireCursor.reference(range)
    }

    /// Whether the id has this many bytes and is not all zeros.
    @inline(__always)
    func isIdentifier(_ body: Text, _ id: TextRef, _ length: UInt32) -> Bool {
        guard id.length == length else { return false }
        let start = body.start + Int(id.offset)
        if length == 8 { return start.loadUnaligned(as: UInt64.self) != 0 }
        return start.loadUnaligned(as: UInt64.self) | start.loadUnaligned(fromByteOffset: 8, as: UInt64.self) != 0
    }

    /// Has a log record written with the id that was read, if it is one.
    mutating func dropIDs(_ part: EditFlags, ofLog index: Int, _ batch: inout RecordBatch) {
        batch.markLog(index, part)
        warn("log records were kept without their ids")
    }

    /// Takes a link out of its span and counts it as dropped: what it links to is unknown.
    mutating func dropLink(_ index: Int, _ batch: inout RecordBatch) {
        batch.removeLink(index)
        let span = Int(batch.links[index].span)
        let dropped = batch.spans[span].droppedLinks
        batch.setDropped(
            events: batch.spans[span].droppedEvents, links: dropped == .max ? dropped : dropped + 1, ofSpan: span)
        warn("links were taken out of their spans")
    }

    /// Writes a point anew, whose exemplars keep everything but ids of a wrong length.
    mutating func dropExemplarIDs(_ body: Text, ofPoint index: Int, _ batch: inout RecordBatch) {
        let raw = batch.points[index].raw
        let exemplars = MetricShape.exemplarsTag(batch.points[index].kind)
        let content = batch.buildText { output in
            var cursor = WireCursor(body, Int(raw.offset)..<Int(raw.offset) + Int(raw.length))
            while let field = cursor.nextField() {
                guard field.tag == exemplars else {
                    output.append(body[field.whole])
                    continue
                }
                let open = output.beginMessage(tag: field.tag, guess: field.content.count)
                Self.writeExemplar(WireCursor(body, field.content), &output)
                output.endMessage(open)
            }
        }
        batch.setContent(content, ofPoint: index)
        warn("exemplars were kept without their ids")
    }

    /// The fields of an exemplar; of its ids the last ones, as protobuf asks, if they are any.
    private static func writeExemplar(_ exemplar: WireCursor, _ output: inout ByteColumn) {
        var (spanID, traceID): (WireField?, WireField?)
        var cursor = exemplar
        while let field = cursor.nextField() {
            switch field.tag {
            case 0x22: spanID = field
            case 0x2A: traceID = field
            default: output.append(exemplar.bytes[field.whole])
            }
        }
        if let spanID, spanID.content.count == 8 { output.append(exemplar.bytes[spanID.whole]) }
        if let traceID, traceID.content.count == 16 { output.append(exemplar.bytes[traceID.whole]) }
    }

    /// Tells the sender, unless there is more to tell.
    private mutating func warn(_ what: String) {
        guard summary.rejectedMessage.isEmpty else { return }
        summary.rejectedMessage = what + ": a trace id has 16 bytes and a span id 8"
    }
}
