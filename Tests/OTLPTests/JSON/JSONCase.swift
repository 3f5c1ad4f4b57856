import OTLP
import Telemetry
import TestSupport

/// Small OTLP/JSON requests, and what they mean.
enum JSONCase {
    static func transcode(_ json: [UInt8], _ signal: Signal) throws(DecodeFailure) -> [UInt8] {
        let result: Result<[UInt8], DecodeFailure> = json.withUnsafeBytes { bytes in
            var output = ByteColumn()
            do throws(DecodeFailure) {
                try OTLPJSONReader.transcode(Text(bytes), signal: signal, into: &output)
            } catch {
                return .failure(error)
            }
            return .success([UInt8](output.bytes))
        }
        return try result.get()
    }

    /// The JSON form of a request.
    static func write(_ protobuf: [UInt8], _ signal: Signal) -> [UInt8] {
        var output = ByteColumn()
        protobuf.withUnsafeBytes { OTLPJSONWriter.write(Text($0), signal: signal, into: &output) }
        return [UInt8](output.bytes)
    }

    /// What libprotobuf-c reads in the protobuf form of a request.
    static func decode(_ json: String, _ signal: Signal = .traces) throws -> OracleMessage? {
        OracleMessage.decode(try transcode(Array(json.utf8), signal), .request(signal))
    }

    /// A request with one span that has these members.
    static func span(_ members: String) -> String {
        #"{"resourceSpans":[{"scopeSpans":[{"spans":[{\#(members)}]}]}]}"#
    }

    /// The span of such a request.
    static func decodeSpan(_ members: String) throws -> OracleMessage? {
        try decode(span(members))?.messages(1).first?.messages(2).first?.messages(2).first
    }

    /// The AnyValue that is the value of a span's only attribute.
    static func decodeValue(_ value: String) throws -> OracleMessage? {
        try decodeSpan(#""attributes":[{"key":"k","value":\#(value)}]"#)?.messages(9).first?.messages(2).first
    }

    /// The point of a request with one gauge.
    static func decodePoint(_ members: String) throws -> OracleMessage? {
        let json =
            #"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{\#(members)}]}}]}]}]}"#
        return try decode(json, .metrics)?.messages(1).first?.messages(2).first?.messages(2).first?
            .messages(5).first?.messages(1).first
    }

    /// Why a request is refused, nil when it is taken.
    static func refusal(_ json: String, _ signal: Signal = .traces) -> DecodeFailure? {
        do throws(DecodeFailure) {
            _ = try transcode(Array(json.utf8), signal)
            return nil
        } catch {
            return error
        }
    }
}
