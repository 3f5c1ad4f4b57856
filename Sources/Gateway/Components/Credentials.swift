import Exporters
import Receivers
import Telemetry

extension ExtensionRole {
    static func bearer(_ options: BearerTokenOptions) -> ExtensionRole {
        .authenticator(
            server: { try BearerTokenAuth(options, log: $0) },
            client: ClientAuth(
                scheme: options.scheme, header: options.header, token: options.tokens.first,
                filename: options.filename))
    }

    static func basic(_ options: BasicAuthOptions) -> ExtensionRole {
        .authenticator(
            server: options.hasUsers ? { @Sendable in try BasicAuth(options, log: $0) } : nil,
            client: options.client.map {
                ClientAuth(user: $0.user, password: $0.password, passwordFile: $0.passwordFile)
            })
    }
}

extension ExporterPlan {
    init(_ options: Exporters.OTLPHTTPOptions) {
        self.init(
            helper: options.helper, batchBytesMax: options.requestBodyMax > 0 ? options.requestBodyMax : nil,
            accepts: { signal in options.urls.contains { $0.signal == signal.recorded } },
            make: { OTLPHTTPExporter(options: options, build: $0, version: Version.current) })
        contextKeys = options.contextKeys
        authenticator = options.authenticator.map { id in (id, { ExporterPlan(options.with($0)) }) }
    }

    init(_ options: OTLPGRPCOptions) {
        self.init(helper: options.helper, batchBytesMax: options.messageMax) {
            OTLPGRPCExporter(options: options, build: $0, version: Version.current)
        }
        contextKeys = options.contextKeys
        authenticator = options.authenticator.map { id in (id, { ExporterPlan(options.with($0)) }) }
    }
}
