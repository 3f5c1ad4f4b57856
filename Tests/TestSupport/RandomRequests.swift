@preconcurrency import COTLP
import CProtobufC
package import Telemetry

/// Makes valid requests of all shapes from a seed: every field of the schema, in any order, packed and unpacked, with
/// unknown fields in every message.
///
/// Ids have their right lengths, no singular field comes twice, and values nest at most a few levels.
package struct RandomRequests {
    private var random: SeededRandom
    /// Messages that the present request may still get.
    private var budget = 0
    private let elementsMax: Int
    private static let texts = [
        "", "a", "gen_ai.operation.name", "service.name", "chat gpt-4.1", "zweiundzwanzig Zeichen ä", "田中 愛子", "🙂",
        "a\u{0}b", "\"quoted\" \\ back\nline\u{1F}", String(repeating: "long text ", count: 40),
    ]
    private static let doubles: [Double] = [
        0, -0.0, 1, -1.5, 0.1, 1e300, .leastNonzeroMagnitude, .infinity, -.infinity, .nan, .pi, 9_007_199_254_740_992,
    ]

    /// `elementsMax` is about how many messages a request gets.
    package init(seed: UInt64, elementsMax: Int = 120) {
        random = SeededRandom(seed)
        self.elementsMax = elementsMax
    }

    package mutating func next(_ signal: Signal) -> [UInt8] {
        budget = elementsMax
        return switch signal {
        case .traces: message(otlp__export_trace_service_request__descriptor, depth: 0)
        case .logs: message(otlp__export_logs_service_request__descriptor, depth: 0)
        case .metrics: message(otlp__export_metrics_service_request__descriptor, depth: 0)
        }
    }

    private mutating func message(_ descriptor: ProtobufCMessageDescriptor, depth: Int) -> [UInt8] {
        budget -= 1
        let fields = Array(UnsafeBufferPointer(start: descriptor.fields, count: Int(descriptor.n_fields)))
        let members = chosenMembers(fields, depth: depth)
        var parts: [[UInt8]] = []
        for field in fields {
            if isMember(field) {
                if members[field.quantifier_offset] == field.id { parts.append(value(field, depth: depth)) }
            } else if field.label == PROTOBUF_C_LABEL_REPEATED {
                parts += repeated(field, depth: depth)
            } else if isIdentifier(field) || random.chance(percent: depth < 3 ? 90 : 60) {
                parts.append(value(field, depth: depth))
            }
        }
        while random.chance(percent: 20) { parts.append(unknownField()) }
        parts.shuffle(using: &random)
        return Array(parts.joined())
    }

    private func isMember(_ field: ProtobufCFieldDescriptor) -> Bool {
        field.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0
    }

    /// Spans without ids are refused, which is another test's business.
    private func isIdentifier(_ field: ProtobufCFieldDescriptor) -> Bool {
        ["trace_id", "span_id"].contains(String(cString: field.name))
    }

    /// At most one member per oneof, by the place of its case; `optional` fields are oneofs of one.
    private mutating func chosenMembers(
        _ fields: [ProtobufCFieldDescriptor], depth: Int
    ) -> [UInt32: UInt32] {
        var chosen: [UInt32: UInt32] = [:]
        let members = fields.filter { isMember($0) && (depth < 9 || $0.type != PROTOBUF_C_TYPE_MESSAGE) }
        for place in Set(members.map(\.quantifier_offset)).sorted() where random.chance(percent: 90) {
            let group = members.filter { $0.quantifier_offset == place }
            chosen[place] = random.pick(group).id
        }
        return chosen
    }

    private mutating func repeated(_ field: ProtobufCFieldDescriptor, depth: Int) -> [[UInt8]] {
        let most = depth > 9 || budget <= 0 ? 0 : depth < 3 ? 3 : 4
        let least = depth < 3 && budget > elementsMax / 2 ? 1 : 0
        let count = max(least, random.below(most + 1))
        let isScalar = field.type != PROTOBUF_C_TYPE_MESSAGE && field.type != PROTOBUF_C_TYPE_BYTES
        guard isScalar, count > 0, random.chance(percent: 60) else {
            return (0..<count).map { _ in value(field, depth: depth) }
        }
        var packed = WireBytes()
        for _ in 0..<count { scalar(field.type, &packed) }
        return [WireBytes.build { $0.data(field.id, packed.bytes) }]
    }

    /// One occurrence with its tag.
    private mutating func value(_ field: ProtobufCFieldDescriptor, depth: Int) -> [UInt8] {
        var output = WireBytes()
        switch field.type {
        case PROTOBUF_C_TYPE_MESSAGE:
            let descriptor = field.descriptor.load(as: ProtobufCMessageDescriptor.self)
            output.data(field.id, message(descriptor, depth: depth + 1))
        case PROTOBUF_C_TYPE_BYTES: output.data(field.id, data(String(cString: field.name)))
        default:
            output.tag(field.id, Self.wireType(field.type))
            scalar(field.type, &output)
        }
        return output.bytes
    }

    /// Texts are declared as bytes in C, so the binary fields are told by name.
    private mutating func data(_ name: String) -> [UInt8] {
        switch name {
        case "trace_id": [1] + random.bytes(15)
        case "span_id", "parent_span_id": [1] + random.bytes(7)
        case "bytes_value": random.bytes(random.below(20))
        default: Array(random.pick(Self.texts).utf8)
        }
    }

    private static func wireType(_ type: ProtobufCType) -> UInt32 {
        switch type {
        case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_DOUBLE: 1
        case PROTOBUF_C_TYPE_FIXED32, PROTOBUF_C_TYPE_SFIXED32, PROTOBUF_C_TYPE_FLOAT: 5
        default: 0
        }
    }

    private mutating func scalar(_ type: ProtobufCType, _ output: inout WireBytes) {
        let bits = random.pick([0, 1, 2, 200, UInt64(UInt32.max), UInt64.max, 1 << 63, random.next()])
        switch type {
        case PROTOBUF_C_TYPE_DOUBLE: output.word64(random.pick(Self.doubles).bitPattern)
        case PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_SFIXED64: output.word64(bits)
        case PROTOBUF_C_TYPE_FIXED32: output.word32(UInt32(truncatingIfNeeded: bits))
        case PROTOBUF_C_TYPE_BOOL: output.varint(bits & 1)
        case PROTOBUF_C_TYPE_UINT32, PROTOBUF_C_TYPE_SINT32: output.varint(bits & 0xFFFF_FFFF)
        case PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_ENUM:
            output.varint(UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: bits))))
        default: output.varint(bits)
        }
    }

    private mutating func unknownField() -> [UInt8] {
        let number = UInt32(500 + random.below(3_000))
        let bits = random.next()
        let content = random.bytes(random.below(12))
        return WireBytes.build {
            switch bits % 4 {
            case 0: $0.number(number, bits)
            case 1: $0.fixed64(number, bits)
            case 2: $0.fixed32(number, UInt32(truncatingIfNeeded: bits))
            default: $0.data(number, content)
            }
        }
    }
}
