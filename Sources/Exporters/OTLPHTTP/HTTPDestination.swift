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
    }

    private struct Prepared {
        /// In the order of the plan's URLs; empty before `start` and after `close`.
        var targets: [CurlTarget] = []
        /// Values of the credentials, in their order.
        var values: [String] = []
        var checked = Duration.zero
        var complaints = LogLimiter(interval: .seconds(60))
    }

    private let plan: Plan
    private let build: ExporterBuild
    private let engine: CurlEngine
    private let now: @Sendable () -> Duration
    private let hasFiles: Bool
    private let prepared = Mutex(Prepared())

    init(_ plan: Plan, build: ExporterBuild, engine: CurlEngine, now: @escaping @Sendable () -> Duration) {
        self.plan = plan
        self.build = build
        self.engine = engine
        self.now = now
        hasFiles = plan.credentials.contains { $0.path != nil }
    }

    /// Checks files and settings.
    func start() throws(ExporterStartFailure) {
        let tls = plan.connection.tls
        if let problem = tls.unreadableFile { throw ExporterStartFailure(problem) }
        if tls.skipsVerification {
            build.log(.warn, "exporter \(build.id): tls.insecure_skip_verify is on, certificates are not checked")
        }
        var values: [String] = []
        for credential in plan.credentials {
            switch credential.value() {
            case .success(let value): values.append(value)
            case .failure(let fault): throw ExporterStartFailure(fault.text)
            }
        }
        let (made, known, time) = (try makeTargets(values), values, now())
        prepared.withLock { $0 = Prepared(targets: made, values: known, checked: time) }
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

    func close() { prepared.withLock { $0.targets = [] } }

    private func makeTargets(_ values: [String]) throws(ExporterStartFailure) -> [CurlTarget] {
        var made: [CurlTarget] = []
        for url in plan.urls { made.append(try target(url, values)) }
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
            let (made, fresh) = (try makeTargets(values), values)
            prepared.withLock { prepared in
                guard !prepared.targets.isEmpty else { return }
                prepared.targets = made
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

    private func target(_ url: String, _ values: [String]) throws(ExporterStartFailure) -> CurlTarget {
        let endpoint: HTTPEndpoint
        do throws(HTTPEndpoint.Fault) { endpoint = try HTTPEndpoint(url) } catch {
            throw ExporterStartFailure("endpoint \(error.message)")
        }
        var target = plan.connection
        target.url = endpoint.url
        target.headers = plan.ownHeaders
        for header in plan.headers {
            let value = header.value.reveal()
            // libcurl takes a name with a colon and nothing behind it as the wish to remove the header.
            target.headers.append(value.isEmpty ? "\(header.key);" : "\(header.key): \(value)")
        }
        for (credential, value) in zip(plan.credentials, values) {
            target.headers.append("\(credential.name): \(value)")
        }
        if let name = target.tls.serverName, endpoint.scheme == "https" {
            let override = endpoint.override(name: name)
            target.url = override.url
            target.connectTo = override.connectTo
            if !plan.headers.contains(where: { $0.key.lowercased() == "host" }) {
                target.headers.append(override.hostHeader)
            }
        }
        return try CurlTarget(target, engine: engine)
    }
}
