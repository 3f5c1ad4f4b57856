import CCurl
package import Configuration
import Glibc
import Pipeline

/// `tls`: how a https endpoint is checked and how the gateway identifies itself.
package struct HTTPTLSOptions: ComponentOptions {
    /// Oldest version of TLS that is spoken.
    package enum Version: String, CaseIterable, Sendable {
        case v1_0 = "1.0", v1_1 = "1.1", v1_2 = "1.2", v1_3 = "1.3"

        var curlMinimum: Int {
            switch self {
            case .v1_0: Int(CURL_SSLVERSION_TLSv1_0)
            case .v1_1: Int(CURL_SSLVERSION_TLSv1_1)
            case .v1_2: Int(CURL_SSLVERSION_TLSv1_2)
            case .v1_3: Int(CURL_SSLVERSION_TLSv1_3)
            }
        }

        /// libcurl has the newest version in the upper half of the number.
        var curlMaximum: Int { curlMinimum << 16 }
    }

    /// No TLS, where the scheme of a URL does not say so.
    package var isInsecure = false
    package var skipsVerification = false
    package var authorities: PEMSource?
    package var certificate: PEMSource?
    package var key: PEMSource?
    package var minVersion = Version.v1_2
    package var maxVersion: Version?
    /// Suites for TLS 1.2 by OpenSSL's names; the library's choice when empty.
    package var cipherSuites: [String] = []
    /// Whether the system's certificates are trusted beside `authorities`.
    package var trustsSystem = false
    package var serverName: String?

    /// The defaults: verified against the system's certificates.
    package init() {}

    package init(_ settings: inout Settings) { self.init(&settings, schemeDecides: true) }

    /// `schemeDecides` is false for endpoints without a scheme, where `insecure` turns TLS off.
    package init(_ settings: inout Settings, schemeDecides: Bool) {
        if schemeDecides {
            settings.accepted("insecure", "The scheme of the endpoint decides whether TLS is used.")
        } else {
            isInsecure = settings.bool(
                "insecure", default: false,
                "True sends without TLS; a https endpoint, and one with ca_file or ca_pem, uses TLS all the same.")
        }
        skipsVerification = settings.bool(
            "insecure_skip_verify", default: false,
            "True takes any certificate, so that anybody on the way can read and change the data.")
        authorities = PEMSource.read(&settings, "ca", "Certificates to trust instead of the system's, as PEM")
        certificate = PEMSource.read(&settings, "cert", "The client's certificate for mutual TLS, as PEM")
        key = PEMSource.read(&settings, "key", "The client's key for mutual TLS, as PEM")
        refuseInsecureAuthorities(&settings)
        minVersion = settings.choice("min_version", default: Version.v1_2, "Oldest version of TLS that is spoken.")
        maxVersion = Self.newest(&settings)
        trustsSystem = settings.bool(
            "include_system_ca_certs_pool", default: false,
            "True trusts the system's certificates beside ca_file or ca_pem.")
        cipherSuites = TLSSuites.read(&settings)
        settings.accepted("curve_preferences", "The library chooses the curve.")
        serverName = settings.optionalString(
            "server_name_override", "Name that the server's certificate must carry, if not the endpoint's host.")
        settings.accepted("reload_interval", "Certificate files are read again for each new connection.")
        if let maxVersion, maxVersion.curlMinimum < minVersion.curlMinimum {
            settings.problem("is older than min_version", at: "max_version")
        }
        if (certificate == nil) != (key == nil) {
            settings.problem(
                "mutual TLS needs cert_file and key_file together, or cert_pem and key_pem: give the missing one")
        }
    }

    /// Whoever names the server's authority expects TLS, and so does the Collector: `insecure` ends where there is one.
    private mutating func refuseInsecureAuthorities(_ settings: inout Settings) {
        guard isInsecure, authorities != nil else { return }
        isInsecure = false
        settings.warning(
            "has no effect beside ca_file or ca_pem, as in the Collector: TLS is used",
            fix: "remove it, or ca_file and ca_pem for a server without TLS", at: "insecure")
    }

    private static func newest(_ settings: inout Settings) -> Version? {
        let text = settings.string("max_version", default: "", "Newest version of TLS that is spoken: 1.0 to 1.3.")
        let version = Version(rawValue: text)
        if version == nil, !text.isEmpty { settings.problem("expects 1.0, 1.1, 1.2 or 1.3", at: "max_version") }
        return version
    }

    /// Files that cannot be read, with what to do about it.
    var unreadableFile: ExporterStartFailure? {
        for (name, source) in [("ca_file", authorities), ("cert_file", certificate), ("key_file", key)] {
            if case .file(let path)? = source, access(path, R_OK) != 0 {
                return ExporterStartFailure(
                    "tls.\(name): \(path) cannot be read (\(String(cString: strerror(errno))))", at: "tls.\(name)",
                    fix: "check path and owner")
            }
        }
        return nil
    }

    func apply(_ setter: inout OptionSetter) {
        setter.set(
            CURLOPT_SSLVERSION, minVersion.curlMinimum | (maxVersion?.curlMaximum ?? 0),
            "tls.min_version and max_version")
        if !cipherSuites.isEmpty {
            setter.set(CURLOPT_SSL_CIPHER_LIST, cipherSuites.joined(separator: ":"), "tls.cipher_suites")
        }
        setter.set(CURLOPT_SSL_VERIFYPEER, skipsVerification ? 0 : 1, "tls.insecure_skip_verify")
        setter.set(CURLOPT_SSL_VERIFYHOST, skipsVerification ? 0 : 2, "tls.insecure_skip_verify")
        if let authorities {
            setter.set(CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB, authorities, "tls.ca")
            // The system's certificates are a folder beside these.
            if !trustsSystem { setter.set(CURLOPT_CAPATH, pointer: nil, "tls.ca") }
            // Otherwise libcurl keeps what it has read for a day, and a changed file would not count.
            setter.set(CURLOPT_CA_CACHE_TIMEOUT, 0, "tls.ca")
        }
        // A resumed session stands on the files of its first handshake; changed ones would not count.
        if authorities != nil || certificate != nil { setter.set(CURLOPT_SSL_SESSIONID_CACHE, 0, "tls") }
        if let certificate { setter.set(CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB, certificate, "tls.cert") }
        if let key { setter.set(CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB, key, "tls.key") }
    }
}

extension OptionSetter {
    /// Sets the option for a file or the one for its text. `name` is the option's up to `_file` or `_pem`.
    fileprivate mutating func set(
        _ fileOption: CURLoption, _ textOption: CURLoption, _ source: PEMSource, _ name: String
    ) {
        switch source {
        case .file(let path): set(fileOption, path, "\(name)_file")
        case .text(let text): set(textOption, blob: text, "\(name)_pem")
        }
    }
}
