package import Telemetry

/// What Sluice knows about a vendor's OTLP endpoint, so that a user gives only a credential. Everything in it is a
/// default that the exporter's own options override.
package struct VendorPreset: Sendable {
    /// How the credential becomes a header.
    package enum Authorization: Sendable {
        /// The credential alone.
        case plain(header: String)
        /// `Authorization: <scheme> <credential>`.
        case scheme(String)
        /// `Authorization: Basic`; the credential is `user:password`.
        case basic(user: String, password: String)

        var header: String {
            if case .plain(let header) = self { header } else { "Authorization" }
        }

        /// What the credential is made of where it is a user and a password.
        var pair: String? {
            if case .basic(let user, let password) = self { "<\(user)>:<\(password)>" } else { nil }
        }
    }

    /// Where requests go. `{region}` stands for the option `region`.
    package enum Address: Sendable {
        /// /v1/traces and so on are added.
        case base(String)
        /// Whole URLs, by signal.
        case full([(signal: Signal, url: String)])
    }

    package var name: String
    /// The product as its vendor calls it.
    package var product: String
    /// Nil when every installation has its own: then `endpoint` must be given.
    package var address: Address?
    /// Value of `region` when the user gives none; nil when the address needs one.
    package var region: String?
    /// Signals that the endpoint takes.
    package var signals: [Signal]
    package var authorization: Authorization
    /// Headers without which the endpoint refuses, and what to put there.
    package var requiredHeaders: [(name: String, sentence: String)]
    /// Headers with one right value.
    package var fixedHeaders: [(name: String, value: String)]
    package var compression: OTLPHTTPOptions.Compression
    /// Compressions that the endpoint takes; nil when no limit is known.
    package var compressions: [OTLPHTTPOptions.Compression]?
    /// Largest request before compression, in bytes; nil when none is known.
    package var requestBodyMax: Int?
    /// Encodings that the endpoint takes; the first is the default.
    package var encodings: [OTLPHTTPOptions.Encoding]
    /// Statuses after which the vendor wants a request again; nil for those of the specification.
    package var retryOn: [Int]?
    /// Older data is refused; nil when no limit is known.
    package var maxAge: Duration?
    /// Names that the product reads, as the option `dialect` calls them.
    package var dialect: String
    /// Whether spans that have nothing to do with AI are left out unless the user says otherwise.
    package var aiOnly: Bool
    /// What a user should know besides.
    package var note: String
    /// Where the facts are from, and the month in which they were read.
    package var source: String

    init(
        _ name: String, _ product: String, _ address: Address?, region: String? = nil,
        signals: [Signal] = Signal.allCases, authorization: Authorization,
        required: [(name: String, sentence: String)] = [], fixed: [(name: String, value: String)] = [],
        compression: OTLPHTTPOptions.Compression = .gzip, compressions: [OTLPHTTPOptions.Compression]? = nil,
        requestBodyMax: Int? = nil,
        encodings: [OTLPHTTPOptions.Encoding] = [.proto, .json], retryOn: [Int]? = nil,
        maxAge: Duration? = nil, dialect: String = "gen_ai", aiOnly: Bool = false, note: String = "", source: String
    ) {
        self.name = name
        self.product = product
        self.address = address
        self.region = region
        self.signals = signals
        self.authorization = authorization
        requiredHeaders = required
        fixedHeaders = fixed
        self.compression = compression
        self.compressions = compressions
        self.requestBodyMax = requestBodyMax
        self.encodings = encodings
        self.retryOn = retryOn
        self.maxAge = maxAge
        self.dialect = dialect
        self.aiOnly = aiOnly
        self.note = note
        self.source = source
    }

    /// The preset of a name, nil for an unknown one.
    package static func named(_ name: String) -> VendorPreset? { all.first { $0.name == name } }
}

extension VendorPreset {
    /// Whether the address has a place for `region`.
    var hasRegion: Bool { templates.contains { $0.contains("{region}") } }

    /// URL texts as in the table.
    package var templates: [String] {
        switch address {
        case .base(let url)?: [url]
        case .full(let urls)?: urls.map(\.url)
        case nil: []
        }
    }

    /// The URL for a signal, nil when the endpoint does not take it. `endpoint` replaces the table's address and keeps
    /// its shape: base or whole.
    func url(for signal: Signal, endpoint: String?, region: String?) -> String? {
        guard signals.contains(signal) else { return nil }
        switch address {
        case .full(let urls)?:
            if let endpoint { return endpoint }
            return urls.first { $0.signal == signal }.map { filled($0.url, region) }
        case .base(let url)?: return HTTPEndpoint.below(endpoint ?? filled(url, region), signal: signal)
        case nil: return endpoint.map { HTTPEndpoint.below($0, signal: signal) }
        }
    }

    private func filled(_ url: String, _ region: String?) -> String {
        url.replacing("{region}", with: region ?? self.region ?? "")
    }
}

extension VendorPreset {
    /// How `api_key` is sent, for a reader.
    package var credentialText: String {
        switch authorization {
        case .plain(let header): "\(header): <api_key>"
        case .scheme(let scheme): "Authorization: \(scheme) <api_key>"
        case .basic: "Authorization: Basic, api_key is \(authorization.pair ?? "")"
        }
    }
}
