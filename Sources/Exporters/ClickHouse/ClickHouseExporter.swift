import Configuration
import OTLP
package import Pipeline
import Synchronization
import Telemetry

/// Writes batches to ClickHouse over HTTP, one insert per table.
///
/// Each insert has a token made of its content, so the server drops one that it has seen before; rows that come again
/// in other company are merged away by their keys.
package final class ClickHouseExporter: Exporter {
    package let maxConcurrency = Int.max
    private let options: ClickHouseOptions
    private let build: ExporterBuild
    private let engine: CurlEngine
    private let requests = RequestRows()
    private let collectorKeys = CollectorRows.Keys()
    private let gzip: Gzip?
    private let state = Mutex(State())

    private struct State {
        var plain: CurlTarget?
        var compressed: CurlTarget?
        /// Set once the schema is known to be there.
        var blockKey: BlockKey?
    }

    /// Tests may bring their own engine.
    package init(options: ClickHouseOptions, build: ExporterBuild, engine: CurlEngine = .shared) {
        self.options = options
        self.build = build
        self.engine = engine
        gzip = options.compression == .gzip ? Gzip(level: 1) : nil
    }

    package func start() async throws {
        if let problem = options.tls.unreadableFile { throw ExporterStartFailure(problem) }
        let (plain, compressed) = (try target(isCompressed: false), try target(isCompressed: true))
        state.withLock {
            $0.plain = plain
            $0.compressed = compressed
        }
    }

    private func target(isCompressed: Bool) throws(ExporterStartFailure) -> CurlTarget {
        var target = CurlTargetOptions(url: options.endpoint)
        target.headers = [
            "Content-Type: application/octet-stream", "X-ClickHouse-User: \(options.username)",
            "X-ClickHouse-Database: \(options.database)",
        ]
        if let password = options.password {
            target.headers.append("X-ClickHouse-Key: \(password.reveal())")
            target.secrets.append(password)
        }
        if isCompressed { target.headers.append("Content-Encoding: gzip") }
        target.timeout = options.helper.timeout
        target.tls = options.tls
        return try CurlTarget(target, engine: engine)
    }

    package func shutdown() async { state.withLock { $0 = State() } }

    // MARK: Deliveries

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        let key: BlockKey
        switch await ready() {
        case .success(let found): key = found
        case .failure(let failure): return .retry(reason: failure.description, after: nil)
        }
        do {
            switch options.tableShape {
            case .sluice:
                var rows = BinaryRows()
                var scratch = RowScratch()
                try requests.write(batch, blockKey: key, &scratch, to: &rows)
                return await store(rows)
            case .collector:
                guard batch.signal != .metrics else {
                    return .permanent(reason: "table_shape: collector has no table for metrics; use sluice for them")
                }
                return await store(try CollectorRows(batch, keys: collectorKeys))
            }
        } catch {
            let words = (error as? DecodeFailure).map { "\($0.message)" } ?? "\(error)"
            return .permanent(reason: "not a valid request: \(words)")
        }
    }

    /// Stores all records; what the server refuses is found by halving and left out.
    private func store<Rows: ClickHouseRows & ~Copyable>(_ rows: borrowing Rows) async -> ExportOutcome {
        var halving = RecordHalving(rows.records > 0 ? [0..<rows.records] : [])
        while let records = halving.next() {
            switch await insert(rows, records) {
            case .done: continue
            case .retry(let words, let hint): return .retry(reason: words, after: hint)
            case .refused(let words): halving.refuse(records, words)
            }
        }
        return halving.outcome
    }

    private func insert<Rows: ClickHouseRows & ~Copyable>(
        _ rows: borrowing Rows, _ records: Range<Int>
    ) async -> ClickHouseAnswer {
        for place in 0..<Rows.insertCount {
            guard let insert = rows.insert(place, records: records) else { continue }
            let token = insert.body.withUnsafeBytes {
                SipHash128.hash(Text($0), key: (BlockKey.fixed.key0, BlockKey.fixed.key1))
            }
            var settings = [("insert_deduplication_token", "\(insert.table)-\(token.0)-\(token.1)")]
            if options.insertsAsynchronously {
                settings += [
                    ("async_insert", "1"), ("wait_for_async_insert", "1"), ("async_insert_deduplicate", "1"),
                ]
            }
            let answer = await send(
                "INSERT INTO \(insert.table) (\(insert.columns)) FORMAT RowBinary", settings, body: insert.body)
            guard case .done = answer else { return answer }
        }
        return .done("")
    }

    /// Posts a statement in the URL with its data in the body.
    private func send(_ sql: String, _ settings: [(String, String)], body: [UInt8]) async -> ClickHouseAnswer {
        let (plain, compressed) = state.withLock { ($0.plain, $0.compressed) }
        guard let plain, let compressed else { return .retry("not started", after: nil) }
        let base = options.endpoint.hasSuffix("/") ? options.endpoint : options.endpoint + "/"
        let query = ([("query", sql)] + settings).map { "\($0)=\(Self.escaped($1))" }.joined(separator: "&")
        let url = base + "?" + query
        if let gzip, !body.isEmpty {
            guard let small = gzip.compress(body) else { return .retry("no memory to compress", after: nil) }
            return ClickHouseAnswer(await engine.post(small, to: compressed, url: url))
        }
        return ClickHouseAnswer(await engine.post(body, to: plain, url: url))
    }

    /// RFC 3986, section 2.3: all but unreserved characters.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }

    // MARK: Schema

    /// Makes sure once that the schema is there. Several deliveries may do it at the same time: every statement can run
    /// twice.
    private func ready() async -> Result<BlockKey, ExporterStartFailure> {
        if let key = state.withLock({ $0.blockKey }) { return .success(key) }
        do throws(ExporterStartFailure) {
            let (_, key) = try await prepare(create: options.createsSchema)
            state.withLock { $0.blockKey = key }
            return .success(key)
        } catch { return .failure(error) }
    }

    private func prepare(create: Bool) async throws(ExporterStartFailure) -> (version: Int, key: BlockKey) {
        if options.tableShape == .collector { return try await prepareCollector(create: create) }
        let exists = try await ask(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'sluice_schema'")
        var found = 0
        if exists != "0" { found = Int(try await ask("SELECT max(version) FROM sluice_schema")) ?? 0 }
        if found < SQLSchema.version {
            guard create else {
                throw ExporterStartFailure(
                    "database \(options.database) has schema \(found), needed is \(SQLSchema.version): "
                        + "run `sluice sql migrate`, or set create_schema: true")
            }
            for statement in SQLSchema.statements(.clickhouse, after: found) { _ = try await ask(statement) }
        }
        let words = try await ask("SELECT key0, key1 FROM sluice_hash_key ORDER BY key0, key1 LIMIT 1")
        let keys = words.split(separator: "\t").compactMap { Int64($0) }.map { UInt64(bitPattern: $0) }
        return (found, keys.count == 2 ? BlockKey(key0: keys[0], key1: keys[1]) : .fixed)
    }

    /// The Collector's tables have no versions: they are there or not.
    private func prepareCollector(create: Bool) async throws(ExporterStartFailure) -> (version: Int, key: BlockKey) {
        let exists = try await ask(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() "
                + "AND name IN ('\(CollectorTables.traces)', '\(CollectorTables.logs)')")
        if exists != "2" {
            guard create else {
                throw ExporterStartFailure(
                    "database \(options.database) has not both \(CollectorTables.traces) and \(CollectorTables.logs): "
                        + "run `sluice sql migrate`, or set create_schema: true")
            }
            for statement in CollectorTables.create { _ = try await ask(statement) }
        }
        return (exists == "2" ? SQLSchema.version : 0, .fixed)
    }

    private func ask(_ sql: String) async throws(ExporterStartFailure) -> String {
        switch await send(sql, [], body: []) {
        case .done(let text): return String(text.prefix { $0 != "\n" })
        case .refused(let words), .retry(let words, _): throw ExporterStartFailure(words)
        }
    }
}

extension ClickHouseExporter: SchemaOwner {
    package func migrate() async throws -> SchemaChange {
        try await start()
        let (version, _) = try await prepare(create: true)
        await shutdown()
        return SchemaChange(
            place: "\(options.endpoint)/\(options.database)", from: version, to: max(version, SQLSchema.version))
    }
}
