import OTLP
import Telemetry
import TestSupport

/// What the fuzzer, and the tests that replay its inputs, run on bytes of any kind.
///
/// Each target returns what is wrong, nil when nothing is. A trap or a hang speaks for itself. The first byte chooses
/// the signal, the rest is the input.
package enum CodecFuzz {
    /// Targets by the name of their folder in Tests/Fixtures/fuzz.
    package static let targets: [(name: String, run: @Sendable (UnsafeRawBufferPointer) -> String?)] = [
        ("protobuf", ProtobufFuzz.run), ("json", JSONFuzz.run),
    ]

    /// The parts of an input; nil when it is empty.
    static func parts(_ input: UnsafeRawBufferPointer) -> (signal: Signal, bytes: Text)? {
        guard let first = input.first else { return nil }
        let signals = Signal.allCases
        let rest = UnsafeRawBufferPointer(rebasing: input[1...])
        return (signals[Int(first) % signals.count], Text(rest))
    }

    /// The number of records of a request that can be read, nil when it cannot.
    static func liveCount(_ request: Text, _ signal: Signal) -> Int? {
        var batch = RecordBatch()
        do throws(DecodeFailure) {
            _ = try OTLPReader.read(request, signal: signal, keys: .empty, into: &batch)
            return batch.liveCount
        } catch {
            return nil
        }
    }

    /// The protobuf form of JSON, or why there is none.
    static func transcode(_ json: Text, _ signal: Signal) -> Result<ByteColumn, DecodeFailure> {
        var output = ByteColumn()
        do throws(DecodeFailure) {
            try OTLPJSONReader.transcode(json, signal: signal, into: &output)
        } catch {
            return .failure(error)
        }
        return .success(output)
    }
}
