package import Configuration

/// `auth.oauth2`: an access token by the client credentials grant, RFC 6749 section 4.4. Names as in the Collector's
/// oauth2client extension.
package struct OAuth2Options: ComponentOptions {
    /// How the client tells who it is, RFC 6749 section 2.3.1.
    package enum ClientAuth: String, CaseIterable, Sendable { case basic, body }

    package var tokenURL: String
    var clientID: HTTPCredential.Source
    var clientSecret: HTTPCredential.Source
    package var scopes: [String]
    package var parameters: [(key: String, value: String)]
    package var clientAuth: ClientAuth
    package var timeout: Duration
    /// A token is renewed so long before it ends.
    package var expiryBuffer: Duration
    /// How the server of the tokens is checked; nil for the exporter's own settings.
    package var tls: HTTPTLSOptions?

    package init(_ settings: inout Settings) {
        tokenURL = settings.requiredString("token_url", "URL that hands out tokens.")
        let id = settings.optionalString("client_id", "Id of this client.")
        let idFile = settings.optionalString("client_id_file", "File that holds the id instead; read for each token.")
        let secret = settings.secret("client_secret", "Secret of this client.")
        let file = settings.optionalString(
            "client_secret_file", "File that holds the secret instead; read for each token.")
        scopes = settings.strings("scopes", default: [], "Scopes that the token shall have.")
        parameters = settings.stringMap("endpoint_params", "Further parameters of the request, such as audience.")
        clientAuth = settings.choice(
            "client_auth", default: ClientAuth.basic,
            "How id and secret are sent: basic in the Authorization header, body as parameters.")
        timeout = settings.duration(
            "timeout", default: .seconds(10), in: .milliseconds(100) ... .seconds(300),
            "Longest wait for a token.")
        expiryBuffer = settings.duration(
            "expiry_buffer", default: .seconds(300), in: .zero ... .seconds(86_400),
            "A token is renewed so long before it ends, but not before half its life is over.")
        tls = settings.optionalGroup(
            "tls", "How the server of the tokens is checked; by default as the exporter's endpoint."
        ) { HTTPTLSOptions(&$0) }
        clientID = idFile.map { .file($0) } ?? .text(Secret(id ?? ""))
        clientSecret = file.map { .file($0) } ?? .text(secret ?? Secret(""))
        guard !settings.isDescribing else { return }
        if (id == nil) == (idFile == nil) { settings.problem("give either client_id or client_id_file") }
        if (secret == nil) == (file == nil) { settings.problem("give either client_secret or client_secret_file") }
        OTLPHTTPOptions.check(tokenURL, at: "token_url", &settings)
    }
}
