package import Configuration
import Glibc

/// `auth.sigv4`: requests are signed as AWS wants it.
package struct AWSSigningOptions: ComponentOptions {
    package var region: String
    package var service: String
    var accessKey: String?
    var secretKey: Secret?
    var sessionToken: Secret?

    package init(_ settings: inout Settings) {
        region = settings.requiredString("region", "Region of the service, such as eu-central-1.")
        service = settings.requiredString("service", "Name of the service in the signature, such as xray or logs.")
        accessKey = settings.optionalString(
            "access_key_id", "Access key; by default that of AWS_ACCESS_KEY_ID and its companions.")
        secretKey = settings.secret("secret_access_key", "Secret of the access key.")
        sessionToken = settings.secret("session_token", "Token of temporary credentials.")
        if (accessKey == nil) != (secretKey == nil) {
            settings.problem("access_key_id and secret_access_key go together: give the missing one")
        }
    }

    /// Of the `sigv4auth` extension, which may leave both empty.
    init(region: String, service: String) {
        self.region = region
        self.service = service
    }

    /// The region and service in a host's name, such as xray.eu-central-1.amazonaws.com; `aps-workspaces` signs as aps.
    mutating func complete(from host: String) {
        let labels = host.lowercased().split(separator: ".").map(String.init)
        if region.isEmpty {
            region =
                getenv("AWS_REGION").map { String(cString: $0) }
                ?? labels.first { $0.split(separator: "-").count >= 3 && $0.last?.isNumber == true } ?? ""
        }
        guard service.isEmpty, host.hasSuffix("amazonaws.com") || host.hasSuffix(".aws") else { return }
        let name = labels.last { ["es", "aoss"].contains($0) } ?? labels.first ?? ""
        service = name == "aps-workspaces" ? "aps" : name
    }

    /// Nil when neither the file nor the environment has credentials.
    var signature: AWSSignature? {
        AWSSignature.Credentials.find(accessKey, secretKey, sessionToken).map {
            AWSSignature(credentials: $0, region: region, service: service)
        }
    }
}

extension AWSSignature.Credentials {
    /// Those of the configuration, or else of the environment.
    static func find(_ accessKey: String?, _ secretKey: Secret?, _ token: Secret?) -> AWSSignature.Credentials? {
        if let accessKey, let secretKey {
            return Self(accessKey: accessKey, secretKey: secretKey.reveal(), sessionToken: token?.reveal())
        }
        func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
        guard let key = variable("AWS_ACCESS_KEY_ID"), let secret = variable("AWS_SECRET_ACCESS_KEY") else {
            return nil
        }
        return Self(accessKey: key, secretKey: secret, sessionToken: variable("AWS_SESSION_TOKEN"))
    }
}

extension AWSSignature {
    /// Header lines that sign a request with this body to an endpoint; `seconds` is Unix time.
    func headerLines(_ endpoint: HTTPEndpoint, method: String, body: [UInt8], seconds: Int) -> [String] {
        let time = AWSTime(seconds: seconds)
        let parts = endpoint.path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts.first.map(String.init) ?? ""
        let query = parts.count > 1 ? Self.canonical(query: parts[1]) : ""
        var headers = [(name: "host", value: endpoint.authority), (name: "x-amz-date", value: time.text)]
        if let token = credentials.sessionToken { headers.append(("x-amz-security-token", token)) }
        let request = Request(
            method: method, path: path.isEmpty ? "/" : Self.escaped(path: path), query: query, headers: headers,
            payloadHash: Self.hash(body))
        return headers.dropFirst().map { "\($0.name): \($0.value)" }
            + ["Authorization: \(authorization(request, time: time))"]
    }

    /// A query in the order that is signed: by name, then by value, each name with its `=`.
    private static func canonical(query: Substring) -> String {
        let pairs = query.split(separator: "&").map { pair -> (name: Substring, value: Substring) in
            let name = pair.prefix { $0 != "=" }
            return (name, pair.dropFirst(name.count + 1))
        }
        let sorted = pairs.sorted { ($0.name, $0.value) < ($1.name, $1.value) }
        return sorted.map { "\($0.name)=\($0.value)" }.joined(separator: "&")
    }
}
