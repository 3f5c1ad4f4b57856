import Configuration
package import Pipeline
import Synchronization
import Telemetry

/// Tells people and paging services of alerts: the log records named `sluice.alert` that the `alerts` connector makes.
///
/// An alert is delivered when the service has taken it; until then it stays in the journal and is tried again. Other
/// log records are refused and counted.
package final class NotifyExporter: Exporter {
    /// One at a time, so that the end of an alert never comes before its begin.
    package let maxConcurrency = 1
    /// Alerts that were taken, in case a later one of their batch fails: they are not sent again.
    private static let rememberedMax = 1_000

    private let options: NotifyOptions
    private let destination: HTTPDestination
    private let sent = Mutex<[String]>([])

    /// `version` goes into the User-Agent header.
    package init(
        options: NotifyOptions, build: ExporterBuild, version: String, engine: CurlEngine = .shared,
        effects: WorkerEffects = .system()
    ) {
        self.options = options
        var connection = CurlTargetOptions(url: "")
        connection.userAgent = "Sluice/\(version)"
        connection.timeout = options.helper.timeout
        connection.proxyURL = options.proxyURL
        connection.tls = options.tls
        var plan = HTTPDestination.Plan(
            connection: connection, urls: [], ownHeaders: ["Content-Type: application/json"], headers: [],
            credentials: [])
        switch options.service {
        case .slack(let url, _, _):
            plan.urls = [url.reveal()]
            plan.connection.hidesPath = true
        case .pagerDuty(let url, _, _): plan.urls = [url]
        case .opsGenie(let url, let key, _, _):
            plan.urls = [url + "/v2/alerts"]
            plan.headers = [(key: "Authorization", value: key.prefixed("GenieKey "))]
        case .webhook(let url, let headers, let auth):
            plan.urls = [url]
            plan.connection.hidesPath = true
            plan.headers = headers
            plan.credentials = auth.credentials
            plan.oauth2 = auth.oauth2
            plan.signing = auth.signing
        case nil: break
        }
        destination = HTTPDestination(plan, build: build, engine: engine, now: effects.now)
    }

    /// Starting sends nothing.
    package func check() throws { try destination.start() }

    package func start() async throws { try destination.start() }

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        guard let (notices, others) = AlertNotice.read(batch) else {
            return .permanent(reason: "the batch cannot be read")
        }
        for notice in notices {
            let key = "\(notice.dedupKey) \(notice.state.rawValue) \(notice.time)"
            if sent.withLock({ $0.contains(key) }) { continue }
            switch await send(notice) {
            case .delivered, .partial:
                sent.withLock { sent in
                    sent.append(key)
                    if sent.count > Self.rememberedMax { sent.removeFirst() }
                }
            case let outcome: return outcome
            }
        }
        return others == 0
            ? .delivered
            : .partial(rejected: others, message: "only alerts, records named \(AlertNotice.eventName), are told")
    }

    /// Sends one alert, for `sluice alerts test` too.
    package func send(_ notice: AlertNotice) async -> ExportOutcome {
        if notice.state == .resolved && !options.sendsResolved { return .delivered }
        let body: [UInt8]
        var url: String?
        switch options.service {
        case .slack(_, let channel, let username):
            body = NotifyBodies.slack(notice, channel: channel, username: username)
        case .pagerDuty(_, let key, let source):
            body = NotifyBodies.pagerDuty(notice, routingKey: key.reveal(), source: source)
        case .opsGenie(let base, _, let tags, let source):
            body = NotifyBodies.opsGenie(notice, tags: tags, source: source)
            let alias = Self.escaped(NotifyBodies.cut(notice.dedupKey, 512))
            let close = "\(base)/v2/alerts/\(alias)/close?identifierType=alias"
            url = notice.state == .resolved ? close : base + "/v2/alerts"
        case .webhook: body = NotifyBodies.webhook(notice)
        case nil: return .permanent(reason: "no service is configured")
        }
        let answer: HTTPResult
        switch await destination.post(pieces: [body], to: 0, url: url) {
        case .failure(let failure): return .retry(reason: failure.reason, after: nil)
        case .success(let result): answer = result
        }
        switch OTLPAnswer.outcome(answer, signal: .logs, retryOn: [408, 425, 429, 500, 502, 503, 504]) {
        case .partial: return .delivered
        // A notification cannot be halved.
        case .tooLarge(let reason): return .permanent(reason: reason)
        case let outcome: return outcome
        }
    }

    /// Percent-encoded as a path segment.
    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            let scalar = Unicode.Scalar(byte)
            let isPlain = scalar.properties.isAlphabetic && byte < 0x80 || (48...57).contains(byte)
            if isPlain || "-._~".unicodeScalars.contains(scalar) { return String(scalar) }
            let digits = String(byte, radix: 16, uppercase: true)
            return "%" + (digits.count < 2 ? "0" : "") + digits
        }.joined()
    }

    package func shutdown() async { destination.close() }
}

extension Secret {
    /// The secret with a word before it.
    fileprivate func prefixed(_ word: String) -> Secret { Secret(word + reveal()) }
}
