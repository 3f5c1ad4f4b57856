import OTLP
import Telemetry
import TestSupport

/// The protobuf reader and writer, and the way through JSON and back, with libprotobuf-c as the judge.
enum ProtobufFuzz {
    static func run(_ input: UnsafeRawBufferPointer) -> String? {
        guard let (signal, bytes) = CodecFuzz.parts(input) else { return nil }
        var batch = RecordBatch()
        let summary: ReadSummary
        do throws(DecodeFailure) {
            summary = try OTLPReader.read(bytes, signal: signal, keys: .empty, into: &batch)
        } catch {
            return nil
        }
        // The reader itself takes out what must not go further.
        return written(batch, bytes, isWhole: !batch.isEdited)
            ?? edited(&batch)
            ?? judged(bytes, signal, isWhole: summary.rejected == 0)
    }

    /// What nobody touched is written as the bytes that came.
    private static func written(_ batch: borrowing RecordBatch, _ bytes: Text, isWhole: Bool) -> String? {
        var output = ByteColumn()
        OTLPWriter.write(batch, into: &output)
        if isWhole, !output.bytes.elementsEqual(bytes.bytes) { return "untouched bytes were changed" }
        let count = CodecFuzz.liveCount(output.text, batch.signal)
        return count == batch.liveCount ? nil : "written \(batch.liveCount) records, read \(count ?? -1)"
    }

    /// Every record changed: what is written can be read and holds as many records.
    private static func edited(_ batch: inout RecordBatch) -> String? {
        let text = batch.addText(Text("new"))
        for set in batch.sets.indices {
            let set = SetIndex(set)
            if let index = batch.range(of: set).first { batch.setValue(.string(text), at: index, in: set) }
            batch.append(key: text, .string(text), to: set)
        }
        for span in batch.spans.indices { batch.setStatusMessage(text, ofSpan: span) }
        var output = ByteColumn()
        OTLPWriter.write(batch, into: &output)
        let count = CodecFuzz.liveCount(output.text, batch.signal)
        return count == batch.liveCount ? nil : "edited \(batch.liveCount) records, read \(count ?? -1)"
    }

    /// The same records as libprotobuf-c reads, and nothing lost through JSON.
    private static func judged(_ bytes: Text, _ signal: Signal, isWhole: Bool) -> String? {
        guard isWhole, OracleScan.isComparable(bytes.bytes, signal) else { return nil }
        let request = [UInt8](bytes.bytes)
        do throws(DecodeFailure) {
            let comparison = try RecordComparison.run(request, signal, keys: .empty)
            if let first = comparison.found.first { return "the oracle: \(first)" }
        } catch {
            return "read once and then not: \(error.message)"
        }
        var json = ByteColumn()
        OTLPJSONWriter.write(bytes, signal: signal, into: &json)
        switch CodecFuzz.transcode(json.text, signal) {
        // An attribute nests more levels of JSON than of protobuf.
        case .failure(let failure): return failure.reason == .tooDeep ? nil : "own JSON: \(failure.message)"
        case .success(let back):
            let there = OracleMessage.decode(request, .request(signal))?.withOneNaN
            let again = OracleMessage.decode([UInt8](back.bytes), .request(signal))?.withOneNaN
            return there == again ? nil : "lost on the way through JSON"
        }
    }
}

extension OracleMessage {
    /// JSON has one NaN; its other bits do not survive there.
    var withOneNaN: OracleMessage {
        var message = self
        message.fields = fields.mapValues { nodes in
            nodes.map { node in
                switch node {
                case .number(let bits) where Double(bitPattern: bits).isNaN: .number(Double.nan.bitPattern)
                case .message(let message): .message(message.withOneNaN)
                default: node
                }
            }
        }
        return message
    }
}
