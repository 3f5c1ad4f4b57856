import Configuration
import Pipeline
import Synchronization
import Telemetry

/// ClickHouse's HTTP interface: statements with settings in the URL, data in the body.
final class ClickHouseClient: Sendable {
    private let options: ClickHouseOptions
    private let engine: CurlEngine
    private let compression: BodyCompression
    private let sendsTokens: Bool
    private let targets = Mutex<(plain: CurlTarget, compressed: CurlTarget)?>(nil)

    /// Servers before 22.2 know no tokens; tests have one.
    init(options: ClickHouseOptions, engine: CurlEngine, sendsTokens: Bool = true) {
        self.options = options
        self.sendsTokens = sendsTokens
        self.engine = engine
        compression =
            switch options.compression {
            case .lz4: .lz4(LZ4())
            case .zstd: .zstd(Zstd(level: 1))
            case .gzip: .gzip(Deflate(.gzip, level: 1))
            case .none: .none
            }
    }

    func start() throws(ExporterStartFailure) {
        if let problem = options.tls.unreadableFile { throw problem }
        let (plain, compressed) = (try target(coding: nil), try target(coding: compression.name))
        targets.withLock { $0 = (plain, compressed) }
    }

    func stop() { targets.withLock { $0 = nil } }

    private func target(coding: String?) throws(ExporterStartFailure) -> CurlTarget {
        var target = CurlTargetOptions(url: options.endpoint)
        target.readsAnswers = true
        target.headers = [
            "Content-Type: application/octet-stream", "X-ClickHouse-User: \(options.username)",
            "X-ClickHouse-Database: \(options.database)",
        ]
        if let password = options.password {
            target.headers.append("X-ClickHouse-Key: \(password.reveal())")
            target.secrets.append(password)
        }
        if let coding { target.headers.append("Content-Encoding: \(coding)") }
        target.timeout = options.helper.timeout
        target.tls = options.tls
        return try CurlTarget(target, engine: engine)
    }

    /// Runs a statement without data.
    func run(_ sql: String) async -> ClickHouseAnswer {
        guard let plain = targets.withLock({ $0?.plain }) else { return .retry("not started", after: nil) }
        return ClickHouseAnswer(await engine.post([], to: plain, url: base + Self.escaped(sql)))
    }

    /// Sends the rows of an insert, with settings besides.
    ///
    /// The token is made of what is sent: the same rows are the same bytes, also compressed, unless another version of
    /// the library compresses them. Then the keys of the tables decide.
    func insert(_ insert: ClickHouseInsert, settings: String = "") async -> ClickHouseAnswer {
        guard let (plain, compressed) = targets.withLock({ $0 }) else { return .retry("not started", after: nil) }
        guard let body = compression.compress(insert.body) else {
            return .retry("no memory to compress", after: nil)
        }
        let url = base + insert.statement.query + settings + (sendsTokens ? token(insert.statement.table, body) : "")
        return ClickHouseAnswer(await engine.post(body, to: compression.name == nil ? plain : compressed, url: url))
    }

    private func token(_ table: String, _ body: [UInt8]) -> String {
        let hash = body.withUnsafeBytes { InsertHash.hash(Text($0), key: BlockKey.fixed) }
        return "&insert_deduplication_token=\(table)-\(hash.0)-\(hash.1)"
    }

    /// What stands in front of an escaped statement.
    private var base: String { options.endpoint + (options.endpoint.hasSuffix("/") ? "?query=" : "/?query=") }

    /// RFC 3986, section 2.3: all but unreserved characters.
    static func escaped(_ text: String) -> String {
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: result.append(byte)
            default:
                let digits = [byte >> 4, byte & 15].map { $0 < 10 ? 48 + $0 : 55 + $0 }
                result += [UInt8(ascii: "%")] + digits
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
