/// Builds protobuf messages by hand, independent of the product's writers.
package struct WireBytes {
    package var bytes: [UInt8] = []

    package init() {}

    package static func build(_ body: (inout WireBytes) -> Void) -> [UInt8] {
        var message = WireBytes()
        body(&message)
        return message.bytes
    }

    package mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    /// A tag: `wire` is the wire type.
    package mutating func tag(_ field: UInt32, _ wire: UInt32) { varint(UInt64(field) << 3 | UInt64(wire)) }

    package mutating func number(_ field: UInt32, _ value: UInt64) {
        tag(field, 0)
        varint(value)
    }

    package mutating func fixed64(_ field: UInt32, _ value: UInt64) {
        tag(field, 1)
        word64(value)
    }

    package mutating func fixed32(_ field: UInt32, _ value: UInt32) {
        tag(field, 5)
        word32(value)
    }

    package mutating func word64(_ value: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
    }

    package mutating func word32(_ value: UInt32) {
        for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }

    package mutating func data(_ field: UInt32, _ content: [UInt8]) {
        tag(field, 2)
        varint(UInt64(content.count))
        bytes += content
    }

    package mutating func text(_ field: UInt32, _ content: String) { data(field, Array(content.utf8)) }

    package mutating func message(_ field: UInt32, _ body: (inout WireBytes) -> Void) {
        data(field, WireBytes.build(body))
    }

    // MARK: OTLP

    /// A KeyValue with a string.
    package mutating func attribute(_ field: UInt32, _ key: String, _ value: String) {
        message(field) {
            $0.text(1, key)
            $0.message(2) { $0.text(1, value) }
        }
    }

    /// The ids of a span: trace id 1 and span id 2, made of these bytes.
    package mutating func ids(trace: UInt8 = 1, span: UInt8 = 1) {
        data(1, [UInt8](repeating: trace, count: 16))
        data(2, [UInt8](repeating: span, count: 8))
    }

    /// A request with one resource and one scope, whose records are in field 2 of the scope's container.
    package static func request(
        resource: (inout WireBytes) -> Void = { _ in }, scope: (inout WireBytes) -> Void = { _ in },
        records: [[UInt8]]
    ) -> [UInt8] {
        build {
            $0.message(1) {
                $0.message(1, resource)
                $0.message(2) { container in
                    container.message(1, scope)
                    for record in records { container.data(2, record) }
                }
            }
        }
    }
}
