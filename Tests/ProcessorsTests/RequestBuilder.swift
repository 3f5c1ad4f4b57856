import Glibc
import OTLP
import Pipeline
import Processors
import Telemetry
import Testing

/// Protobuf bytes by hand, so that tests say exactly what is on the wire.
enum Wire {
    static func varint(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    /// A length-delimited field.
    static func field(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        varint(UInt64(number << 3 | 2)) + varint(UInt64(content.count)) + content
    }

    static func field(_ number: Int, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
    static func string(_ text: String) -> [UInt8] { field(1, text) }
    static func int(_ value: Int64) -> [UInt8] { [0x18] + varint(UInt64(bitPattern: value)) }
    static func double(_ value: Double) -> [UInt8] {
        [0x21] + withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
    }
    static func bool(_ value: Bool) -> [UInt8] { [0x10, value ? 1 : 0] }
    static func bytes(_ value: [UInt8]) -> [UInt8] { field(7, value) }
    static func array(_ values: [[UInt8]]) -> [UInt8] { field(5, values.flatMap { field(1, $0) }) }
    static func map(_ members: [(String, [UInt8])]) -> [UInt8] {
        field(6, members.flatMap { field(1, keyValue($0.0, $0.1)) })
    }
    static func keyValue(_ key: String, _ value: [UInt8]) -> [UInt8] { field(1, key) + field(2, value) }
    static func attributes(_ number: Int, _ members: [(String, [UInt8])]) -> [UInt8] {
        members.flatMap { field(number, keyValue($0.0, $0.1)) }
    }
    static func strings(_ number: Int, _ members: [(String, String)]) -> [UInt8] {
        attributes(number, members.map { ($0.0, string($0.1)) })
    }

    static func id(_ hex: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Substring(hex)
        while !rest.isEmpty {
            bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 0)
            rest = rest.dropFirst(2)
        }
        return bytes
    }

    /// One span in one scope of one resource.
    static func traces(
        resource: [UInt8] = [], scope: [UInt8] = [], span: [UInt8], traceID: String = "0102030405060708090a0b0c0d0e0f10"
    ) -> [UInt8] {
        traces(
            resource: resource, scope: scope, spans: [field(1, id(traceID)) + field(2, id("0102030405060708")) + span])
    }

    static func traces(resource: [UInt8] = [], scope: [UInt8] = [], spans: [[UInt8]]) -> [UInt8] {
        field(1, field(1, resource) + field(2, field(1, scope) + spans.flatMap { field(2, $0) }))
    }

    static func logs(resource: [UInt8] = [], scope: [UInt8] = [], records: [[UInt8]]) -> [UInt8] {
        field(1, field(1, resource) + field(2, field(1, scope) + records.flatMap { field(2, $0) }))
    }
}

/// Runs a processor over a request as the gateway does.
struct Bench {
    var keys = KeyTable.Builder()
    let metrics = SelfMetrics()

    mutating func build(_ signal: Signal) -> ProcessorBuild {
        ProcessorBuild(keys: keys, metrics: metrics, id: "test/one", pipeline: "\(signal)/main", signal: signal)
    }

    /// The request after the processor; `kept` is the number of live records.
    static func run(
        _ processor: some Processor, _ build: ProcessorBuild, _ request: [UInt8], tenant: String = "",
        metadata: RequestMetadata = RequestMetadata()
    ) throws -> (bytes: [UInt8], kept: Int) {
        let (bytes, kept, _) = try run(processor, build, request, tenant: tenant, metadata: metadata, trace: nil)
        return (bytes, kept)
    }

    /// The same for a whole trace, with what the processor said of it; `isStored` says whether the journal takes it.
    static func run(
        _ processor: some Processor, _ build: ProcessorBuild, _ request: [UInt8], tenant: String = "",
        metadata: RequestMetadata = RequestMetadata(), trace: GatheredTrace?, isStored: Bool = true
    ) throws -> (bytes: [UInt8], kept: Int, context: ProcessContext) {
        let table = build.keys.build()
        var batch = RecordBatch()
        var context = ProcessContext(tenant: tenant, metadata: metadata, trace: trace)
        var output = ByteColumn()
        var failure: DecodeFailure?
        var refused: ProcessFailure?
        request.withUnsafeBytes { input in
            do throws(DecodeFailure) {
                _ = try OTLPReader.read(Text(input), signal: build.signal, keys: table, into: &batch)
                do throws(ProcessFailure) {
                    try processor.process(&batch, &context)
                    OTLPWriter.write(batch, into: &output)
                    if isStored { for action in context.actionsWhenStored { action() } }
                } catch { refused = error }
            } catch { failure = error }
        }
        if let failure { throw failure }
        if let refused { throw refused }
        return (Array(output.bytes), batch.liveCount, context)
    }
}

extension [UInt8] {
    func contains(_ text: String) -> Bool {
        let wanted = Array(text.utf8)
        guard let first = wanted.first else { return false }
        return withUnsafeBytes { all in
            guard let start = all.baseAddress else { return false }
            var from = 0
            while from + wanted.count <= all.count,
                let hit = memchr(start + from, Int32(first), all.count - wanted.count - from + 1)
            {
                if memcmp(hit, wanted, wanted.count) == 0 { return true }
                from = start.distance(to: UnsafeRawPointer(hit)) + 1
            }
            return false
        }
    }
}
