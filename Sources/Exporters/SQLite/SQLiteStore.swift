import FoundationEssentials
import GRDB
import Glibc
import OTLP
import Pipeline
import Telemetry

/// The open database: one writer, one transaction per group of batches.
///
/// Write-ahead log with `synchronous = FULL`: a commit returns when it is on disk, because a delivered batch leaves the
/// journal. Used by one thread at a time.
struct SQLiteStore {
    private let queue: DatabaseQueue
    private let keys: KeyTable
    private let spanRows: SpanRows
    private let logRows: LogRows
    private let pointRows: PointRows
    private let hashKey: (UInt64, UInt64)

    /// Opens the file, creates the schema when asked to, and throws words for the operator.
    init(path: String, options: SQLiteOptions) throws(ExporterStartFailure) {
        do {
            try Self.createPrivately(path)
            var configuration = Configuration()
            let timeout = options.busyTimeout
            configuration.busyMode = .timeout(Double(timeout.wholeMilliseconds) / 1_000)
            configuration.prepareDatabase { database in
                _ = try String.fetchOne(database, sql: "PRAGMA journal_mode = WAL")
                try database.execute(sql: "PRAGMA synchronous = FULL")
            }
            queue = try DatabaseQueue(path: path, configuration: configuration)
            hashKey = try queue.write { database in
                try SQLiteSchema.prepare(database, create: options.createsSchema)
                let row = try Row.fetchOne(database, sql: "SELECT key0, key1 FROM sluice_hash_key")
                let key0: Int64 = row?["key0"] ?? 0
                let key1: Int64 = row?["key1"] ?? 0
                return (UInt64(bitPattern: key0), UInt64(bitPattern: key1))
            }
        } catch let fault as SQLiteSchema.Fault {
            throw ExporterStartFailure("the database \(path) \(fault.message)")
        } catch let failure as FileFailure {
            throw ExporterStartFailure(failure.description)
        } catch {
            throw ExporterStartFailure("cannot open the database \(path): \(Self.words(error))")
        }
        var builder = KeyTable.Builder()
        spanRows = SpanRows(keys: &builder)
        logRows = LogRows(keys: &builder)
        pointRows = PointRows(keys: &builder)
        keys = builder.build()
    }

    /// SQLite gives its side files the mode of the database, so it is enough to create that one.
    private static func createPrivately(_ path: String) throws {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw FileFailure("cannot open the database", path, errno) }
        Glibc.close(descriptor)
    }

    /// Writes the batches in one transaction; when that fails, each in one of its own: a bad one harms no other.
    func write(_ batches: [ExportBatch]) -> [ExportOutcome] {
        let together = attempt(batches[...])
        if together == .delivered || batches.count == 1 { return batches.map { _ in together } }
        if case .retry = together { return batches.map { _ in together } }
        return batches.indices.map { attempt(batches[$0...$0]) }
    }

    private func attempt(_ batches: ArraySlice<ExportBatch>) -> ExportOutcome {
        do {
            try queue.write { database in
                var records = RecordBatch()
                for batch in batches { try write(batch, &records, to: database) }
            }
            return .delivered
        } catch let failure as DecodeFailure {
            return .permanent(reason: "not a valid request: \(failure.message)")
        } catch let error as DatabaseError {
            switch error.resultCode {
            case .SQLITE_CONSTRAINT, .SQLITE_TOOBIG, .SQLITE_MISMATCH, .SQLITE_RANGE:
                return .permanent(reason: Self.words(error))
            case .SQLITE_FULL:
                return .retry(reason: "\(Self.words(error)); free space on that disk", after: nil)
            default:
                return .retry(reason: Self.words(error), after: nil)
            }
        } catch {
            return .retry(reason: Self.words(error), after: nil)
        }
    }

    private func write(_ batch: ExportBatch, _ records: inout RecordBatch, to database: Database) throws {
        let tenant = batch.tenant.isEmpty ? nil : batch.tenant
        try batch.bytes.withUnsafeBytes { bytes in
            _ = try OTLPReader.read(Text(bytes), signal: batch.signal, keys: keys, into: &records)
            switch batch.signal {
            case .traces: try spanRows.write(records, tenant: tenant, to: database)
            case .logs: try logRows.write(records, tenant: tenant, hashKey: hashKey, to: database)
            case .metrics: try pointRows.write(records, tenant: tenant, hashKey: hashKey, to: database)
            }
        }
    }

    /// Moves the write-ahead log into the database and closes it.
    func close() {
        _ = try? queue.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try? queue.close()
    }

    /// SQLite's own words. Statements and arguments stay out: they hold prompts.
    private static func words(_ error: any Error) -> String {
        guard let error = error as? DatabaseError else { return "\(error)" }
        return "SQLite error \(error.extendedResultCode.rawValue): \(error.message ?? "no message")"
    }
}
