package import Configuration

/// What an authenticator extension adds to the requests of the exporters that name it.
package struct ClientAuth: Sendable {
    package var credentials: [HTTPCredential] = []
    package var oauth2: OAuth2Options?
    package var signing: AWSSigningOptions?
    var headerActions: [HeaderAction] = []
    /// Id of a further extension whose part comes on top.
    package var additional: String?

    /// `bearertokenauth`: a token of the configuration, or the first line of a file.
    package init(scheme: String, header: String, token: Secret?, filename: String?) {
        guard let source = filename.map({ .firstLine($0) }) ?? token.map({ HTTPCredential.Source.text($0) }) else {
            return
        }
        credentials = [HTTPCredential(name: header, source: source, form: .scheme(scheme))]
    }

    /// `basicauth`.
    package init(user: String, password: Secret?, passwordFile: String?) {
        let source = passwordFile.map { HTTPCredential.Source.file($0) } ?? .text(password ?? Secret(""))
        credentials = [HTTPCredential(name: "Authorization", source: source, form: .basic(user: user))]
    }

    /// `oauth2client`.
    package init(_ options: OAuth2Options) { oauth2 = options }

    /// `sigv4auth`.
    package init(_ options: SignatureExtensionOptions) { signing = options.signing }

    /// `headers_setter`.
    package init(_ options: HeadersSetterOptions) {
        headerActions = options.actions
        additional = options.additional
    }

    /// Takes over what an extension below adds.
    package mutating func add(_ other: ClientAuth) {
        credentials += other.credentials
        oauth2 = oauth2 ?? other.oauth2
        signing = signing ?? other.signing
        headerActions += other.headerActions
    }
}

/// Options of the `sigv4auth` extension.
package struct SignatureExtensionOptions: ComponentOptions {
    var signing: AWSSigningOptions

    package init(_ settings: inout Settings) {
        let region = settings.string(
            "region", default: "", "Region of the service; by default AWS_REGION, or the one in the endpoint's name.")
        let service = settings.string(
            "service", default: "", "Name of the service in the signature; by default the one in the endpoint's name.")
        signing = AWSSigningOptions(region: region, service: service)
        if settings.value("assume_role", "Not supported: give the role's credentials.") != nil {
            settings.problem(
                "roles are not assumed: give the role's own credentials in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY "
                    + "and AWS_SESSION_TOKEN, and remove assume_role", at: "assume_role")
        }
    }
}
