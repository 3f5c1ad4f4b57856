import Configuration
import Pipeline
import Synchronization

/// URLs that are posted to with the same headers, credentials and connection settings.
///
/// Targets are made at start, and again when a file of a credential has changed: requests under way keep the old ones.
final class HTTPDestination: Sendable {
    /// Shortest time between two looks at the files of credentials.
    static let fileInterval = Duration.seconds(5)

    /// What all requests have in common.
    struct Plan: Sendable {
        /// Everything but the URL and the headers.
        var connection: CurlTargetOptions
        var urls: [String]
        /// Whole header lines that the exporter sets itself.
        var ownHeaders: [String]
        var headers: [(key: String, value: Secret)]
        var credentials: [HTTPCredential]
        var oauth2: OAuth2Options?
        var signing: AWSSigningOptions?
        var headerActions: [HeaderAction] = []
        /// Whether headers are metadata of gRPC, whose values are in base64 where the name ends in `-bin`.
        var encodesBinary = false
    }

    /// Why no request could be made; it may be possible later.
    struct Failure: Error {
        var reason: String
    }

    private struct Prepared {
        /// In the order of the plan's URLs; empty before `start` and after `close`.
        var targets: [CurlTarget] = []
        /// Values of the credentials, in their order.
        var values: [String] = []
        /// The access token in the targets.
        var token = ""
        /// Targets whose headers depend on the origin, by these headers and the index of the URL.
        var variants: [String: CurlTarget] = [:]
        var checked = Duration.zero
        var complaints = LogLimiter(interval: .seconds(60))
    }

    private let plan: Plan
    private let build: ExporterBuild
    /// Where the plan wants HTTP/2, the engine for that.
    private let engine: CurlEngine
    private let now: @Sendable () -> Duration
    private let hasFiles: Bool
    private let isDynamic: Bool
    /// Most origins whose targets are kept.
    private static let variantsMax = 256
    private let tokens: OAuth2Tokens?
    private let signature: AWSSignature?
    private let isSigningComplete: Bool
    private let prepared = Mutex(Prepared())

    init(_ plan: Plan, build: ExporterBuild, engine: CurlEngine, now: @escaping @Sendable () -> Duration) {
        self.plan = plan
        self.build = build
        self.engine = plan.connection.speaksHTTP2 ? engine.forHTTP2 : engine
        self.now = now
        hasFiles = plan.credentials.contains { $0.path != nil }
        isDynamic = plan.headerActions.contains { $0.isDynamic }
        tokens = plan.oauth2.map { OAuth2Tokens($0, connection: plan.connection.forTokens, engine: engine, now: now) }
        var signing = plan.signing
        if let url = plan.urls.first, let endpoint = try? HTTPEndpoint(url) { signing?.complete(from: endpoint.host) }
        signature = signing?.signature
        isSigningComplete = signing.map { !$0.region.isEmpty && !$0.service.isEmpty } ?? true
    }

    /// Checks files and settings.
    func start() throws(ExporterStartFailure) {
        let tls = plan.connection.tls
        if let problem = tls.unreadableFile { throw problem }
        if tls.skipsVerification {
            build.log(.warn, "exporter \(build.id): tls.insecure_skip_verify is on, certificates are not checked")
        }
        if plan.signing != nil && signature == nil {
            throw ExporterStartFailure(
                "no credentials for auth.sigv4: set access_key_id and secret_access_key, or AWS_ACCESS_KEY_ID and "
                    + "AWS_SECRET_ACCESS_KEY in the environment")
        }
        if !isSigningComplete {
            throw ExporterStartFailure("sigv4 needs region and service, which the endpoint does not tell: give both")
        }
        var values: [String] = []
        for credential in plan.credentials {
            switch credential.value() {
            case .success(let value): values.append(value)
            case .failure(let fault): throw ExporterStartFailure(fault.text)
            }
        }
        let (made, known, time) = (try makeTargets(values, token: ""), values, now())
        prepared.withLock { $0 = Prepared(targets: made, values: known, checked: time) }
    }

    /// Sends a body to the URL at `index`, or to `url` in its place, with the credentials of this moment. A destination
    /// takes either always its own URLs or always one of each request.
    func post(pieces: [[UInt8]], to index: Int, url: String? = nil) async -> Result<HTTPResult, Failure> {
        await exchange(pieces, with: index, url: url).map(\.result)
    }

