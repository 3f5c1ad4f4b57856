import Patterns
import Processors
import Telemetry
import Testing

@testable import Processors

/// `blocked_key_patterns` in what models write when they mean JSON.
@Suite struct LooseMemberTests {
    private func masked(_ text: String) throws -> String {
        try redact(text, [], blockedKeys: ["^(?i)(password|api_key)$"]).text
    }

    @Test(arguments: [
        (
            #"{"t":"x","a":"{"id\":7,\"password\":\"x, y\",\"n\":1}"}"#,
            #"{"t":"x","a":"{"id\":7,\"password\":\"****\",\"n\":1}"}"#
        ),
        (
            #"{"a":"{\"id":7,\"password\":\"x\",\"n\":{\"api_key\":\"y\"}}"}"#,
            #"{"a":"{\"id":7,\"password\":\"****\",\"n\":{\"api_key\":\"****\"}}"}"#
        ),
        (#"{"a":"{\"password":\"x y\",\"n\":1}"}"#, #"{"a":"{\"password":\"****\",\"n\":1}"}"#),
        (#"{"a":"{\"password\":"x y\",\"n\":1}"}"#, #"{"a":"{\"password\":"****\",\"n\":1}"}"#),
        (#"{"a":"{\"password\":\"x y",\"n\":1}"}"#, #"{"a":"{\"password\":\"****\"",\"n\":1}"}"#),
        (#"{"a":"{\"password\":x y\",\"n\":1}"}"#, #"{"a":"{\"password\":\"****\""}"#),
        (#"{"a":{\"id\":7,\"password\":\"x\"}"}"#, #"{"a":{\"id\":7,\"password\":\"****\"}"}"#),
        (
            #"{\"n\":1,\"password\":\"x\",\"t\":\"{\\\"password\\\":2}\"}"#,
            #"{\"n\":1,\"password\":\"****\",\"t\":\"{\\\"password\\\":\\\"****\\\"}\"}"#
        ),
        (#"[\"a\",{\"password\":\"x\"}]"#, #"[\"a\",{\"password\":\"****\"}]"#),
        (#"{\\"password\\":\\"x\\",\\"n\\":1}"#, #"{\\"password\\":\\"****\\",\\"n\\":1}"#),
        (#"{"n":"jo"\"password":"x"}"#, #"{"n":"jo"\"password":"****"}"#),
        (
            #"{"n":1,,"password":12,"t":"{\"password\":12}"}"#,
            #"{"n":1,,"password":"****","t":"{\"password\":\"****\"}"}"#
        ),
        (#"{"n":1,,"password":"{\"password\":12}"}"#, #"{"n":1,,"password":"****"}"#),
        (#"{"n":1,"password"":"x","m":2}"#, #"{"n":1,"password"":"****","m":2}"#),
        (#"{"n":1,"password: ["x","y"],"m":2}"#, #"{"n":1,"password: "****","m":2}"#),
        (#"{"a":"{\"password\"\":\"x\",\"m\":2}"}"#, #"{"a":"{\"password\"\":\"****\",\"m\":2}"}"#),
    ])
    func `quotes that are escaped once too often or not at all hide no member`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        (#"{"password":"a", x y","n":1}"#, #"{"password":"****","n":1}"#),
        (#"{"password":""a b, c","n":1}"#, #"{"password":"****","n":1}"#),
        (#"{"password":"a",12,"b","n":1}"#, #"{"password":"****","n":1}"#),
        (#"{"password":"a",b,c,"n":1}"#, #"{"password":"****","n":1}"#),
        (#"{"password":"a",n:1,m:"k"}"#, #"{"password":"****",n:1,m:"k"}"#),
        (#"{"password":true "n":1}"#, #"{"password":"****" "n":1}"#),
        (#"{"password":"a"; "n":1}"#, #"{"password":"****"; "n":1}"#),
        (#"{"password":,"n":1}"#, #"{"password":,"n":1}"#),
    ])
    func `what stands behind a comma goes with the value unless it is a name`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        (#"{,"password":{"a":1 /* } */,"b":"x"},"n":1}"#, #"{,"password":"****","n":1}"#),
        ("{,\"password\":{\"a\":1 // }\n,\"b\":\"x\"},\"n\":1}", #"{,"password":"****","n":1}"#),
        (#"{,"password":{"a":[1},"b":"x"},"n":1}"#, #"{,"password":"****","n":1}"#),
        (#"{,"password":[']','x'],"n":1}"#, #"{,"password":"****","n":1}"#),
        (#"{,"password":{"a":1],"b":"x"},"n":1}"#, #"{,"password":"****","n":1}"#),
    ])
    func `brackets in comments, single quotes or of the wrong kind end no value`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        ("{\"password\"\u{A0}:\u{A0}\"x\",\"n\":1}", "{\"password\"\u{A0}:\u{A0}\"****\",\"n\":1}"),
        ("{\"password\"\u{2028}:\"x\",\"n\":1}", "{\"password\"\u{2028}:\"****\",\"n\":1}"),
        ("{\"password\"\u{200B}:\"x\",\"n\":1}", "{\"password\"\u{200B}:\"****\",\"n\":1}"),
        ("{\"password\"\u{FF1A}\"x\",\"n\":1}", "{\"password\"\u{FF1A}\"****\",\"n\":1}"),
        (#"{“password”: “x, y”, "n":1}"#, #"{“password”: "****", "n":1}"#),
        (#"{,`password`:`x, y`,"n":1}"#, #"{,`password`:"****","n":1}"#),
        (#"{,"password":`x, y`,"n":1}"#, #"{,"password":"****","n":1}"#),
        (#"{"pass\x77ord":"x"}"#, #"{"pass\x77ord":"****"}"#),
        (#"{,"pass\u{77}ord":"x","n":1}"#, #"{,"pass\u{77}ord":"****","n":1}"#),
        (#"{'password': 'x, y', 'n': 1}"#, #"{'password': "****", 'n': 1}"#),
        (#"{'a': "it's", 'password': [1, 2], 'n': None}"#, #"{'a': "it's", 'password': "****", 'n': None}"#),
    ])
    func `signs that models write for those of JSON are taken for them`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        (#"see {"password":"x"}, and more"#, #"see {"password":"****"}, and more"#),
        ("```json\n{\"password\":\"x\"}\n```\nDone: \"ok\".", "```json\n{\"password\":\"****\"}\n```\nDone: \"ok\"."),
        (#"Result: [ {"password":1}, {"n":2} ]"#, #"Result: [ {"password":"****"}, {"n":2} ]"#),
        ("data: {\"password\":\"x\"}\n\n", "data: {\"password\":\"****\"}\n\n"),
        (#"'{"password":"x"}'"#, #"'{"password":"****"}'"#),
        (#"got {'password': 'x'} back"#, #"got {'password': "****"} back"#),
        (#"body={\"password\":\"x\"} done"#, #"body={\"password\":\"****\"} done"#),
        ("p = {\"password\": get(\"a\"), \"n\": 1}\nprint(p)", "p = {\"password\": \"****\", \"n\": 1}\nprint(p)"),
        (#"{"t":"```json\n{\"password\":\"x\"}\n```"}"#, #"{"t":"```json\n{\"password\":\"****\"}\n```"}"#),
        (#"{"t":"got {'password': 'x'} back"}"#, #"{"t":"got {'password': \"****\"} back"}"#),
        (#"see {"password":"x"#, #"see {"password":"****""#),
    ])
    func `JSON in the middle of other text is looked into and the text stays`(before: String, after: String) throws {
        #expect(try masked(before) == after)
    }

    @Test(arguments: [
        (#"{,"kept":'x, "password":"y"}"#, #"{,"kept":'x, "password":"****"}"#),
        (#"{,"kept":{"a":1, "password":"y"}"#, #"{,"kept":{"a":1, "password":"y"}"#),
        (#"{,"kept":{"a":1, "password":"y""#, #"{,"kept":{"a":1, "password":"****""#),
        (#"{,"kept":["password", "password":"y"}"#, #"{,"kept":["password", "password":"****"}"#),
        (#"{,"kept":{"password":"x"},"password":"y"}"#, #"{,"kept":{"password":"x"},"password":"****"}"#),
    ])
    func `an ignored value without an end hides nothing behind it`(before: String, after: String) throws {
        let rules = MemberRules(blocked: [try CompiledPattern("^password$")], ignored: [], ignoredNames: ["kept"])
        let redaction = TextRedaction(
            detectors: DetectorScan([]), blockedValues: BlockedValueScan([]), allowedValues: [], mask: Mask(),
            members: rules)
        var state = RedactionState()
        var copy = before
        let isChanged = copy.withUTF8 { redaction.redact(Text(UnsafeRawBufferPointer($0)), &state) }
        #expect((isChanged ? state.output.text.string : before) == after)
    }

    @Test(arguments: [
        "\"Password: \")\nprint(\"done\")", "{\"n\":1}\ninput(\"password: \")\nprint(\"done\")",
        #"He said {"hush"} and {"a":"b"}: left"#, #"func f() { "password" }"#, "use `password`: it is {x}",
        "it's {'a': 1}, 'password' is a word", #"{"text":"press \"password\": now"}"#,
    ])
    func `prose and code in which no value follows a blocked name stay`(text: String) throws {
        #expect(try masked(text) == text)
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            "'", "'password':", "'password':'x',", "“password”:“", "`password`: `a,", "\"password\":\"a\",b",
            "\"password\":\\\"", "{\"", "{'a", "\\\\\\\"", "\"password\":\"a\";", "\"password\":true \"",
            "\"password\":\"a\", b: ", "{\\\"password\\\":[", "{\"a\":\"{'", "{ \\", "\u{2028}",
        ])
    func `a long text of such signs takes time for its length`(piece: String) throws {
        for before in ["{,\"password\":\"hunter2\"", "see {\"password\":\"hunter2\","] {
            let after = try masked(before + String(repeating: piece, count: 100_000))
            #expect(!after.contains("hunter2"))
        }
    }

    @Test(.timeLimit(.minutes(1))) func `a long word with many quotes behind it is read once`() throws {
        let word = String(repeating: "a", count: 1 << 20)
        let after = try masked("{,\"password\":" + word + String(repeating: " \"\"", count: 300_000))
        #expect(!after.contains("aaa"))
        #expect(try masked("{,\"password\":" + word + " \"n\":1}") == "{,\"password\":\"****\" \"n\":1}")
    }

    @Test func `strings inside each other behind a fault are withheld beyond the depth that is looked into`() throws {
        var text = #"{"password":"hunter2"}"#
        for _ in 0...TextLimits.depth + 1 {
            text = "{,\"a\":\"\(jsonEscaped(text))\"}"
            let after = try masked(text)
            #expect(!after.contains("hunter2"))
        }
    }
}
