import Telemetry
import TestSupport
import Testing

@testable import OTLP

/// Ids that a strict reader would refuse, with all that is in the same request.
@Suite struct BrokenIdentifierTests {
    private static let trace = [UInt8](repeating: 7, count: 16)
    private static let span = [UInt8](repeating: 9, count: 8)
    /// Ids of other lengths than they should have, each at one of two places.
    static let broken: [(trace: [UInt8], span: [UInt8])] = [
        ([UInt8](repeating: 1, count: 15), span), ([UInt8](repeating: 1, count: 17), span), (span, span),
        (trace, [UInt8](repeating: 1, count: 7)), (trace, trace), ([1], [2]), ([UInt8](repeating: 1, count: 300), []),
    ]

    private func read(_ request: [UInt8], _ signal: Signal) throws -> (written: [UInt8], summary: ReadSummary) {
        var batch = RecordBatch()
        return try request.withUnsafeBytes { bytes in
            let summary = try OTLPReader.read(Text(bytes), signal: signal, keys: .empty, into: &batch)
            #expect(batch.isEdited && batch.liveCount == 1)
            var output = ByteColumn()
            OTLPWriter.write(batch, into: &output)
            return ([UInt8](output.bytes), summary)
        }
    }

    private func record(_ written: [UInt8], _ signal: Signal) throws -> OracleMessage {
        let request = try #require(OracleMessage.decode(written, .request(signal)))
        return request.messages(1)[0].messages(2)[0].messages(2)[0]
    }

    private static func isRight(_ ids: (trace: [UInt8], span: [UInt8])) -> (trace: Bool, span: Bool) {
        (ids.trace.isEmpty || ids.trace.count == 16, ids.span.isEmpty || ids.span.count == 8)
    }

    @Test(arguments: 0..<broken.count)
    func `a log record goes on without them, and the sender is told`(number: Int) throws {
        let ids = Self.broken[number]
        let request = WireBytes.request(records: [
            WireBytes.build {
                $0.data(9, ids.trace)
                $0.data(10, ids.span)
                $0.text(3, "INFO")
                $0.text(900, "unknown")
            }
        ])
        let (written, summary) = try read(request, .logs)
        let log = try record(written, .logs)
        let isRight = Self.isRight(ids)
        #expect(log.bytes(9) == (isRight.trace ? ids.trace : []) && log.bytes(10) == (isRight.span ? ids.span : []))
        #expect(log.bytes(3) == Array("INFO".utf8))
        #expect(summary.rejected == 0 && summary.rejectedMessage.contains("without their ids"))
        #expect(written.contains(subsequence: Array("unknown".utf8)))
    }

    @Test(arguments: 0..<broken.count)
    func `a link with one is taken out of its span and counts as dropped`(number: Int) throws {
        let ids = Self.broken[number]
        let request = WireBytes.request(records: [
            WireBytes.build { span in
                span.ids()
                span.message(13) {
                    $0.data(1, Self.trace)
                    $0.data(2, Self.span)
                }
                span.message(13) {
                    $0.data(1, ids.trace)
                    $0.data(2, ids.span)
                }
                span.number(14, 4)
            }
        ])
        let (written, summary) = try read(request, .traces)
        let span = try record(written, .traces)
        #expect(span.messages(13).map { $0.bytes(1) } == [Self.trace])
        #expect(span.number(14) == 5)
        #expect(summary.rejected == 0 && summary.rejectedMessage.contains("links"))
    }

    @Test(arguments: 0..<broken.count, [(5, 5), (7, 5), (9, 8), (10, 11)] as [(UInt32, UInt32)])
    func `an exemplar keeps all but them`(number: Int, fields: (data: UInt32, exemplars: UInt32)) throws {
        let ids = Self.broken[number]
        let request = WireBytes.request(records: [
            WireBytes.build { metric in
                metric.text(1, "name")
                metric.message(fields.data) { data in
                    data.message(1) { point in
                        point.fixed64(3, 17)
                        for ids in [(trace: Self.trace, span: Self.span), ids] {
                            point.message(fields.exemplars) {
                                $0.fixed64(2, 23)
                                $0.data(4, ids.span)
                                $0.data(5, ids.trace)
                            }
                        }
                        point.text(900, "unknown")
                    }
                }
            }
        ])
        let (written, summary) = try read(request, .metrics)
        let point = try record(written, .metrics).messages(fields.data)[0].messages(1)[0]
        let exemplars = point.messages(fields.exemplars)
        let isRight = Self.isRight(ids)
        #expect(exemplars.map { $0.bytes(5) } == [Self.trace, isRight.trace ? ids.trace : []])
        #expect(exemplars.map { $0.bytes(4) } == [Self.span, isRight.span ? ids.span : []])
        #expect(exemplars.map { $0.number(2) } == [23, 23] && point.number(3) == 17)
        #expect(summary.rejected == 0 && summary.rejectedMessage.contains("exemplars"))
        #expect(written.contains(subsequence: Array("unknown".utf8)))
    }

    @Test func `those that others replace in the same record are not passed on either`() throws {
        let span = WireBytes.build {
            $0.data(1, [1, 2, 3])
            $0.data(4, [1])
            $0.data(4, [])
            $0.ids()
        }
        let (written, summary) = try read(WireBytes.request(records: [span]), .traces)
        #expect(try record(written, .traces).bytes(1).count == 16)
        #expect(!written.contains(subsequence: [0x0A, 3, 1, 2, 3]) && summary == ReadSummary())
        let log = WireBytes.build {
            $0.data(9, [1, 2, 3])
            $0.data(9, Self.trace)
        }
        let (logs, _) = try read(WireBytes.request(records: [log]), .logs)
        #expect(try record(logs, .logs).bytes(9) == Self.trace && !logs.contains(subsequence: [3, 1, 2, 3]))
    }

    @Test func `an exemplar whose last id is broken has none, whatever came before it`() throws {
        let request = WireBytes.request(records: [
            WireBytes.build { metric in
                metric.message(5) { data in
                    data.message(1) { point in
                        point.message(5) {
                            $0.data(4, Self.span)
                            $0.data(5, [1])
                            $0.data(4, [1])
                            $0.data(5, Self.trace)
                        }
                    }
                }
            }
        ])
        let (written, _) = try read(request, .metrics)
        let exemplar = try record(written, .metrics).messages(5)[0].messages(1)[0].messages(5)[0]
        #expect(exemplar.fields[4] == nil && exemplar.bytes(5) == Self.trace)
    }

    @Test func `empty ids are as good as none`() throws {
        let log = WireBytes.build {
            $0.data(9, [])
            $0.data(10, [])
        }
        let request = WireBytes.request(records: [log])
        #expect(try Rewriting.rewrite(request, .logs) == request)
    }
}

extension [UInt8] {
    fileprivate func contains(subsequence wanted: [UInt8]) -> Bool {
        indices.contains { self[$0...].starts(with: wanted) }
    }
}
