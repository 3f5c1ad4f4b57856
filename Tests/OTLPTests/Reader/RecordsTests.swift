import OTLP
import Telemetry
import TestSupport
import Testing

@Suite struct `Records hold what libprotobuf-c reads` {
    private static let keys: KeyTable = {
        var builder = KeyTable.Builder()
        for name in ["service.name", "gen_ai.operation.name", "gen_ai.request.model", "", "a"] {
            _ = builder.intern(name)
        }
        return builder.build()
    }()

    @Test(arguments: CorpusPayload.protobuf)
    func `in every recorded payload`(payload: CorpusPayload) throws {
        let comparison = try RecordComparison.run(payload.bytes, payload.signal, keys: Self.keys)
        #expect(comparison.found == [])
        #expect(comparison.compared > 20)
    }

    @Test(arguments: Signal.allCases)
    func `in random requests of every shape`(signal: Signal) throws {
        var requests = RandomRequests(seed: 0x5EED + UInt64(signal.rawValue))
        var compared = 0
        for round in 0..<120 {
            let request = requests.next(signal)
            let comparison = try RecordComparison.run(request, signal, keys: Self.keys)
            #expect(comparison.found == [], "round \(round)")
            compared += comparison.compared
            if !comparison.found.isEmpty { return }
        }
        #expect(compared > 10_000)
    }

    @Test func `and a planted difference is found`() throws {
        let span = WireBytes.build {
            $0.ids()
            $0.attribute(9, "k", "v")
        }
        let request = WireBytes.request(records: [span])
        let other = WireBytes.request(records: [span.dropLast() + [UInt8(ascii: "w")]])
        let oracle = try #require(OracleMessage.decode(other, .request(.traces)))
        #expect(oracle != OracleMessage.decode(request, .request(.traces)))
    }
}

@Suite struct `Reading protobuf` {
    private func spans(_ request: [UInt8], _ use: (inout RecordBatch) -> Void) throws {
        var batch = RecordBatch()
        try Rewriting.read(request, .traces, into: &batch, use)
    }

    @Test func `repeated resources, scopes and statuses are merged, scalars take the last`() throws {
        let span = WireBytes.build {
            $0.ids()
            $0.text(5, "first")
            $0.message(15) { $0.text(2, "kept") }
            $0.text(5, "last")
            $0.message(15) { $0.number(3, 2) }
        }
        let request = WireBytes.build {
            $0.message(1) {
                $0.message(1) { $0.attribute(1, "a", "1") }
                $0.message(2) {
                    $0.message(1) { $0.text(1, "name") }
                    $0.data(2, span)
                    $0.message(1) { $0.text(2, "version") }
                }
                $0.message(1) {
                    $0.attribute(1, "b", "2")
                    $0.number(2, 9)
                }
            }
        }
        #expect(try RecordComparison.run(request, .traces, keys: .empty).found == [])
        try spans(request) { batch in
            #expect(batch.summary(batch.resources[0].set) == ["a=1", "b=2"])
            #expect(batch.text(batch.scopes[0].name).string == "name")
            #expect(batch.text(batch.scopes[0].version).string == "version")
            #expect(batch.text(batch.spans[0].name).string == "last")
            #expect(batch.text(batch.spans[0].statusMessage).string == "kept")
            #expect(batch.spans[0].statusCode == 2)
        }
        let edited = try Rewriting.rewrite(request, .traces) { batch in
            batch.append(key: batch.addText(Text("c")), .int(3), to: batch.resources[0].set)
        }
        let oracle = try #require(OracleMessage.decode(edited, .request(.traces)))
        #expect(oracle.messages(1)[0].messages(1)[0].messages(1).count == 3)
        #expect(oracle.messages(1)[0].messages(1)[0].number(2) == 9)
    }

    @Test func `of several members of one value the last counts, and presence counts`() throws {
        let span = WireBytes.build { span in
            span.ids()
            for member in [(2, 0), (3, 0)] as [(UInt32, UInt64)] {
                span.message(9) {
                    $0.message(2) {
                        $0.text(1, "earlier")
                        $0.number(member.0, member.1)
                    }
                }
            }
            span.message(9) { $0.message(2) { $0.text(1, "") } }
            span.message(9) { $0.message(2) { _ in } }
            span.message(9) { $0.text(1, "no value") }
            span.message(9) { $0.message(2) { $0.data(5, []) } }
            span.message(9) { $0.message(2) { $0.data(7, []) } }
        }
        try spans(WireBytes.request(records: [span])) { batch in
            let kinds = batch.range(of: batch.spans[0].set).map { batch.attributes[$0].kind }
            #expect(kinds == [.bool, .int, .string, .empty, .empty, .array, .bytes])
        }
    }

