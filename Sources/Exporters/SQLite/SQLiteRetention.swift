package import Configuration
import GRDB

/// `retention`: what leaves the database by itself.
package struct SQLiteRetentionOptions: ComponentOptions, Equatable {
    /// Zero for no limit.
    package var maxAge: Duration
    /// Zero for no limit.
    package var maxBytes: Int
    package var interval: Duration
    private static let sizeMin = 4 << 20

    package init(_ settings: inout Settings) {
        maxAge = settings.duration(
            "max_age", default: .zero, in: .zero ... .seconds(3_155_760_000),
            "Older records are deleted; 0 keeps them.")
        maxBytes = settings.bytes(
            "max_size", default: 0, in: 0...1 << 50,
            "When the records need more room than this, the oldest are deleted; 0 means no limit. The file may be a "
                + "tenth larger.")
        if maxBytes > 0 && maxBytes < Self.sizeMin {
            settings.problem("must be 0 or at least 4MiB: the empty tables take most of one", at: "max_size")
        }
        interval = settings.duration(
            "interval", default: .seconds(60), in: .milliseconds(10) ... .seconds(86_400), "Time between two looks.")
    }
}

/// Deletes in small steps, so that deliveries are never held up for long.
struct SQLiteRetention {
    /// Records that one step deletes.
    static let recordsPerStep = 500
    /// Pages that one step gives back to the file system.
    static let pagesPerStep = 2_000
    private static let timeTables: [SQLTableName] = [.spans, .logs, .metricPoints]

    let options: SQLiteRetentionOptions

    /// One step, in a transaction of its own. `now` is in Unix nanoseconds.
    func step(_ queue: DatabaseQueue, now: Int64) throws -> RetentionStep {
        var step = RetentionStep()
        try queue.write { database in
            if options.maxAge > .zero {
                let (seconds, _) = options.maxAge.components
                let cutoff = now - seconds * 1_000_000_000
                for table in Self.timeTables where step.deletedRecords == 0 {
                    step.deletedRecords = try Self.deleteOldest(table, before: cutoff, database)
                }
            }
            let excess = try options.maxBytes > 0 ? Self.usedBytes(database) - options.maxBytes : 0
            if step.deletedRecords == 0, excess > 0, let table = try Self.tableWithOldest(database) {
                // A record with its prompts takes about a page; deleting too few at a time only means one more step.
                let count = min(Self.recordsPerStep, max(1, excess / 4_096))
                step.deletedRecords = try Self.deleteOldest(table, before: nil, count: count, database)
            }
        }
        step.isMore = step.deletedRecords > 0
        // Within a transaction pages are only freed, not given back.
        if !step.isMore { step.isMore = try giveBack(queue) }
        return step
    }

    private static func usedBytes(_ database: Database) throws -> Int {
        let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
        let free = try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
        let size = try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 4_096
        return (pages - free) * size
    }

    private static func tableWithOldest(_ database: Database) throws -> SQLTableName? {
        var oldest: (table: SQLTableName, time: Int64)?
        for name in timeTables {
            let table = SQLTable.named(name)
            let sql = "SELECT min(\(table.timeColumn)) FROM \(name.rawValue)"
            guard let time = try Int64.fetchOne(database, sql: sql) else { continue }
            if oldest.map({ time < $0.time }) ?? true { oldest = (name, time) }
        }
        return oldest?.table
    }

    /// Deletes the oldest records of a table, those before a time when one is given. Returns how many.
    private static func deleteOldest(
        _ name: SQLTableName, before cutoff: Int64?, count: Int = recordsPerStep, _ database: Database
    ) throws -> Int {
        let table = SQLTable.named(name)
        // What has no time has no age. Log records of earlier releases may have only the time at which they were
        // observed.
        let time = name == .logs ? "max(time, observed_time)" : table.timeColumn
        let limit = cutoff.map { "WHERE \(table.timeColumn) < \($0) AND \(time) > 0 AND \(time) < \($0) " } ?? ""
        let oldest = "SELECT rowid FROM \(name.rawValue) \(limit)ORDER BY \(table.timeColumn) LIMIT \(count)"
        if name == .spans {
            for child in [SQLTableName.spanEvents, .spanLinks, .findings] {
                try database.execute(
                    sql: "DELETE FROM \(child.rawValue) WHERE (trace_id, span_id) IN "
                        + "(SELECT trace_id, span_id FROM spans WHERE rowid IN (\(oldest)))")
            }
        }
        try database.execute(sql: "DELETE FROM \(name.rawValue) WHERE rowid IN (\(oldest))")
        return database.changesCount
    }

    /// Shortens the file when more than a tenth of it is free. Databases made before this build keep their free pages
    /// for later rows: only VACUUM could change them. Returns whether there is more to do.
    private func giveBack(_ queue: DatabaseQueue) throws -> Bool {
        try queue.inDatabase { database in
            guard try Int.fetchOne(database, sql: "PRAGMA auto_vacuum") == 2 else { return false }
            func isLoose() throws -> Bool {
                let pages = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
                let free = try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
                return free > 16 && free > pages / 10
            }
            guard try isLoose() else { return false }
            // Each row of the pragma is one page.
            _ = try Row.fetchAll(database, sql: "PRAGMA incremental_vacuum(\(Self.pagesPerStep))")
            return try isLoose()
        }
    }
}
