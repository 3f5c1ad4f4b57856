import OTLP
import Telemetry

/// One log record that a connector makes: an event in the sense of the semantic conventions.
package struct EventLog: Sendable, Equatable {
    /// The kinds of attribute values that connectors write.
    package enum Value: Sendable, Equatable {
        case text(String)
        case int(Int)
        case double(Double)
        case bool(Bool)
    }

    package var name: String
    /// Unix nanoseconds.
    package var time: UInt64
    /// 1 to 24, as in the logs data model.
    package var severity: Int
    package var body: String
    package var attributes: [(key: String, value: Value)] = []
    /// 16 and 8 bytes, or empty.
    package var traceID: [UInt8] = []
    package var spanID: [UInt8] = []

    package init(name: String, time: UInt64, severity: Int, body: String) {
        self.name = name
        self.time = time
        self.severity = severity
        self.body = body
    }

    package static func == (left: EventLog, right: EventLog) -> Bool {
        left.name == right.name && left.time == right.time && left.severity == right.severity
            && left.body == right.body && left.attributes.elementsEqual(right.attributes) { $0 == $1 }
            && left.traceID == right.traceID && left.spanID == right.spanID
    }
}

/// Protobuf of one `ExportLogsServiceRequest`. Field numbers are those of logs.proto and common.proto.
enum EventLogWriter {
    static func request(_ events: [EventLog], scope: String, service: String) -> [UInt8] {
        var output = ByteColumn()
        let container = output.beginMessage(tag: 0x0A, guess: 1 << 10)
        let resource = output.beginMessage(tag: 0x0A, guess: 64)
        attribute("service.name", .text(service), tag: 0x0A, &output)
        output.endMessage(resource)
        let scopes = output.beginMessage(tag: 0x12, guess: 1 << 10)
        let about = output.beginMessage(tag: 0x0A, guess: scope.utf8.count + 2)
        text(scope, tag: 0x0A, &output)
        output.endMessage(about)
        for event in events { write(event, &output) }
        output.endMessage(scopes)
        output.endMessage(container)
        return [UInt8](output.bytes)
    }

    private static func write(_ event: EventLog, _ output: inout ByteColumn) {
        let record = output.beginMessage(tag: 0x12, guess: 1 << 9)
        output.appendFixed(tag: 0x09, event.time)
        output.appendScalar(tag: 0x10, UInt64(event.severity))
        let body = output.beginMessage(tag: 0x2A, guess: event.body.utf8.count + 4)
        text(event.body, tag: 0x0A, &output)
        output.endMessage(body)
        for (key, value) in event.attributes { attribute(key, value, tag: 0x32, &output) }
        bytes(event.traceID, tag: 0x4A, &output)
        bytes(event.spanID, tag: 0x52, &output)
        output.appendFixed(tag: 0x59, event.time)
        text(event.name, tag: 0x62, &output)
        output.endMessage(record)
    }

    private static func attribute(
        _ key: String, _ value: EventLog.Value, tag: UInt32, _ output: inout ByteColumn
    ) {
        let pair = output.beginMessage(tag: tag, guess: 64)
        text(key, tag: 0x0A, &output)
        let any = output.beginMessage(tag: 0x12, guess: 32)
        switch value {
        case .text(let string): text(string, tag: 0x0A, &output)
        case .bool(let flag):
            output.appendVarint(0x10)
            output.appendVarint(flag ? 1 : 0)
        case .int(let number):
            output.appendVarint(0x18)
            output.appendVarint(UInt64(bitPattern: Int64(number)))
        case .double(let number):
            output.appendVarint(0x21)
            output.append(littleEndian: number.bitPattern)
        }
        output.endMessage(any)
        output.endMessage(pair)
    }

    private static func text(_ string: String, tag: UInt32, _ output: inout ByteColumn) {
        var string = string
        string.withUTF8 { output.appendField(tag: tag, Text(UnsafeRawBufferPointer($0))) }
    }

    private static func bytes(_ bytes: [UInt8], tag: UInt32, _ output: inout ByteColumn) {
        guard !bytes.isEmpty else { return }
        bytes.withUnsafeBytes { output.appendField(tag: tag, Text($0)) }
    }
}
