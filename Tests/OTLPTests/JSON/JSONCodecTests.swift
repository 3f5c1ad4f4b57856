import OTLP
import Telemetry
import TestSupport
import Testing

@Suite struct `OTLP/JSON and protobuf` {
    @Test(arguments: CorpusPayload.json)
    func `recorded in both forms are the same request`(payload: CorpusPayload) throws {
        let read = OracleMessage.decode(
            try JSONCase.transcode(payload.bytes, payload.signal), .request(payload.signal))
        let decoded = try #require(read)
        #expect(!decoded.messages(1).isEmpty)
        if let twin = CorpusPayload.protobuf.first(where: { $0.stem == payload.stem }) {
            #expect(decoded == OracleMessage.decode(twin.bytes, .request(twin.signal)))
        }
    }

    @Test(arguments: CorpusPayload.protobuf)
    func `turn into each other without loss for recorded payloads`(payload: CorpusPayload) throws {
        try roundTrip(payload.bytes, payload.signal)
    }

    @Test(arguments: Signal.allCases)
    func `turn into each other without loss for random requests, unknown fields included`(signal: Signal) throws {
        var requests = RandomRequests(seed: 2_100 + UInt64(signal.rawValue))
        for _ in 0..<80 { try roundTrip(requests.next(signal), signal) }
    }

    private func roundTrip(_ request: [UInt8], _ signal: Signal) throws {
        let json = JSONCase.write(request, signal)
        #expect(!json.contains(0x0A))
        let back = try JSONCase.transcode(json, signal)
        #expect(OracleMessage.decode(back, .request(signal)) == OracleMessage.decode(request, .request(signal)))
    }

    @Test func `the written text has OTLP's names and forms`() {
        let span = WireBytes.build {
            $0.data(1, [UInt8](repeating: 0xAB, count: 16))
            $0.data(2, [UInt8](repeating: 0x0C, count: 8))
            $0.number(6, 3)
            $0.fixed64(7, 1_700_000_000_000_000_001)
            $0.message(9) {
                $0.text(1, "k")
                $0.message(2) { $0.number(3, UInt64(bitPattern: -7)) }
            }
            $0.message(9) { $0.message(2) { $0.data(7, [0xFB, 0xFF]) } }
            $0.message(9) { $0.message(2) { $0.fixed64(4, Double.nan.bitPattern) } }
            $0.fixed32(16, 257)
        }
        let text = String(decoding: JSONCase.write(WireBytes.request(records: [span]), .traces), as: UTF8.self)
        let expected =
            #"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"#
            + #""traceId":"abababababababababababababababab","spanId":"0c0c0c0c0c0c0c0c","kind":3,"#
            + #""startTimeUnixNano":"1700000000000000001","attributes":[{"key":"k","value":{"intValue":"-7"}},"#
            + #"{"value":{"bytesValue":"+/8="}},{"value":{"doubleValue":"NaN"}}],"flags":257}]}]}]}"#
        #expect(text == expected)
    }

    @Test func `control characters, quotes and backslashes are escaped, all other text stays`() throws {
        let text = "a\"b\\c\u{00}\u{1F}\n\r\t\u{7F}é田🙂\u{2028}"
        let span = WireBytes.build { $0.text(5, text) }
        let json = JSONCase.write(WireBytes.request(records: [span]), .traces)
        let written = String(decoding: json, as: UTF8.self)
        #expect(written.contains(#""name":"a\"b\\c\u0000\u001f\n\r\t"# + "\u{7F}é田🙂\u{2028}\""))
        let back = OracleMessage.decode(try JSONCase.transcode(json, .traces), .request(.traces))
        #expect(back?.messages(1)[0].messages(2)[0].messages(2)[0].bytes(5) == Array(text.utf8))
    }
}
