import Configuration
import OTLP
import Pipeline
import Synchronization
import Telemetry

/// Runs statements through the SQL API, one at a time, to their end: submits, asks again while they run, renews tokens.
final class SnowflakeConnection: Sendable {
    /// A token is not used for its last minutes.
    private static let renewalMargin = 300

    private let options: SnowflakeOptions
    private let userAgent: String
    private let engine: CurlEngine
    private let effects: WorkerEffects
    /// Unix seconds.
    private let clock: @Sendable () -> Int
    private let state = Mutex(State())

    private struct State {
        var session: Session?
        var submissions: UInt64 = 0
        /// Request ids whose answer did not come, by the hash of what was sent: the server does not run one twice.
        var unanswered: [(hash: UInt64, id: String)] = []
    }

    /// What belongs to one token.
    private struct Session {
        var posting: CurlTarget
        var getting: CurlTarget
        var end: Int
    }

    init(
        options: SnowflakeOptions, version: String, engine: CurlEngine, effects: WorkerEffects,
        clock: @escaping @Sendable () -> Int
    ) {
        self.options = options
        userAgent = "Sluice/\(version)"
        self.engine = engine
        self.effects = effects
        self.clock = clock
    }

    /// Checks key and settings; sends nothing.
    func open() throws(ExporterStartFailure) {
        if let problem = options.tls.unreadableFile { throw problem }
        _ = try session(renewing: false)
    }

    func close() { state.withLock { $0.session = nil } }

    // MARK: Statements

    /// Runs one statement, with `document` in the place of its `?`.
    func run(_ sql: String, document: borrowing ByteColumn?) async -> SnowflakeAnswer {
        await run(request(sql, document))
    }

    private func run(_ body: [UInt8]) async -> SnowflakeAnswer {
        let (hash, id, isSecond) = requestID(for: body)
        let query = "requestId=\(id)" + (isSecond ? "&retry=true" : "")
        var answer = await send("/api/v2/statements?\(query)", body)
        if case .unanswered = answer { remember(hash, id) }
        if case .running(let handle) = answer { answer = await wait(for: handle) }
        return answer
    }

    /// Longest pause between two questions about a running statement.
    private static let pauseMax = Duration.seconds(5)

    private func wait(for handle: String) async -> SnowflakeAnswer {
        let end = effects.now() + options.statementTimeout + options.helper.timeout
        var pause = Duration.milliseconds(50)
        while effects.now() < end {
            do { try await effects.sleep(pause) } catch {
                return .unanswered("stopped while statement \(handle) ran")
            }
            switch await send("/api/v2/statements/\(handle)", nil) {
            case .running: pause = min(pause * 2, Self.pauseMax)
            // The statement itself goes on.
            case .busy(_, let hint): pause = max(min(pause * 2, Self.pauseMax), hint ?? .zero)
            case .unanswered: pause = min(pause * 2, Self.pauseMax)
            case let answer: return answer
            }
        }
        _ = await send("/api/v2/statements/\(handle)/cancel", [])
        return .failed("statement \(handle) did not end within statement_timeout and was cancelled")
    }

    /// Posts `body`, or gets when there is none; once more with a new token when the server does not take this one.
    private func send(_ path: String, _ body: [UInt8]?) async -> SnowflakeAnswer {
        var reason = ""
        for attempt in 0..<2 {
            let session: Session
            do throws(ExporterStartFailure) { session = try self.session(renewing: attempt > 0) } catch {
                return .busy(error.description, after: nil)
            }
            let answer = SnowflakeAnswer(
                await engine.post(
                    body ?? [], to: body == nil ? session.getting : session.posting, url: options.base + path))
            guard case .badToken(let words) = answer else { return answer }
            reason = words
        }
        return .busy(
            "\(reason); check account and user, the user's RSA_PUBLIC_KEY (DESC USER), and this machine's clock",
            after: nil)
    }

    // MARK: Requests

