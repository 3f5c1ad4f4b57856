import Configuration
import NIOSSL

/// Options under `tls` of a protocol, named as the Collector's.
package struct ReceiverTLSOptions: Sendable {
    let certificate: PEMSource
    let key: PEMSource
    /// Senders must show a certificate that one of these signed.
    let clientCA: PEMSource?
    let versions: ClosedRange<Version>
    /// Codes of the suites for TLS 1.2; the library's choice when empty.
    let cipherSuites: [NIOTLSCipher]
    /// How often the files are looked at; zero for never.
    let reloadInterval: Duration
    /// How often the authorities of senders are looked at besides; zero for never.
    let clientCAInterval: Duration

    /// What stands for watching the file as the Collector does.
    static let clientCALook = Duration.seconds(5)

    enum Version: Int, Comparable, Sendable {
        case tls10, tls11, tls12, tls13

        static func < (one: Version, other: Version) -> Bool { one.rawValue < other.rawValue }

        init?(_ text: String) {
            switch text {
            case "1.0": self = .tls10
            case "1.1": self = .tls11
            case "1.2": self = .tls12
            case "1.3": self = .tls13
            default: return nil
            }
        }
    }

    /// Reads and declares the options of the group.
    init(_ settings: inout Settings) {
        let certificate = PEMSource.read(
            &settings, "cert", "The certificate, with those that signed it behind it, as PEM")
        let key = PEMSource.read(&settings, "key", "The private key as PEM")
        let clientCA = settings.optionalString(
            "client_ca_file", "PEM file of authorities; senders must show a certificate of one of them.")
        versions = Self.versions(&settings)
        cipherSuites = Self.cipherSuites(&settings)
        reloadInterval = settings.duration(
            "reload_interval", default: .zero, in: .zero ... .seconds(7 * 86_400),
            "How often the files are looked at for a change; new connections get what is there. 0 for never.")
        let reloadsClientCA = settings.bool(
            "client_ca_file_reload", default: false,
            "Whether client_ca_file is looked at for a change every 5 s, whatever reload_interval says.")
        clientCAInterval = reloadsClientCA && clientCA != nil ? Self.clientCALook : .zero
        settings.accepted("ca_file", "A receiver checks senders with client_ca_file.")
        settings.accepted("ca_pem", "A receiver checks senders with client_ca_file.")
        settings.accepted("include_system_ca_certs_pool", "A receiver checks senders with client_ca_file.")
        settings.accepted(
            "curve_preferences", "The library chooses the curve: X25519 with or without ML-KEM, or P-256.")
        self.clientCA = clientCA.map { .file($0) }
        self.certificate = certificate ?? .file("")
        self.key = key ?? .file("")
        guard !settings.isDescribing else { return }
        if certificate == nil { settings.problem("needs a certificate: set cert_file or cert_pem") }
        if key == nil { settings.problem("needs the certificate's private key: set key_file or key_pem") }
    }

    private static func versions(_ settings: inout Settings) -> ClosedRange<Version> {
        let low = settings.string("min_version", default: "1.2", "Oldest TLS version that is spoken: 1.0 to 1.3.")
        let high = settings.string("max_version", default: "1.3", "Newest TLS version that is spoken.")
        if Version(low) == nil { settings.problem("expects 1.0, 1.1, 1.2 or 1.3", at: "min_version") }
        if !high.isEmpty, Version(high) == nil { settings.problem("expects 1.0, 1.1, 1.2 or 1.3", at: "max_version") }
        let first = Version(low) ?? .tls12
        let last = Version(high) ?? .tls13
        guard first <= last else {
            settings.problem("is newer than max_version", at: "min_version")
            return last...last
        }
        return first...last
    }

    private static func cipherSuites(_ settings: inout Settings) -> [NIOTLSCipher] {
        let names = settings.strings(
            "cipher_suites", default: [],
            "Suites for TLS 1.2 by their IANA names; the library's choice when empty. Those of TLS 1.3 are fixed.")
        var suites: [NIOTLSCipher] = []
        for name in names {
            if let suite = knownSuites.first(where: { $0.name == name }) {
                if let code = suite.code { suites.append(code) }
            } else {
                let known = knownSuites.map(\.name).joined(separator: ", ")
                settings.problem("\(PlainText.shown(name)) is not supported; known are \(known)", at: "cipher_suites")
            }
        }
        return suites
    }

    /// Suites with forward secrecy and authenticated encryption; without a code those that are always on.
    private static let knownSuites: [(name: String, code: NIOTLSCipher?)] = [
        ("TLS_AES_128_GCM_SHA256", nil), ("TLS_AES_256_GCM_SHA384", nil), ("TLS_CHACHA20_POLY1305_SHA256", nil),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", .TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    ]

    /// Reads `tls`, nil when it is absent or, as in the Collector, has nothing behind it.
    static func read(_ settings: inout Settings) -> ReceiverTLSOptions? {
        settings.optionalGroup(
            "tls", "TLS with this certificate; plain text when left out.",
            whenNull: "has nothing behind it, as in the Collector no TLS: senders speak plain text"
        ) { tls in
            ReceiverTLSOptions(&tls)
        }
    }
}
