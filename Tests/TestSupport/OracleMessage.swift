import COTLP
import CProtobufC
package import Telemetry

/// A message as libprotobuf-c reads it, in a form that can be compared: the independent judge of our codec.
///
/// libprotobuf-c knows neither groups nor a field with an unexpected wire type, and does not merge messages inside a
/// oneof, so tests that use it stay away from those.
package struct OracleMessage: Equatable, Sendable {
    package enum Node: Equatable, Sendable {
        /// Bits of a scalar; those of 32 bits without sign extension.
        case number(UInt64)
        case bytes([UInt8])
        case message(OracleMessage)
    }

    package struct UnknownField: Equatable, Sendable {
        package var number: UInt32
        package var wireType: UInt32
        /// As on the wire, length included.
        package var content: [UInt8]
    }

    package enum Root {
        case request(Signal)
        case array, map, attribute
    }

    /// Values by field number. Scalars and texts without presence are left out when they are zero or empty.
    package var fields: [UInt32: [Node]] = [:]
    package var unknown: [UnknownField] = []

    package init() {}

    /// Reads `bytes`; nil when libprotobuf-c refuses them.
    package static func decode(_ bytes: [UInt8], _ root: Root) -> OracleMessage? {
        let count = bytes.count
        let unpacked: UnsafeMutableRawPointer? =
            switch root {
            case .request(.traces): raw(otlp__export_trace_service_request__unpack(nil, count, bytes))
            case .request(.logs): raw(otlp__export_logs_service_request__unpack(nil, count, bytes))
            case .request(.metrics): raw(otlp__export_metrics_service_request__unpack(nil, count, bytes))
            case .array: raw(otlp__array_value__unpack(nil, count, bytes))
            case .map: raw(otlp__key_value_list__unpack(nil, count, bytes))
            case .attribute: raw(otlp__key_value__unpack(nil, count, bytes))
            }
        guard let unpacked else { return nil }
        let message = unpacked.assumingMemoryBound(to: ProtobufCMessage.self)
        defer { protobuf_c_message_free_unpacked(message, nil) }
        return OracleMessage(UnsafePointer(message))
    }

    private static func raw<Message>(_ pointer: UnsafeMutablePointer<Message>?) -> UnsafeMutableRawPointer? {
        pointer.map { UnsafeMutableRawPointer($0) }
    }

    private init(_ message: UnsafePointer<ProtobufCMessage>) {
        let base = UnsafeRawPointer(message)
        let descriptor = message.pointee.descriptor.pointee
        for field in UnsafeBufferPointer(start: descriptor.fields, count: Int(descriptor.n_fields)) {
            let values = Self.values(field, base)
            if !values.isEmpty { fields[field.id] = values }
        }
        let kept = UnsafeBufferPointer(
            start: message.pointee.unknown_fields, count: Int(message.pointee.n_unknown_fields))
        unknown = kept.map { field in
            UnknownField(
                number: field.tag, wireType: UInt32(field.wire_type.rawValue),
                content: [UInt8](UnsafeBufferPointer(start: field.data, count: field.len)))
        }
    }

    private static func values(_ field: ProtobufCFieldDescriptor, _ base: UnsafeRawPointer) -> [Node] {
        let place = base + Int(field.offset)
        if field.label == PROTOBUF_C_LABEL_REPEATED {
            let count = (base + Int(field.quantifier_offset)).load(as: Int.self)
            guard count > 0, let start = place.load(as: UnsafeRawPointer?.self) else { return [] }
            return (0..<count).map { value(field, start + $0 * size(field.type)) }
        }
        if field.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0 {
            let member = (base + Int(field.quantifier_offset)).load(as: UInt32.self)
            return member == field.id ? [value(field, place)] : []
        }
        if field.type == PROTOBUF_C_TYPE_MESSAGE && place.load(as: UnsafeRawPointer?.self) == nil { return [] }
        let single = value(field, place)
        return single == .number(0) || single == .bytes([]) ? [] : [single]
    }

    private static func size(_ type: ProtobufCType) -> Int {
        switch type {
        case PROTOBUF_C_TYPE_BYTES: MemoryLayout<ProtobufCBinaryData>.stride
        case PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_SINT32, PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_UINT32,
            PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_FLOAT, PROTOBUF_C_TYPE_ENUM, PROTOBUF_C_TYPE_BOOL:
            4
        default: 8
        }
    }

    private static func value(_ field: ProtobufCFieldDescriptor, _ place: UnsafeRawPointer) -> Node {
        switch field.type {
        case PROTOBUF_C_TYPE_MESSAGE:
            guard let pointer = place.load(as: UnsafePointer<ProtobufCMessage>?.self) else { return .bytes([]) }
            return .message(OracleMessage(pointer))
        case PROTOBUF_C_TYPE_BYTES:
            let data = place.load(as: ProtobufCBinaryData.self)
            return .bytes([UInt8](UnsafeBufferPointer(start: data.data, count: data.len)))
        default:
            if size(field.type) == 4 { return .number(UInt64(place.load(as: UInt32.self))) }
            return .number(place.load(as: UInt64.self))
        }
    }
}

extension OracleMessage {
    /// The messages of a field.
    package func messages(_ number: UInt32) -> [OracleMessage] {
        (fields[number] ?? []).compactMap { node in
            if case .message(let message) = node { return message }
            return nil
        }
    }

    /// A scalar, zero when it is absent.
    package func number(_ number: UInt32) -> UInt64 {
        if case .number(let value) = fields[number]?.first { return value }
        return 0
    }

    /// A text or binary field, empty when it is absent.
    package func bytes(_ number: UInt32) -> [UInt8] {
        if case .bytes(let value) = fields[number]?.first { return value }
        return []
    }

    /// Changes the messages of a field in place.
    package mutating func update(_ number: UInt32, _ change: (inout OracleMessage) -> Void) {
        fields[number] = messages(number).map { message in
            var message = message
            change(&message)
            return .message(message)
        }
        if fields[number]?.isEmpty == true { fields[number] = nil }
    }

    /// A KeyValue with a string.
    package static func attribute(_ key: String, _ value: String) -> OracleMessage {
        var text = OracleMessage()
        text.fields[1] = [.bytes(Array(value.utf8))]
        var pair = OracleMessage()
        if !key.isEmpty { pair.fields[1] = [.bytes(Array(key.utf8))] }
        pair.fields[2] = [.message(text)]
        return pair
    }
}
