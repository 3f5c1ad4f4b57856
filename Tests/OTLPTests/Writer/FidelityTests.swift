import OTLP
import Telemetry
import TestSupport
import Testing

@Suite struct `What nobody touched` {
    @Test(arguments: CorpusPayload.protobuf)
    func `is written as the very bytes that came`(payload: CorpusPayload) throws {
        #expect(try Rewriting.rewrite(payload.bytes, payload.signal) == payload.bytes)
        #expect(try walked(payload.bytes, payload.signal) == payload.bytes)
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

    /// Written as if a record had been edited in every scope: the writer then walks every container.
    private func walked(_ request: [UInt8], _ signal: Signal) throws -> [UInt8] {
        var batch = RecordBatch()
        var output = ByteColumn()
        try Rewriting.read(request, signal, into: &batch) { batch in
            batch.markEdited()
            for index in batch.resources.indices { batch.resources[index].edits.insert(.children) }
            for index in batch.scopes.indices { batch.scopes[index].edits.insert(.children) }
            OTLPWriter.write(batch, into: &output)
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
        if payload.signal == .metrics {
            #expect(decoded.flatMap(points) == points(whole))
            #expect(zip(parts, decoded).allSatisfy { points($1).count == $0.items && $0.items <= 3 })
        } else {
            #expect(decoded.flatMap(records) == records(whole))
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

    @Test(arguments: CorpusPayload.protobuf.filter { $0.signal == .metrics })
    func `keeps data points at some places below all that is around them`(payload: CorpusPayload) throws {
        let whole = try #require(OracleMessage.decode(payload.bytes, .request(.metrics)))
        let all = points(whole)
        let places = all.count > 2 ? [0..<1, 2..<all.count] : [0..<all.count]
        let kept = try #require(OTLPSplitter.keep(places, of: payload.bytes, signal: .metrics))
        let decoded = try #require(OracleMessage.decode(kept, .request(.metrics)))
        #expect(points(decoded) == places.flatMap { all[$0] })
        #expect(!all.isEmpty)
    }

    @Test func `no piece of a metric holds data that other data replaced`() throws {
        let points = (0..<5).map { value in WireBytes.build { $0.fixed64(3, UInt64(value)) } }
        let request = metric {
            $0.message(7) { $0.data(1, points[0]) }
            $0.message(5) { gauge in for point in points[1..<3] { gauge.data(1, point) } }
            $0.message(7) { sum in
                sum.data(1, points[3])
                sum.number(2, 2)
            }
            $0.message(7) { $0.data(1, points[4]) }
        }
        func sum(_ points: [[UInt8]]) -> [UInt8] {
            metric {
                $0.message(7) { sum in
                    sum.number(2, 2)
                    for point in points { sum.data(1, point) }
                }
            }
        }
        let parts = OTLPSplitter.split(request, signal: .metrics, maxItems: 1)
        #expect(parts.map(\.bytes) == [sum([points[3]]), sum([points[4]])])
        #expect(parts.map(\.items) == [1, 1])
        let whole = OTLPSplitter.split(request, signal: .metrics, maxItems: 2)
        #expect(whole.map(\.bytes) == [request] && whole.map(\.items) == [2])
        #expect(OTLPSplitter.keep([0..<5], of: request, signal: .metrics) == sum(Array(points[3...])))
        #expect(OTLPSplitter.keep([1..<4], of: request, signal: .metrics) == sum([points[3]]))
        #expect(OTLPSplitter.each([3, 4], of: request, signal: .metrics) == parts.map(\.bytes))
        #expect(OTLPSplitter.each([2], of: request, signal: .metrics) == nil)
    }

    @Test func `metrics with replaced data are cut by the points that count`() throws {
        let replaced = WireBytes.build {
            $0.message(5) { gauge in for _ in 0..<4 { gauge.message(1) { $0.fixed64(3, 1) } } }
            $0.message(7) { $0.message(1) { $0.fixed64(3, 2) } }
        }
        let request = WireBytes.request(records: [replaced, replaced, replaced])
        let parts = OTLPSplitter.split(request, signal: .metrics, maxItems: 2)
        #expect(parts.map(\.items) == [2, 1])
        let decoded = try parts.map { try #require(OracleMessage.decode($0.bytes, .request(.metrics))) }
        let whole = try #require(OracleMessage.decode(request, .request(.metrics)))
        #expect(decoded.flatMap { self.points($0) } == points(whole))
    }

    @Test func `data of one kind in pieces is one, whichever of its points are kept`() throws {
        let points = (0..<2).map { value in WireBytes.build { $0.fixed64(3, UInt64(value)) } }
        let request = metric {
            $0.message(7) { $0.number(2, 2) }
            $0.message(7) { $0.data(1, points[0]) }
            $0.text(3, "s")
            $0.message(7) { $0.data(1, points[1]) }
        }
        let kept = try #require(OTLPSplitter.keep([1..<2], of: request, signal: .metrics))
        let expected = metric {
            $0.text(3, "s")
            $0.message(7) {
                $0.number(2, 2)
                $0.data(1, points[1])
            }
        }
        #expect(kept == expected)
        #expect(OTLPSplitter.each([1], of: request, signal: .metrics) == [expected])
        #expect(OTLPSplitter.each([2], of: request, signal: .metrics) == nil)
    }

    @Test func `a request that is mostly what is around its records stays whole`() {
        func request(_ spans: Int) -> [UInt8] {
            WireBytes.request(
                resource: { $0.attribute(1, "large", String(repeating: "x", count: 1 << 20)) },
                records: Array(repeating: span, count: spans))
        }
        let whole = request(100)
        let parts = OTLPSplitter.split(whole, signal: .traces, maxItems: 1)
        #expect(parts.map(\.items) == [100] && parts.map(\.bytes) == [whole])
        #expect(OTLPSplitter.split(whole, signal: .traces, maxItems: 50).map(\.items) == [50, 50])
        #expect(OTLPSplitter.each(Array(0..<100), of: whole, signal: .traces) == nil)
        #expect(OTLPSplitter.each([7], of: whole, signal: .traces) == [request(1)])
    }

    @Test func `of data that changes its kind with each point the last is left`() throws {
        let request = metric { message in
            message.text(2, String(repeating: "long", count: 1000))
            for number in 0..<2000 { message.message(number % 2 == 0 ? 5 : 7) { $0.data(1, []) } }
        }
        let left = metric {
            $0.text(2, String(repeating: "long", count: 1000))
            $0.message(7) { $0.data(1, []) }
        }
        #expect(OTLPSplitter.keep([0..<2000], of: request, signal: .metrics) == left)
        #expect(OTLPSplitter.each([1999], of: request, signal: .metrics) == [left])
    }

    @Test func `a span that the reader takes out is in no part and counts in none`() {
        let bad = WireBytes.build { $0.ids(span: 0) }
        let parts = OTLPSplitter.split(
            WireBytes.request(records: [span, bad, span]), signal: .traces, maxItems: 1)
        #expect(parts.map(\.bytes) == [1, 2].map { _ in WireBytes.request(records: [span]) })
        #expect(parts.map(\.items) == [1, 1])
    }

    private func metric(_ data: (inout WireBytes) -> Void) -> [UInt8] {
        let metric = WireBytes.build {
            $0.text(1, "m")
            data(&$0)
        }
        return WireBytes.request(records: [metric])
    }

    private let span = WireBytes.build { $0.ids() }

    @Test(arguments: Signal.allCases)
    func `what no schema knows beside the resources is in each part`(signal: Signal) {
        let record =
            switch signal {
            case .traces: span
            case .logs: WireBytes.build { $0.text(3, "WARN") }
            case .metrics:
                WireBytes.build {
                    $0.text(1, "m")
                    $0.message(5) { $0.message(1) { $0.fixed64(3, 1) } }
                }
            }
        let unknown = WireBytes.build { $0.text(1000, "later") }
        let part = WireBytes.request(records: [record]) + unknown
        let whole = WireBytes.request(records: [record, record]) + unknown
        #expect(OTLPSplitter.split(whole, signal: signal, maxItems: 1).map(\.bytes) == [part, part])
        #expect(OTLPSplitter.each([0, 1], of: whole, signal: signal) == [part, part])
        #expect(OTLPSplitter.keep([1..<2], of: whole, signal: signal) == part)
    }

    @Test(.timeLimit(.minutes(2)))
    func `two hundred thousand records one by one take time for as many`() {
        let request = WireBytes.request(records: Array(repeating: span, count: 200_000))
        let parts = OTLPSplitter.split(request, signal: .traces, maxItems: 1)
        #expect(parts.count == 200_000)
        #expect(Set(parts.map(\.bytes)) == [WireBytes.request(records: [span])])
    }

    /// Numbers of the data messages of a metric.
    private static let dataFields: [UInt32] = [5, 7, 9, 10, 11]

    /// Each data point with what is around it.
    private func points(_ request: OracleMessage) -> [[OracleMessage]] {
        records(request).flatMap { placed in
            Self.dataFields.flatMap { number in
                placed.record.messages(number).flatMap { data in
                    data.messages(1).map { point in
                        var metric = placed.record
                        for field in Self.dataFields { metric.fields[field] = nil }
                        var around = data
                        around.fields[1] = nil
                        return [placed.resource, placed.scope, metric, around, point]
                    }
                }
            }
        }
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
