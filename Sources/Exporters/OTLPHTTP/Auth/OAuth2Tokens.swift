import Configuration
import FoundationEssentials
import Pipeline
import Synchronization

/// Fetches access tokens and keeps the last one for as long as it is good. Requests that need one at the same time
/// wait for the same answer.
final class OAuth2Tokens: Sendable {
    /// A token that its issuer gives no end is fetched again after this time.
    static let lifeWithoutEnd = Duration.seconds(3_600)
    /// Shortest time between two tokens that are thrown away because the destination refused them.
    static let rejectionInterval = Duration.seconds(10)
    /// Shortest time between two attempts after one that failed.
    static let pause = Duration.seconds(1)

    struct Failure: Error {
        var reason: String
    }

    private struct Token {
        var text: String
        var end: Duration
    }

    private struct State {
        var token: Token?
        var fetch: Task<Result<String, Failure>, Never>?
        var failure: (reason: String, time: Duration)?
        /// When a token was thrown away last.
        var rejected: Duration?
    }

    private let options: OAuth2Options
    private let connection: CurlTargetOptions
    private let engine: CurlEngine
    private let now: @Sendable () -> Duration
    private let state = Mutex(State())

    /// `connection` gives TLS and proxy of the requests for tokens.
    init(
        _ options: OAuth2Options, connection: CurlTargetOptions, engine: CurlEngine,
        now: @escaping @Sendable () -> Duration
    ) {
        self.options = options
        self.connection = connection
        self.engine = engine
        self.now = now
    }

    /// A token that is good now.
    func current() async -> Result<String, Failure> {
        let time = now()
        let task = state.withLock { state -> Task<Result<String, Failure>, Never>? in
            if let token = state.token, time < token.end { return nil }
            if let failure = state.failure, time - failure.time < Self.pause { return nil }
            if state.fetch == nil { state.fetch = Task { await fetch() } }
            return state.fetch
        }
        if let task { return await task.value }
        return state.withLock { state in
            if let token = state.token, time < token.end { return .success(token.text) }
            return .failure(Failure(reason: state.failure?.reason ?? "no token"))
        }
    }

    /// The destination took `text` for bad: it is thrown away. True when another one may help; not when another was
    /// thrown away a moment ago, so that a destination that takes none costs few requests for tokens.
    func reject(_ text: String) -> Bool {
        let time = now()
        return state.withLock { state in
            guard state.token?.text == text else { return true }
            if let rejected = state.rejected, time - rejected < Self.rejectionInterval { return false }
            state.rejected = time
            state.token = nil
            return true
        }
    }

    // MARK: Fetching

    private struct Answer: Decodable {
        var access_token: String
        var expires_in: Seconds?
    }

    /// A number, or one in quotes, as some servers write it.
    private struct Seconds: Decodable {
        var value: Double

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Double.self) {
                value = number
            } else {
                let text = try container.decode(String.self)
                guard let number = Double(text) else {
                    throw DecodingError.dataCorruptedError(in: container, debugDescription: "no number")
                }
                value = number
            }
        }
    }

    private struct Refusal: Decodable {
        var error: String
    }

    private func fetch() async -> Result<String, Failure> {
        let result = await request()
        let time = now()
        return state.withLock { state in
            state.fetch = nil
            switch result {
            case .success(let answer):
                let life = answer.expires_in.map { Duration.seconds(min(max($0.value, 1), 1e9)) } ?? Self.lifeWithoutEnd
                let end = time + max(life - options.expiryBuffer, life / 2)
                state.token = Token(text: answer.access_token, end: end)
                state.failure = nil
                return .success(answer.access_token)
            case .failure(let failure):
                state.failure = (failure.reason, time)
                return .failure(failure)
            }
        }
    }

    private func request() async -> Result<Answer, Failure> {
        let place = URLMask.mask(in: options.tokenURL)
        let target: CurlTarget
        let body: [UInt8]
        do throws(ExporterStartFailure) { (target, body) = try prepare() } catch {
            return .failure(Failure(reason: "no access token: \(error)"))
        }
        switch await engine.post(body, to: target) {
        case .answered(let status, let body, _, _):
            let data = Data(body)
            guard status == 200 else {
                let word = (try? JSONDecoder().decode(Refusal.self, from: data))?.error ?? ""
                let text = EscapedText.make(word, limit: 100)
                return .failure(Failure(reason: "no access token: \(place) answers HTTP \(status) \(text)"))
            }
            guard let answer = try? JSONDecoder().decode(Answer.self, from: data), !answer.access_token.isEmpty,
                !HTTPHeaderCheck.holdsControl(answer.access_token)
            else {
                return .failure(Failure(reason: "no access token: \(place) answers without one"))
            }
            return .success(answer)
        case .failed(let reason), .unreadable(_, let reason, _):
            return .failure(Failure(reason: "no access token: \(place): \(reason)"))
        case .cancelled: return .failure(Failure(reason: "no access token: stopped"))
        }
    }

    private func prepare() throws(ExporterStartFailure) -> (CurlTarget, [UInt8]) {
        var values: [String] = []
        for (name, source) in [("client id", options.clientID), ("client secret", options.clientSecret)] {
            switch HTTPCredential(name: name, source: source).value() {
            case .success(let value): values.append(value)
            case .failure(let fault): throw ExporterStartFailure(fault.text)
            }
        }
        var pairs = [(key: "grant_type", value: "client_credentials")]
        if !options.scopes.isEmpty { pairs.append(("scope", options.scopes.joined(separator: " "))) }
        pairs += options.parameters
        var target = connection
        target.url = options.tokenURL
        target.timeout = options.timeout
        if let tls = options.tls { target.tls = tls }
        target.headers = ["Content-Type: application/x-www-form-urlencoded", "Accept: application/json"]
        switch options.clientAuth {
        case .basic:
            // Each part is form-encoded first, as section 2.3.1 wants it.
            let pair = Self.formEncoded(values[0]) + ":" + Self.formEncoded(values[1])
            target.headers.append("Authorization: Basic \(Data(pair.utf8).base64EncodedString())")
        case .body: pairs += [("client_id", values[0]), ("client_secret", values[1])]
        }
        let text = pairs.map { "\(Self.formEncoded($0.key))=\(Self.formEncoded($0.value))" }.joined(separator: "&")
        return (try CurlTarget(target, engine: engine), Array(text.utf8))
    }

    static func formEncoded(_ text: String) -> String {
        AWSSignature.escaped(path: text).split(separator: "/", omittingEmptySubsequences: false)
            .joined(separator: "%2F")
    }
}
