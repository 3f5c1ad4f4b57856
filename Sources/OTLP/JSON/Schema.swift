import COTLP
import CProtobufC
import Telemetry

/// How a field's value is written, in protobuf and in OTLP/JSON.
enum FieldForm: UInt8, BitwiseCopyable {
    case message, string, identifier, bytes, bool, double
    /// Varints: signed, zigzag and unsigned 32 and 64 bit, and enums.
    case int32, int64, sint32, uint32, uint64, enumeration
    case fixed32, fixed64, sfixed64

    /// Wire type of one value.
    var wireType: UInt32 {
        switch self {
        case .message, .string, .identifier, .bytes: 2
        case .double, .fixed64, .sfixed64: 1
        case .fixed32: 5
        default: 0
        }
    }
}

/// One field of a message, from the generated descriptors.
struct SchemaField {
    var number: UInt32
    /// Place in the schema's arena of the lowerCamelCase name as a JSON key: in quotes, with the colon.
    var token: Range<Int>
    var form: FieldForm
    var isRepeated: Bool
    /// Written even when it has its default value: members of a oneof and `optional` fields.
    var hasPresence: Bool
    /// A member of the message's oneof: of its members the last one in the bytes counts.
    var isMember: Bool
    /// Index of the message type for `.message`, of the enum for `.enumeration`.
    var message: Int
    /// Usual length of a message in this field, in bytes: as many digits are kept for it while it is written.
    var usualLength: Int
}

/// One message type: its fields, a run of `Schema.fields`.
struct SchemaMessage {
    var fields: Range<Int>
}

/// The OTLP messages as tables for the two JSON transcoders, read once from the descriptors that protoc-c generated
/// from `Proto/`: there is no second description of the schema.
final class Schema: Sendable {
    // Written once in init and only read afterwards, for the life of the process.
    nonisolated(unsafe) let fields: UnsafeMutableBufferPointer<SchemaField>
    nonisolated(unsafe) let messages: UnsafeMutableBufferPointer<SchemaMessage>
    nonisolated(unsafe) private let arena: UnsafeMutableRawPointer
    private let arenaCount: Int
    let requests: [Int]
    /// Message indexes of KeyValue and AnyValue.
    let keyValue: Int
    let anyValue: Int
    // Descriptors of generated code: constants.
    nonisolated(unsafe) private let enums: [UnsafePointer<ProtobufCEnumDescriptor>]

    static let shared = Schema()

    private init() {
        var builder = Builder()
        requests = [
            builder.add(otlp__export_trace_service_request__descriptor),
            builder.add(otlp__export_logs_service_request__descriptor),
            builder.add(otlp__export_metrics_service_request__descriptor),
        ]
        builder.finish()
        keyValue = builder.keyValue
        anyValue = builder.anyValue
        enums = builder.enums
        fields = .allocate(capacity: builder.fields.count)
        _ = fields.initialize(from: builder.fields)
        messages = .allocate(capacity: builder.messages.count)
        _ = messages.initialize(from: builder.messages)
        precondition(KeyOrder.holds(fields: fields.count, messages: messages.count))
        arenaCount = builder.names.count
        arena = .allocate(byteCount: arenaCount, alignment: 8)
        UnsafeMutableRawBufferPointer(start: arena, count: arenaCount).copyBytes(from: builder.names)
    }

    /// Message index of a signal's request.
    func request(_ signal: Signal) -> Int { requests[Int(signal.rawValue) - 1] }

    @inline(__always)
    func token(_ field: SchemaField) -> Text { Text(start: UnsafeRawPointer(arena), count: arenaCount)[field.token] }

    @inline(__always)
    func name(_ field: SchemaField) -> Text {
        Text(start: UnsafeRawPointer(arena), count: arenaCount)[
            field.token.lowerBound &+ 1..<field.token.upperBound &- 2]
    }

    /// The field with this JSON name. `hint` is where the previous key was found: keys usually come in order. At the
    /// start of an object it is no field of the message.
    @inline(__always)
    func find(_ name: Text, in message: Int, hint: inout Int) -> Int? {
        let range = messages[message].fields
        var index = range.contains(hint) ? hint : range.upperBound &- 1
        for _ in 0..<range.count {
            index = index &+ 1 < range.upperBound ? index &+ 1 : range.lowerBound
            if fields[index].token.count == name.count &+ 3 && self.name(fields[index]) == name {
                hint = index
                return index
            }
        }
        return nil
    }

    /// The field with this number.
    @inline(__always)
    func find(number: UInt32, in message: Int, hint: inout Int) -> Int? {
        let range = messages[message].fields
        var index = hint
        for _ in 0..<range.count {
            if fields[index].number == number {
                hint = index
                return index
            }
            index = index &+ 1 < range.upperBound ? index &+ 1 : range.lowerBound
        }
        return nil
    }

    /// The field with the number and the wire type of a tag; packed and unpacked both fit a repeated scalar.
    @inline(__always)
    func find(tag: UInt32, in message: Int, hint: inout Int) -> Int? {
        guard let index = find(number: tag >> 3, in: message, hint: &hint) else { return nil }
        let known = fields[index]
        return tag & 7 == known.form.wireType || (known.isRepeated && tag & 7 == 2) ? index : nil
    }

    /// The number of an enum's value.
    func value(ofEnum index: Int, named name: Text) -> Int32? {
        guard enums.indices.contains(index) else { return nil }
        return protobuf_c_enum_descriptor_get_value_by_name(enums[index], name.string)?.pointee.value
    }