    private static func unauthorized(_ exchange: HTTPExchange) -> Bool {
        if case .answered(401, _, _, _) = exchange.result { true } else { false }
    }

    /// The same, with the fields that the plan keeps. `unauthorized` tells an answer that refuses the credentials: then
    /// an access token is exchanged, and the body sent once more.
    func exchange(
        _ pieces: [[UInt8]], with index: Int, url: String? = nil, origin: RequestOrigin = RequestOrigin(),
        unauthorized: (HTTPExchange) -> Bool = HTTPDestination.unauthorized
    ) async -> Result<HTTPExchange, Failure> {
        guard let tokens else { return await send(pieces, with: index, url: url, origin) }
        var isSecond = false
        while true {
            let token: String
            switch await tokens.current() {
            case .success(let text): token = text
            case .failure(let failure): return .failure(Failure(reason: failure.reason))
            }
            use(token)
            let result = await send(pieces, with: index, url: url, origin)
            guard !isSecond, case .success(let exchange) = result, unauthorized(exchange), tokens.reject(token) else {
                return result
            }
            isSecond = true
        }
    }

    private func send(
        _ pieces: [[UInt8]], with index: Int, url: String?, _ origin: RequestOrigin
    ) async -> Result<HTTPExchange, Failure> {
        guard var target = target(index) else { return .failure(Failure(reason: "the exporter is not started")) }
        do throws(ExporterStartFailure) {
            if let signature {
                target = try signed(index, pieces.joinedBytes, signature, origin)
            } else if isDynamic {
                target = try variant(index, origin)
            }
        } catch {
            return .failure(Failure(reason: error.description))
        }
        return .success(await engine.exchange(pieces, with: target, url: url))
    }

    /// Puts a new access token into the targets.
    private func use(_ token: String) {
        let known = prepared.withLock { $0.token == token || $0.targets.isEmpty ? nil : $0.values }
        guard let known, let made = try? makeTargets(known, token: token) else { return }
        prepared.withLock { prepared in
            guard !prepared.targets.isEmpty else { return }
            prepared.targets = made
            prepared.variants = [:]
            prepared.token = token
        }
    }

    private func signed(
        _ index: Int, _ body: [UInt8], _ signature: AWSSignature, _ origin: RequestOrigin
    ) throws(ExporterStartFailure) -> CurlTarget {
        let (values, url) = (prepared.withLock { $0.values }, plan.urls[index])
        var options = try targetOptions(url, values, token: "", origin)
        do throws(HTTPEndpoint.Fault) {
            let seconds = Int(DeadLetterBox.systemTime() / 1_000_000_000)
            let lines = signature.headerLines(
                try HTTPEndpoint(url), method: plan.connection.method, body: body, seconds: seconds)
            options.headers += lines
            options.secrets += signature.secrets(in: lines)
        } catch { throw ExporterStartFailure("endpoint \(error.message)") }
        return try CurlTarget(options, engine: engine)
    }

    /// The target for requests of one origin.
    private func variant(_ index: Int, _ origin: RequestOrigin) throws(ExporterStartFailure) -> CurlTarget {
        let (values, token) = prepared.withLock { ($0.values, $0.token) }
        let options = try targetOptions(plan.urls[index], values, token: token, origin)
        let key = options.headers.joined(separator: "\n") + "\n\(index)"
        if let known = prepared.withLock({ $0.variants[key] }) { return known }
        let made = try CurlTarget(options, engine: engine)
        return prepared.withLock { prepared in
            if prepared.variants.count >= Self.variantsMax { prepared.variants = [:] }
            if !prepared.targets.isEmpty { prepared.variants[key] = made }
            return made
        }
    }

    /// The target of the URL at `index`, with the newest content of the files; nil when there is none.
    func target(_ index: Int) -> CurlTarget? {
        let time = now()
        let known: [String]? = prepared.withLock { prepared in
            guard hasFiles, !prepared.targets.isEmpty, time - prepared.checked >= Self.fileInterval else { return nil }
            prepared.checked = time
            return prepared.values
        }
        if let known { readCredentials(known, time) }
        return prepared.withLock { $0.targets.indices.contains(index) ? $0.targets[index] : nil }
    }

