import ArgumentParser
import Configuration
import Exporters
import Gateway
import Glibc
import Pipeline
import Query

struct QueryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query", abstract: "Asks the SQLite database of the gateway.",
        subcommands: [Sessions.self, Traces.self, Tools.self, Findings.self, Session.self, Trace.self, Statement.self])

    struct Sessions: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Sessions (conversations), the latest first.")
        @OptionGroup var options: QueryOptions
        @OptionGroup var filters: QueryFilterOptions
        func run() throws {
            try options.list(filters.filter()) { questions throws(QueryFailure) in try questions.sessions() }
        }
    }

    struct Traces: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Traces, the latest first.")
        @OptionGroup var options: QueryOptions
        @OptionGroup var filters: QueryFilterOptions
        func run() throws {
            try options.list(filters.filter()) { questions throws(QueryFailure) in try questions.traces() }
        }
    }

    struct Tools: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Tool calls, the latest first.")
        @OptionGroup var options: QueryOptions
        @OptionGroup var filters: QueryFilterOptions
        @Flag(help: "Only calls that failed, or that a finding of tier tag or alert is about.") var failed = false
        func run() throws {
            try options.list(filters.filter()) { questions throws(QueryFailure) in
                try questions.tools(onlyFailed: failed)
            }
        }
    }

    struct Statement: ParsableCommand {
        static let configuration = CommandConfiguration(commandName: "sql", abstract: "Runs one SELECT.")
        @OptionGroup var options: QueryOptions
        @OptionGroup var limit: QueryLimit
        @Argument(help: "The statement; see `sluice sql schema` for tables and views.") var statement: String

        func run() throws {
            var filter = QueryFilter()
            filter.limit = limit.rows
            try options.list(filter) { questions throws(QueryFailure) in try questions.sql(statement) }
        }
    }
}

struct Findings: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Findings of agent failures, the latest first.")
    @OptionGroup var options: QueryOptions
    @OptionGroup var filters: QueryFilterOptions
    @Option(help: "Only findings of this name.") var pattern: String?
    func run() throws {
        try options.list(
            filters.filter(),
            { questions throws(QueryFailure) in try questions.findings(pattern: pattern) },
            draw: { result in
                var list = FindingsList(style: options.style)
                return list.render(result)
            })
    }
}

struct Session: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows all traces of one session as trees of steps.")
    @OptionGroup var options: QueryOptions
    @Argument(help: "The session's id (gen_ai.conversation.id).") var id: String
    func run() throws {
        try options.show { database throws(QueryFailure) in try database.session(id) }
    }
}

struct Trace: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Shows one trace as a tree of steps.")
    @OptionGroup var options: QueryOptions
    @Argument(help: "The trace's id, or its first digits.") var id: String

    func validate() throws {
        guard QueryDatabase.isTraceID(id) else {
            throw ValidationError(
                "a trace id has 32 hexadecimal digits; give it or at least its first 4, not \"\(id)\"")
        }
    }

    func run() throws {
        try options.show { database throws(QueryFailure) in [try database.trace(id)] }
    }
}

/// What all questions take. What narrows some stands apart, so that the others refuse it instead of passing it over.
struct QueryOptions: ParsableArguments {
    @Option(help: "Database file. Default: that of the configuration's first sqlite exporter.") var db: String?
    @OptionGroup var configuration: ConfigurationOptions
    @Option(help: "Folder of the databases for which the configuration names no other place.")
    var dataDirectory = LoadedConfiguration.dataDirectory
    @Option(help: "table, json or csv.") var format = QueryFormat.table
    @Flag(help: "Long texts whole.") var full = false

    /// `draw` is the form for people, where it is no table.
    func list(
        _ filter: QueryFilter, _ ask: (Questions) throws(QueryFailure) -> QueryResult,
        draw: ((QueryResult) -> String)? = nil
    ) throws {
        var isEmpty = false
        try answer { () throws(QueryFailure) in
            let database = try database()
            let result = try ask(Questions(database, filter))
            isEmpty = result.rows.isEmpty
            if let draw, format == .table { return draw(result) }
            return QueryOutput.render(result, as: format, isFull: full)
        }
        if isEmpty, format == .table {
            Terminal.error(
                "what came in the last moments may not be stored yet: a trace is held until it is complete where "
                    + "processors look at whole traces")
        }
    }

