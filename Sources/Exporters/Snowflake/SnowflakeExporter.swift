import OTLP
package import Pipeline
import Synchronization
import Telemetry

/// Writes batches to Snowflake through its SQL API, a MERGE per table, so that rows that come again are left out.
package final class SnowflakeExporter: Exporter {
    /// MERGE locks its table: two at once would only wait for each other, and could both miss the other's rows.
    package let maxConcurrency = 1
    /// Rows of one statement; the server takes no text of more than 16 MB.
    private static let documentMax = 4 << 20

    private let options: SnowflakeOptions
    let connection: SnowflakeConnection
    private let requests = RequestRows()
    /// Set once the schema is known to be there.
    private let blockKey = Mutex<BlockKey?>(nil)

    /// `version` goes into the User-Agent header, which the API requires. Tests bring their own engine and time.
    package init(
        options: SnowflakeOptions, build: ExporterBuild, version: String, engine: CurlEngine = .shared,
        effects: WorkerEffects = .system(),
        clock: @escaping @Sendable () -> Int = { Int(DeadLetterBox.systemTime() / 1_000_000_000) }
    ) {
        self.options = options
        connection = SnowflakeConnection(
            options: options, version: version, engine: engine, effects: effects, clock: clock)
    }

    /// Starting sends nothing.
    package func check() throws { try connection.open() }

    package func start() async throws { try connection.open() }

    package func shutdown() async { connection.close() }

    // MARK: Deliveries

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        let key: BlockKey
        do throws(ExporterStartFailure) { key = try await ready() } catch {
            return .retry(reason: error.description, after: nil)
        }
        var rows = JSONRows()
        do {
            var scratch = RowScratch()
            try requests.write(batch, blockKey: key, &scratch, to: &rows)
        } catch {
            let words = (error as? DecodeFailure).map { "\($0.message)" } ?? "\(error)"
            return .permanent(reason: "not a valid request: \(words)")
        }
        return await store(rows)
    }

    private func store(_ rows: borrowing JSONRows) async -> ExportOutcome {
        var halving = RecordHalving(rows.groups(ofAtMost: Self.documentMax))
        while let records = halving.next() {
            switch await merge(rows, records) {
            case .done: continue
            case .refused(let words): halving.refuse(records, words)
            case .missing(let words):
                // Made anew with the next attempt, when the configuration allows it.
                blockKey.withLock { $0 = nil }
                return .retry(reason: words, after: nil)
            case .busy(let words, let hint): return .retry(reason: words, after: hint)
            case .failed(let words), .unanswered(let words), .badToken(let words):
                return .retry(reason: words, after: nil)
            case .running(let handle): return .retry(reason: "statement \(handle) still runs", after: nil)
            }
        }
        return halving.outcome
    }

    /// The parts of spans before the spans: who sees a span sees all of it.
    private static let order: [SQLTableName] = [.spanEvents, .spanLinks, .findings, .spans, .logs, .metricPoints]

    private func merge(_ rows: borrowing JSONRows, _ records: Range<Int>) async -> SnowflakeAnswer {
        for name in Self.order {
            let document = rows.document(of: name, records: records)
            guard document != nil else { continue }
            let answer = await connection.run(SnowflakeStatements.merges[name.index], document: document)
            guard case .done = answer else { return answer }
        }
        return .done([])
    }

    // MARK: Schema

    private func ready() async throws(ExporterStartFailure) -> BlockKey {
        if let key = blockKey.withLock({ $0 }) { return key }
        let (_, key) = try await prepare(create: options.createsSchema)
        blockKey.withLock { $0 = key }
        return key
    }

    private func prepare(create: Bool) async throws(ExporterStartFailure) -> (version: Int, key: BlockKey) {
        let known = try await ask("SELECT max(version) FROM sluice_schema", orWhenMissing: [["0"]])
        let found = known.first?.first.flatMap { $0 }.flatMap { Int($0) } ?? 0
        if found < SQLSchema.version {
            guard create else {
                throw ExporterStartFailure(
                    "\(options.database).\(options.schema) has schema \(found), needed is \(SQLSchema.version): "
                        + "run `sluice sql migrate`, or set create_schema: true")
            }
            for statement in SQLSchema.statements(.snowflake, after: found) { _ = try await ask(statement) }
        }
        let rows = try await ask("SELECT key0, key1 FROM sluice_hash_key ORDER BY key0, key1 LIMIT 1")
        let keys = (rows.first ?? []).compactMap { $0.flatMap { Int64($0) } }.map { UInt64(bitPattern: $0) }
        return (found, keys.count == 2 ? BlockKey(key0: keys[0], key1: keys[1]) : .fixed)
    }

    private func ask(
        _ sql: String, orWhenMissing replacement: [[String?]]? = nil
    ) async throws(ExporterStartFailure) -> [[String?]] {
        switch await connection.run(sql, document: nil) {
        case .done(let rows): return rows
        case .missing(let words):
            if let replacement { return replacement }
            throw ExporterStartFailure(words)
        case .refused(let words), .failed(let words), .badToken(let words), .unanswered(let words),
            .busy(let words, _):
            throw ExporterStartFailure(words)
        case .running(let handle): throw ExporterStartFailure("statement \(handle) still runs")
        }
    }
}

extension SnowflakeExporter: SchemaOwner {
    package func migrate() async throws -> SchemaChange {
        try await start()
        let (version, _) = try await prepare(create: true)
        await shutdown()
        return SchemaChange(
            place: "\(options.base)/\(options.database).\(options.schema)", from: version,
            to: max(version, SQLSchema.version))
    }
}
