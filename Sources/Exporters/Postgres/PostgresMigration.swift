/// Brings a database to the schema of this build. Newer schemas only have more, so they are good too.
enum PostgresMigration {
    /// Any number that nobody else locks: "sluice" in ASCII.
    static let lock: Int64 = 0x736c_7569_6365

    /// Takes the missing steps in one transaction, one gateway at a time. Returns the version that was there, and the
    /// key of blocks.
    static func prepare(
        _ connection: borrowing PostgresConnection, schema: String, create: Bool, isPartitioned: Bool
    ) throws(PostgresFailure) -> (version: Int, key: BlockKey) {
        do throws(PostgresFailure) {
            try connection.execute("BEGIN; SELECT pg_advisory_xact_lock(\(lock))")
            if create && schema != "public" { try connection.execute("CREATE SCHEMA IF NOT EXISTS \"\(schema)\"") }
            try connection.execute("SET LOCAL search_path = \"\(schema)\"")
            let hasTable = try connection.rows("SELECT to_regclass('sluice_schema') IS NOT NULL").first == "t"
            var found = 0
            if hasTable {
                let words = try connection.rows("SELECT coalesce(max(version), 0) FROM sluice_schema")
                found = words.first.flatMap { Int($0) } ?? 0
            }
            if found < SQLSchema.version {
                guard create else {
                    throw PostgresFailure(
                        .passing,
                        "schema \"\(schema)\" has version \(found), needed is \(SQLSchema.version): "
                            + "run `sluice sql migrate`, or set create_schema: true")
                }
                let statements = SQLSchema.statements(.postgres, after: found, isPartitioned: isPartitioned)
                for statement in statements { try make(statement, connection, schema: schema) }
            }
            let kind = try connection.rows("SELECT relkind FROM pg_class WHERE oid = 'spans'::regclass").first
            guard isPartitioned == (kind == "p") else {
                throw PostgresFailure(
                    .passing,
                    "the tables of schema \"\(schema)\" are \(isPartitioned ? "not " : "")partitioned: set partition: "
                        + "\(isPartitioned ? "none" : "day"), or name another schema")
            }
            let words = try connection.rows("SELECT key0 || ' ' || key1 FROM sluice_hash_key").first ?? ""
            let keys = words.split(separator: " ").compactMap { Int64($0) }.map { UInt64(bitPattern: $0) }
            try connection.execute("COMMIT")
            let key = keys.count == 2 ? BlockKey(key0: keys[0], key1: keys[1]) : .fixed
            return (found, key)
        } catch {
            try? connection.execute("ROLLBACK")
            throw error
        }
    }

    /// A step that misses what an earlier one makes has met a table of another program.
    private static func make(
        _ statement: String, _ connection: borrowing PostgresConnection, schema: String
    ) throws(PostgresFailure) {
        do throws(PostgresFailure) { try connection.execute(statement) } catch {
            var failure = error
            failure.message.replace(
                PostgresFailure.schemaAdvice,
                with: "; a table in schema \"\(schema)\" is not Sluice's but has the name of one: name another schema")
            throw failure
        }
    }
}