    func show(_ ask: (QueryDatabase) throws(QueryFailure) -> [StoredTrace]) throws {
        try answer { () throws(QueryFailure) in
            let database = try database()
            let traces = try ask(database)
            if format != .table { return QueryOutput.render(try database.spans(of: traces), as: format) }
            return traces.map(TraceTree(style: style).draw).joined(separator: "\n")
        }
    }

    /// Colours and a width only on a terminal; https://no-color.org is heeded.
    var style: TextStyle {
        let isTerminal = isatty(STDOUT_FILENO) == 1
        var size = winsize()
        let hasSize = isTerminal && ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        let isPlain = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
        let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? true
        return TextStyle(
            isColoured: isTerminal && !isPlain && !isDumb, width: hasSize ? Int(size.ws_col) : nil, isFull: full)
    }

    private func answer(_ text: () throws(QueryFailure) -> String) throws {
        do {
            print(try text(), terminator: "")
        } catch {
            throw Exit.failed("\(error)")
        }
    }

    private func database() throws(QueryFailure) -> QueryDatabase {
        try QueryDatabase.open(db, of: configuration, dataDirectory: dataDirectory)
    }
}

/// How much of a list is shown.
struct QueryLimit: ParsableArguments {
    @Option(help: "Most rows; 0 for all.") var limit = 50

    var rows: Int { max(0, limit) }
}

/// What narrows a list of records.
struct QueryFilterOptions: ParsableArguments {
    @Option(help: "Only what is not older, such as 30m, 24h or 7d.") var since: String?
    @Option(help: "Only this service.name.") var service: String?
    @Option(help: "Only this agent: findings in its steps, of spans those that name it.") var agent: String?
    @Option(help: "Only calls of this tool.") var tool: String?
    @Option(help: "Only this model, requested or answering; of tool calls and findings those of traces that used it.")
    var model: String?
    @Option(help: "Only this user; tool calls and findings of traces that name the user.") var user: String?
    @Option(name: .customLong("where"), help: "Only spans with this attribute: key=value. Repeatable.")
    var conditions: [String] = []
    @OptionGroup var limit: QueryLimit

    func filter() throws(ValidationError) -> QueryFilter {
        var filter = QueryFilter()
        if let since {
            guard let age = Self.age(since) else {
                throw ValidationError("--since takes a duration such as 30m, 24h or 7d, not \"\(since)\"")
            }
            filter.since = Self.now - age
        }
        (filter.service, filter.agent, filter.tool, filter.model, filter.user) = (service, agent, tool, model, user)
        for condition in conditions {
            guard let equals = condition.firstIndex(of: "="), equals != condition.startIndex else {
                throw ValidationError("--where takes key=value, not \"\(condition)\"")
            }
            filter.attributes.append(
                (String(condition[..<equals]), String(condition[condition.index(after: equals)...])))
        }
        filter.limit = limit.rows
        return filter
    }

    /// Nanoseconds of a duration; days too, unlike in the configuration.
    private static func age(_ text: String) -> Int64? {
        if text.hasSuffix("d") {
            guard let days = Int64(text.dropLast()), (0...36_500).contains(days) else { return nil }
            return days * 86_400_000_000_000
        }
        guard let duration = DurationText.parse(text), duration >= .zero else { return nil }
        let (seconds, attoseconds) = duration.components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

extension QueryFormat: ExpressibleByArgument {}

extension QueryDatabase {
    /// The database that is named, or else that of a configuration's first sqlite exporter.
    static func open(
        _ path: String?, of configuration: ConfigurationOptions, dataDirectory: String
    ) throws(QueryFailure) -> QueryDatabase {
        if let path { return try QueryDatabase(path: path) }
        let loaded = LoadedConfiguration.load(files: configuration.config, overrides: configuration.set)
        if loaded.problems.hasErrors { throw QueryFailure(loaded.problems.report()) }
        for (id, plan) in loaded.plan.pipelines.flatMap(\.exporters) {
            let build = ExporterBuild(metrics: SelfMetrics(), id: id, dataDirectory: dataDirectory, log: { _, _ in })
            if let exporter = plan.make(build) as? SQLiteExporter { return try QueryDatabase(path: exporter.path) }
        }
        throw QueryFailure("the configuration has no sqlite exporter: name the database with --db")
    }
}
