import Pipeline
import Telemetry

/// Builds protobuf messages by hand, independent of the product's writers.
struct ProtoBytes {
    var bytes: [UInt8] = []

    static func build(_ body: (inout ProtoBytes) -> Void) -> [UInt8] {
        var message = ProtoBytes()
        body(&message)
        return message.bytes
    }

    mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    mutating func number(_ field: UInt64, _ value: UInt64) {
        varint(field << 3)
        varint(value)
    }

    mutating func fixed64(_ field: UInt64, _ value: UInt64) {
        varint(field << 3 | 1)
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
    }

    mutating func data(_ field: UInt64, _ content: [UInt8]) {
        varint(field << 3 | 2)
        varint(UInt64(content.count))
        bytes += content
    }

    mutating func text(_ field: UInt64, _ content: String) { data(field, Array(content.utf8)) }

    mutating func message(_ field: UInt64, _ body: (inout ProtoBytes) -> Void) { data(field, ProtoBytes.build(body)) }

    /// A KeyValue in `field`.
    mutating func attribute(_ field: UInt64, _ key: String, _ value: TestValue) {
        message(field) { pair in
            pair.text(1, key)
            pair.data(2, value.bytes)
        }
    }
}

/// An AnyValue.
indirect enum TestValue {
    case text(String)
    case flag(Bool)
    case int(Int64)
    case double(Double)
    case list([TestValue])
    case map([(String, TestValue)])
    case data([UInt8])
    case none

    var bytes: [UInt8] {
        ProtoBytes.build { value in
            switch self {
            case .text(let text): value.text(1, text)
            case .flag(let flag): value.number(2, flag ? 1 : 0)
            case .int(let number): value.number(3, UInt64(bitPattern: number))
            case .double(let number): value.fixed64(4, number.bitPattern)
            case .list(let members): value.message(5) { list in for member in members { list.data(1, member.bytes) } }
            case .map(let pairs): value.message(6) { map in for pair in pairs { map.attribute(1, pair.0, pair.1) } }
            case .data(let data): value.data(7, data)
            case .none: break
            }
        }
    }
}

/// One span of a test request.
struct TestSpan {
    var trace: UInt8 = 1
    var id: UInt8 = 1
    var parent: UInt8?
    var name = "step"
    var start: UInt64 = 1_000_000_000
    var end: UInt64 = 1_250_000_000
    var status: UInt64 = 0
    var message = ""
    var attributes: [(String, TestValue)] = []
    var events: [(String, [(String, TestValue)])] = []
    var links: [UInt8] = []
    var kind: UInt64 = 1
}

/// Whole requests.
enum TestRequest {
    static func traces(_ spans: [TestSpan], service: String = "agent") -> [UInt8] {
        request(service) { scope in
            for span in spans { scope.message(2) { add(span, to: &$0) } }
        }
    }

    static func logs(_ bodies: [String], service: String = "agent", time: UInt64 = 5) -> [UInt8] {
        request(service) { scope in
            for body in bodies {
                scope.message(2) { log in
                    log.fixed64(1, time)
                    log.number(2, 9)
                    log.text(3, "INFO")
                    log.data(5, TestValue.text(body).bytes)
                    log.attribute(6, "k", .int(1))
                }
            }
        }
    }

    /// A gauge with an integer and a double point, and a histogram with one point.
    static func metrics(service: String = "agent") -> [UInt8] {
        request(service) { scope in
            scope.message(2) { metric in
                metric.text(1, "tokens")
                metric.text(3, "{token}")
                metric.message(5) { gauge in
                    gauge.message(1) { point in
                        point.fixed64(3, 7)
                        point.fixed64(6, 42)
                        point.attribute(7, "model", .text("m"))
                    }
                    gauge.message(1) { point in
                        point.fixed64(3, 8)
                        point.fixed64(4, 1.5.bitPattern)
                    }
                }
            }
            scope.message(2) { metric in
                metric.text(1, "latency")
                metric.message(9) { histogram in
                    histogram.message(1) { point in
                        point.fixed64(3, 9)
                        point.fixed64(4, 3)
                        point.fixed64(5, 6.0.bitPattern)
                        var counts = ProtoBytes()
                        counts.fixed64(0, 1)
                        counts.fixed64(0, 2)
                        // Packed: the tags that the builder puts in front of each word are dropped.
                        point.data(6, Array(counts.bytes[1..<9]) + Array(counts.bytes[10..<18]))
                    }
                    histogram.number(2, 1)
                }
            }
        }
    }

    /// A log record with only the time at which it was observed, one without any, and a point without any.
    static func timeless(observed: UInt64) -> [ExportBatch] {
        let logs = request("agent") { scope in
            scope.message(2) { log in
                log.data(5, TestValue.text("observed").bytes)
                log.fixed64(11, observed)
            }
            scope.message(2) { $0.data(5, TestValue.text("timeless").bytes) }
        }
        let points = request("agent") { scope in
            scope.message(2) { metric in
                metric.text(1, "timeless")
                metric.message(5) { $0.message(1) { $0.fixed64(6, 42) } }
            }
        }
        return [
            ExportBatch(signal: .logs, itemCount: 2, bytes: logs),
            ExportBatch(signal: .metrics, itemCount: 1, bytes: points),
        ]
    }

    /// One request around records that `records` writes.
    static func request(_ service: String, _ records: (inout ProtoBytes) -> Void) -> [UInt8] {
        ProtoBytes.build { request in
            request.message(1) { resource in
                resource.message(1) { $0.attribute(1, "service.name", .text(service)) }
                resource.message(2) { scope in
                    scope.message(1) { $0.text(1, "tests") }
                    records(&scope)
                }
            }
        }
    }

    private static func add(_ span: TestSpan, to message: inout ProtoBytes) {
        message.data(1, [UInt8](repeating: span.trace, count: 16))
        message.data(2, [UInt8](repeating: span.id, count: 8))
        if let parent = span.parent { message.data(4, [UInt8](repeating: parent, count: 8)) }
        message.text(5, span.name)
        message.number(6, span.kind)
        message.fixed64(7, span.start)
        message.fixed64(8, span.end)
        for attribute in span.attributes { message.attribute(9, attribute.0, attribute.1) }
        for event in span.events {
            message.message(11) { body in
                body.fixed64(1, span.start)
                body.text(2, event.0)
                for attribute in event.1 { body.attribute(3, attribute.0, attribute.1) }
            }
        }
        for link in span.links {
            message.message(13) { body in
                body.data(1, [UInt8](repeating: link, count: 16))
                body.data(2, [UInt8](repeating: link, count: 8))
            }
        }
        message.message(15) { status in
            if !span.message.isEmpty { status.text(2, span.message) }
            status.number(3, span.status)
        }
    }
}
