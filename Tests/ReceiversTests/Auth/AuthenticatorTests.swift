import Configuration
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import Receivers

@Suite struct AuthenticatorTests {
    private func read<Options: ComponentOptions>(
        _ type: Options.Type, _ yaml: String
    ) throws -> (options: Options, problems: [String]) {
        var problems = ConfigProblems()
        let node = try #require(YAMLReader.read(yaml, file: "test.yaml", problems: &problems))
        let options = readOptions(type, node: node, path: "extensions.x", problems: &problems)
        return (options, problems.all.map { "\($0.path): \($0.message)" })
    }

    private func bearer(_ yaml: String) throws -> BearerTokenAuth {
        let (options, problems) = try read(BearerTokenOptions.self, yaml)
        #expect(problems.isEmpty)
        return try BearerTokenAuth(options, log: quietLogger())
    }

    @Test func `a bearer token is let in whatever the case of its scheme`() throws {
        let auth = try bearer("{tokens: [first-token, second-token]}")
        #expect(auth.headerName == "authorization")
        for value in ["Bearer first-token", "bearer second-token", "BEARER  first-token "] {
            #expect(auth.sender(of: value) == .tenant(""))
        }
    }

    @Test(arguments: [
        "", "Bearer", "Bearer ", "Bearer first-toke", "Bearer first-tokens", "Basic first-token", "first-token",
        "Bearer FIRST-TOKEN", "Bearer first-token second-token", "Bearerfirst-token",
    ])
    func `what is not the token is refused`(value: String) throws {
        #expect(try bearer("{token: first-token}").sender(of: value) == .unknown)
    }

    @Test func `a token may stand alone in a header of its own`() throws {
        let auth = try bearer("{token: t0ken, scheme: \"\", header: X-Token}")
        #expect(auth.headerName == "x-token")
        #expect(auth.sender(of: "t0ken") == .tenant(""))
        #expect(auth.sender(of: "") == .unknown)
    }

    @Test(arguments: ["{}", "{token: \"\"}", "{tokens: [a, \"\"]}", "{token: a, header: \"a b\"}"])
    func `options that would let in everybody, or nobody, are a problem`(yaml: String) throws {
        #expect(try read(BearerTokenOptions.self, yaml).problems.count == 1)
    }

    @Test func `a file of tokens is read again when it changes and kept when it breaks`() throws {
        let path = NSTemporaryDirectory() + "sluice-tokens-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        func write(_ text: String) throws { try text.write(toFile: path, atomically: true, encoding: .utf8) }
        try write("# tokens of the team\none\n\n  two\n")
        let clock = Mutex(NIODeadline.uptimeNanoseconds(0))
        let file = try CredentialFile(path: path, log: quietLogger(), now: { clock.withLock { $0 } }) { line in
            var table = CredentialTable()
            table.add(line.utf8)
            return table
        }
        func knows(_ token: String) -> Bool { file.table.tenant(of: token.utf8) != nil }
        #expect(knows("one") && knows("two") && !knows("# tokens of the team"))
        try write("three\n")
        #expect(knows("one"))
        clock.withLock { $0 = $0 + .seconds(2) }
        #expect(knows("three") && !knows("one"))
        try write("\n")
        clock.withLock { $0 = $0 + .seconds(2) }
        #expect(knows("three"))
        try FileManager.default.removeItem(atPath: path)
        clock.withLock { $0 = $0 + .seconds(2) }
        #expect(knows("three"))
    }

    @Test func `a file that is missing or empty is told at the start`() throws {
        let (options, _) = try read(BearerTokenOptions.self, "{filename: /nowhere/tokens}")
        let fault = #expect(throws: CredentialFault.self) { try BearerTokenAuth(options, log: quietLogger()) }
        #expect(fault?.description.contains("/nowhere/tokens cannot be read") == true)
    }

