import COTLP
import CProtobufC
import Glibc
package import Telemetry

extension ControlMessages {
    /// Memory in bytes that reading one answer may ask for in total. A repeated field of a few bytes on the wire takes
    /// dozens in memory, so the size of the answer alone is no bound.
    static let unpackMemoryMax = 4 * sizeMax

    /// What a backend's protobuf answer to an export says it rejected; zero and no text when it took everything, as an
    /// empty body does. Nil when the bytes are no such message, are longer than `sizeMax`, or would take too much
    /// memory. Broken UTF-8 in the message is repaired.
    package static func decodeExportResponse(signal: Signal, bytes: [UInt8]) -> (rejected: Int64, message: String)? {
        decodeExportResponse(signal: signal, bytes: bytes, memoryMax: unpackMemoryMax)
    }

    /// Code and message of a google.rpc.Status in protobuf; its details are skipped. Nil as in `decodeExportResponse`.
    package static func decodeStatus(bytes: [UInt8]) -> (code: Int32, message: String)? {
        decodeStatus(bytes: bytes, memoryMax: unpackMemoryMax)
    }

    static func decodeExportResponse(
        signal: Signal, bytes: [UInt8], memoryMax: Int
    ) -> (rejected: Int64, message: String)? {
        switch signal {
        case .traces:
            unpack(
                bytes, memoryMax: memoryMax, with: otlp__export_trace_service_response__unpack,
                free: otlp__export_trace_service_response__free_unpacked
            ) { response in
                guard let partial = response.partial_success?.pointee else { return (0, "") }
                return (partial.rejected_spans, string(partial.error_message))
            }
        case .logs:
            unpack(
                bytes, memoryMax: memoryMax, with: otlp__export_logs_service_response__unpack,
                free: otlp__export_logs_service_response__free_unpacked
            ) { response in
                guard let partial = response.partial_success?.pointee else { return (0, "") }
                return (partial.rejected_log_records, string(partial.error_message))
            }
        case .metrics:
            unpack(
                bytes, memoryMax: memoryMax, with: otlp__export_metrics_service_response__unpack,
                free: otlp__export_metrics_service_response__free_unpacked
            ) { response in
                guard let partial = response.partial_success?.pointee else { return (0, "") }
                return (partial.rejected_data_points, string(partial.error_message))
            }
        }
    }

    static func decodeStatus(bytes: [UInt8], memoryMax: Int) -> (code: Int32, message: String)? {
        unpack(
            bytes, memoryMax: memoryMax, with: google__rpc__status__unpack, free: google__rpc__status__free_unpacked
        ) { status in
            (status.code, string(status.message))
        }
    }

    private typealias Allocator = UnsafeMutablePointer<ProtobufCAllocator>

    /// Unpacks `bytes`, hands the message to `read`, and frees it. Nil when libprotobuf-c refuses the bytes. None of
    /// the messages read here can contain itself, so its recursion goes two levels deep whatever the bytes are.
    private static func unpack<Message, Value>(
        _ bytes: [UInt8], memoryMax: Int,
        with unpack: (Allocator?, Int, UnsafePointer<UInt8>?) -> UnsafeMutablePointer<Message>?,
        free: (UnsafeMutablePointer<Message>?, Allocator?) -> Void,
        read: (Message) -> Value
    ) -> Value? {
        guard bytes.count <= sizeMax else { return nil }
        var memoryLeft = memoryMax
        return withUnsafeMutablePointer(to: &memoryLeft) { left in
            var allocator = ProtobufCAllocator(
                alloc: { data, size in
                    guard let left = data?.assumingMemoryBound(to: Int.self), size <= left.pointee else { return nil }
                    left.pointee -= size
                    return malloc(max(size, 1))
                },
                free: { _, memory in Glibc.free(memory) },
                allocator_data: UnsafeMutableRawPointer(left))
            return bytes.withUnsafeBufferPointer { buffer -> Value? in
                guard let message = unpack(&allocator, buffer.count, buffer.baseAddress) else { return nil }
                defer { free(message, &allocator) }
                return read(message.pointee)
            }
        }
    }

    private static func string(_ data: ProtobufCBinaryData) -> String {
        String(decoding: UnsafeBufferPointer(start: data.data, count: data.len), as: UTF8.self)
    }
}
