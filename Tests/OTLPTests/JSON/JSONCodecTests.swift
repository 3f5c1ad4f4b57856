import Foundation
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

    private static func value(_ body: (inout WireBytes) -> Void) -> [UInt8] { WireBytes.build(body) }

    /// Values with several members, and what counts of them.
    private static let values: [(value: [UInt8], json: String)] = [
        (
            value {
                $0.text(1, "a")
                $0.number(3, 1)
            }, #"{"intValue":"1"}"#
        ),
        (
            value {
                $0.number(3, 1)
                $0.text(1, "a")
            }, #"{"stringValue":"a"}"#
        ),
        (
            value {
                $0.number(3, 1)
                $0.text(1, "a")
                $0.number(3, 2)
            }, #"{"intValue":"2"}"#
        ),
        (
            value {
                $0.message(6) { _ in }
                $0.message(5) { _ in }
            }, #"{"arrayValue":{}}"#
        ),
        (
            value {
                $0.message(5) { $0.message(1) { $0.number(2, 1) } }
                $0.message(5) { $0.message(1) { _ in } }
            },
            #"{"arrayValue":{"values":[{"boolValue":true},{}]}}"#
        ),
        (
            value {
                $0.message(5) { $0.message(1) { $0.number(2, 1) } }
                $0.number(3, 1)
                $0.message(5) { $0.message(1) { _ in } }
            }, #"{"arrayValue":{"values":[{}]}}"#
        ),
    ]

    @Test(arguments: values.indices)
    func `of several members of a oneof the last one is written, merged with its own kind`(index: Int) throws {
        let (value, json) = Self.values[index]
        let whole = WireBytes.build { $0.message(9) { $0.data(2, value) } }
        // The same value in two pieces, parted at each of its fields.
        var requests = [whole]
        value.withUnsafeBytes { bytes in
            var cursor = WireCursor(Text(bytes))
            while let field = cursor.nextField() {
                let end = field.whole.upperBound
                requests.append(
                    WireBytes.build {
                        $0.message(9) {
                            $0.data(2, Array(value[..<end]))
                            $0.data(2, Array(value[end...]))
                        }
                    })
            }
        }
        for span in requests {
            let text = String(decoding: JSONCase.write(WireBytes.request(records: [span]), .traces), as: UTF8.self)
            #expect(text.contains(#""attributes":[{"value":\#(json)}]"#), "\(text)")
        }
    }

    @Test func `of a metric with data of two kinds, and a point with two values, the last one is written`() {
        let gauge = WireBytes.build {
            $0.message(1) {
                $0.fixed64(4, 1.5.bitPattern)
                $0.fixed64(6, 7)
            }
        }
        let sum = WireBytes.build {
            $0.message(1) {
                $0.fixed64(6, 7)
                $0.fixed64(4, 1.5.bitPattern)
            }
        }
        for (fields, json) in [
            ([(5, gauge), (7, sum)], #"{"sum":{"dataPoints":[{"asDouble":1.5}]}}"#),
            ([(7, sum), (5, gauge)], #"{"gauge":{"dataPoints":[{"asInt":"7"}]}}"#),
            ([(5, gauge), (7, sum), (5, gauge)], #"{"gauge":{"dataPoints":[{"asInt":"7"}]}}"#),
        ] as [([(UInt32, [UInt8])], String)] {
            let metric = WireBytes.build { for (number, content) in fields { $0.data(number, content) } }
            let text = String(decoding: JSONCase.write(WireBytes.request(records: [metric]), .metrics), as: UTF8.self)
            #expect(text.contains(#""metrics":[\#(json)]"#), "\(text)")
        }
    }

    @Test(arguments: ["5", "\"*\"", "{}", "[1]", "true", "\"gA==\"", "\"AA\\u0041=\""])
    func `an unknown key named like ours with anything else in it is skipped`(value: String) throws {
        let span = try JSONCase.decodeSpan(#""name":"a","@unknown":\#(value),"kind":2"#)
        #expect(span?.bytes(5) == Array("a".utf8) && span?.fields[6] == [.number(2)])
    }

    @Test func `what comes as unknown replaces nothing that is known`() throws {
        // Field 5 is the name, 6 as a text is unknown, and so is 1900.
        let unknown = WireBytes.build {
            $0.text(5, "b")
            $0.text(6, "odd")
            $0.number(1_900, 7)
        }
        let base64 = Data(unknown).base64EncodedString()
        let json = JSONCase.span(#""name":"a","@unknown":"\#(base64)""#)
        let back = try JSONCase.transcode(Array(json.utf8), .traces)
        #expect(back.contains([0x2A, 1, 0x61]) && !back.contains([0x2A, 1, 0x62]))
        #expect(back.contains([0x32, 3, 0x6F, 0x64, 0x64]) && back.contains(Array(unknown.suffix(3))))
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
