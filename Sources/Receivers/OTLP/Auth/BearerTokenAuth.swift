package import Configuration
package import Logging

/// Options of the `bearertokenauth` extension.
package struct BearerTokenOptions: ComponentOptions {
    package let scheme: String
    package let header: String
    package let tokens: [Secret]
    package let filename: String?

    package init(_ settings: inout Settings) {
        scheme = settings.string(
            "scheme", default: "Bearer", "Word in front of the token; the empty text for none. Case does not matter.")
        header = settings.string("header", default: "Authorization", "Header that carries the token.")
        let token = settings.secret("token", "The one token that is let in.")
        let list = settings.secrets("tokens", "Tokens that are let in.")
        filename = settings.optionalString(
            "filename",
            "File of tokens, one a line, in place of token and tokens; it is read again when it changes. One that is "
                + "gone, empty or broken then leaves the last tokens in force, and the log says so.")
        tokens = (token.map { [$0] } ?? []) + list
        guard !settings.isDescribing else { return }
        if !ASCII.isToken(header) { settings.problem("is no header name", at: "header") }
        if tokens.isEmpty, filename == nil { settings.problem("no token is given; set token, tokens or filename") }
        if tokens.contains(where: { $0.reveal().isEmpty }) {
            settings.problem("a token is empty; every request would be let in", at: token == nil ? "tokens" : "token")
        }
    }
}

/// Lets in requests with one of the tokens of a file or of the configuration.
package struct BearerTokenAuth: RequestAuthenticator {
    package let headerName: String
    package let challenge: String
    private let scheme: String
    private let fixed: CredentialTable
    private let file: CredentialFile?

    /// Reads the file of tokens, if one is named.
    package init(_ options: BearerTokenOptions, log: Logger) throws(CredentialFault) {
        headerName = ASCII.lowercased(options.header)
        scheme = ASCII.lowercased(options.scheme)
        challenge = options.scheme.isEmpty ? "Bearer" : options.scheme
        var table = CredentialTable()
        if let filename = options.filename {
            file = try CredentialFile(path: filename, option: "filename", log: log) { (line) throws(CredentialFault) in
                var table = CredentialTable()
                table.add(line.utf8)
                return table
            }
        } else {
            file = nil
            for token in options.tokens { table.add(token.reveal().utf8) }
        }
        fixed = table
    }

    package func sender(of value: String) -> RequestSender {
        guard let token = Self.credential(value, scheme: scheme) else { return .unknown }
        return (file?.table ?? fixed).tenant(of: token).map { .tenant($0) } ?? .unknown
    }

    /// What follows the scheme, which must be in lowercase; nil when another scheme or nothing is there.
    static func credential(_ value: String, scheme: String) -> Substring.UTF8View? {
        let text = ASCII.trimmed(Substring(value).utf8)
        guard !scheme.isEmpty else { return text.isEmpty ? nil : text }
        let length = scheme.utf8.count
        guard text.count > length, ASCII.equal(text.prefix(length), scheme),
            text.dropFirst(length).first == UInt8(ascii: " ")
        else { return nil }
        let rest = ASCII.trimmed(text.dropFirst(length))
        return rest.isEmpty ? nil : rest
    }
}
