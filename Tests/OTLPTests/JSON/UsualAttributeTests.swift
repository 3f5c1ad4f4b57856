import OTLP
import Telemetry
import Testing

/// Attributes in the usual spelling take a short way; what it makes must be what the general way makes.
@Suite struct UsualAttributeTests {
    private static let values = [
        #"{"stringValue":"v"}"#, #"{"stringValue":""}"#, #"{"stringValue":"ä \" \\ \u0041\n"}"#,
        #"{"stringValue":"\#(String(repeating: "x", count: 200))"}"#, #"{"intValue":"0"}"#, #"{"intValue":"42"}"#,
        #"{"intValue":7}"#, #"{"intValue":"-7"}"#, #"{"intValue":"999999999999999999"}"#,
        #"{"intValue":"9223372036854775807"}"#, #"{"intValue":1e3}"#, #"{"intValue":5.0}"#, #"{"boolValue":true}"#,
        #"{"boolValue":false}"#, #"{"doubleValue":1.5}"#, #"{"bytesValue":"AAE="}"#, #"{"arrayValue":{"values":[]}}"#,
        #"{"kvlistValue":{"values":[{"key":"in","value":{"stringValue":"deep"}}]}}"#, "{}", "null",
        #"{"stringValue":"v","stringValue":"w"}"#, #"{"strong":"v"}"#,
    ]

    @Test(arguments: values, ["k", "", #"a\"b"#, "schlüssel.mit.ä"])
    func `white space makes no difference`(value: String, key: String) throws {
        let plain = JSONCase.span(#""attributes":[{"key":"\#(key)","value":\#(value)},{"key":"z"}]"#)
        let spaced = JSONCase.span(#""attributes":[ { "key": "\#(key)" , "value": \#(value) } , { "key":"z" } ]"#)
        #expect(try JSONCase.transcode(Array(plain.utf8), .traces) == JSONCase.transcode(Array(spaced.utf8), .traces))
    }

    @Test(arguments: [
        #"{"intValue":"01"}"#, #"{"intValue":""}"#, #"{"intValue":"1}"#, #"{"intValue":1"}"#, #"{"boolValue":truth}"#,
        #"{"stringValue":"a"b}"#, #"{"stringValue":"a"},"#, #"{"intValue":"9223372036854775808"}"#,
        "{\"stringValue\":\"a\u{1}\"}", #"{"intValue":--1}"#,
    ])
    func `what is not JSON or does not fit is refused`(value: String) {
        let json = JSONCase.span(#""attributes":[{"key":"k","value":\#(value)}]"#)
        #expect(throws: (any Error).self) { try JSONCase.transcode(Array(json.utf8), .traces) }
    }

    @Test func `a request that is cut off anywhere is refused`() {
        let members = #""attributes":[{"key":"k","value":{"stringValue":"v"}},{"key":"n","value":{"intValue":"12"}}]"#
        let json = Array(JSONCase.span(members).utf8)
        for count in json.indices {
            #expect(throws: (any Error).self, "\(count) bytes") {
                try JSONCase.transcode(Array(json[..<count]), .traces)
            }
        }
    }

    @Test func `depth counts on the short way as on the general one`() throws {
        func nested(_ levels: Int, _ space: String) -> String {
            let open = #"{"kvlistValue":{"values":[{"key":"k","value":"#
            let value = String(repeating: open, count: levels) + #"{"stringValue":"v"}"#
            let close = String(repeating: "}]}}", count: levels)
            return JSONCase.span(#""attributes":[{\#(space)"key":"k","value":"# + value + close + "}]")
        }
        for levels in 45...60 {
            let plain = try? JSONCase.transcode(Array(nested(levels, "").utf8), .traces)
            let spaced = try? JSONCase.transcode(Array(nested(levels, " ").utf8), .traces)
            #expect(plain == spaced, "\(levels) levels")
        }
    }
}
