import OTTL
import Testing

/// Lines in the formats of logs, from the Collector's documentation and the formats' own.
@Suite struct LogFormatTests {
    static let access =
        #"ParseCLF("127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /apache_pb.gif HTTP/1.0\" 200 2326")"#
    static let combined =
        #"ParseCLF("::1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.1\" 304 - "#
        + #"\"http://x/\\\"y\" \"agent\\x41 1\"", "#
        + #""combined")"#
    static let event =
        #"ParseCEF("<13>Oct 1 host CEF:0|Security|threat\\|manager|1.0|100|worm successfully stopped|10|"#
        + #"src=10.0.0.1 msg=two words\\=x spt=1232")"#
    static let extended =
        #"ParseLEEF("LEEF:2.0|Lancope|StealthWatch|1.0|41|^|src=10.0.1.8^dst=10.0.0.5^bad^src=10.0.0.9")"#
    static let block =
        #"ParseELF("#
        + "\"#Version: 1.0\\n#Software: IIS\\n#Fields: time cs-method cs-uri\\n"
        + "00:34:23 GET /foo\\n00:34:24 \\\"PO ST\\\"\")"

    static let tests: [String] = [
        access + #"["clf.remote_host"] == "127.0.0.1""#, access + #"["clf.auth_user"] == "frank""#,
        access + #"["clf.timestamp"] == "10/Oct/2000:13:55:36 -0700""#,
        access + #"["clf.request"] == "GET /apache_pb.gif HTTP/1.0""#, access + #"["clf.method"] == "GET""#,
        access + #"["clf.request_uri"] == "/apache_pb.gif""#, access + #"["clf.protocol"] == "HTTP/1.0""#,
        access + #"["clf.status"] == 200"#, access + #"["clf.bytes"] == 2326"#, access + #"["clf.referer"] == nil"#,
        combined + #"["clf.bytes"] == nil"#, combined + #"["clf.referer"] == "http://x/\"y""#,
        combined + #"["clf.user_agent"] == "agentA 1""#,
        #"ParseCLF("h - - [d] \"-\" 408 0")["clf.method"] == nil"#,
        event + #"["cef.version"] == 0"#, event + #"["cef.device_product"] == "threat|manager""#,
        event + #"["cef.name"] == "worm successfully stopped""#, event + #"["cef.severity"] == "10""#,
        event + #"["cef.extensions"]["msg"] == "two words=x""#, event + #"["cef.extensions"]["spt"] == "1232""#,
        extended + #"["leef.version"] == "2.0""#, extended + #"["leef.product.name"] == "StealthWatch""#,
        extended + #"["leef.event.id"] == "41""#, extended + #"["leef.attributes"]["src"] == "10.0.0.9""#,
        extended + #"["leef.attributes"]["dst"] == "10.0.0.5""#,
        #"ParseLEEF("LEEF:1.0|M|X|4.0 SP1|15345|src=10.50.1.1\tsev=5")["leef.attributes"]["sev"] == "5""#,
        #"ParseLEEF("LEEF:2.0|M|X|4|1|0x7c|a=1|b=2")["leef.attributes"]["b"] == "2""#,
        #"ParseLEEF("LEEF:2.0|M|X|4|1|a=1\tb=2")["leef.attributes"]["b"] == "2""#,
        block + #"["elf.version"] == "1.0""#, block + #"["elf.software"] == "IIS""#,
        block + #"["elf.fields"] == ["time", "cs-method", "cs-uri"]"#,
        block + #"["elf.entries"][0]["cs-uri"] == "/foo""#, block + #"["elf.entries"][1]["cs-method"] == "PO ST""#,
        block + #"["elf.entries"][1]["cs-uri"] == "-""#,
    ]

    @Test(arguments: tests) func `a line is read`(_ condition: String) throws {
        #expect(try Lab.holds(condition, .log, on: Sample.log))
    }

    @Test(arguments: [
        #"ParseCLF("")"#, #"ParseCLF("h - - [d] \"GET / HTTP/1.1\" 200")"#, #"ParseCLF("h - - [d \"x\" 200 1")"#,
        #"ParseCLF("h - - [d] \"x\" 200 1")["x"] == ParseCLF("h - - [d] \"x\" 200 1", "combined")"#, #"ParseCEF("")"#,
        #"ParseCEF("CEF:0|a|b|c")"#, #"ParseCEF("CEF:x|a|b|c|d|e|f|")"#, #"ParseLEEF("LEEF:3.0|a|b|c|d|")"#,
        #"ParseLEEF("LEEF:2.0|a|b|c|d|ab|x=1")"#, #"ParseELF("")"#, ##"ParseELF("#Fields: a\n1")"##,
    ])
    func `what has not the form is a failure`(call: String) {
        #expect(throws: OTTLFailure.self) {
            try Lab.holds(call.contains("==") ? call : "\(call) == nil", .log, on: Sample.log)
        }
    }

    @Test func `they are for logs`() {
        #expect(Lab.problem("ParseCEF(name) == nil", .span).contains("ParseCEF works on log, not on span"))
        #expect(Lab.problem("ParseCLF(body, \"apache\") == nil", .log).contains("format is one of clf, combined"))
    }
}