    @Test func `a list in pieces is one, from the last member of another kind on`() throws {
        func item(_ number: UInt64) -> [UInt8] { WireBytes.build { $0.message(1) { $0.number(3, number) } } }
        let value = WireBytes.build { value in
            value.data(5, item(1))
            value.text(1, "between")
            value.data(5, item(2))
            value.data(5, item(3))
        }
        let span = WireBytes.build { span in
            span.ids()
            span.message(9) { $0.data(2, value) }
            span.message(9) { pair in
                for number in [2, 3] as [UInt64] { pair.message(2) { $0.data(5, item(number)) } }
            }
        }
        let request = WireBytes.request(records: [span])
        try spans(request) { batch in
            let contents = batch.range(of: batch.spans[0].set).map { index in
                [UInt8](batch.text(batch.attributes[index].text).bytes)
            }
            #expect(contents == [item(2) + item(3), item(2) + item(3)])
        }
        #expect(try Rewriting.rewrite(request, .traces) == request)
        var batch = RecordBatch()
        let log = WireBytes.build { $0.data(5, value) }
        try Rewriting.read(WireBytes.request(records: [log]), .logs, into: &batch) { batch in
            guard case .array(let list) = batch.logs[0].body else {
                Issue.record("\(batch.logs[0].bodyKind)")
                return
            }
            #expect([UInt8](batch.text(list).bytes) == item(2) + item(3))
        }
    }

    @Test func `a known number with another wire type, groups and long varints are read over`() throws {
        let span = WireBytes.build {
            $0.ids()
            $0.number(5, 7)
            $0.tag(77, 3)
            $0.text(5, "inside of the group")
            $0.tag(78, 3)
            $0.tag(78, 4)
            $0.tag(77, 4)
            $0.bytes += [0x30, 0x83, 0x80, 0x80, 0x00]
        }
        let request = WireBytes.request(records: [span])
        try spans(request) { batch in
            #expect(batch.spans[0].name.isEmpty)
            #expect(batch.spans[0].kind == 3)
        }
        let edited = try Rewriting.rewrite(request, .traces) { batch in
            batch.append(key: batch.addText(Text("c")), .int(3), to: batch.spans[0].set)
        }
        #expect(edited.count > request.count)
        #expect(edited.contains(Array("inside of the group".utf8)))
    }

