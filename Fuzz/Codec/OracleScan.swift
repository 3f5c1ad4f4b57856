import COTLP
import CProtobufC
import Telemetry

/// Looks a request over before libprotobuf-c sees it: deep nesting overflows its stack, and some shapes that protobuf
/// allows it reads in another way than protobuf's rules, so that a difference would say nothing about us.
struct OracleScan {
    /// Messages inside each other.
    static let depthMax = 150
    /// Fields of one request; an empty message costs libprotobuf-c fifty times its two bytes.
    static let fieldsMax = 20_000

    private var fields = 0

    /// True when libprotobuf-c can be asked: no groups, no field with another wire type than its own, no tags in more
    /// than five bytes, no member of a oneof beside another, no singular message twice, which it merges without the
    /// unknown fields of the first.
    static func isComparable(_ bytes: UnsafeRawBufferPointer, _ signal: Signal) -> Bool {
        var scan = OracleScan()
        switch signal {
        case .traces: return scan.message(bytes, otlp__export_trace_service_request__descriptor, depth: 1)
        case .logs: return scan.message(bytes, otlp__export_logs_service_request__descriptor, depth: 1)
        case .metrics: return scan.message(bytes, otlp__export_metrics_service_request__descriptor, depth: 1)
        }
    }

    private mutating func message(
        _ bytes: UnsafeRawBufferPointer, _ descriptor: ProtobufCMessageDescriptor, depth: Int
    ) -> Bool {
        guard depth <= Self.depthMax else { return false }
        let known = UnsafeBufferPointer(start: descriptor.fields, count: Int(descriptor.n_fields))
        var rest = bytes[...]
        // Where in the message something stands already.
        var slots: Set<UInt32> = []
        while !rest.isEmpty {
            fields += 1
            guard fields <= Self.fieldsMax, let tag = Self.varint(&rest, bytesMax: 5), tag <= UInt64(UInt32.max) else {
                return false
            }
            guard let content = Self.content(tag & 7, &rest) else { return false }
            guard let field = known.first(where: { $0.id == UInt32(tag >> 3) }) else { continue }
            guard Self.wireType(field, tag & 7) else { return false }
            let isOneof = field.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0
            let isMessage = field.type == PROTOBUF_C_TYPE_MESSAGE
            if isOneof || (isMessage && field.label != PROTOBUF_C_LABEL_REPEATED) {
                let slot = isOneof ? field.quantifier_offset : field.offset
                guard slots.insert(slot).inserted else { return false }
            }
            guard isMessage else { continue }
            let inner = field.descriptor.assumingMemoryBound(to: ProtobufCMessageDescriptor.self).pointee
            guard message(UnsafeRawBufferPointer(rebasing: content), inner, depth: depth + 1) else { return false }
        }
        return true
    }

    /// Takes the content of a field; nil for groups and what is cut short.
    private static func content(
        _ wireType: UInt64, _ rest: inout Slice<UnsafeRawBufferPointer>
    ) -> Slice<UnsafeRawBufferPointer>? {
        let start = rest
        let count: Int
        switch wireType {
        case 0: return varint(&rest, bytesMax: 10) == nil ? nil : start.prefix(start.count - rest.count)
        case 1: count = 8
        case 2:
            guard let length = varint(&rest, bytesMax: 5), length <= UInt64(rest.count) else { return nil }
            count = Int(length)
        case 5: count = 4
        default: return nil
        }
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private static func varint(_ rest: inout Slice<UnsafeRawBufferPointer>, bytesMax: Int) -> UInt64? {
        var value: UInt64 = 0
        for index in 0..<bytesMax {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << UInt64(7 * index)
            if byte & 0x80 == 0 { return value }
        }
        return nil
    }

    /// True when the wire type is the field's own, or it is packed where that is allowed.
    private static func wireType(_ field: ProtobufCFieldDescriptor, _ wireType: UInt64) -> Bool {
        let own: UInt64
        switch field.type {
        case PROTOBUF_C_TYPE_MESSAGE, PROTOBUF_C_TYPE_BYTES, PROTOBUF_C_TYPE_STRING: own = 2
        case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_DOUBLE: own = 1
        case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FLOAT: own = 5
        default: own = 0
        }
        return wireType == own || (wireType == 2 && field.label == PROTOBUF_C_LABEL_REPEATED)
    }
}
