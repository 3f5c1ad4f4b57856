import COTLP
import CProtobufC
package import Telemetry

/// The small messages around an export: what a receiver answers, and what an exporter reads from a backend's answer.
///
/// Protobuf goes through libprotobuf-c, which never sees a client's request. JSON is written by hand in the form of
/// OTLP/JSON: lowerCamelCase names, 64-bit integers as strings, fields at their default left out.
package enum ControlMessages {
    /// Largest answer in bytes that is written or read. OTLP/HTTP lets clients stop reading there.
    package static let sizeMax = 4 << 20

    /// Room that is kept for everything in a message but its text.
    static let framingMax = 64

    /// The body of a success: an Export…ServiceResponse, with a partial success when `rejected` is above zero or there
    /// is a message. A message that would not fit into `sizeMax` is cut between two characters.
    package static func exportResponse(signal: Signal, rejected: Int64, message: String, json: Bool) -> [UInt8] {
        let rejected = max(rejected, 0)
        if json { return JSONControl.exportResponse(signal: signal, rejected: rejected, message: message) }
        guard rejected > 0 || !message.isEmpty else { return [] }
        return withText(message) { text in
            switch signal {
            case .traces: traceResponse(rejected: rejected, text: text)
            case .logs: logsResponse(rejected: rejected, text: text)
            case .metrics: metricsResponse(rejected: rejected, text: text)
            }
        }
    }

    /// The body of a refusal: a google.rpc.Status without details. `code` is a google.rpc.Code. The message is cut as
    /// in `exportResponse`.
    package static func status(code: Int32, message: String, json: Bool) -> [UInt8] {
        if json { return JSONControl.status(code: code, message: message) }
        return withText(message) { text in
            var status = Google__Rpc__Status()
            google__rpc__status__init(&status)
            status.code = code
            status.message = text
            return pack(&status)
        }
    }

    private static func traceResponse(rejected: Int64, text: ProtobufCBinaryData) -> [UInt8] {
        var partial = Otlp__ExportTracePartialSuccess()
        otlp__export_trace_partial_success__init(&partial)
        partial.rejected_spans = rejected
        partial.error_message = text
        return withUnsafeMutablePointer(to: &partial) { pointer in
            var response = Otlp__ExportTraceServiceResponse()
            otlp__export_trace_service_response__init(&response)
            response.partial_success = pointer
            return pack(&response)
        }
    }

    private static func logsResponse(rejected: Int64, text: ProtobufCBinaryData) -> [UInt8] {
        var partial = Otlp__ExportLogsPartialSuccess()
        otlp__export_logs_partial_success__init(&partial)
        partial.rejected_log_records = rejected
        partial.error_message = text
        return withUnsafeMutablePointer(to: &partial) { pointer in
            var response = Otlp__ExportLogsServiceResponse()
            otlp__export_logs_service_response__init(&response)
            response.partial_success = pointer
            return pack(&response)
        }
    }

    private static func metricsResponse(rejected: Int64, text: ProtobufCBinaryData) -> [UInt8] {
        var partial = Otlp__ExportMetricsPartialSuccess()
        otlp__export_metrics_partial_success__init(&partial)
        partial.rejected_data_points = rejected
        partial.error_message = text
        return withUnsafeMutablePointer(to: &partial) { pointer in
            var response = Otlp__ExportMetricsServiceResponse()
            otlp__export_metrics_service_response__init(&response)
            response.partial_success = pointer
            return pack(&response)
        }
    }

    /// Lends the UTF-8 of `message`, cut to what fits, as a protobuf-c byte string that is good until `body` returns.
    private static func withText(_ message: String, _ body: (ProtobufCBinaryData) -> [UInt8]) -> [UInt8] {
        var text = Array(message.utf8.prefix(sizeMax - framingMax))
        if text.count < message.utf8.count { dropBrokenEnd(of: &text) }
        return text.withUnsafeMutableBufferPointer { buffer in
            body(ProtobufCBinaryData(len: buffer.count, data: buffer.baseAddress))
        }
    }

    /// Removes the bytes of a character that a cut went through. `text` is a prefix of well-formed UTF-8.
    private static func dropBrokenEnd(of text: inout [UInt8]) {
        guard let lead = text.lastIndex(where: { $0 & 0xC0 != 0x80 }) else { return }
        let width =
            switch text[lead] {
            case 0xF0...: 4
            case 0xE0...: 3
            case 0xC0...: 2
            default: 1
            }
        if text.count - lead < width { text.removeSubrange(lead...) }
    }

    /// The protobuf form of a message that protoc-c generated: each begins with its ProtobufCMessage.
    private static func pack<Message>(_ message: inout Message) -> [UInt8] {
        withUnsafeBytes(of: &message) { raw in
            let base = raw.baseAddress?.assumingMemoryBound(to: ProtobufCMessage.self)
            let size = protobuf_c_message_get_packed_size(base)
            return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                count = protobuf_c_message_pack(base, buffer.baseAddress)
            }
        }
    }
}
