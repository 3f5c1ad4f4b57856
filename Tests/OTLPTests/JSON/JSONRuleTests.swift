import OTLP
import Telemetry
import TestSupport
import Testing

@Suite struct `Ids and binary data in JSON` {
    @Test(arguments: ["0123456789abcdef0123456789ABCDEF", "0123456789ABCDEF0123456789abcdef"])
    func `ids are hex of either case`(id: String) throws {
        let span = try JSONCase.decodeSpan(#""traceId":"\#(id)","spanId":"00000000000000fF","parentSpanId":"""#)
        #expect(
            span?.bytes(1) == [
                0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 1, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF,
            ])
        #expect(span?.bytes(2) == [0, 0, 0, 0, 0, 0, 0, 0xFF])
        #expect(span?.fields[4] == nil)
    }

    @Test func `ids of parents, links, log records and exemplars are hex, too`() throws {
        let (trace, span) = ([UInt8](repeating: 0xAB, count: 16), [UInt8](repeating: 0xCD, count: 8))
        let ids =
            #""traceId":"\#(String(repeating: "aB", count: 16))","spanId":"\#(String(repeating: "Cd", count: 8))""#
        #expect(
            try JSONCase.decodeSpan(#""parentSpanId":"\#(String(repeating: "cD", count: 8))""#)?.bytes(4) == span)
        let link = try JSONCase.decodeSpan(#""links":[{\#(ids)}]"#)?.messages(13).first
        #expect(link?.bytes(1) == trace && link?.bytes(2) == span)
        let logs = #"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{\#(ids)}]}]}]}"#
        let record = try JSONCase.decode(logs, .logs)?.messages(1).first?.messages(2).first?.messages(2).first
        #expect(record?.bytes(9) == trace && record?.bytes(10) == span)
        let exemplar = try JSONCase.decodePoint(#""exemplars":[{\#(ids)}]"#)?.messages(5).first
        #expect(exemplar?.bytes(5) == trace && exemplar?.bytes(4) == span)
    }

    @Test(arguments: ["APCBJ9wAAAAAAAAAAAAAAQ==", "abg", "zz", "00112233 ", "0\\u007A", "0\\\""])
    func `an id that is not hex is refused with what to do`(id: String) throws {
        for member in ["traceId", "spanId", "parentSpanId"] {
            let refusal = try #require(JSONCase.refusal(JSONCase.span(#""\#(member)":"\#(id)""#)))
            #expect(refusal.reason == .badIdentifier)
            #expect(refusal.message.contains("hex") && refusal.message.contains("base64"))
        }
        for owner in ["links", "events"] where owner == "links" {
            let refusal = JSONCase.refusal(JSONCase.span(#""\#(owner)":[{"traceId":"\#(id)"}]"#))
            #expect(refusal?.reason == .badIdentifier)
        }
    }

    @Test(arguments: [1, 3, 7, 15, 17, 31, 33, 35])
    func `an id with an odd number of digits costs its span and not the batch`(digits: Int) throws {
        let id = String(repeating: "1", count: digits)
        let (trace, span) = (String(repeating: "2", count: 32), String(repeating: "3", count: 16))
        for members in [
            #""traceId":"\#(id)","spanId":"\#(span)""#, #""traceId":"\#(trace)","spanId":"\#(id)""#,
            #""traceId":"\#(trace)","spanId":"\#(span)","parentSpanId":"\#(id)""#,
        ] {
            let good = #""traceId":"\#(trace)","spanId":"\#(span)""#
            let json = #"{"resourceSpans":[{"scopeSpans":[{"spans":[{\#(members)},{\#(good)}]}]}]}"#
            let request = try JSONCase.transcode(Array(json.utf8), .traces)
            var batch = RecordBatch()
            try request.withUnsafeBytes { bytes in
                let summary = try OTLPReader.read(Text(bytes), signal: .traces, keys: .empty, into: &batch)
                #expect(summary.rejected == 1 && batch.liveCount == 1, "\(members)")
            }
        }
        let log = #"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"\#(id)","body":{"intValue":1}}]}]}]}"#
        var batch = RecordBatch()
        try Rewriting.read(try JSONCase.transcode(Array(log.utf8), .logs), .logs, into: &batch) { batch in
            #expect(batch.liveCount == 1 && batch.logs[0].traceID.isEmpty)
        }
    }

    @Test(arguments: ["APCBJ9wAAAAAAAAAAAAAAQ==", "zz", "0\\u007A", "0\\\""])
    func `a log record whose id is not hex is kept without it, and the sender is told`(id: String) throws {
        let json =
            #"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"\#(id)","spanId":"0102030405060708"}]}]}]}"#
        var output = ByteColumn()
        var warning = ""
        try Array(json.utf8).withUnsafeBytes { bytes in
            try OTLPJSONReader.transcode(Text(bytes), signal: .logs, into: &output, warning: &warning)
        }
        #expect(warning.contains("hex") && warning.contains("kept"))
        let record = OracleMessage.decode([UInt8](output.bytes), .request(.logs))?.messages(1).first?.messages(2).first?
            .messages(2).first
        #expect(record?.fields[9] == nil && record?.bytes(10) == [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test(
        arguments: [
            ("", []), ("AA==", [0]), ("AA", [0]), ("+/8=", [0xFB, 0xFF]), ("-_8", [0xFB, 0xFF]),
            ("TWFu", [0x4D, 0x61, 0x6E]),
        ] as [(String, [UInt8])])
    func `other bytes are base64 of either alphabet, with or without padding`(text: String, bytes: [UInt8]) throws {
        let value = try JSONCase.decodeValue(#"{"bytesValue":"\#(text)"}"#)
        #expect(value?.fields[7] == [.bytes(bytes)])
    }

    @Test(arguments: ["A", "AA=A", "A B=", "é", "AAAAA", "=", "AQI=====", "AA=", "AAA==", "TWFu=", "TWFu===="])
    func `what is not base64 is refused`(text: String) {
        let refusal = JSONCase.refusal(JSONCase.span(#""attributes":[{"value":{"bytesValue":"\#(text)"}}]"#))
        #expect(refusal?.reason == .wrongType)
    }
}

@Suite struct `Numbers in JSON` {
    @Test(
        arguments: [
            ("0", 0), ("-0", 0), ("5", 5), ("\"5\"", 5), ("-5", -5), ("5.0", 5), ("5.000", 5), ("\"5.0\"", 5),
            ("1e3", 1_000),
            ("1E+3", 1_000), ("\"1e3\"", 1_000), ("1.5e1", 15), ("150e-1", 15), ("0e0", 0), ("0.0e99", 0),
            ("0e-999999999", 0),
            ("9007199254740993", 9_007_199_254_740_993), ("\"9007199254740993\"", 9_007_199_254_740_993),
            ("9.007199254740993e15", 9_007_199_254_740_993), ("9223372036854775807", .max),
            ("9223372036854775807.0", .max),
            ("922337203685477580.7e1", .max), ("\"-9223372036854775808\"", .min), ("-9.223372036854775808E18", .min),
        ] as [(String, Int64)])
    func `64-bit integers are strings or numbers in every integral form`(text: String, number: Int64) throws {
        let value = try JSONCase.decodeValue(#"{"intValue":\#(text)}"#)
        #expect(value?.fields[3] == [.number(UInt64(bitPattern: number))])
    }

    @Test(arguments: [
        "9223372036854775808", "-9223372036854775809", "1.5", "1e-1", "15e-2", "1e19", "1e999999999999999999999",
        "\"99999999999999999999\"", "922337203685477580.71e1",
    ])
    func `numbers that do not fit an integer are refused`(text: String) {
        let refusal = JSONCase.refusal(JSONCase.span(#""attributes":[{"value":{"intValue":\#(text)}}]"#))
        #expect(refusal?.reason == .outOfRange)
    }

    @Test func `a number of a million digits is refused rather than read wrong`() {
        let text = "1" + String(repeating: "0", count: 1_000_001) + "e-1000001"
        let refusal = JSONCase.refusal(JSONCase.span(#""attributes":[{"value":{"intValue":\#(text)}}]"#))
        #expect(refusal?.reason == .outOfRange)
    }

    @Test(arguments: ["true", "\"\"", "\"x\"", "{}", "[1]", "\"5", "\"5 \"", "\" 5\"", "+5", ".5", "0x5", "- 5", "NaN"])
    func `what is not a number is refused`(text: String) {
        let refusal = JSONCase.refusal(JSONCase.span(#""attributes":[{"value":{"intValue":\#(text)}}]"#))
        #expect(refusal != nil && refusal?.reason != .outOfRange)
    }

    @Test func `unsigned fields take their whole range and nothing below zero`() throws {
        for (text, number) in [("18446744073709551615", UInt64.max), ("\"1.8446744073709551615e19\"", .max), ("-0", 0)]
        {
            let span = try JSONCase.decodeSpan(#""startTimeUnixNano":\#(text)"#)
            #expect(span?.number(7) == number)
        }
        for text in ["18446744073709551616", "-1", "\"-1\""] {
            #expect(JSONCase.refusal(JSONCase.span(#""startTimeUnixNano":\#(text)"#))?.reason == .outOfRange)
        }
        #expect(try JSONCase.decodeSpan(#""flags":"4294967295""#)?.number(16) == 4_294_967_295)
        #expect(JSONCase.refusal(JSONCase.span(#""flags":4294967296"#))?.reason == .outOfRange)
        #expect(try JSONCase.decodeSpan(#""droppedAttributesCount":"7""#)?.number(10) == 7)
    }

    @Test(
        arguments: [
            ("1", 1), ("-0.0", -0.0), ("1e300", 1e300), ("\"NaN\"", .nan), ("\"Infinity\"", .infinity),
            ("\"-Infinity\"", -.infinity),
            ("\"1.5\"", 1.5), ("5e-324", .leastNonzeroMagnitude), ("2.2250738585072014e-308", .leastNormalMagnitude),
            ("0.1", 0.1), ("1.7976931348623157e308", .greatestFiniteMagnitude),
            ("123456789012345678", 123_456_789_012_345_680),
        ] as [(String, Double)])
    func `doubles are numbers or OTLP's words`(text: String, number: Double) throws {
        let value = try JSONCase.decodeValue(#"{"doubleValue":\#(text)}"#)
        #expect(value?.fields[4] == [.number(number.bitPattern)])
    }

    @Test(arguments: [
        "NaN", "Infinity", "\"nan\"", "\"+Infinity\"", "1e400", "\"\"", "\"Inf\"", "1.", "1.e5", "01", "1e",
    ])
    func `other spellings of doubles are refused`(text: String) {
        #expect(JSONCase.refusal(JSONCase.span(#""attributes":[{"value":{"doubleValue":\#(text)}}]"#)) != nil)
    }

    @Test func `a number of five thousand digits is a number or is refused`() throws {
        let long = "0." + String(repeating: "3", count: 5_000)
        #expect(try JSONCase.decodeValue(#"{"doubleValue":\#(long)}"#)?.fields[4] != nil)
        let integer = String(repeating: "3", count: 5_000)
        #expect(JSONCase.refusal(JSONCase.span(#""startTimeUnixNano":\#(integer)"#))?.reason == .outOfRange)
        #expect(JSONCase.refusal(#"{"later":\#(integer)}"#) == nil)
    }

    @Test(arguments: [("2", 2), ("\"2\"", 2), ("99", 99), ("\"SPAN_KIND_SERVER\"", 2)] as [(String, UInt64)])
    func `enums are open integers, and their names are taken too`(text: String, number: UInt64) throws {
        #expect(try JSONCase.decodeSpan(#""kind":\#(text)"#)?.number(6) == number)
    }

    @Test func `every enum of the schema knows its own names only`() throws {
        let status = try JSONCase.decodeSpan(#""status":{"code":"STATUS_CODE_ERROR"}"#)
        #expect(status?.messages(15).first?.number(3) == 2)
        let log = try JSONCase.decode(
            #"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":"SEVERITY_NUMBER_WARN"}]}]}]}"#, .logs)
        #expect(log?.messages(1)[0].messages(2)[0].messages(2)[0].number(2) == 13)
        for name in ["SERVER", "STATUS_CODE_OK", "SPAN_KIND_SERVER\\u0000", "span_kind_server", ""] {
            let refusal = JSONCase.refusal(JSONCase.span(#""kind":"\#(name)""#))
            #expect(refusal?.reason == .wrongType, "\(name)")
        }
        let refusal = try #require(JSONCase.refusal(JSONCase.span(#""kind":"SERVER""#)))
        #expect(refusal.message.contains("integers"))
    }
}

@Suite struct `Names and null in JSON` {
    @Test func `names that the schema does not know are ignored at every level`() throws {
        let unknown = #""later":{"a":[1,{"b":null},"x\n",-1.5e3,true,false,[],{}]}"#
        let json =
            #"{\#(unknown),"resourceSpans":[{\#(unknown),"resource":{\#(unknown),"attributes":[{\#(unknown),"key":"k","#
            + #""value":{\#(unknown),"arrayValue":{\#(unknown),"values":[{\#(unknown),"stringValue":"v"}]}}}]},"#
            + #""scopeSpans":[{\#(unknown),"scope":{\#(unknown)},"spans":[{\#(unknown),"name":"n","#
            + #""events":[{\#(unknown)}],"links":[{\#(unknown)}],"status":{\#(unknown)}}]}]}]}"#
        let request = try #require(try JSONCase.decode(json))
        let plain = json.replacing(unknown + ",", with: "").replacing(unknown, with: "")
        #expect(try JSONCase.decode(plain) == request)
        #expect(request.messages(1)[0].messages(2)[0].messages(2)[0].bytes(5) == Array("n".utf8))
    }

    @Test func `snake_case names and names of another case are unknown`() throws {
        let span = try JSONCase.decodeSpan(
            #""trace_id":"00","span_id":5,"Name":"x","NAME":"y","start_time_unix_nano":"zz","kind ":1"#)
        #expect(span == OracleMessage())
    }

    @Test func `a name written with escapes is the name`() throws {
        #expect(try JSONCase.decodeSpan(#""n\u0061me":"x""#)?.bytes(5) == Array("x".utf8))
        #expect(try JSONCase.decodeSpan(#""n\u0061ne":"x""#) == OracleMessage())
    }

    @Test func `of a name that comes twice the last counts, and lists are joined`() throws {
        let span = try JSONCase.decodeSpan(
            #""name":"a","attributes":[{"key":"1"}],"name":"b","attributes":[{"key":"2"}]"#)
        #expect(span?.bytes(5) == Array("b".utf8))
        #expect(span?.messages(9).map { $0.bytes(1) } == [[UInt8(ascii: "1")], [UInt8(ascii: "2")]])
    }

    @Test(
        arguments: [
            (#""name":"a","name":"""#, #""name":"""#),
            (#""name":null,"name":"a""#, #""name":"a""#),
            (#""name":"a","kind":2,"name":null,"kind":null"#, #""name":"","kind":0"#),
            (#""kind":2,"kind":0,"kind":0"#, #""kind":0"#),
            (#""kind":2,"kind":0,"kind":3"#, #""kind":3"#),
            (#""traceId":"0102","traceId":"""#, #""traceId":"""#),
            (#""traceState":"a","n\u0061me":"b","name":"","traceState":"""#, #""traceState":"","name":"""#),
            (
                #""startTimeUnixNano":"5","flags":1,"startTimeUnixNano":"0","flags":null"#,
                #""startTimeUnixNano":"0","flags":0"#
            ),
            (#""droppedAttributesCount":1,"droppedAttributesCount":0"#, #""droppedAttributesCount":0"#),
            (#""events":[{"name":"a","name":""},{"name":"b"}]"#, #""events":[{"name":""},{"name":"b"}]"#),
            (#""events":[{"name":"b"}],"events":null,"events":[]"#, #""events":[{"name":"b"}]"#),
            (#""status":{"code":2,"message":"m"},"status":{"code":0}"#, #""status":{"code":0,"message":"m"}"#),
            (#""status":{"code":2},"status":{"message":"m"}"#, #""status":{"code":2,"message":"m"}"#),
            (#""status":{"code":2},"status":null"#, #""status":{"code":2}"#),
        ] as [(String, String)])
    func `of a name that comes twice the last counts with its default too`(members: String, written: String) throws {
        let request = try JSONCase.transcode(Array(JSONCase.span(members).utf8), .traces)
        let text = String(decoding: JSONCase.write(request, .traces), as: UTF8.self)
        #expect(text == JSONCase.span(written))
    }

    @Test(
        arguments: [
            (#""stringValue":"a","stringValue":"""#, #"{"stringValue":""}"#),
            (#""stringValue":"a","intValue":"0""#, #"{"intValue":"0"}"#),
            (#""stringValue":"a","intValue":null"#, #"{"stringValue":"a"}"#),
            (#""boolValue":true,"boolValue":false"#, #"{"boolValue":false}"#),
            (
                #""arrayValue":{"values":[{"intValue":"1"}]},"arrayValue":{"values":[{"intValue":"2"}]}"#,
                #"{"arrayValue":{"values":[{"intValue":"2"}]}}"#
            ),
            (#""kvlistValue":{"values":[{"key":"a"}]},"kvlistValue":{}"#, #"{"kvlistValue":{}}"#),
        ] as [(String, String)])
    func `a value that comes twice is the last one`(members: String, written: String) throws {
        let parted = members.split(separator: ",", maxSplits: 1).map(String.init)
        var spellings = [#"{"key":"k","value":{\#(members)}}"#]
        // The same in two values, where the comma is no part of one.
        if !members.contains("[") { spellings.append(#"{"key":"k","value":{\#(parted[0])},"value":{\#(parted[1])}}"#) }
        for attribute in spellings {
            let json = JSONCase.span(#""attributes":[\#(attribute)]"#)
            let request = try JSONCase.transcode(Array(json.utf8), .traces)
            let text = String(decoding: JSONCase.write(request, .traces), as: UTF8.self)
            #expect(text == JSONCase.span(#""attributes":[{"key":"k","value":\#(written)}]"#), "\(attribute)")
        }
    }

    @Test func `the last of a list or map in two values is the value`() throws {
        let json = JSONCase.span(
            #""attributes":[{"key":"k","value":{"arrayValue":{"values":[{}]}},"value":{"arrayValue":{"values":[]}}}]"#)
        let request = try JSONCase.transcode(Array(json.utf8), .traces)
        let text = String(decoding: JSONCase.write(request, .traces), as: UTF8.self)
        #expect(text == JSONCase.span(#""attributes":[{"key":"k","value":{"arrayValue":{}}}]"#))
    }

    @Test func `of a name that comes twice in logs and metrics the last counts, too`() throws {
        let cases: [(Signal, json: String, written: String)] = [
            (
                .logs,
                #"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9,"severityText":"a","#
                    + #""body":{"stringValue":"x"},"severityText":"","severityNumber":0,"#
                    + #""body":{"stringValue":""}}]}]}]}"#,
                #"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":0,"severityText":"","#
                    + #""body":{"stringValue":""}}]}]}]}"#
            ),
            (
                .metrics,
                #"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","name":"","gauge":{"dataPoints":["#
                    + #"{"startTimeUnixNano":"1","asInt":"5","startTimeUnixNano":0,"asInt":"0"}]}}]}]}]}"#,
                #"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"","gauge":{"dataPoints":["#
                    + #"{"startTimeUnixNano":"0","asInt":"0"}]}}]}]}]}"#
            ),
        ]
        for (signal, json, written) in cases {
            let request = try JSONCase.transcode(Array(json.utf8), signal)
            #expect(String(decoding: JSONCase.write(request, signal), as: UTF8.self) == written)
        }
    }

    @Test func `null is the default of every field`() throws {
        let members = [
            "traceId", "spanId", "traceState", "parentSpanId", "name", "kind", "startTimeUnixNano", "attributes",
            "droppedAttributesCount", "events", "links", "status", "flags", "unheardOf",
        ]
        let span = try JSONCase.decodeSpan(members.map { #""\#($0)":null"# }.joined(separator: ","))
        #expect(span == OracleMessage())
        #expect(try JSONCase.decodeValue(#"{"stringValue":null}"#) == OracleMessage())
        #expect(try JSONCase.decode(#"{"resourceSpans":null}"#) == OracleMessage())
        #expect(try JSONCase.decode("{}") == OracleMessage())
        #expect(try JSONCase.decode(#"{"resourceSpans":[]}"#) == OracleMessage())
    }

    @Test func `members of a value have presence`() throws {
        let cases: [(String, UInt32, OracleMessage.Node)] = [
            (#"{"stringValue":""}"#, 1, .bytes([])), (#"{"boolValue":false}"#, 2, .number(0)),
            (#"{"intValue":"0"}"#, 3, .number(0)), (#"{"doubleValue":0}"#, 4, .number(0)),
            (#"{"arrayValue":{}}"#, 5, .message(OracleMessage())),
            (#"{"kvlistValue":{"values":[]}}"#, 6, .message(OracleMessage())), (#"{"bytesValue":""}"#, 7, .bytes([])),
        ]
        for (text, number, node) in cases { #expect(try JSONCase.decodeValue(text)?.fields == [number: [node]]) }
        #expect(try JSONCase.decodeValue("{}")?.fields == [:])
        let point = try JSONCase.decodePoint(#""asInt":"0","timeUnixNano":"5""#)
        #expect(point?.fields[6] == [.number(0)])
    }
}

@Suite struct `Malformed JSON` {
    @Test(arguments: [
        "", " ", "null", "[]", "1", "\"x\"", "{", "}", "{]", "[}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}",
        "{\"a\" 1}",
        "{a:1}", "{'a':1}", "{\"a\":1}}", "{} {}", "{}x", "{\"a\":tru}", "{\"a\":nul}", "{\"a\":01}", "{\"a\":1.}",
        "{\"a\":-}", "{\"a\":+1}", "{\"a\":1e}", "{\"a\":[1 2]}", "{\"a\":[1,]}", "{\"a\":[,1]}", "{\"a\":[1,,2]}",
        "{\"a\":{\"b\":1,}}", "{\"a\":{\"b\"}}", "{\"a\":{1:2}}", "{\"a\":{\"b\":1 \"c\":2}}", "{\"a\":[1}",
        "{\"a\":{\"b\":1]}",
        "{\"a\":[\"x\":1]}", "{\"a\":{\"b\",\"c\"}}", "{\"a\":\"x}", "{\"a\":\"\\q\"}", "{\"a\":\"\\u12\"}",
        "{\"a\":\"\u{01}\"}",
        "{\"a\":\"\n\"}", "{\"a\":/**/1}", "{\"a\":1} // x", "{\"a\":\u{A0}1}", "{\"a\":nullx}", "{\"a\":truefalse}",
        "{\"resourceSpans\":{}}", "{\"resourceSpans\":[1]}", "{\"resourceSpans\":[{}],}", "{\"resourceSpans\":[{},]}",
        "{\"resourceSpans\":[,{}]}", "{\"resourceSpans\":[{} {}]}", "{\"resourceSpans\":\"x\"}", "\u{FEFF}{}",
        "{\"resourceSpans\":[{\"schemaUrl\":5}]}", "{\"resourceSpans\":[{\"resource\":[]}]}",
    ])
    func `is refused, also inside of values that are skipped`(json: String) {
        #expect(JSONCase.refusal(json) != nil)
    }

    @Test func `white space is JSON's own`() throws {
        let json =
            " \t\r\n{ \"resourceSpans\" : [ { \"schemaUrl\" : \"x\" } , { } ] , \"a\" : [ 1 , { \"b\" : 2 } ] } \n"
        #expect(try JSONCase.decode(json)?.messages(1).map { $0.bytes(3) } == [[UInt8(ascii: "x")], []])
    }

    @Test(arguments: [
        #"\ud83d\ude42"#, #"\u0000"#, #"\u00e9\u7530"#, #"\"\\\/\b\f\n\r\t"#, #"\uFFFF\udbff\udfff"#,
    ])
    func `escapes mean their characters`(text: String) throws {
        let expected = [
            #"\ud83d\ude42"#: "🙂", #"\u0000"#: "\u{0}", #"\u00e9\u7530"#: "é田",
            #"\"\\\/\b\f\n\r\t"#: "\"\\/\u{08}\u{0C}\n\r\t", #"\uFFFF\udbff\udfff"#: "\u{FFFF}\u{10FFFF}",
        ]
        let span = try JSONCase.decodeSpan(#""name":"<\#(text)>""#)
        #expect(span?.bytes(5) == Array("<\(expected[text] ?? "")>".utf8))
    }

    @Test func `escapes mean their characters in values that are no text, too`() throws {
        let span = try JSONCase.decodeSpan(
            #""traceId":"0\u003123456789abcdef0123456789abcdef","kind":"SPAN_KIND\u005fSERVER","flags":"\u0031","#
                + #""startTimeUnixNano":"1\u0032","status":{"code":"\u0032"}"#)
        #expect(span?.bytes(1).count == 16 && span?.bytes(1).first == 1)
        #expect(span?.fields[6] == [.number(2)] && span?.fields[16] == [.number(1)])
        #expect(span?.fields[7] == [.number(12)])
        #expect(try JSONCase.decodeValue(#"{"bytesValue":"+\/8\u003d"}"#)?.fields == [7: [.bytes([0xFB, 0xFF])]])
        #expect(try JSONCase.decodeValue(#"{"intValue":"-\u0031"}"#)?.fields == [3: [.number(UInt64.max)]])
        let infinite = try JSONCase.decodeValue(#"{"doubleValue":"-Infinit\u0079"}"#)
        #expect(infinite?.fields == [4: [.number((-Double.infinity).bitPattern)]])
        for value in [
            #""bytesValue":"+\/8\"""#, #""bytesValue":"+\u0000""#, #""intValue":"1\"""#, #""intValue":"\n1""#,
            #""boolValue":"tru\u0065""#, #""doubleValue":"1\u0020""#,
        ] {
            let refusal = JSONCase.refusal(JSONCase.span(#""attributes":[{"key":"a","value":{\#(value)}}]"#))
            #expect(refusal?.reason == .wrongType, "\(value)")
        }
    }

    @Test(arguments: [#"\ud83d"#, #"\ude42"#, #"\ud83d\u0041"#, #"\ud83dx"#, #"\ud83d\n"#, #"\ude42\ud83d"#])
    func `lone surrogates are refused, also where nobody looks`(text: String) {
        for json in [JSONCase.span(#""name":"\#(text)""#), #"{"later":"\#(text)"}"#, #"{"\#(text)":1}"#] {
            #expect(JSONCase.refusal(json)?.reason == .invalidUTF8)
        }
    }

    @Test(
        arguments: [[0xFF], [0xC3, 0x28], [0xED, 0xA0, 0x80], [0xC0, 0xAF], [0xF4, 0x90, 0x80, 0x80]] as [[UInt8]])
    func `bytes that are not UTF-8 are refused, also where nobody looks`(bytes: [UInt8]) {
        for name in ["resourceSpans", "later"] {
            let json = Array(#"{"\#(name)":""#.utf8) + bytes + Array(#""}"#.utf8)
            #expect {
                try JSONCase.transcode(json, .traces)
            } throws: { ($0 as? DecodeFailure)?.reason == .invalidUTF8 }
        }
    }

    @Test func `a refusal says where and what`() throws {
        #expect(throws: DecodeFailure(.invalidUTF8, at: 8)) {
            try JSONCase.transcode(Array(#"{"a":"ä"#.utf8) + [0xFF, 0x22, 0x7D], .traces)
        }
        #expect(JSONCase.refusal(#"{"a":}"#) == DecodeFailure(.syntax, at: 5, "a value is expected"))
        let refusal = try #require(JSONCase.refusal(#"{"resourceSpans":[{"schemaUrl":7}]}"#))
        #expect(refusal.message == "a field has the wrong type (a string is expected), at byte 31")
        for (json, reason, detail) in [
            (#"{"resourceSpans":{}}"#, DecodeFailure.Reason.wrongType, "an array is expected"),
            (#"{"resourceSpans":}"#, .syntax, "an array is expected"),
            (#"{"resourceSpans":["x"]}"#, .wrongType, "an object is expected"),
            (#"{"resourceSpans":nul}"#, .syntax, "true, false or null is expected"),
            (
                #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"0x7"}]}]}]}"#, .wrongType,
                "a decimal number and its closing quote are expected"
            ),
        ] {
            let failure = try #require(JSONCase.refusal(json))
            #expect(failure.reason == reason && failure.detail == detail, "\(json): \(failure.message)")
        }
    }
}
