import OTLP
import Telemetry
import TestSupport
import Testing

/// Rules of protobuf and of the schema that concern what passes through.
@Suite struct `What a request may hold` {
    private static let added = OracleMessage.attribute("added", "here")

    /// The request after every attribute set got one more.
    private func edited(_ request: [UInt8], _ signal: Signal) throws -> OracleMessage {
        let written = try Rewriting.rewrite(request, signal) { batch in
            let (key, value) = (batch.addText(Text("added")), batch.addText(Text("here")))
            for set in batch.allSets { batch.append(key: key, .string(value), to: set) }
        }
        return try #require(OracleMessage.decode(written, .request(signal)))
    }

    /// Passes as it is, keeps all it has beside an edit, and reads the same behind JSON.
    private func check(_ request: [UInt8], _ signal: Signal, isSameBehindJSON: Bool = true) throws {
        #expect(try Rewriting.rewrite(request, signal) == request)
        let there = try #require(OracleMessage.decode(request, .request(signal)))
        var expected = there
        AttributeTree(signal).change(&expected) { $0.append(Self.added) }
        #expect(try edited(request, signal) == expected)
        guard isSameBehindJSON else { return }
        let back = try JSONCase.transcode(JSONCase.write(request, signal), signal)
        #expect(OracleMessage.decode(back, .request(signal)) == there)
    }

    private func span(_ more: (inout WireBytes) -> Void) -> [UInt8] {
        WireBytes.request(
            records: [
                WireBytes.build {
                    $0.ids()
                    more(&$0)
                }
            ])
    }

    private func metric(_ kind: UInt32, _ data: (inout WireBytes) -> Void) -> [UInt8] {
        WireBytes.request(records: [WireBytes.build { $0.message(kind, data) }])
    }

    @Test func `repeated numbers are read packed, unpacked and in several pieces`() throws {
        let packed = WireBytes.build { for number in 1...4 { $0.word64(UInt64(number)) } }
        let forms: [[UInt8]] = [
            WireBytes.build { $0.data(6, packed) },
            WireBytes.build { for number in 1...4 { $0.fixed64(6, UInt64(number)) } },
            WireBytes.build {
                $0.data(6, Array(packed[..<16]))
                $0.fixed64(6, 3)
                $0.data(6, Array(packed[24...]))
            },
        ]
        let read = try forms.map { form in
            let request = metric(9) { $0.data(1, form) }
            #expect(try Rewriting.rewrite(request, .metrics) == request)
            let json = String(decoding: JSONCase.write(request, .metrics), as: UTF8.self)
            #expect(json.contains(#""bucketCounts":["1","2","3","4"]"#))
            return try JSONCase.transcode(Array(json.utf8), .metrics)
        }
        #expect(read[0] == read[1] && read[1] == read[2])
        let varints = metric(10) { $0.message(1) { $0.message(8) { for _ in 0..<2 { $0.number(2, 300) } } } }
        #expect(String(decoding: JSONCase.write(varints, .metrics), as: UTF8.self).contains(#"["300","300"]"#))
    }

    @Test(
        arguments: [
            Double.nan.bitPattern, 0x7FF8_0000_0000_1234, 0xFFF0_0000_0000_0001, (-0.0).bitPattern,
            Double.infinity.bitPattern, 1, Double.greatestFiniteMagnitude.bitPattern,
        ] as [UInt64])
    func `doubles keep every bit`(bits: UInt64) throws {
        // JSON has one NaN only.
        let isNaN = Double(bitPattern: bits).isNaN
        try check(
            metric(5) { $0.message(1) { $0.fixed64(4, bits) } }, .metrics, isSameBehindJSON: !isNaN)
        try check(span { $0.message(9) { $0.message(2) { $0.fixed64(4, bits) } } }, .traces, isSameBehindJSON: !isNaN)
    }

    @Test(arguments: [1 << 63, UInt64.max, 0, 1 << 53 + 1, 1 << 63 - 1] as [UInt64])
    func `integers keep their whole range`(bits: UInt64) throws {
        try check(span { $0.message(9) { $0.message(2) { $0.number(3, bits) } } }, .traces)
        try check(metric(7) { $0.message(1) { $0.fixed64(6, bits) } }, .metrics)
        try check(span { $0.fixed64(7, UInt64.max - bits) }, .traces)
    }

    @Test func `numbers that no enum knows pass`() throws {
        try check(
            span {
                $0.number(6, 99)
                $0.message(15) { $0.number(3, 7) }
            }, .traces)
        try check(WireBytes.request(records: [WireBytes.build { $0.number(2, 100) }]), .logs)
        try check(metric(7) { $0.number(2, 9) }, .metrics)
    }

    @Test func `all 32 bits of flags pass`() throws {
        for flags in [UInt32.max, 0x8000_0000, 0x0000_0100, 0x00FF_FC00] {
            try check(
                span {
                    $0.fixed32(16, flags)
                    $0.message(13) { $0.fixed32(6, flags) }
                }, .traces)
            try check(WireBytes.request(records: [WireBytes.build { $0.fixed32(8, flags) }]), .logs)
        }
    }

    @Test func `several attributes of one key pass, all of them`() throws {
        try check(
            span {
                $0.attribute(9, "k", "first")
                $0.attribute(9, "k", "second")
                $0.attribute(9, "", "no key")
            }, .traces)
    }

    @Test func `indexes into tables that other signals have are no fault`() throws {
        try check(
            span {
                $0.message(9) {
                    $0.number(3, 5)
                    $0.message(2) { $0.number(8, 6) }
                }
            }, .traces)
    }

    @Test func `points without time or value pass, since to drop them is the backend's choice`() throws {
        try check(metric(5) { $0.message(1) { $0.attribute(7, "k", "v") } }, .metrics)
        try check(metric(11) { $0.message(1) { _ in } }, .metrics)
    }

    @Test func `resource, scope, name, body and value may be missing`() throws {
        let span = WireBytes.build { $0.ids() }
        for (signal, record) in [(Signal.traces, span), (.logs, []), (.metrics, [])] {
            try check(WireBytes.build { $0.message(1) { $0.message(2) { $0.data(2, record) } } }, signal)
        }
        try check(self.span { $0.message(9) { $0.text(1, "key alone") } }, .traces)
    }

    @Test(arguments: Signal.allCases) func `envelopes without a record are read`(signal: Signal) throws {
        for request in [[], [0x0A, 0], WireBytes.build { $0.message(1) { $0.message(2) { _ in } } }] {
            #expect(try Rewriting.rewrite(request, signal) == request)
            _ = try JSONCase.transcode(JSONCase.write(request, signal), signal)
        }
    }
}
