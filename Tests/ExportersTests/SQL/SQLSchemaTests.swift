@testable import Exporters
import FoundationEssentials
import GRDB
import Pipeline
import Testing

@Suite struct SQLSchemaTests {
    private let directory = TemporaryDirectory()

    /// The rows of `sqlite_master`, without what SQLite makes by itself.
    private func objects(_ path: String) throws -> Set<String> {
        let names = try DatabaseQueue(path: path).read {
            try String.fetchAll($0, sql: "SELECT type || ' ' || name FROM sqlite_master WHERE sql IS NOT NULL")
        }
        return Set(names)
    }

    @Test func `the printed script makes what the exporter makes`() async throws {
        let script = directory.file("script.db")
        try await DatabaseQueue(path: script).write { try $0.execute(sql: SQLSchema.script(.sqlite)) }
        let made = SQLiteExporter(
            options: options(SQLiteOptions.self, "{path: made.db}").options,
            build: exporterBuild(directory: directory.path))
        let change = try await made.migrate()
        #expect(change == SchemaChange(place: directory.file("made.db"), from: 0, to: SQLSchema.version))
        #expect(try objects(script) == objects(directory.file("made.db")))
        #expect(try objects(script).isSuperset(of: ["table findings", "view retrievals", "view sessions"]))
        #expect(try await made.migrate().from == SQLSchema.version, "a second run changes nothing")
    }

    @Test func `a database of the first version gets what is new and keeps its rows`() async throws {
        let path = directory.file("old.db")
        let fixture = String(#filePath.split(separator: "ExportersTests")[0]) + "Fixtures/sql/sqlite-version-1.sql"
        let old = String(decoding: FileManager.default.contents(atPath: fixture) ?? Data(), as: UTF8.self)
        try await DatabaseQueue(path: path).write { database in
            try database.execute(sql: old)
            try database.execute(
                sql: """
                    INSERT INTO spans (trace_id, span_id, name, kind, start_time, end_time, status_code, operation,
                        service_name, attributes, resource, scope, flags)
                    VALUES ('t', 's', 'old', 'internal', 1, 2, 'error', 'execute_tool', 'svc', '{}', '{}', '{}', 0)
                    """)
        }
        let refusing = SQLiteExporter(
            options: options(SQLiteOptions.self, "{path: old.db, create_schema: false}").options,
            build: exporterBuild(directory: directory.path))
        await #expect(throws: ExporterStartFailure.self) { try await refusing.start() }
        #expect(try await refusing.migrate().from == 1)
        try await refusing.start()
        await refusing.shutdown()
        let fresh = directory.file("fresh.db")
        try await DatabaseQueue(path: fresh).write { try $0.execute(sql: SQLSchema.script(.sqlite)) }
        #expect(try objects(path) == objects(fresh))
        let service = try await DatabaseQueue(path: path).read {
            try String.fetchOne($0, sql: "SELECT service_name FROM failed_tool_calls WHERE span_id = 's'")
        }
        #expect(service == "svc", "views know the newest columns")
    }

    @Test(arguments: SQLDialect.allCases) func `names every table and column in each dialect`(_ dialect: SQLDialect) {
        let script = SQLSchema.script(dialect)
        for table in SQLTable.all {
            #expect(script.contains("\(table.name.rawValue) (\n"))
            for column in table.columns { #expect(script.contains("    \(column.name) ")) }
            #expect(table.key.allSatisfy { key in table.columns.contains { $0.name == key && $0.isRequired } })
            #expect(Set(table.columns.map(\.name)).count == table.columns.count)
        }
        for view in ["traces", "sessions", "tool_calls", "failed_tool_calls", "llm_calls", "retrievals"] {
            #expect(script.contains("VIEW \(view) AS"))
        }
    }
}
