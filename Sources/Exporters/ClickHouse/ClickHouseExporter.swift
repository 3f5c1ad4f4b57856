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
    private let client: ClickHouseClient
    private let requests = RequestRows()
    private let scratches = RowScratchPool()
    private let collectorKeys = CollectorRows.Keys()
    private let collectorInserts: (traces: ClickHouseInsert.Statement, logs: ClickHouseInsert.Statement)
    /// By shape, once its schema is known to be there.
    private let blockKeys = Mutex<[ClickHouseOptions.TableShape: BlockKey]>([:])

    /// Tests may bring their own engine.
    package init(options: ClickHouseOptions, build: ExporterBuild, engine: CurlEngine = .shared) {
        self.options = options
        let tables = options.collectorTables
        collectorInserts = (
            ClickHouseInsert.Statement(table: tables.traces, columns: CollectorTables.traceColumns),
            ClickHouseInsert.Statement(table: tables.logs, columns: CollectorTables.logColumns)
        )
        client = ClickHouseClient(options: options, engine: engine)
    }

    /// Starting sends nothing.
    package func check() throws { try client.start() }

    package func start() async throws { try client.start() }

    package func shutdown() async {
        client.stop()
        blockKeys.withLock { $0 = [:] }
    }

    // MARK: Deliveries

    package func export(_ batch: ExportBatch) async -> ExportOutcome {
        let key: BlockKey
        // The Collector has a table for each type of metric; here all are rows of one of Sluice's own tables.
        let shape = batch.signal == .metrics ? .sluice : options.tableShape
        switch await ready(shape) {
        case .success(let found): key = found
        case .failure(let failure): return .retry(reason: failure.description, after: nil)
        }
        do {
            switch shape {
            case .sluice: return await store(try rows(of: batch, key))
            case .collector:
                let statement = batch.signal == .traces ? collectorInserts.traces : collectorInserts.logs
                return await store(try CollectorRows(batch, into: statement, keys: collectorKeys))
            }
        } catch {
            let words = (error as? DecodeFailure).map { "\($0.message)" } ?? "\(error)"
            return .permanent(reason: "not a valid request: \(words)")
        }
    }

    private func rows(of batch: ExportBatch, _ key: BlockKey) throws -> BinaryRows {
        var rows = BinaryRows(sizeHint: batch.byteCount + batch.byteCount / 8)
        try scratches.withScratch { try requests.write(batch, blockKey: key, &$0, to: &rows) }
        return rows
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
        let settings =
            options.insertsAsynchronously ? "&async_insert=1&wait_for_async_insert=1&async_insert_deduplicate=1" : ""
        for place in 0..<Rows.insertCount {
            guard let insert = rows.insert(place, records: records) else { continue }
            let answer = await client.insert(insert, settings: settings)
            guard case .done = answer else { return answer }
        }
        return .done("")
    }

    // MARK: Schema

    /// Makes sure once that the schema is there. Several deliveries may do it at the same time: every statement can run
    /// twice.
    private func ready(_ shape: ClickHouseOptions.TableShape) async -> Result<BlockKey, ExporterStartFailure> {
        if let key = blockKeys.withLock({ $0[shape] }) { return .success(key) }
        do throws(ExporterStartFailure) {
            let (_, key) = try await prepare(shape, create: options.createsSchema)
            blockKeys.withLock { $0[shape] = key }
            return .success(key)
        } catch { return .failure(error) }
    }

    private func prepare(
        _ shape: ClickHouseOptions.TableShape, create: Bool
    ) async throws(ExporterStartFailure) -> (version: Int, key: BlockKey) {
        if shape == .collector { return try await prepareCollector(create: create) }
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
        let tables = options.collectorTables
        let exists = try await ask(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() "
                + "AND name IN ('\(tables.traces)', '\(tables.logs)')")
        if exists != "2" {
            guard create else {
                throw ExporterStartFailure(
                    "database \(options.database) has not both \(tables.traces) and \(tables.logs): "
                        + "run `sluice sql migrate`, or set create_schema: true")
            }
            for statement in tables.create { _ = try await ask(statement) }
        }
        return (exists == "2" ? SQLSchema.version : 0, .fixed)
    }

    private func ask(_ sql: String) async throws(ExporterStartFailure) -> String {
        switch await client.run(sql) {
        case .done(let text): return String(text.prefix { $0 != "\n" })
        case .refused(let words), .retry(let words, _): throw ExporterStartFailure(words)
        }
    }
}

extension ClickHouseExporter: SchemaOwner {
    package func migrate() async throws -> SchemaChange {
        try await start()
        let (version, _) = try await prepare(options.tableShape, create: true)
        await shutdown()
        return SchemaChange(
            place: "\(options.endpoint)/\(options.database)", from: version, to: max(version, SQLSchema.version))
    }
}
