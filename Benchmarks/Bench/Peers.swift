import COTLP
import CProtobufC
import Foundation

/// Other decoders of the same requests, to compare with: libprotobuf-c with memory that is only handed out, never taken
/// back, which is its fastest form, and Foundation's JSONDecoder.
final class Peers {
    private var arena = BumpArena()
    private let decoder = JSONDecoder()

    deinit { arena.memory.deallocate() }

    /// Decodes a request into protobuf-c's structures. Returns the number of resources, -1 when it cannot.
    func protobufC(_ bytes: UnsafeRawBufferPointer) -> Int {
        arena.used = 0
        return withUnsafeMutablePointer(to: &arena) { arena in
            var allocator = ProtobufCAllocator(
                alloc: { arena, size in arena?.assumingMemoryBound(to: BumpArena.self).pointee.take(size) },
                free: { _, _ in }, allocator_data: arena)
            let request = otlp__export_trace_service_request__unpack(
                &allocator, bytes.count, bytes.bindMemory(to: UInt8.self).baseAddress)
            return request.map { Int($0.pointee.n_resource_spans) } ?? -1
        }
    }

    /// Decodes a request into structures of strings and arrays. Returns the number of resources, -1 when it cannot.
    func jsonDecoder(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress) else { return -1 }
        let data = Data(bytesNoCopy: base, count: bytes.count, deallocator: .none)
        return (try? decoder.decode(JSONRequest.self, from: data))?.resourceSpans.count ?? -1
    }
}

private struct BumpArena {
    static let size = 16 << 20
    let memory = UnsafeMutableRawPointer.allocate(byteCount: BumpArena.size, alignment: 16)
    var used = 0

    mutating func take(_ size: Int) -> UnsafeMutableRawPointer? {
        let start = used
        guard size <= Self.size - start else { return nil }
        used = (start + size + 15) & ~15
        return memory + start
    }
}

// MARK: The messages of OTLP/JSON, with 64-bit integers as text, as they stand in it

private struct JSONRequest: Decodable {
    var resourceSpans: [JSONResourceSpans]
}

private struct JSONResourceSpans: Decodable {
    var resource: JSONResource?
    var scopeSpans: [JSONScopeSpans]?
    var schemaUrl: String?
}

private struct JSONResource: Decodable {
    var attributes: [JSONAttribute]?
    var droppedAttributesCount: UInt32?
}

private struct JSONScopeSpans: Decodable {
    var scope: JSONScope?
    var spans: [JSONSpan]?
    var schemaUrl: String?
}

private struct JSONScope: Decodable {
    var name: String?
    var version: String?
    var attributes: [JSONAttribute]?
}

private struct JSONSpan: Decodable {
    var traceId: String?
    var spanId: String?
    var traceState: String?
    var parentSpanId: String?
    var flags: UInt32?
    var name: String?
    var kind: Int?
    var startTimeUnixNano: String?
    var endTimeUnixNano: String?
    var attributes: [JSONAttribute]?
    var events: [JSONEvent]?
    var status: JSONStatus?
}

private struct JSONEvent: Decodable {
    var timeUnixNano: String?
    var name: String?
    var attributes: [JSONAttribute]?
}

private struct JSONStatus: Decodable {
    var message: String?
    var code: Int?
}

private struct JSONAttribute: Decodable {
    var key: String?
    var value: JSONValue?
}

private struct JSONValue: Decodable {
    var stringValue: String?
    var boolValue: Bool?
    var intValue: String?
    var doubleValue: Double?
    var arrayValue: JSONValues?
}

private struct JSONValues: Decodable {
    var values: [JSONValue]?
}
