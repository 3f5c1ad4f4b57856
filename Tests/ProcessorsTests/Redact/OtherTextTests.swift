import Telemetry
import Testing

@testable import Processors

/// `blocked_key_patterns` in text that is no document: pieces of JSON, what other languages write for it, and prose.
@Suite struct OtherTextTests {
    private func masked(_ text: String) throws -> String {
        try redact(text, [], blockedKeys: ["^(?i)(password|api_key)$"]).text
    }

    /// Masks a text, and once more what came of it.
    private func expect(_ before: String, _ after: String) throws {
        #expect(try masked(before) == after)
        #expect(try masked(after) == after)
    }

    @Test(arguments: [
        (#"}"user":"x","password":"y"}"#, #"}"user":"x","password":"****"}"#),
        (#"ter2","user":"x","password" : "y"}]"#, #"ter2","user":"x","password" : "****"}]"#),
        (#"\"user\":\"x\",\"password\":\"y\"}"}"#, #"\"user\":\"x\",\"password\":\"****\"}"}"#),
        (#": 1}, "password": {"a": "x"}, "n": 1}"#, #": 1}, "password": "****", "n": 1}"#),
        (#""n":1,"password":12,"m":2}"#, #""n":1,"password":"****","m":2}"#),
        (#"}, "password": hun ter2, "n": 1}"#, #"}, "password": "****", "n": 1}"#),
        (#"}, "password": hun ter2}"#, #"}, "password": "****"}"#),
        (#"x","password":"hun"#, #"x","password":"****""#),
        (#"x","password":"a"b","n":1}"#, #"x","password":"****","n":1}"#),
        (#"': 1, 'password': 'y'}"#, #"': 1, 'password': "****"}"#),
        (#"{"a":1} and "password":"x" too"#, #"{"a":1} and "password":"****" too"#),
        (#"{"out":"ter2\",\"password\":\"y\"}"}"#, #"{"out":"ter2\",\"password\":\"****\"}"}"#),
    ])
    func `members of a text without its beginning are masked`(before: String, after: String) throws {
        try expect(before, after)
    }

    @Test(arguments: [
        (#"{password: "x", n: 1}"#, #"{password: "****", n: 1}"#),
        (#"x = {user: 'jo', password: 'y'}"#, #"x = {user: 'jo', password: "****"}"#),
        ("{\n  user: \"jo\",\n  password: \"y\"\n}", "{\n  user: \"jo\",\n  password: \"****\"\n}"),
        ("{password: hunter2", #"{password: "****""#),
        ("{name: jo, password: hun ter2} and left", #"{name: jo, password: "****"} and left"#),
        (#"{"n":1,,password: "x",'m':2}"#, #"{"n":1,,password: "****",'m':2}"#),
        (#"{"cmd":"run {password: 'y'}"}"#, #"{"cmd":"run {password: \"****\"}"}"#),
        (#"user(name: "jo", password: "y")"#, #"user(name: "jo", password: "****")"#),
        (#"{"t":"{\n  password: \"y\"}"}"#, #"{"t":"{\n  password: \"****\"}"}"#),
    ])
    func `names without quotes are names behind a brace and behind commas in braces`(
        before: String, after: String
    ) throws {
        try expect(before, after)
    }

    @Test(arguments: [
        ("{name=jo, password=hun ter2, n=1} is it", "{name=jo, password=****, n=1} is it"),
        ("{a=1,password=hun,ter2,b=2}", "{a=1,password=****,b=2}"),
        ("User(name=jo, password=y)", "User(name=jo, password=****)"),
        ("User(name='jo', password='y')", #"User(name='jo', password="****")"#),
        (#"level=info password="x y" msg="ok""#, #"level=info password="****" msg="ok""#),
        ("[INFO] login user=jo password=hun,ter2, done", "[INFO] login user=jo password=****, done"),
        ("GET https://a.example/?user=x&password=y%26z&n=1 ok", "GET https://a.example/?user=x&password=****&n=1 ok"),
        (#"{"url":"https://a.example/?password=y&n=1"}"#, #"{"url":"https://a.example/?password=****&n=1"}"#),
        (#"password = "x""#, #"password = "****""#),
        (#"["password" = "x"]"#, #"["password" = "****"]"#),
    ])
    func `assignments to blocked names are masked beside brackets, quotes and signs of URLs`(
        before: String, after: String
    ) throws {
        try expect(before, after)
    }

    @Test(arguments: [
        (#"array("user" => "jo", "password" => "y")"#, #"array("user" => "jo", "password" => "****")"#),
        (#"['user' => 'jo', 'password' => 'y']"#, #"['user' => 'jo', 'password' => "****"]"#),
        (#"{"user" => "jo", "password" => nil}"#, #"{"user" => "jo", "password" => "****"}"#),
        (#"{:user=>"jo", :password=>"y"}"#, #"{:user=>"jo", :password=>"****"}"#),
        (
            "Array\n(\n    [user] => jo\n    [password] => hun ter2\n)",
            "Array\n(\n    [user] => jo\n    [password] => ****\n)"
        ),
        ("Array ( [password] => y [user] => jo )", "Array ( [password] => **** [user] => jo )"),
        (
            "array(1) {\n  [\"password\"]=>\n  string(4) \"hun2\"\n}",
            "array(1) {\n  [\"password\"]=>\n  \"****\"\n}"
        ),
    ])
    func `what Ruby and PHP print is masked`(before: String, after: String) throws {
        try expect(before, after)
    }

    @Test(arguments: [
        ("«password»: «x, y», «n»: 1", "«password»: \"****\", «n»: 1"),
        ("{«password»: «x», \"n\": 1}", "{«password»: \"****\", \"n\": 1}"),
        ("{‹password›: ‹x›, \"n\": 1}", "{‹password›: \"****\", \"n\": 1}"),
        ("{\"pass\u{200B}word\":\"x\"}", "{\"pass\u{200B}word\":\"****\"}"),
        ("{\"\u{2060}password\u{AD}\":1}", "{\"\u{2060}password\u{AD}\":\"****\"}"),
        (#"{"pass\u200bword":"x"}"#, #"{"pass\u200bword":"****"}"#),
        ("{pass\u{200B}word: 'x'}", "{pass\u{200B}word: \"****\"}"),
        (#"{"pass\U00000077ord":"x"}"#, #"{"pass\U00000077ord":"****"}"#),
        (#"{"pass\u{0077}ord":"x"}"#, #"{"pass\u{0077}ord":"****"}"#),
        (#"{,"pass\u{00000077}ord":"x"}"#, #"{,"pass\u{00000077}ord":"****"}"#),
    ])
    func `angled quotes, characters without width and long escapes hide no name`(before: String, after: String) throws {
        try expect(before, after)
    }

    @Test(arguments: [
        (
            #"{"password": hunter2} is what he typed, and then a long story"#,
            #"{"password": "****"} is what he typed, and then a long story"#
        ),
        (
            #"{"password": get("a", 1), "n": 1} is the call, and it went well"#,
            #"{"password": "****", "n": 1} is the call, and it went well"#
        ),
    ])
    func `of prose behind a value that is no JSON the rest stays`(before: String, after: String) throws {
        try expect(before, after)
    }

    @Test(arguments: [
        "the password: ask Bob", #"He said "password": ask Bob and left"#, "(password: ask Bob)",
        "password=hunter2 is what he typed", "First, password: 'ask' Bob", "if (password == x) { return }",
        "items.map(password => hash(password))", "The {password} is: secret", "use std::password::hash",
        "password := read()", #"{"note":"first, password: ask Bob"}"#, #"{"text":"the \"password\": ask Bob"}"#,
        #"The "password": 8 characters at least"#, #"«password»: ask Bob"#, "password = 12 characters",
    ])
    func `prose with a blocked name and a colon stays`(text: String) throws {
        #expect(try masked(text) == text)
    }

    @Test(arguments: [
        "[note] the user said {hello} and left", #"[note] the "password": ask Bob, then leave"#,
        #"[12:30] "password": ask Bob"#, #"[2026-01-02 12:30] the "password": ask Bob"#,
        #"[1] see "password": ask Bob [2]"#, #"{"a":1} then a long story about the "password": ask Bob"#,
        #"{hello} he said, "password": ask {Bob}"#, #""Hello" he said. "password": ask Bob"#,
        #"{"a":1} "b" and 'password': ask Bob"#,
    ])
    func `prose that begins like JSON stays`(text: String) throws {
        #expect(try masked(text) == text)
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            "\":", "':", "x=", "=>", "\"password\":'", "\"password\": a, ", "\"password\": a; ", "{password:",
            ",password:a", "password=", "password=\"", "«:", "[password] => ", "\\\"password\\\":\\\"",
            "\"password\":\"a\"b", "(password:(", "\"password\":[", "{}x", "\"a\" x ", "[a ",
            "\"password\":'x\n", ",password:\"a\"",
        ])
    func `a long text of such signs takes time for its length`(piece: String) throws {
        let after = try masked("x\",\"password\":\"hunter2\"," + String(repeating: piece, count: 100_000))
        #expect(!after.contains("hunter2"))
    }
}
