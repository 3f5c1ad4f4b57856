import GRDB

/// Brings a database to the schema of this build.
enum SQLiteMigration {
    /// What a database must have before rows can be written.
    struct Fault: Error {
        var message: String
    }

    /// Takes the steps that are missing, in the caller's transaction. Without `create`, an older or empty database is a
    /// fault. Returns the version that was found.
    @discardableResult
    static func prepare(_ database: Database, create: Bool) throws -> Int {
        let hasTable = try database.tableExists("sluice_schema")
        let found = hasTable ? try Int.fetchOne(database, sql: "SELECT max(version) FROM sluice_schema") ?? 0 : 0
        let version = SQLSchema.version
        if found > version {
            throw Fault(
                message: "was made by a newer Sluice (schema \(found), this one knows \(version)): update Sluice")
        }
        if found == version { return found }
        guard create else {
            throw Fault(
                message: "has schema \(found), needed is \(version): set create_schema: true, or run sluice sql migrate"
            )
        }
        for statement in SQLSchema.statements(.sqlite, after: found) { try database.execute(sql: statement) }
        return found
    }
}
