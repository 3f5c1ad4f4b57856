import Foundation
import OTLP
import Telemetry
import Testing

@testable import GenAI

/// A value of a hand-written attribute.
enum TestValue: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral
{
    case string(String)
    case int(Int64)
    case double(Double)
    case bool(Bool)
    case array([TestValue])
    case map([(String, TestValue)])
    case bytes([UInt8])
    /// A value without a member, which is how OTLP says null.
    case null

    init(stringLiteral value: String) { self = .string(value) }
    init(integerLiteral value: Int64) { self = .int(value) }
    init(floatLiteral value: Double) { self = .double(value) }
    init(booleanLiteral value: Bool) { self = .bool(value) }
    init(arrayLiteral elements: TestValue...) { self = .array(elements) }
}

/// Writes the few protobuf messages that tests need.
enum Wire {
    static func varint(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var left = value
        while left >= 0x80 {
            bytes.append(UInt8(left & 0x7F) | 0x80)
            left >>= 7
        }
        return bytes + [UInt8(left)]
    }

    static func field(_ number: UInt64, _ content: [UInt8]) -> [UInt8] {
        varint(number << 3 | 2) + varint(UInt64(content.count)) + content
    }

    static func fixed(_ number: UInt64, _ value: UInt64) -> [UInt8] {
        varint(number << 3 | 1) + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }

    static func value(_ value: TestValue) -> [UInt8] {
        switch value {
        case .string(let text): field(1, Array(text.utf8))
        case .bool(let flag): varint(2 << 3) + [flag ? 1 : 0]
        case .int(let number): varint(3 << 3) + varint(UInt64(bitPattern: number))
        case .double(let number): fixed(4, number.bitPattern)
        case .array(let items): field(5, items.flatMap { field(1, self.value($0)) })
        case .map(let items): field(6, items.flatMap { field(1, pair($0.0, $0.1)) })
        case .bytes(let bytes): field(7, bytes)
        case .null: []
        }
    }

    static func pair(_ key: String, _ value: TestValue) -> [UInt8] {
        field(1, Array(key.utf8)) + field(2, self.value(value))
    }
}

/// A hand-written span event.
struct TestEvent {
    var name: String
    var time: UInt64 = 1_500_000_000
    var attributes: [(String, TestValue)] = []
}

/// A hand-written span.
struct TestSpan {
    var scope = "test"
    var name = "span"
    var isRoot = true
    /// A log record instead: the name is the event's, and there is no span.
    var isLog = false
    /// Body of a log record.
    var body: TestValue?
    var status: UInt64 = 0
    var attributes: [(String, TestValue)] = []
    var events: [TestEvent] = []
    var resource: [(String, TestValue)] = []

    var signal: Signal { isLog ? .logs : .traces }

    var request: [UInt8] {
        if isLog { return logRequest }
        var span = Wire.field(1, [UInt8](repeating: 1, count: 16)) + Wire.field(2, [UInt8](repeating: 2, count: 8))
        if !isRoot { span += Wire.field(4, [UInt8](repeating: 3, count: 8)) }
        span += Wire.field(5, Array(name.utf8)) + Wire.fixed(7, 1_000_000_000) + Wire.fixed(8, 2_000_000_000)
        for (key, value) in attributes { span += Wire.field(9, Wire.pair(key, value)) }
        for event in events {
            var bytes = Wire.fixed(1, event.time) + Wire.field(2, Array(event.name.utf8))
            for (key, value) in event.attributes { bytes += Wire.field(3, Wire.pair(key, value)) }
            span += Wire.field(11, bytes)
        }
        if status != 0 { span += Wire.field(15, Wire.varint(3 << 3) + Wire.varint(status)) }
        let scopeBytes = Wire.field(1, Wire.field(1, Array(scope.utf8))) + Wire.field(2, span)
        let resourceBytes = resource.flatMap { Wire.field(1, Wire.pair($0.0, $0.1)) }
        return Wire.field(1, Wire.field(1, resourceBytes) + Wire.field(2, scopeBytes))
    }

