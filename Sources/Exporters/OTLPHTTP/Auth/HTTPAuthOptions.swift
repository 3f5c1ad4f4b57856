import Configuration

/// `auth` and `header_files`: credentials beside plain `headers`.
struct HTTPAuthOptions {
    /// In the order in which they are sent.
    var credentials: [HTTPCredential] = []
    /// Tokens that are fetched.
    var oauth2: OAuth2Options?
    /// Signatures of whole requests.
    var signing: AWSSigningOptions?
    /// Id of the extension that has the credentials.
    var authenticator: String?

    /// `takesExtension` tells whether `auth.authenticator` may name an extension.
    init(_ settings: inout Settings, takesExtension: Bool = false) {
        let files = settings.stringMap(
            "header_files",
            "Headers whose values are read from files, such as mounted secrets; a changed file is used within 5s.")
        for (name, path) in files {
            if !HTTPHeaderCheck.isToken(name) {
                settings.problem("a header name may hold only letters, digits and !#$%&'*+-.^_`|~", at: "header_files")
            }
            credentials.append(HTTPCredential(name: name, source: .file(path)))
        }
        let found = settings.group("auth", "Credentials for the Authorization header.") { auth -> Found in
            let authenticator = auth.optionalString(
                "authenticator",
                takesExtension
                    ? "Id of the extension that has the credentials: bearertokenauth, basicauth, oauth2client, "
                        + "sigv4auth or headers_setter."
                    : "Not supported here: name the kind of credential.")
            if authenticator != nil, !takesExtension {
                auth.problem(
                    "authenticator extensions are not supported here: remove auth.authenticator and write one of "
                        + "auth.bearer, auth.basic, auth.oauth2 and auth.sigv4, such as "
                        + "`auth: {bearer: {token: \"${env:TOKEN}\"}}`",
                    at: "authenticator")
            }
            let bearer = auth.optionalGroup("bearer", "A bearer token.") { Self.bearer(&$0) }
            let basic = auth.optionalGroup("basic", "User and password.") { Self.basic(&$0) }
            let oauth2 = auth.optionalGroup(
                "oauth2", "An access token by OAuth 2 client credentials, fetched and renewed."
            ) { OAuth2Options(&$0) }
            let signing = auth.optionalGroup("sigv4", "AWS Signature Version 4.") { AWSSigningOptions(&$0) }
            if !auth.isDescribing, Self.kinds.count(where: auth.isPresent) > 1 {
                auth.problem("\(Self.kinds.joined(separator: ", ")) exclude each other: keep one")
            }
            return Found(
                credential: (bearer ?? nil) ?? (basic ?? nil), oauth2: oauth2, signing: signing,
                authenticator: authenticator)
        }
        if let credential = found.credential { credentials.append(credential) }
        oauth2 = found.oauth2
        signing = found.signing
        authenticator = found.authenticator
    }

    private struct Found {
        var credential: HTTPCredential?
        var oauth2: OAuth2Options?
        var signing: AWSSigningOptions?
        var authenticator: String?
    }

    private static let kinds = ["authenticator", "bearer", "basic", "oauth2", "sigv4"]

    private static func bearer(_ settings: inout Settings) -> HTTPCredential? {
        let token = settings.secret("token", "The token.")
        let file = settings.optionalString(
            "token_file", "File that holds the token instead; read again when it changes.")
        let scheme = settings.string("scheme", default: "Bearer", "Word in front of the token; empty for none.")
        let header = settings.string("header", default: "Authorization", "Header that carries it.")
        if !HTTPHeaderCheck.isToken(header) { settings.problem("is no name of a header", at: "header") }
        return source(token, file, names: ("token", "token_file"), &settings).map {
            HTTPCredential(name: header, source: $0, form: .scheme(scheme))
        }
    }

    private static func basic(_ settings: inout Settings) -> HTTPCredential? {
        let user = settings.string("username", default: "", "The user.")
        let password = settings.secret("password", "The password.")
        let file = settings.optionalString(
            "password_file", "File that holds the password instead; read again when it changes.")
        if user.contains(":") { settings.problem("a user's name may hold no colon", at: "username") }
        return source(password, file, names: ("password", "password_file"), &settings).map {
            HTTPCredential(name: "Authorization", source: $0, form: .basic(user: user))
        }
    }

    private static func source(
        _ secret: Secret?, _ file: String?, names: (String, String), _ settings: inout Settings
    ) -> HTTPCredential.Source? {
        switch (secret, file) {
        case (let secret?, nil): return .text(secret)
        case (nil, let file?): return .file(file)
        case (nil, nil), (.some, .some):
            if !settings.isDescribing { settings.problem("give either \(names.0) or \(names.1)") }
            return nil
        }
    }
}
