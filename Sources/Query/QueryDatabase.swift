import Exporters
import GRDB
import Glibc
import Pipeline

/// Why a question could not be answered, in words for the person who asked.
package struct QueryFailure: Error, CustomStringConvertible {
    package var description: String

    package init(_ description: String) { self.description = description }
}

/// The database of the `sqlite` exporter, opened for reading only: a gateway may write to it at the same time.
package struct QueryDatabase: Sendable {
    let queue: DatabaseQueue

    /// Opens the file. Throws when it is missing, unreadable or made by another version.
    package init(path: String) throws(QueryFailure) {
        if let refusal = PathCheck.refusal(toRead: path) { throw QueryFailure(refusal) }
        guard access(path, F_OK) == 0 else {
            throw QueryFailure(
                "there is no database \(path): name it with --db, or the configuration with --config and "
                    + "--data-directory")
        }
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF")
        }
        let version: Int
        do {
            queue = try DatabaseQueue(path: path, configuration: configuration)
            version = try queue.read { database in
                guard try database.tableExists("sluice_schema") else { return 0 }
                return try Int.fetchOne(database, sql: "SELECT max(version) FROM sluice_schema") ?? 0
            }
        } catch { throw QueryFailure("cannot read the database \(path): \(Self.words(error))") }
        if version == 0 { throw QueryFailure("\(path) is not a database of Sluice's sqlite exporter") }
        if version != SQLSchema.version {
            let advice =
                version < SQLSchema.version
                ? "run `sluice sql migrate`, or start the gateway once" : "update this program"
            throw QueryFailure(
                "the database \(path) has schema \(version), this program reads \(SQLSchema.version): \(advice)")
        }
    }

    /// Runs one question in a snapshot of its own.
    func read<Value>(_ body: (Database) throws -> Value) throws(QueryFailure) -> Value {
        do { return try queue.read(body) } catch let failure as QueryFailure { throw failure } catch {
            throw QueryFailure(Self.words(error))
        }
    }

    private static func words(_ error: any Error) -> String {
        guard let error = error as? DatabaseError else { return "\(error)" }
        // The library's own words speak to programmers.
        if error.message?.hasPrefix("Multiple statements") == true { return "give one statement at a time" }
        return error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
    }
}
