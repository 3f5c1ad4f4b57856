import OTLP
import Telemetry
import TestSupport
import Testing

@Suite struct `What nobody touched` {
    @Test(arguments: CorpusPayload.protobuf)
    func `is written as the very bytes that came`(payload: CorpusPayload) throws {
        #expect(try Rewriting.rewrite(payload.bytes, payload.signal) == payload.bytes)
        #expect(try window(payload.bytes, payload.signal) == payload.bytes)
    }

    @Test(arguments: Signal.allCases)
    func `is written as the very bytes that came, whatever its shape`(signal: Signal) throws {
        var requests = RandomRequests(seed: 77)
        for _ in 0..<100 {
            let request = requests.next(signal)
            #expect(try Rewriting.rewrite(request, signal) == request)
        }
    }

    @Test(arguments: CorpusPayload.protobuf.filter { $0.signal == .traces })
    func `stays as it is beside a span that is edited`(payload: CorpusPayload) throws {
        let whole = try #require(OracleMessage.decode(payload.bytes, .request(.traces)))
        let written = try Rewriting.rewrite(payload.bytes, .traces) { batch in
            batch.setName(batch.addText(Text("renamed")), ofSpan: batch.spans.count - 1)
        }
        // All but the last span stand in the output byte for byte.
        var untouched: [[UInt8]] = []
        var batch = RecordBatch()
        try Rewriting.read(payload.bytes, .traces, into: &batch) { batch in
            for span in batch.spans.indices.dropLast() {
                untouched.append([UInt8](batch.text(batch.spans[span].raw).bytes))
            }
        }
        #expect(untouched.allSatisfy { written.contains($0) })
        let oracle = try #require(OracleMessage.decode(written, .request(.traces)))
        #expect(oracle.messages(1).count == whole.messages(1).count)
    }

    /// All records through the window: the writer then walks every container.
    private func window(_ request: [UInt8], _ signal: Signal) throws -> [UInt8] {
        var batch = RecordBatch()
        var output = ByteColumn()
        try Rewriting.read(request, signal, into: &batch) { batch in
            OTLPWriter.write(batch, window: 0..<Int.max, into: &output)
        }
        return [UInt8](output.bytes)
    }
}

@Suite struct `A request cut into windows` {
    @Test(arguments: CorpusPayload.protobuf)
    func `holds every record once, in order, each below its resource and scope`(payload: CorpusPayload) throws {
        let whole = try #require(OracleMessage.decode(payload.bytes, .request(payload.signal)))
        let parts = OTLPSplitter.split(payload.bytes, signal: payload.signal, maxItems: 3)
        let decoded = parts.compactMap { OracleMessage.decode($0.bytes, .request(payload.signal)) }
        #expect(decoded.count == parts.count)
        #expect(decoded.flatMap(records) == records(whole))
        if payload.signal != .metrics {
            #expect(zip(parts, decoded).allSatisfy { records($1).count == $0.items && $0.items <= 3 })
        }
    }

    @Test(arguments: CorpusPayload.protobuf)
    func `keeps the records at some places, and nothing that is around none of them`(payload: CorpusPayload) throws {
        let whole = try #require(OracleMessage.decode(payload.bytes, .request(payload.signal)))
        guard payload.signal != .metrics, case let all = records(whole), all.count > 2 else { return }
        // An empty resource on both sides.
        let bytes = [0x0A, 0x00] + payload.bytes + [0x0A, 0x00]
        let places = [0..<1, 2..<all.count]
        let kept = try #require(OTLPSplitter.keep(places, of: bytes, signal: payload.signal))
        let decoded = try #require(OracleMessage.decode(kept, .request(payload.signal)))
        #expect(records(decoded) == places.flatMap { all[$0] })
        #expect(
            decoded.messages(1).allSatisfy { resource in
                resource.messages(2).contains { !$0.messages(2).isEmpty }
            })
        #expect(OTLPSplitter.keep([0..<all.count + 1], of: bytes, signal: payload.signal) == nil)
    }

    private struct Placed: Equatable {
        var resource: OracleMessage
        var scope: OracleMessage
        var record: OracleMessage
    }

    private func records(_ request: OracleMessage) -> [Placed] {
        request.messages(1).flatMap { resource in
            resource.messages(2).flatMap { scope in
                scope.messages(2).map { record in
                    var outer = resource
                    outer.fields[2] = nil
                    var inner = scope
                    inner.fields[2] = nil
                    return Placed(resource: outer, scope: inner, record: record)
                }
            }
        }
    }
}