    private func request(_ sql: String, _ document: borrowing ByteColumn?) -> [UInt8] {
        var body = ByteColumn()
        body.append("{\"statement\":")
        Self.append(sql, to: &body)
        body.append(",\"timeout\":")
        JSONText.append(Int64(options.statementTimeout.wholeSeconds), to: &body)
        for (name, value) in [
            ("database", options.database), ("schema", options.schema), ("warehouse", options.warehouse),
            ("role", options.role),
        ] where !value.isEmpty {
            body.append(string: ",\"\(name)\":")
            Self.append(value, to: &body)
        }
        if Self.append(document, to: &body) { body.append("\"}}") }
        body.append("}")
        return [UInt8](body.bytes)
    }

    private static func append(_ document: borrowing ByteColumn?, to body: inout ByteColumn) -> Bool {
        switch document {
        case .none: return false
        case .some(let document):
            body.append(",\"bindings\":{\"1\":{\"type\":\"TEXT\",\"value\":\"")
            JSONText.escape(document.text, to: &body)
            return true
        }
    }

    private static func append(_ text: String, to body: inout ByteColumn) {
        var text = text
        text.withUTF8 { JSONText.append(Text(UnsafeRawBufferPointer($0)), to: &body) }
    }

    /// A new id, or the one under which the same body was sent without an answer.
    private func requestID(for body: [UInt8]) -> (hash: UInt64, id: String, isSecond: Bool) {
        let hash = Self.hash(body, key: (BlockKey.fixed.key0, BlockKey.fixed.key1)).0
        let now = UInt64(clamping: clock())
        let random = UInt64(effects.random() * 0x1p53)
        return state.withLock { state in
            if let index = state.unanswered.firstIndex(where: { $0.hash == hash }) {
                return (hash, state.unanswered.remove(at: index).id, true)
            }
            state.submissions += 1
            return (hash, Self.uuid(Self.hash(body, key: (now << 32 ^ state.submissions, random))), false)
        }
    }

    /// Bodies without an answer that are remembered.
    private static let unansweredMax = 64

    private func remember(_ hash: UInt64, _ id: String) {
        state.withLock { state in
            if state.unanswered.count >= Self.unansweredMax { state.unanswered.removeFirst() }
            state.unanswered.append((hash, id))
        }
    }

    private static func hash(_ body: [UInt8], key: (UInt64, UInt64)) -> (UInt64, UInt64) {
        body.withUnsafeBytes { SipHash128.hash(Text($0), key: key) }
    }

    /// As version 4 of RFC 9562.
    private static func uuid(_ bits: (UInt64, UInt64)) -> String {
        let words = (bits.0 & ~0xF000 | 0x4000, bits.1 & ~(3 << 62) | 2 << 62)
        let digits = words.0.hexDigits + words.1.hexDigits
        var result = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { result.append("-") }
            result.append(digit)
        }
        return result
    }

    // MARK: Tokens

    private func session(renewing: Bool) throws(ExporterStartFailure) -> Session {
        let now = clock()
        if !renewing, let session = state.withLock({ $0.session }), now < session.end { return session }
        let place: String
        let pem: String
        if let key = options.privateKey {
            (place, pem) = ("private_key", key.reveal())
        } else {
            place = "private_key_file \(options.privateKeyFile)"
            pem = try KeyFile.read(options.privateKeyFile, place: place)
        }
        let signer = try SnowflakeSigner(account: options.account, user: options.user, pem: pem, place: place)
        let token = try signer.token(now: now)
        let session = Session(
            posting: try target("POST", token), getting: try target("GET", token),
            end: now + SnowflakeSigner.lifetime - Self.renewalMargin)
        state.withLock { $0.session = session }
        return session
    }

    private func target(_ method: String, _ token: String) throws(ExporterStartFailure) -> CurlTarget {
        var target = CurlTargetOptions(url: options.base)
        target.readsAnswers = true
        target.method = method
        target.userAgent = userAgent
        target.headers = [
            "Content-Type: application/json", "Accept: application/json", "Authorization: Bearer \(token)",
            "X-Snowflake-Authorization-Token-Type: KEYPAIR_JWT",
        ]
        target.secrets = [Secret(token)]
        target.timeout = options.helper.timeout
        target.tls = options.tls
        return try CurlTarget(target, engine: engine)
    }
}
