import Pipeline
import Processors
import Telemetry
import Testing

@testable import Processors

/// `blocked_key_patterns` in texts that are JSON, as in maps.
@Suite struct BlockedMemberTests {
    private static let keys = ["^(?i)(password|api_key)$"]

    private func masked(_ text: String) throws -> String { try redact(text, [], blockedKeys: Self.keys).text }

    @Test(arguments: [
        (#"{"user":"jo","password":"hunter2","n":1}"#, #"{"user":"jo","password":"****","n":1}"#),
        (#"{ "password" : {"a":[1,{"b":"x"}]} , "c":2}"#, #"{ "password" : "****" , "c":2}"#),
        (
            #"[{"password":[1,2]},{"password":-1.5e3},{"API_KEY":null},{"b":true}]"#,
            #"[{"password":"****"},{"password":"****"},{"API_KEY":"****"},{"b":true}]"#
        ),
        (#"{"pass\u0077ord":"a\"b","passwords":"x"}"#, #"{"pass\u0077ord":"****","passwords":"x"}"#),
        (
            #"{"arguments":"{\"password\":\"hunter2\",\"n\":7}","n":1}"#,
            #"{"arguments":"{\"password\":\"****\",\"n\":7}","n":1}"#
        ),
        (#"{"arguments":"{\"password\": 42}"}"#, #"{"arguments":"{\"password\": \"****\"}"}"#),
        (#"{"arguments":"\u007b\"password\":[1]}"}"#, #"{"arguments":"\u007b\"password\":\"****\"}"}"#),
        (#""{\"password\":\"hunter2\"}""#, #""{\"password\":\"****\"}""#),
        ("{\"a\":1}\n{\"password\":\"hunter2\"}\n", "{\"a\":1}\n{\"password\":\"****\"}\n"),
    ])
    func `the value of a blocked member goes and the rest of the text stays`(before: String, after: String) throws {
        #expect(try masked(before) == after)
        #expect(try masked(after) == after)
    }

    @Test(arguments: [
        (#"{"n":1,"password":"hunt"#, #"{"n":1,"password":"****""#),
        (#"{"n":1,"password":{"a":"hunt"#, #"{"n":1,"password":"****""#),
        (#"{"password":hunter2}"#, #"{"password":"****""#),
        (#"{"arguments":"{\"password\":\"hunt"#, #"{"arguments":"{\"password\":\"****\""#),
        (#"{"password":"hunter2","n":"cu"#, #"{"password":"****","n":"cu"#),
    ])
    func `of a text that was cut nothing of the member is left`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        (#"{"a":[1,],"password":"x"}"#, #"{"a":[1,],"password":"****"}"#),
        (#"{"a":1,,"password":{"b":["}"]},"n":1}"#, #"{"a":1,,"password":"****","n":1}"#),
        (#"{"a":1 "password" : "x\"y","n":"z"}"#, #"{"a":1 "password" : "****","n":"z"}"#),
        (#"{"a":undefined,"password":hunter2 ,"n":1}"#, #"{"a":undefined,"password":"****" ,"n":1}"#),
        ("{\n// 5\" wide\n\"password\":'a,b'\n}", "{\n// 5\" wide\n\"password\":\"****\"\n}"),
        (#"{"a":[1,2,...],"pass\u0077ord":[1,2],"n":[3]}"#, #"{"a":[1,2,...],"pass\u0077ord":"****","n":[3]}"#),
        (#"{"a":1,,"t":"{\"password\":\"x\"}"}"#, #"{"a":1,,"t":"{\"password\":\"****\"}"}"#),
        (#"{"a":1,,"password":"x"#, #"{"a":1,,"password":"****""#),
        (#"{"a":1,,"password":[1,{"b":"x"}"#, #"{"a":1,,"password":"****""#),
        (#"{"a":1}...{"password":"x"}"#, #"{"a":1}...{"password":"****"}"#),
        (#""password":"x""#, #""password":"****""#),
        (#"{"a":{"b":1}},"password":"x"}"#, #"{"a":{"b":1}},"password":"****"}"#),
        ("{\"a\":1}\n\"password\":\"x\"", "{\"a\":1}\n\"password\":\"****\""),
        (#"{"user":"bob,"password":"x"}"#, #"{"user":"bob,"password":"****"}"#),
        (#"{"l":["a","b],"password":"x"}"#, #"{"l":["a","b],"password":"****"}"#),
        (#"{"l":["a","password":"x"}"#, #"{"l":["a","password":"****"}"#),
    ])
    func `behind a fault of the syntax blocked members are masked`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        (#"{"password":"""x"""}"#, #"{"password":"****"}"#),
        (#"{"password":"""a "b": c""","n":1}"#, #"{"password":"****","n":1}"#),
        (#"{,"password":'''a, "b"''',"n":1}"#, #"{,"password":"****","n":1}"#),
        (#"{"password":"a" "b","n":1}"#, #"{"password":"****","n":1}"#),
        ("{\"password\":\"a\"\n  + \"b\"\n  'c',\n\"n\":1}", "{\"password\":\"****\",\n\"n\":1}"),
        (#"{"password":"a","b","n":1}"#, #"{"password":"****","n":1}"#),
        (#"{"password":12 "b","n":1}"#, #"{"password":"****","n":1}"#),
        (#"{"password":["a"] + ["b"],"n":1}"#, #"{"password":"****","n":1}"#),
        (#"{"password":("a","b")}"#, #"{"password":"****""#),
        (#"{,"password":("a","b"),"n":1}"#, #"{,"password":"****","n":1}"#),
        (#"{,"password":Secret("a",1) ,"n":1}"#, #"{,"password":"****" ,"n":1}"#),
        (#"{,"password":rb'a, b',"n":1}"#, #"{,"password":"****","n":1}"#),
        (#"{"password":"a" /* x, y */ "b"}"#, #"{"password":"****"}"#),
        (#"{"password":"a"b","n":1}"#, #"{"password":"****","n":1}"#),
        (#"{"t":"{\"password\":\"a\" \"b\"}"}"#, #"{"t":"{\"password\":\"****\"}"}"#),
    ])
    func `a value in several pieces goes as a whole`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        (#"{"password":"x" "n":1}"#, #"{"password":"****" "n":1}"#),
        (#"{"password":"x,"n":"y"}"#, #"{"password":"****"n":"y"}"#),
        (#"{"password":"x",n:1}"#, #"{"password":"****",n:1}"#),
        (#"{"password":"x",}"#, #"{"password":"****",}"#),
        (#"{"password":"x","n"#, #"{"password":"****","n"#),
        ("{\"password\":\"x\"\n{\"n\":1}", "{\"password\":\"****\"\n{\"n\":1}"),
    ])
    func `a value ends where the next member begins`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        (#"{"password" /* c */ : "x"}"#, #"{"password" /* c */ : "****"}"#),
        ("{\"n\":1,\"password\"// \"c\"\n# d\n:\"x\"}", "{\"n\":1,\"password\"// \"c\"\n# d\n:\"****\"}"),
        (#"{"password": /* a, b */ "x"}"#, #"{"password":"****""#),
        (#"{,"password": /* a, b */ "x"}"#, #"{,"password": "****"}"#),
        ("{,\"password\":// \"a\", b\n\"x\"}", "{,\"password\":\"****\"}"),
        ("{,\"password\": # a\n x ,\"n\":1}", "{,\"password\": \"****\" ,\"n\":1}"),
        (#"{"password" /* is "no", name */, "n":"x"}"#, #"{"password" /* is "no", name */, "n":"x"}"#),
    ])
    func `a comment beside the colon hides no member`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        (#"{,"password": #x}"#, #"{,"password": "****""#),
        ("{,\"password\": #x\n,\"n\":1}", "{,\"password\": \"****\"\n,\"n\":1}"),
        ("{,\"password\": //x,\n\"n\":1}", "{,\"password\": \"****\"\n\"n\":1}"),
        (#"{,"password": /* x */, "n":1}"#, #"{,"password": "****", "n":1}"#),
        (#"{,"password": , "n":1}"#, #"{,"password": , "n":1}"#),
    ])
    func `a value that begins like a comment is one`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        (#"{password": "x"}"#, #"{password": "****"}"#),
        (#"{'password": "x"}"#, #"{'password": "****"}"#),
        (#"{"n":1, password": "x", "m":"y"}"#, #"{"n":1, password": "****", "m":"y"}"#),
        (#"{"n":"y", password" : ["x"]}"#, #"{"n":"y", password" : "****"}"#),
        (#"{,"n":12 password":"x"}"#, #"{,"n":12 password":"****"}"#),
        (#"{"n":1}, password": "x""#, #"{"n":1}, password": "****""#),
        (#"{"n":1,/* c */password": "x"}"#, #"{"n":1,/* c */password": "****"}"#),
        (#"{"password: "x","n":1}"#, #"{"password: "****","n":1}"#),
        ("{\"n\":1,\"password : // \"c\"\n\"x\"}", "{\"n\":1,\"password : \"****\"}"),
        (
            #"{,"new password":"x","user": "y", "my password: ", "z"}"#,
            #"{,"new password":"x","user": "y", "my password: ", "z"}"#
        ),
    ])
    func `a name that lost one of its quotes is one`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: ["\u{FEFF}", "\u{1E}", "\u{A0}", "1\n", "[],", "{\"a\":1}\n-2.5\ntrue\n"])
    func `marks, numbers and words before a document do not hide it`(before: String) throws {
        #expect(try masked(before + #"{"password":"x"}"#) == before + #"{"password":"****"}"#)
        let inner = jsonEscaped(before)
        #expect(
            try masked("{\"t\":\"\(inner){\\\"password\\\":1}\"}")
                == "{\"t\":\"\(inner){\\\"password\\\":\\\"****\\\"}\"}")
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            "\"", "\\", "\\\"", "\"password\":'", "\"a\":", "1,", "\"password\":[", "\"password\":\"\"\"", "\"a\" ",
            "\"password\":a(", "\"password\":\"a\",\"b\",", "\"password\":\"a,", "password\":\"", "\"password\" ",
            "\"password\":1//\n", "\"password\":1 /*",
        ])
    func `a long text behind a fault takes time for its length`(piece: String) throws {
        let after = try masked("{,\"password\":\"hunter2\"" + String(repeating: piece, count: 200_000))
        #expect(!after.contains("hunter2"))
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["\"password\"/*", "\"password\"//\n", "//\"password\"\n"])
    func `many names in comments are withheld rather than looked over again and again`(piece: String) throws {
        let after = try masked("{" + String(repeating: piece, count: 200_000) + ",\"password\":\"hunter2\"}")
        #expect(!after.contains("hunter2"))
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["\"a\"/*", "\"a\"//", "\"a\"#"])
    func `names that are not blocked have no comment looked over`(piece: String) throws {
        let after = try masked("{" + String(repeating: piece, count: 200_000) + ",\"password\":\"hunter2\"}")
        #expect(after.hasSuffix(",\"password\":\"****\"}"))
    }

    @Test(arguments: [
        #"{"user":"jo","note":"the password is long"}"#, #"["password","hunter2"]"#, "{password: hunter2",
        "[", "{", "", #"{"a":"\"password\" is a word"}"#,
    ])
    func `what is no JSON with such a member stays`(text: String) throws {
        #expect(try masked(text) == text)
    }

    @Test func `JSON beyond the depth that is looked into is withheld`() throws {
        var text = #"{"password":"hunter2"}"#
        for _ in 0...TextLimits.depth { text = "{\"a\":\"\(jsonEscaped(text))\"}" }
        let after = try masked(text)
        #expect(after.contains("[REDACTED:TOO_DEEP]") && !after.contains("hunter2"))
        let open = String(repeating: "[", count: TextLimits.containers + 1)
        let deep = try masked(open + #"{"password":"hunter2"}"#)
        #expect(deep.contains("[REDACTED:TOO_DEEP]") && !deep.contains("hunter2"))
    }

    @Test func `a find inside a masked member and around it is masked once`() throws {
        let text = #"{"password":{"mail":"jo@example.com"},"mail":"al@example.com"}"#
        let after = try redact(text, .email, blockedKeys: Self.keys).text
        #expect(after == #"{"password":"****","mail":"[REDACTED:EMAIL]"}"#)
    }

    @Test func `attributes, maps and bodies are looked into, and ignored members are not`() throws {
        let rules = "{allow_all_keys: true, blocked_key_patterns: ['^password$'], ignored_keys: [kept]}"
        let json = #"{"kept":{"password":"x"},"password":"hunter2"}"#
        let wanted = #"{"kept":{"password":"x"},"password":"****"}"#
        for place in [Place.spanAttribute, .spanArray, .spanMap, .spanBytes, .statusMessage, .logBody, .logBodyMap] {
            var bench = Bench()
            var build = bench.build(place.signal)
            let read = options(RedactionOptions.self, rules)
            #expect(read.headlines == [])
            let processor = RedactionProcessor(options: read.options, build: &build)
            let bytes = try Bench.run(processor, build, place.request(json)).bytes
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(text.contains(wanted) && !text.contains("hunter2"), "\(place)")
        }
    }
}
