import OTLP
import Telemetry
import TestSupport

/// The JSON reader and writer: what is read is a readable request, and written as JSON again it stays the same.
enum JSONFuzz {
    static func run(_ input: UnsafeRawBufferPointer) -> String? {
        guard let (signal, json) = CodecFuzz.parts(input) else { return nil }
        guard case .success(let protobuf) = CodecFuzz.transcode(json, signal) else { return nil }
        var batch = RecordBatch()
        do throws(DecodeFailure) {
            _ = try OTLPReader.read(protobuf.text, signal: signal, keys: .empty, into: &batch)
        } catch {
            // `@unknown` brings bytes of any kind, and protobuf has its own limit of depth.
            return isPardoned(error.reason, json) ? nil : "own protobuf: \(error.message)"
        }
        guard OracleScan.isComparable(protobuf.text.bytes, signal) else { return nil }
        let request = [UInt8](protobuf.text.bytes)
        guard let there = OracleMessage.decode(request, .request(signal)) else { return "the oracle cannot read it" }
        var text = ByteColumn()
        OTLPJSONWriter.write(protobuf.text, signal: signal, into: &text)
        switch CodecFuzz.transcode(text.text, signal) {
        case .failure(let failure): return failure.reason == .tooDeep ? nil : "own JSON: \(failure.message)"
        case .success(let back):
            let again = OracleMessage.decode([UInt8](back.bytes), .request(signal))
            return there.withOneNaN == again?.withOneNaN ? nil : "changed by writing and reading again"
        }
    }

    private static func isPardoned(_ reason: DecodeFailure.Reason, _ json: Text) -> Bool {
        if reason == .tooDeep { return true }
        return [UInt8](json.bytes).contains(Array("@unknown".utf8))
    }
}
