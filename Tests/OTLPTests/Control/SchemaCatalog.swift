@preconcurrency import COTLP
import CProtobufC

/// The compiled schema as libprotobuf-c sees it at run time.
struct SchemaCatalog {
    struct Field: Equatable {
        var number: Int
        var name: String
        /// Name of the scalar type, or full name of the message or enum; `string` is `bytes` here.
        var type: String
        var isRepeated: Bool
        var isPacked: Bool
        /// Tells the oneofs of a message apart; nil outside of one.
        var oneof: Int?
        var isRequiredOrOptional: Bool
        /// A default of our own would be read as another type than it has.
        var hasDefault: Bool
    }

    var messages: [String: [Field]] = [:]
    var enums: [String: [Int: String]] = [:]
    /// "input -> output" by "service.method".
    var methods: [String: String] = [:]

    /// Everything that the schema declares.
    static func load() -> SchemaCatalog {
        var catalog = SchemaCatalog()
        for root in [
            otlp__traces_data__descriptor, otlp__logs_data__descriptor, otlp__metrics_data__descriptor,
            otlp__entity_ref__descriptor,
            otlp__export_trace_service_request__descriptor, otlp__export_trace_service_response__descriptor,
            otlp__export_logs_service_request__descriptor, otlp__export_logs_service_response__descriptor,
            otlp__export_metrics_service_request__descriptor, otlp__export_metrics_service_response__descriptor,
            google__rpc__status__descriptor, google__rpc__bad_request__descriptor, google__rpc__retry_info__descriptor,
        ] {
            catalog.add(root)
        }
        for root in [
            otlp__span_flags__descriptor, otlp__log_record_flags__descriptor, otlp__data_point_flags__descriptor,
        ] {
            catalog.add(root)
        }
        for root in [
            otlp__trace_service__descriptor, otlp__logs_service__descriptor, otlp__metrics_service__descriptor,
        ] {
            catalog.add(root)
        }
        return catalog
    }

    private mutating func add(_ message: ProtobufCMessageDescriptor) {
        let name = String(cString: message.name)
        guard messages[name] == nil else { return }
        messages[name] = []
        for field in UnsafeBufferPointer(start: message.fields, count: Int(message.n_fields)) {
            let read = add(field)
            messages[name]?.append(read)
        }
    }

    private mutating func add(_ field: ProtobufCFieldDescriptor) -> Field {
        let type: String
        switch field.type {
        case PROTOBUF_C_TYPE_MESSAGE:
            let target = field.descriptor.load(as: ProtobufCMessageDescriptor.self)
            add(target)
            type = String(cString: target.name)
        case PROTOBUF_C_TYPE_ENUM:
            let target = field.descriptor.load(as: ProtobufCEnumDescriptor.self)
            add(target)
            type = String(cString: target.name)
        default:
            type = Self.scalars[field.type.rawValue] ?? "type \(field.type.rawValue)"
        }
        let isOneof = field.flags & PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue != 0
        return Field(
            number: Int(field.id), name: String(cString: field.name), type: type,
            isRepeated: field.label == PROTOBUF_C_LABEL_REPEATED,
            isPacked: field.flags & PROTOBUF_C_FIELD_FLAG_PACKED.rawValue != 0,
            oneof: isOneof ? Int(field.quantifier_offset) : nil,
            isRequiredOrOptional: field.label == PROTOBUF_C_LABEL_REQUIRED
                || field.label == PROTOBUF_C_LABEL_OPTIONAL,
            hasDefault: field.default_value != nil)
    }

    private mutating func add(_ values: ProtobufCEnumDescriptor) {
        let all = UnsafeBufferPointer(start: values.values, count: Int(values.n_values))
        enums[String(cString: values.name)] = Dictionary(
            uniqueKeysWithValues: all.map { (Int($0.value), String(cString: $0.name)) })
    }

    private mutating func add(_ service: ProtobufCServiceDescriptor) {
        for method in UnsafeBufferPointer(start: service.methods, count: Int(service.n_methods)) {
            methods["\(String(cString: service.name)).\(String(cString: method.name))"] =
                "\(String(cString: method.input.pointee.name)) -> \(String(cString: method.output.pointee.name))"
        }
    }

    private static let scalars: [UInt32: String] = [
        PROTOBUF_C_TYPE_INT32.rawValue: "int32", PROTOBUF_C_TYPE_SINT32.rawValue: "sint32",
        PROTOBUF_C_TYPE_SFIXED32.rawValue: "sfixed32", PROTOBUF_C_TYPE_INT64.rawValue: "int64",
        PROTOBUF_C_TYPE_SINT64.rawValue: "sint64", PROTOBUF_C_TYPE_SFIXED64.rawValue: "sfixed64",
        PROTOBUF_C_TYPE_UINT32.rawValue: "uint32", PROTOBUF_C_TYPE_FIXED32.rawValue: "fixed32",
        PROTOBUF_C_TYPE_UINT64.rawValue: "uint64", PROTOBUF_C_TYPE_FIXED64.rawValue: "fixed64",
        PROTOBUF_C_TYPE_FLOAT.rawValue: "float", PROTOBUF_C_TYPE_DOUBLE.rawValue: "double",
        PROTOBUF_C_TYPE_BOOL.rawValue: "bool", PROTOBUF_C_TYPE_STRING.rawValue: "string",
        PROTOBUF_C_TYPE_BYTES.rawValue: "bytes",
    ]
}
