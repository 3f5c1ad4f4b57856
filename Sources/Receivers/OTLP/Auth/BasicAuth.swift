package import Configuration
import Crypto
import FoundationEssentials
package import Logging

/// Options of the `basicauth` extension: users for receivers, or one for exporters.
package struct BasicAuthOptions: ComponentOptions {
    let file: String?
    let inline: Secret?
    /// What exporters send.
    package struct Client: Sendable {
        package var user: String
        package var password: Secret?
        package var passwordFile: String?
    }

    package let client: Client?

    /// Whether receivers can use it.
    package var hasUsers: Bool { file != nil || inline != nil }

    package init(_ settings: inout Settings) {
        (file, inline) = settings.group(
            "htpasswd", "The users that are let in; both sources count, and inline for a user in both."
        ) { htpasswd in
            let file = htpasswd.optionalString(
                "file",
                "File of lines user:password, password as text, bcrypt, $apr1$, $1$ or {SHA}; it is read again when it "
                    + "changes. One that is gone, empty or broken then leaves the last users in force.")
            let inline = htpasswd.secret("inline", "Lines as in the file.")
            return (file, inline)
        }
        client = settings.optionalGroup("client_auth", "The user that exporters send.") { Self.client(&$0) }
        if client == nil, !hasUsers, !settings.isDescribing {
            settings.problem("no user is given; set htpasswd.file, htpasswd.inline or client_auth")
        }
    }

    private static func client(_ settings: inout Settings) -> Client {
        let user = settings.requiredString("username", "The user.")
        if user.contains(":") { settings.problem("a user's name may hold no colon", at: "username") }
        let password = settings.secret("password", "The password.")
        let file = settings.optionalString("password_file", "File that holds the password instead.")
        if (password == nil) == (file == nil), !settings.isDescribing {
            settings.problem("give either password or password_file")
        }
        return Client(user: user, password: password, passwordFile: file)
    }
}

/// Lets in requests with a known user and password (RFC 7617). The tenant is the user.
package struct BasicAuth: RequestAuthenticator {
    package let headerName = "authorization"
    package let challenge = "Basic realm=\"sluice\", charset=\"UTF-8\""
    private let fixed: Users
    /// Users of `inline`, which counts for them whatever the file says.
    private let fixedNames: Set<[UInt8]>
    private let file: CredentialFile?
    let check: HashCheck

    /// Passwords that are kept as text are known by the digest of `user:password`, those kept as {SHA} by the digest of
    /// `user:{SHA}…`, which a request's password is turned into as well.
    private typealias Users = CredentialTable

    /// Reads the file of users, if one is named.
    package init(_ options: BasicAuthOptions, log: Logger) throws(CredentialFault) {
        try self.init(options, log: log, check: HashCheck())
    }

    init(_ options: BasicAuthOptions, log: Logger, check: HashCheck) throws(CredentialFault) {
        self.check = check
        var users: [Users] = []
        let lines = options.inline?.reveal() ?? ""
        for line in lines.split(whereSeparator: \.isNewline) {
            let text = Substring(ASCII.trimmed(line.utf8))
            if !text.isEmpty, !text.hasPrefix("#") { users.append(try Self.user(text)) }
        }
        fixed = Users(users: users)
        fixedNames = fixed.names
        if let path = options.file {
            file = try CredentialFile(
                path: path, option: "htpasswd.file", isOfUsers: true, log: log
            ) { (line) throws(CredentialFault) in try Self.user(line) }
        } else {
            file = nil
        }
        guard file != nil || !users.isEmpty else {
            throw CredentialFault(description: "htpasswd.inline holds no user", option: "htpasswd.inline")
        }
    }

    private static func user(_ line: Substring) throws(CredentialFault) -> CredentialTable {
        guard let colon = line.firstIndex(of: ":"), colon != line.startIndex else {
            throw CredentialFault(description: "a line of htpasswd is not user:password")
        }
        let user = line[..<colon]
        let password = line[line.index(after: colon)...]
        guard !password.isEmpty else {
            throw CredentialFault(description: "the user \(PlainText.shown(String(user))) has no password in htpasswd")
        }
        var table = CredentialTable()
        if password.hasPrefix("$") {
            table.add(try hashedUser(String(user), password))
            return table
        }
        table.add(line.utf8, tenant: String(user))
        return table
    }

    private static func hashedUser(
        _ user: String, _ hash: Substring
    ) throws(CredentialFault) -> CredentialTable.HashedUser {
        if MD5Crypt(hash: hash) != nil { return CredentialTable.HashedUser(name: user, hash: String(hash)) }
        guard let cost = HashCheck.cost(of: hash) else {
            throw CredentialFault(
                description:
                    "the password of \(PlainText.shown(user)) in htpasswd is hashed in a way that is not known; "
                    + "write it by `htpasswd -B` (bcrypt), `htpasswd -m` ($apr1$), `htpasswd -s` ({SHA}) or as text")
        }
        guard cost <= HashCheck.costMax else {
            throw CredentialFault(
                description: "the password of \(PlainText.shown(user)) in htpasswd has the bcrypt cost \(cost), which "
                    + "would hold requests up; write it by `htpasswd -B -C \(HashCheck.costMax)` or with less")
        }
        return CredentialTable.HashedUser(name: user, hash: String(hash))
    }

    package func sender(of value: String) -> RequestSender {
        guard let text = BearerTokenAuth.credential(value, scheme: "basic"),
            let bytes = Data(base64Encoded: String(Substring(text))),
            let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
        else { return .unknown }
        let sum = Data(Insecure.SHA1.hash(data: bytes[bytes.index(after: colon)...])).base64EncodedString()
        let hashed = Array(bytes[...colon]) + Array("{SHA}\(sum)".utf8)
        // A password that is the stored form itself would let in whoever has read the file.
        let isForm = bytes[bytes.index(after: colon)...].starts(with: "{SHA}".utf8)
        let isFixed = fixedNames.contains(Array(bytes[..<colon]))
        let tables = [fixed] + (isFixed ? [] : file.map { [$0.table] } ?? [])
        var found: String?
        for table in tables {
            if !isForm, let tenant = table.tenant(of: bytes) { found = tenant }
            if let tenant = table.tenant(of: hashed) { found = tenant }
        }
        if let found { return .tenant(found) }
        let (name, password) = (bytes[..<colon], bytes[bytes.index(after: colon)...])
        var isOpen = false
        for table in tables {
            for user in table.hashedUsers where user.name.utf8.elementsEqual(name) {
                switch check.matches(password, user.hash) {
                case true?: return .tenant(user.name)
                case false?: break
                case nil: isOpen = true
                }
            }
        }
        return isOpen ? .busy : .unknown
    }
}