    private func basic(_ lines: String) throws -> BasicAuth {
        let (options, problems) = try read(BasicAuthOptions.self, "{htpasswd: {inline: \"\(lines)\"}}")
        #expect(problems.isEmpty)
        // For a clock that stands nobody waits.
        return try BasicAuth(options, log: quietLogger(), check: HashCheck(now: { .uptimeNanoseconds(1) }))
    }

    private func encoded(_ text: String) -> String { "Basic " + Data(text.utf8).base64EncodedString() }

    @Test func `a user with a password as text or SHA is the tenant`() throws {
        // {SHA} of "secret".
        let auth = try basic("ann:pass:word\\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")
        #expect(auth.sender(of: encoded("ann:pass:word")) == .tenant("ann"))
        #expect(auth.sender(of: encoded("bob:secret")) == .tenant("bob"))
        #expect(auth.sender(of: encoded("bob:secret").replacing("Basic", with: "basic")) == .tenant("bob"))
    }

    @Test func `of two lines with one name the last one wins, and a mark at the start of the file is no name`() throws {
        let auth = try basic("ann:old\\nann:new\\neve:\(Self.hash)\\neve:plain")
        #expect(auth.sender(of: encoded("ann:new")) == .tenant("ann"))
        #expect(auth.sender(of: encoded("ann:old")) == .unknown)
        #expect(auth.sender(of: encoded("eve:plain")) == .tenant("eve"))
        #expect(auth.sender(of: encoded("eve:open sesame")) == .unknown)
        let path = FileManager.default.temporaryDirectory.appending(path: "htpasswd-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data("\u{FEFF}bob:one\nann:two\nbob:three\n".utf8).write(to: URL(filePath: path))
        let yaml = "{htpasswd: {file: '\(path)', inline: 'ann:four'}}"
        let both = try BasicAuth(try read(BasicAuthOptions.self, yaml).options, log: quietLogger())
        for (credential, isIn) in [("bob:three", true), ("bob:one", false), ("ann:four", true), ("ann:two", false)] {
            #expect((both.sender(of: encoded(credential)) != .unknown) == isIn, "\(credential)")
        }
    }

    /// Made by `htpasswd -nbB`: the password of eve is "open sesame" at cost 5.
    private static let hash = "$2y$05$Q7KVUmxS5LRYu9pNCDWZAuDePj38zpqv9YAlVhKLtqbUo5eM3c4M6"

    @Test func `a password is compared with its bcrypt hash and worked out once`() throws {
        let auth = try basic("eve:\(Self.hash)\\nann:pass")
        for _ in 0..<3 { #expect(auth.sender(of: encoded("eve:open sesame")) == .tenant("eve")) }
        for _ in 0..<3 { #expect(auth.sender(of: encoded("eve:open sesam")) == .unknown) }
        #expect(auth.sender(of: encoded("ann:pass")) == .tenant("ann"))
        #expect(auth.sender(of: encoded("bob:open sesame")) == .unknown)
        #expect(auth.sender(of: encoded("eve:\(Self.hash)")) == .unknown)
        #expect(auth.check.worked.load(ordering: .relaxed) == 3)
    }

    /// Made by `openssl passwd -apr1 -salt SALT PASSWORD` and `-1`.
    @Test(arguments: [
        ("password", "$apr1$abcdefgh$FBwExRW4dCc8aL.OvjpIE1"), ("password", "$1$abcdefgh$G//4keteveJp0qb8z2DxG/"),
        ("x", "$apr1$s1$oiZyrDWaJfL.R9DuIQ7gi/"), ("x", "$1$12345678$7y7mHQRucjgVYVF1mZqKC1"),
        ("ümlaut!", "$apr1$12345678$D4F1VlGbF1fvUt.y7K.b/0"), ("", "$apr1$s1$P2VvKuK/n4l5d6mv76XLB1"),
        (
            "longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong",
            "$apr1$saltsalt$fZ2FWSFHeLKIzgalEyvnT/"
        ),
    ])
    func `MD5 hashes of htpasswd and crypt are known`(password: String, hash: String) throws {
        #expect(try #require(MD5Crypt(hash: Substring(hash))).stored(Array(password.utf8)) == hash)
        let auth = try basic("eve:\(hash)\\nann:pass")
        for _ in 0..<2 { #expect(auth.sender(of: encoded("eve:\(password)")) == .tenant("eve")) }
        #expect(auth.sender(of: encoded("eve:\(password) ")) == .unknown)
        #expect(auth.sender(of: encoded("eve:\(hash)")) == .unknown)
        #expect(auth.sender(of: encoded("eve:" + String(repeating: "a", count: 513))) == .unknown)
        #expect(auth.check.worked.load(ordering: .relaxed) == 4)
    }

    @Test(arguments: ["$apr1$x$y", "$apr1$$FBwExRW4dCc8aL.OvjpIE1", "$2$abcdefgh$FBwExRW4dCc8aL.OvjpIE1", "$1$a"])
    func `what is in another form is no MD5 hash`(hash: String) {
        #expect(MD5Crypt(hash: Substring(hash)) == nil)
    }

    @Test func `a bcrypt cost that would hold requests up is told`() throws {
        let costly = Self.hash.replacing("$05$", with: "$11$")
        let fault = #expect(throws: CredentialFault.self) { try basic("eve:\(costly)") }
        #expect(fault?.description.contains("cost 11") == true)
    }

    @Test func `wrong passwords are worked out once, too`() throws {
        let check = HashCheck(now: { .uptimeNanoseconds(1) })
        for index in 0..<20 { #expect(check.matches("\(index)".utf8, "$2y$04$nonsense") == false) }
        #expect(check.worked.load(ordering: .relaxed) == 20)
        #expect(check.matches("19".utf8, "$2y$04$nonsense") == false)
        #expect(check.worked.load(ordering: .relaxed) == 20)
    }

    @Test func `behind a wrong password others wait, and what is known does not`() throws {
        // Each look at the clock is a second later.
        let seconds = Atomic<UInt64>(0)
        let check = HashCheck(now: {
            .uptimeNanoseconds(seconds.wrappingAdd(1, ordering: .relaxed).newValue * 1_000_000_000)
        })
        #expect(check.matches("open sesame".utf8, Self.hash) == true)
        #expect(check.matches("open sesam".utf8, Self.hash) == false)
        #expect(check.matches("open sesa".utf8, Self.hash) == nil)
        #expect(check.matches("open sesame".utf8, Self.hash) == true)
        #expect(check.matches("open sesam".utf8, Self.hash) == false)
        seconds.wrappingAdd(4, ordering: .relaxed)
        #expect(check.matches("open sesa".utf8, Self.hash) == false)
        #expect(check.worked.load(ordering: .relaxed) == 3)
    }

    @Test(arguments: [
        "ann:pass", "ann:", "ann", ":", "bob:pass:word", "ann:pass:word2", "bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    ])
    func `a wrong password, and the stored form of one, are refused`(text: String) throws {
        let auth = try basic("ann:pass:word\\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")
        #expect(auth.sender(of: encoded(text)) == .unknown)
        #expect(auth.sender(of: "Basic !!!") == .unknown)
        #expect(auth.sender(of: "Bearer x") == .unknown)
    }

    @Test(arguments: ["ann", "ann:", ":x", "ann:$2y$05$abcdef", "ann:$apr1$x$y", "ann:$2y$14$abcdef"])
    func `a line of htpasswd that cannot be used is told without its password`(line: String) throws {
        let fault = #expect(throws: CredentialFault.self) { try basic(line) }
        #expect(fault?.description.contains("abcdef") == false)
    }

    @Test func `the exporters' side alone is enough, nothing is not`() throws {
        let client = try read(BasicAuthOptions.self, "{client_auth: {username: a, password: b}}")
        #expect(client.problems.isEmpty && !client.options.hasUsers && client.options.client?.user == "a")
        #expect(try read(BasicAuthOptions.self, "{}").problems.count == 1)
    }

    @Test func `a key tells its tenant`() throws {
        let (options, problems) = try read(
            APIKeyOptions.self, "{keys: [{tenant: red, key: k1}, {tenant: blue, key: k2}]}")
        #expect(problems.isEmpty)
        let auth = try APIKeyAuth(options, log: quietLogger())
        #expect(auth.headerName == "x-api-key")
        #expect(auth.sender(of: "k1") == .tenant("red"))
        #expect(auth.sender(of: " k2 ") == .tenant("blue"))
        for wrong in ["", "k", "k3", "red", "red:k1"] { #expect(auth.sender(of: wrong) == .unknown) }
    }

    @Test func `one key of two tenants is refused where it stands, in the configuration and in the file`() throws {
        let twice = try read(
            APIKeyOptions.self,
            """
            keys:
              - {tenant: red, key: k1}
              - {tenant: red, key: k1}
              - {tenant: blue, key: k1}
            """
        ).problems
        #expect(twice.count == 1)
        let problem = try #require(twice.first)
        #expect(problem.hasPrefix("extensions.x.keys[2].key") && problem.contains("red") && !problem.contains("k1"))
        let path = NSTemporaryDirectory() + "sluice-keys-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "red:k1\nblue:k2\ngreen:k1\n".write(toFile: path, atomically: true, encoding: .utf8)
        let (options, _) = try read(APIKeyOptions.self, "{file: \(path)}")
        #expect {
            try APIKeyAuth(options, log: quietLogger())
        } throws: { "\($0)".contains("red and green") && !"\($0)".contains("k1") }
    }

    @Test func `keys may come from a file`() throws {
        let path = NSTemporaryDirectory() + "sluice-keys-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "red:k:1\n# old\nblue: k2\n".write(toFile: path, atomically: true, encoding: .utf8)
        let (options, _) = try read(APIKeyOptions.self, "{file: \(path)}")
        let auth = try APIKeyAuth(options, log: quietLogger())
        #expect(auth.sender(of: "k:1") == .tenant("red"))
        #expect(auth.sender(of: "k2") == .tenant("blue"))
    }

    @Test(arguments: ["{}", "{keys: [{tenant: a}]}", "{keys: [{tenant: a, key: \"\"}]}", "{keys: [{key: a}]}"])
    func `keys without a tenant or text are a problem`(yaml: String) throws {
        #expect(try read(APIKeyOptions.self, yaml).problems.count == 1)
    }

    @Test func `no credential shows in a description`() throws {
        let (bearer, _) = try read(BearerTokenOptions.self, "{token: hush1, tokens: [hush2]}")
        let (basic, _) = try read(BasicAuthOptions.self, "{htpasswd: {inline: \"ann:hush3\"}}")
        let (keys, _) = try read(APIKeyOptions.self, "{keys: [{tenant: a, key: hush4}]}")
        var text = ""
        for value in [bearer, basic, keys] as [Any] { dump(value, to: &text) }
        for value in [
            try BearerTokenAuth(bearer, log: quietLogger()), try BasicAuth(basic, log: quietLogger()),
            try APIKeyAuth(keys, log: quietLogger()),
        ] as [Any] { dump(value, to: &text) }
        #expect(!text.contains("hush"))
    }

    @Test func `the place of a credential in the table does not show in the time`() {
        var table = CredentialTable()
        for index in 0..<200 { table.add("token-\(index)".utf8, tenant: "\(index)") }
        func fastest(_ token: String) -> Duration {
            (0..<200).map { _ in
                ContinuousClock().measure { for _ in 0..<5 { _ = table.tenant(of: token.utf8) } }
            }.min() ?? .zero
        }
        let times = [fastest("token-0"), fastest("token-199"), fastest("unknown")]
        let (least, most) = (times.min() ?? .zero, times.max() ?? .zero)
        #expect(table.tenant(of: "token-0".utf8) == "0" && table.tenant(of: "token-199".utf8) == "199")
        // Far below what leaving the loop early would show, since the table has 200 entries, and above what a busy
        // machine shows.
        #expect(most < least * 8, "\(times)")
    }
}
