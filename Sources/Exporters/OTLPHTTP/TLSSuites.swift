import Configuration

/// The suites of TLS 1.2 that `cipher_suites` may name, as IANA and as OpenSSL call them.
enum TLSSuites {
    /// Reads `cipher_suites`; suites of TLS 1.3 are always on and left out.
    static func read(_ settings: inout Settings) -> [String] {
        let names = settings.strings(
            "cipher_suites", default: [],
            "Suites for TLS 1.2 by their IANA names; the library's choice when empty. Those of TLS 1.3 are fixed.")
        var suites: [String] = []
        for name in names {
            if let suite = known.first(where: { $0.name == name }) {
                if let own = suite.openSSL { suites.append(own) }
            } else {
                settings.problem(
                    "\(name) is not supported; known are \(known.map(\.name).joined(separator: ", "))",
                    at: "cipher_suites")
            }
        }
        return suites
    }

    private static let known: [(name: String, openSSL: String?)] = [
        ("TLS_AES_128_GCM_SHA256", nil), ("TLS_AES_256_GCM_SHA384", nil), ("TLS_CHACHA20_POLY1305_SHA256", nil),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
    ]
}
