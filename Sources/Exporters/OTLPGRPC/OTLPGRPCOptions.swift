package import Configuration

/// Options of `otlp`, under the Collector's names.
package struct OTLPGRPCOptions: ComponentOptions {
    package var helper: ExporterHelperOptions
    /// Nil when the endpoint is wrong.
    var target: GRPCTarget?
    package var compression: OTLPHTTPOptions.Compression
    package var compressionLevel: Int
    package var headers: [(key: String, value: Secret)]
    var auth: HTTPAuthOptions
    var headerActions: [HeaderAction] = []
    package var messageMax: Int
    /// Empty for the endpoint's own.
    package var authority: String
    package var maxConnectionAge: Duration
    package var tls: HTTPTLSOptions

    package init(_ settings: inout Settings) {
        helper = ExporterHelperOptions(&settings, defaultTimeout: .seconds(5))
        tls = settings.group("tls", "Whether and how the connection is encrypted.") {
            HTTPTLSOptions(&$0, schemeDecides: false)
        }
        target = Self.readTarget(tls, &settings)
        (compression, compressionLevel) = OTLPHTTPOptions.readCompression(
            .gzip, &settings, allowed: [.gzip, .zstd, .snappy, .none])
        headers = settings.secretMap("headers", "Metadata of every call, such as authorization; never printed.")
        auth = HTTPAuthOptions(&settings, takesExtension: true)
        if auth.signing != nil {
            settings.problem("sigv4 signs HTTP requests, not calls of gRPC: use otlp_http", at: "auth")
        }
        OTLPHTTPOptions.check(headers, auth.credentials, &settings)
        messageMax = settings.bytes(
            "max_request_body_size", default: 4 << 20, in: 1_024...(1 << 30),
            "Larger batches are split before they are sent. The default is what receivers of gRPC usually take; a "
                + "larger single record is sent and judged by them.")
        authority = settings.string(
            "authority", default: "", "Name of the server in calls and its certificate, if not the endpoint's host.")
        if authority.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F }) {
            settings.problem("holds a space, a control character or a letter outside ASCII", at: "authority")
        }
        if !authority.isEmpty && tls.serverName == nil {
            tls.serverName = String(authority.split(separator: ":").first ?? "")
        }
        maxConnectionAge = settings.duration(
            "max_connection_age", default: .seconds(600), in: .seconds(1) ... .seconds(86_400),
            "A connection older than this is not used again, so that a changed DNS entry is followed.")
        Self.accept(&settings)
    }

    /// Id of the extension that has the credentials.
    package var authenticator: String? { auth.authenticator }

    /// Names in lowercase of the request headers that go on with batches.
    package var contextKeys: [String] { headerActions.compactMap(\.metadataKey) }

    /// The same with what an authenticator extension adds; its headers take the place of those of the same name.
    package func with(_ auth: ClientAuth) -> OTLPGRPCOptions {
        var options = self
        let names = Set(auth.credentials.map { $0.name.lowercased() })
        options.headers.removeAll { names.contains($0.key.lowercased()) }
        options.auth.credentials.removeAll { names.contains($0.name.lowercased()) }
        options.auth.credentials += auth.credentials
        options.auth.oauth2 = auth.oauth2
        options.headerActions = auth.headerActions
        return options
    }

    private static func accept(_ settings: inout Settings) {
        for (key, sentence) in [
            ("keepalive", "A call's timeout finds dead connections; TCP keeps idle ones alive."),
            ("balancer_name", "Each new connection goes to an address that DNS gives."),
            ("wait_for_ready", "Deliveries wait in the queue and are retried while the server is away."),
            ("read_buffer_size", "Answers are read as they come."),
            ("write_buffer_size", "Calls are sent from where they lie."),
        ] { settings.accepted(key, sentence) }
    }

    private static func readTarget(_ tls: HTTPTLSOptions, _ settings: inout Settings) -> GRPCTarget? {
        let text = settings.requiredString("endpoint", "host:port of the server's gRPC; https:// in front means TLS.")
        guard !settings.isDescribing, settings.isPresent("endpoint") else { return nil }
        do throws(HTTPEndpoint.Fault) {
            let target = try GRPCTarget(text, isInsecure: tls.isInsecure)
            let isPlain = target.base.hasPrefix("http://")
            if isPlain, !target.isLoopback {
                settings.warning(
                    "data and credentials go to \(text) unencrypted",
                    fix: "remove tls.insecure, or keep it if nobody else is on that network", at: "endpoint")
            } else if !isPlain, GRPCTarget.hasPlainScheme(text) {
                settings.warning(
                    "http:// does not turn TLS off for gRPC, as in the Collector",
                    fix: "write `tls: {insecure: true}`, without ca_file and ca_pem, for a server without TLS",
                    at: "endpoint")
            }
            return target
        } catch {
            settings.problem(error.message, at: "endpoint")
            return nil
        }
    }
}