    func close() {
        prepared.withLock { prepared in
            prepared.targets = []
            prepared.variants = [:]
        }
    }

    private func makeTargets(_ values: [String], token: String) throws(ExporterStartFailure) -> [CurlTarget] {
        var made: [CurlTarget] = []
        for url in plan.urls { made.append(try CurlTarget(targetOptions(url, values, token: token), engine: engine)) }
        return made
    }

    /// Takes over changed files. One that cannot be read now leaves the last value in use.
    private func readCredentials(_ known: [String], _ time: Duration) {
        var values = known
        for (index, credential) in plan.credentials.enumerated() where credential.path != nil {
            switch credential.value() {
            case .success(let value): values[index] = value
            case .failure(let fault): complain("\(fault.text); the last value stays in use", time)
            }
        }
        guard values != known else { return }
        do throws(ExporterStartFailure) {
            let token = prepared.withLock { $0.token }
            let (made, fresh) = (try makeTargets(values, token: token), values)
            prepared.withLock { prepared in
                guard !prepared.targets.isEmpty else { return }
                prepared.targets = made
                prepared.variants = [:]
                prepared.values = fresh
            }
            build.log(.info, "exporter \(build.id): uses changed credentials")
        } catch {
            complain(error.description, time)
        }
    }

    private func complain(_ text: String, _ time: Duration) {
        guard prepared.withLock({ $0.complaints.allow(at: time) }) != nil else { return }
        build.log(.warn, "exporter \(build.id): \(text)")
    }

    private func targetOptions(
        _ url: String, _ values: [String], token: String, _ origin: RequestOrigin = RequestOrigin()
    ) throws(ExporterStartFailure) -> CurlTargetOptions {
        let endpoint: HTTPEndpoint
        do throws(HTTPEndpoint.Fault) { endpoint = try HTTPEndpoint(url) } catch {
            throw ExporterStartFailure("endpoint \(error.message)")
        }
        var target = plan.connection
        target.url = endpoint.url
        target.headers = plan.ownHeaders
        let lines = headers(values, token, origin)
        // libcurl takes a name with a colon and nothing behind it as the wish to remove the header.
        target.headers += lines.map { $1.isEmpty ? "\($0);" : "\($0): \($1)" }
        target.secrets = lines.map { Secret($1) } + binarySecrets(lines)
        if let name = target.tls.serverName, endpoint.scheme == "https" {
            let override = endpoint.override(name: name)
            target.url = override.url
            target.connectTo = override.connectTo
            if !plan.headers.contains(where: { $0.key.lowercased() == "host" }) {
                target.headers.append(override.hostHeader)
            }
        }
        return target
    }
}

extension HTTPDestination {
    /// The headers that the configuration wants.
    private func headers(
        _ values: [String], _ token: String, _ origin: RequestOrigin
    ) -> [(name: String, value: String)] {
        var headers = plan.headers.map { (name: $0.key, value: wireValue($0.value.reveal(), of: $0.key)) }
        for (credential, value) in zip(plan.credentials, values) {
            headers.append((credential.name, wireValue(value, of: credential.name)))
        }
        if !token.isEmpty { headers.append(("Authorization", "Bearer \(token)")) }
        for action in plan.headerActions {
            action.apply(to: &headers, origin, encodesBinary: plan.encodesBinary)
        }
        return headers
    }

    private func wireValue(_ value: String, of name: String) -> String {
        plan.encodesBinary ? BinaryMetadata.encoded(value, of: name) : value
    }

    /// Values that are sent in base64, as a server quotes them that has read them.
    private func binarySecrets(_ lines: [(name: String, value: String)]) -> [Secret] {
        guard plan.encodesBinary else { return [] }
        return lines.filter { BinaryMetadata.isName($0.name) }.compactMap { line in
            BinaryMetadata.decoded(line.value).map(Secret.init)
        }
    }
}

extension CurlTargetOptions {
    /// The same way to another server: its TLS settings and proxy.
    fileprivate var forTokens: CurlTargetOptions {
        var options = CurlTargetOptions(url: "")
        options.readsAnswers = true
        options.userAgent = userAgent
        options.proxyURL = proxyURL
        options.tls = tls
        options.tls.serverName = nil
        return options
    }
}
