import ArgumentParser
import Exporters
import Gateway
import Pipeline

struct SQL: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sql", abstract: "Shows or creates the tables of the SQL exporters.",
        subcommands: [Schema.self, Migrate.self])

    struct Schema: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Prints the statements that create the schema.")

        @Option(help: "sqlite, postgres, clickhouse or snowflake.")
        var dialect: SQLDialect = .sqlite

        func run() { print(SQLSchema.script(dialect), terminator: "") }
    }

    struct Migrate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Creates or completes the schema of all SQL exporters of the configuration.")
        @OptionGroup var options: ConfigurationOptions

        @Option(help: "Folder of the databases for which the configuration names no other place.")
        var dataDirectory = LoadedConfiguration.dataDirectory

        func run() async throws {
            let loaded = try options.load()
            if let failure = SystemFacts.makeDirectory(dataDirectory) {
                throw Exit.failed("the data directory \(dataDirectory) cannot be made: \(failure)")
            }
            var seen: Set<String> = []
            var isFailed = false
            for (id, plan) in loaded.plan.pipelines.flatMap(\.exporters) where seen.insert(id).inserted {
                let build = ExporterBuild(
                    metrics: SelfMetrics(), id: id, dataDirectory: dataDirectory,
                    log: { Terminal.error("\($0.rawValue): \($1)") })
                guard let owner = plan.make(build) as? any SchemaOwner else { continue }
                do {
                    let change = try await owner.migrate()
                    let what =
                        change.from == change.to
                        ? "is up to date" : change.from == 0 ? "created" : "brought from version \(change.from)"
                    print("\(id): \(change.place): schema version \(change.to), \(what)")
                } catch {
                    Terminal.error("sluice: exporter \(id): \(error)")
                    isFailed = true
                }
            }
            if isFailed { throw Exit.failure }
            if seen.isEmpty { Terminal.error("no exporter in the configuration's pipelines") }
        }
    }
}

extension SQLDialect: ExpressibleByArgument {}