    @Test(arguments: [
        ([0x0A, 0x05, 0x00], DecodeFailure.Reason.truncated), ([0x0A], .truncated), ([0x00, 0x00], .malformedTag),
        ([0x06], .malformedTag), ([0x07], .malformedTag), ([0x0C], .unbalancedGroup), ([0x0B], .unbalancedGroup),
        ([0x08] + [UInt8](repeating: 0x80, count: 10) + [0x01], .malformedVarint), ([0x08, 0x80], .truncated),
        ([0x09, 1, 2, 3], .truncated), ([0x0D, 1, 2], .truncated),
        ([0x80, 0x80, 0x80, 0x80, 0x80, 0x01], .malformedTag),
    ])
    func `bytes that are no message are refused with the reason`(bytes: [UInt8], reason: DecodeFailure.Reason) {
        for signal in Signal.allCases {
            #expect {
                try Rewriting.rewrite(bytes, signal)
            } throws: { ($0 as? DecodeFailure)?.reason == reason }
        }
    }

    @Test func `texts that are not UTF-8 are refused wherever they stand`() {
        let broken: [UInt8] = [0x61, 0xC3, 0x28]
        let values: [[UInt8]] = [
            WireBytes.build { $0.data(1, broken) },
            WireBytes.build { $0.message(5) { $0.message(1) { $0.data(1, broken) } } },
            WireBytes.build { $0.message(6) { $0.message(1) { $0.data(1, broken) } } },
            WireBytes.build { $0.message(6) { $0.message(1) { $0.message(2) { $0.data(1, broken) } } } },
        ]
        var spans = values.map { value in
            WireBytes.build {
                $0.ids()
                $0.message(9) { $0.data(2, value) }
            }
        }
        for field in [3, 5] as [UInt32] {
            spans.append(
                WireBytes.build {
                    $0.ids()
                    $0.data(field, broken)
                })
        }
        spans.append(
            WireBytes.build {
                $0.ids()
                $0.message(11) { $0.data(2, broken) }
            })
        for span in spans {
            #expect {
                try Rewriting.rewrite(WireBytes.request(records: [span]), .traces)
            } throws: { ($0 as? DecodeFailure)?.reason == .invalidUTF8 }
        }
    }

    @Test func `bytes values and ids need not be UTF-8`() throws {
        let span = WireBytes.build {
            $0.data(1, [UInt8](repeating: 0xFF, count: 16))
            $0.data(2, [UInt8](repeating: 0xC3, count: 8))
            $0.message(9) { $0.message(2) { $0.data(7, [0xFF, 0xFE]) } }
        }
        try spans(WireBytes.request(records: [span])) { #expect($0.liveCount == 1) }
    }

    @Test(arguments: [
        (0, 8), (15, 8), (17, 8), (16, 0), (16, 7), (16, 9),
    ])
    func `spans with ids of another length are counted as rejected and not written`(trace: Int, span: Int) throws {
        let bad = WireBytes.build {
            $0.data(1, [UInt8](repeating: 5, count: trace))
            $0.data(2, [UInt8](repeating: 5, count: span))
        }
        let good = WireBytes.build { $0.ids() }
        try checkRejected([bad, good, bad], rejected: 2)
    }

    @Test func `so are all-zero ids and parents of another length`() throws {
        let zeroTrace = WireBytes.build { $0.ids(trace: 0) }
        let zeroSpan = WireBytes.build { $0.ids(span: 0) }
        let parent = WireBytes.build {
            $0.ids()
            $0.data(4, [1, 2, 3])
        }
        try checkRejected([zeroTrace, WireBytes.build { $0.ids() }, zeroSpan, parent], rejected: 3)
    }

    private func checkRejected(_ spans: [[UInt8]], rejected: Int) throws {
        let request = WireBytes.request(records: spans)
        var batch = RecordBatch()
        let summary = try request.withUnsafeBytes {
            try OTLPReader.read(Text($0), signal: .traces, keys: .empty, into: &batch)
        }
        #expect(summary.rejected == rejected)
        #expect(summary.rejectedMessage.contains("16 bytes"))
        #expect(batch.liveCount == spans.count - rejected)
        let oracle = try #require(
            OracleMessage.decode(try Rewriting.rewrite(request, .traces), .request(.traces)))
        #expect(oracle.messages(1)[0].messages(2)[0].messages(2).count == spans.count - rejected)
    }

    @Test func `a log record with a broken id is kept, as one that is not tied to a trace`() throws {
        let zeros = [UInt8](repeating: 0, count: 8)
        let log = WireBytes.build {
            $0.data(9, zeros + zeros)
            $0.data(10, zeros)
        }
        let request = WireBytes.request(records: [log])
        var batch = RecordBatch()
        try Rewriting.read(request, .logs, into: &batch) { batch in
            #expect(batch.liveCount == 1)
            #expect(batch.logs[0].traceID.isEmpty && batch.logs[0].spanID.isEmpty)
        }
        #expect(try Rewriting.rewrite(request, .logs) == request)
    }

    @Test func `an edit of a log record leaves its ids as they came, unless they are set`() throws {
        let (bad, long) = ([UInt8](repeating: 0, count: 8), [UInt8](repeating: 0, count: 16))
        let request = WireBytes.request(records: [
            WireBytes.build {
                $0.data(9, long)
                $0.data(10, bad)
                $0.text(3, "INFO")
            }
        ])
        func ids(_ change: (inout RecordBatch) -> Void) throws -> [[UInt8]] {
            let written = try Rewriting.rewrite(request, .logs, change)
            let decoded = try #require(OracleMessage.decode(written, .request(.logs)))
            let log = decoded.messages(1)[0].messages(2)[0].messages(2)[0]
            return [log.bytes(3), log.bytes(9), log.bytes(10)]
        }
        func warn(_ batch: inout RecordBatch) {
            let text = batch.addText(Text("WARN"))
            batch.changeLog(0) { $0.severityText = text }
        }
        let kept = try ids { warn(&$0) }
        #expect(kept == [Array("WARN".utf8), long, bad])
        let cleared = try ids {
            warn(&$0)
            $0.setTraceID(.empty, ofLog: 0)
        }
        #expect(cleared == [Array("WARN".utf8), [], bad])
        let set = try ids { batch in
            let id = batch.addText(Text("abcdefgh"))
            batch.setSpanID(id, ofLog: 0)
        }
        #expect(set == [Array("INFO".utf8), long, Array("abcdefgh".utf8)])
    }

    @Test func `of a metric with data of several kinds the points of the last are read and written`() throws {
        let metric = WireBytes.build {
            $0.message(7) { $0.message(1) { $0.attribute(7, "sum", "a") } }
            $0.message(9) { $0.message(1) { $0.attribute(9, "histogram", "b") } }
            $0.message(7) { $0.message(1) { $0.attribute(7, "sum", "c") } }
            $0.message(7) { $0.message(1) { $0.attribute(7, "sum", "d") } }
        }
        let request = WireBytes.request(records: [metric])
        let written = try Rewriting.rewrite(request, .metrics) { batch in
            #expect(batch.metrics[0].kind == .sum)
            #expect(batch.liveCount == 2)
            #expect(batch.points.indices.map { batch.isRemoved(point: $0) } == [true, true, false, false])
            #expect(batch.points.indices.map { batch.points[$0].kind } == [.sum, .histogram, .sum, .sum])
        }
        let expected = WireBytes.build {
            $0.message(7) { _ in }
            $0.message(9) { _ in }
            $0.message(7) { $0.message(1) { $0.attribute(7, "sum", "c") } }
            $0.message(7) { $0.message(1) { $0.attribute(7, "sum", "d") } }
        }
        #expect(written == WireBytes.request(records: [expected]))
    }
}
