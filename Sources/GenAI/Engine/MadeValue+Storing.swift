import Telemetry

/// How the bytes of made values come into the batch: those that came with the request stay where they are.
extension MadeValue {
    /// Makes a reference of bytes that are part of the batch already. Does not grow the side buffer.
    mutating func refer(in batch: inout RecordBatch) {
        guard !isOutput, !isStored, !text.isEmpty else { return }
        let distance = text.start - batch.input.start
        let isReceived = distance >= 0 && distance &+ text.count <= batch.input.count
        guard isReceived || batch.isInEdits(text) else { return }
        bits = AttributeRecord.pack(batch.reference(to: text))
        isStored = true
    }

    /// Moves the bytes into the batch, from the output buffer or from wherever they lie; afterwards `bits` is their
    /// reference.
    @inline(__always)
    mutating func store(in batch: inout RecordBatch, from output: borrowing ByteColumn) {
        switch kind {
        case .string, .array, .map, .bytes: if !isStored { copy(into: &batch, from: output) }
        default: return
        }
    }

    private mutating func copy(into batch: inout RecordBatch, from output: borrowing ByteColumn) {
        let bytes = isOutput ? Text(UnsafeRawBufferPointer(rebasing: output.bytes[outputRange])) : text
        self = MadeValue(kind: kind, bits: AttributeRecord.pack(batch.addText(bytes)), isStored: true)
    }
}