    // MARK: Building

    private struct Builder {
        var fields: [SchemaField] = []
        var messages: [SchemaMessage] = []
        var names: [UInt8] = []
        var enums: [UnsafePointer<ProtobufCEnumDescriptor>] = []
        var keyValue = 0
        var anyValue = 0
        var known: [UnsafeRawPointer: Int] = [:]
        var waiting: [(index: Int, descriptor: ProtobufCMessageDescriptor)] = []

        mutating func add(_ descriptor: ProtobufCMessageDescriptor) -> Int {
            let index = messages.count
            messages.append(SchemaMessage(fields: 0..<0))
            waiting.append((index, descriptor))
            return index
        }

        mutating func finish() {
            while let (index, descriptor) = waiting.popLast() {
                let start = fields.count
                switch String(cString: descriptor.short_name) {
                case "KeyValue": keyValue = index
                case "AnyValue": anyValue = index
                default: break
                }
                let members = UnsafeBufferPointer(start: descriptor.fields, count: Int(descriptor.n_fields))
                for field in members {
                    fields.append(convert(field, isMember: members.contains { Builder.exclude(field, $0) }))
                }
                messages[index].fields = start..<fields.count
            }
        }

        private mutating func convert(_ field: ProtobufCFieldDescriptor, isMember: Bool) -> SchemaField {
            let name = String(cString: field.name)
            let start = names.count
            names.append(contentsOf: "\"\(Builder.lowerCamel(name))\":".utf8)
            var target = 0
            if field.type == PROTOBUF_C_TYPE_MESSAGE, let pointer = field.descriptor {
                if let index = known[pointer] {
                    target = index
                } else {
                    target = add(pointer.assumingMemoryBound(to: ProtobufCMessageDescriptor.self).pointee)
                    known[pointer] = target
                }
            }
            if field.type == PROTOBUF_C_TYPE_ENUM, let pointer = field.descriptor {
                target = enums.count
                enums.append(pointer.assumingMemoryBound(to: ProtobufCEnumDescriptor.self))
            }
            return SchemaField(
                number: field.id, token: start..<names.count, form: Builder.form(field, name),
                isRepeated: field.label == PROTOBUF_C_LABEL_REPEATED,
                hasPresence: field.label == PROTOBUF_C_LABEL_OPTIONAL || Builder.isInOneof(field),
                isMember: isMember,
                message: target, usualLength: Builder.usualLength(field))
        }

        private static func isInOneof(_ field: ProtobufCFieldDescriptor) -> Bool {
            field.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0
        }

        /// Whether two fields are members of one oneof: then they share the number that tells which is there. A proto3
        /// `optional` field is alone in its own. No OTLP message has more than one oneof of several.
        private static func exclude(_ field: ProtobufCFieldDescriptor, _ other: ProtobufCFieldDescriptor) -> Bool {
            isInOneof(field) && isInOneof(other) && field.id != other.id
                && field.quantifier_offset == other.quantifier_offset
        }

        /// Containers are large, values are small, records are between.
        private static func usualLength(_ field: ProtobufCFieldDescriptor) -> Int {
            guard field.type == PROTOBUF_C_TYPE_MESSAGE, let pointer = field.descriptor else { return 0 }
            let descriptor = pointer.assumingMemoryBound(to: ProtobufCMessageDescriptor.self).pointee
            switch String(cString: descriptor.short_name) {
            case "ResourceSpans", "ScopeSpans", "ResourceLogs", "ScopeLogs", "ResourceMetrics", "ScopeMetrics":
                return 40_000
            case "Resource", "Span", "LogRecord", "Metric", "Event", "Gauge", "Sum", "Histogram",
                "ExponentialHistogram", "Summary":
                return 400
            default: return 40
            }
        }

        /// Strings are generated as bytes, so the text fields are told from the binary ones by name: only the ids and
        /// `bytes_value` are binary in OTLP.
        private static func form(_ field: ProtobufCFieldDescriptor, _ name: String) -> FieldForm {
            switch field.type {
            case PROTOBUF_C_TYPE_MESSAGE: .message
            case PROTOBUF_C_TYPE_BOOL: .bool
            case PROTOBUF_C_TYPE_DOUBLE: .double
            case PROTOBUF_C_TYPE_INT32: .int32
            case PROTOBUF_C_TYPE_INT64: .int64
            case PROTOBUF_C_TYPE_SINT32: .sint32
            case PROTOBUF_C_TYPE_UINT32: .uint32
            case PROTOBUF_C_TYPE_UINT64: .uint64
            case PROTOBUF_C_TYPE_ENUM: .enumeration
            case PROTOBUF_C_TYPE_FIXED32: .fixed32
            case PROTOBUF_C_TYPE_FIXED64: .fixed64
            case PROTOBUF_C_TYPE_SFIXED64: .sfixed64
            default:
                switch name {
                case "trace_id", "span_id", "parent_span_id": .identifier
                case "bytes_value": .bytes
                default: .string
                }
            }
        }

        private static func lowerCamel(_ name: String) -> String {
            var result = ""
            var raise = false
            for character in name {
                if character == "_" {
                    raise = true
                } else {
                    result += raise ? character.uppercased() : String(character)
                    raise = false
                }
            }
            return result
        }
    }
}
