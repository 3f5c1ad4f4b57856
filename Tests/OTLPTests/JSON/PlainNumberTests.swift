import Foundation
import OTLP
import Telemetry
import TestSupport
import Testing

/// Numbers, ids and keys as senders usually write them take a short way; it must find what the general way finds.
@Suite struct PlainNumberTests {
    /// The bits of the double in an attribute, nil when it has none.
    private func double(_ text: String) throws -> UInt64? {
        let value = try JSONCase.decodeValue(#"{"doubleValue":\#(text)}"#)
        return value?.fields[4] == nil ? nil : value?.number(4)
    }

    @Test func `a double is the nearest one, whatever its size and digits`() throws {
        var random = SeededRandom(20_261_126)
        for round in 0..<4_000 {
            let scale = [1, 1e3, -1e-3, 1e9, 1e-9, -1e15][round % 6]
            let number = Double(random.next() >> 11) / Double(1 << 53) * scale
            let places = random.below(20)
            for text in [number.description, String(format: "%.\(places)f", number)] {
                let expected = try #require(Double(text))
                #expect(try double(text) == expected.bitPattern, "\(text)")
            }
        }
    }

    @Test(arguments: [
        "0", "-0", "0.0", "-0.0", "1", "10.50", "9007199254740993", "9007199254740993.5", "0.1234567890123456789",
        "0.12345678901234567891", "9999999999999999999", "99999999999999999999", "0.000000000000000000001",
        "123456789.12345678901", "7205759403792794.5", "1.7976931348623157e308", "5e-324", "1E5", "-2.5e+3",
    ])
    func `a double may be written in any way JSON knows`(text: String) throws {
        #expect(try double(text) == Double(text)?.bitPattern)
        #expect(try double(" \(text) ") == Double(text)?.bitPattern)
        #expect(try double("\"\(text)\"") == Double(text)?.bitPattern)
    }

    @Test(arguments: ["01.5", "1.", ".5", "-", "--1", "+1", "1.5.2", "1e", "0x10", "1_000", "00"])
    func `what is no number of JSON is no double`(text: String) {
        #expect(JSONCase.refusal(JSONCase.span(#""attributes":[{"key":"k","value":{"doubleValue":\#(text)}}]"#)) != nil)
    }

    @Test func `an integer of any length is read exactly, in quotes or not`() throws {
        var random = SeededRandom(7)
        for digits in 1...19 {
            for _ in 0..<50 {
                let first = String(1 + random.below(9))
                let text = first + (1..<digits).map { _ in String(random.below(10)) }.joined()
                let expected = try #require(UInt64(text))
                for form in [text, "\"\(text)\"", " \(text) "] {
                    let span = try JSONCase.decodeSpan(#""endTimeUnixNano":\#(form),"name":"n""#)
                    #expect(span?.number(8) == expected, "\(form)")
                }
            }
        }
    }

    @Test(arguments: ["18446744073709551616", "99999999999999999999", "12x", "1\"", "\"12", "\"1 \"", "\"\"", "007"])
    func `a time that does not fit or is no number is refused`(text: String) {
        #expect(JSONCase.refusal(JSONCase.span(#""endTimeUnixNano":\#(text)"#)) != nil)
    }

    @Test func `an id with one digit that is none is refused wherever it stands`() throws {
        let id = Array("0123456789abcdefABCDEF0123456789".utf8)
        #expect(try JSONCase.decodeSpan(#""traceId":"\#(String(decoding: id, as: UTF8.self))""#)?.bytes(1).count == 16)
        for place in id.indices {
            for other in Array("g/:@G` \u{7F}".utf8) {
                var wrong = id
                wrong[place] = other
                let text = JSONCase.span(#""traceId":"\#(String(decoding: wrong, as: UTF8.self))""#)
                #expect(JSONCase.refusal(text)?.reason == .badIdentifier, "\(place)")
            }
        }
    }

    @Test func `objects may have their keys in orders of their own`() throws {
        let members = [
            #""traceId":"0102030405060708090a0b0c0d0e0f10""#, #""name":"n""#, #""kind":3"#, #""flags":257"#,
            #""startTimeUnixNano":"5""#, #""unknown":{"name":[1]}"#, #""status":{"code":2,"message":"m"}"#,
            #""endTimeUnixNano":"6""#,
        ]
        var random = SeededRandom(3)
        let orders = (0..<40).map { _ in members.shuffled(using: &random) }
        let spans = orders.map { "{\($0.joined(separator: ","))}" }.joined(separator: ",")
        let json = #"{"resourceSpans":[{"scopeSpans":[{"spans":[\#(spans)]}]}]}"#
        let scope = try #require(try JSONCase.decode(json)?.messages(1).first?.messages(2).first)
        #expect(scope.messages(2).count == orders.count)
        for span in scope.messages(2) {
            #expect(span.bytes(1).count == 16)
            #expect(span.bytes(5) == Array("n".utf8))
            #expect(span.number(7) == 5 && span.number(8) == 6)
            #expect(span.messages(15).first?.bytes(2) == Array("m".utf8))
        }
    }
}