    private var logRequest: [UInt8] {
        var record = Wire.fixed(1, 1_500_000_000)
        if let body { record += Wire.field(5, Wire.value(body)) }
        for (key, value) in attributes { record += Wire.field(6, Wire.pair(key, value)) }
        if !name.isEmpty { record += Wire.field(12, Array(name.utf8)) }
        let scopeBytes = Wire.field(1, Wire.field(1, Array(scope.utf8))) + Wire.field(2, record)
        return Wire.field(1, Wire.field(2, scopeBytes))
    }
}

/// The normalizer with the embedded tables, run on whole requests.
final class Bench {
    let tables: Tables
    let keys: KeyTable
    let binding: KeyBinding
    var normalizer: Normalizer
    var batch: RecordBatch

    init(_ options: NormalizerOptions = NormalizerOptions()) throws {
        tables = try Tables.shared.get()
        var builder = KeyTable.Builder()
        tables.intern(&builder)
        for (from, to) in options.customMappings {
            _ = builder.intern(from)
            _ = builder.intern(to)
        }
        for mapping in options.sourceMappings {
            _ = builder.intern(mapping.from)
            _ = builder.intern(mapping.to)
        }
        keys = builder.build()
        binding = KeyBinding(keys, tables)
        normalizer = Normalizer(tables, options)
        batch = RecordBatch(keys: keys)
    }

    /// Normalizes a request and hands the batch out, then gives the encoded result.
    func run(
        _ bytes: [UInt8], _ signal: Signal = .traces, normalize: Bool = true,
        _ body: (borrowing RecordBatch) -> Void = { _ in }
    ) throws -> [UInt8] {
        try bytes.withUnsafeBytes { raw in
            _ = try OTLPReader.read(Text(raw), signal: signal, keys: keys, into: &batch)
            if normalize { normalizer.normalize(&batch, binding: binding) }
            body(batch)
            var out = ByteColumn()
            OTLPWriter.write(batch, into: &out)
            return [UInt8](out.bytes)
        }
    }

    /// Attributes of the first span after normalizing.
    func attributes(_ span: TestSpan) throws -> [String: String] {
        var result: [String: String] = [:]
        _ = try run(span.request, span.signal) { batch in
            if batch.spans.count > 0 { result = Bench.attributes(of: 0, batch) }
            if batch.logs.count > 0 { result = Bench.attributes(in: batch.logs[0].set, batch) }
        }
        return result
    }

    static func attributes(of span: Int, _ batch: borrowing RecordBatch) -> [String: String] {
        attributes(in: batch.spans[span].set, batch)
    }

    static func attributes(in set: SetIndex, _ batch: borrowing RecordBatch) -> [String: String] {
        var result: [String: String] = [:]
        for index in batch.range(of: set) {
            let record = batch.attributes[index]
            result[batch.text(record.key).string] = describe(record, batch)
        }
        return result
    }

    /// As a reader sees it, but bytes as they are.
    static func describe(_ record: AttributeRecord, _ batch: borrowing RecordBatch) -> String {
        if case .bytes(let text) = record.value { return batch.text(text).string }
        return AttributeText.describe(record, batch)
    }
}

/// Normalizes one span with the defaults.
func normalized(_ span: TestSpan, _ options: NormalizerOptions = NormalizerOptions()) throws -> [String: String] {
    try Bench(options).attributes(span)
}

/// Whether two texts are the same JSON document.
func sameJSON(_ left: String?, _ right: String?) -> Bool {
    guard let left, let right,
        let one = try? JSONSerialization.jsonObject(with: Data(left.utf8), options: .fragmentsAllowed) as? NSObject,
        let two = try? JSONSerialization.jsonObject(with: Data(right.utf8), options: .fragmentsAllowed) as? NSObject
    else { return left == right }
    return one == two
}
