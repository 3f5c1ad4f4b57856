import ArgumentParser
import Configuration
import Gateway
import Glibc

/// Exit codes of the command. What is wrong with the command line itself, whatever there is to look at, is a
/// `ValidationError`: 64.
enum Exit {
    /// What was asked for is not there, or could not be done.
    static let failure = ExitCode.failure
    /// The configuration has errors.
    static let configuration = ExitCode(2)
    /// `run`: the gateway could not start: a port, a folder, a database.
    static let start = ExitCode(3)
    /// `send`, `demo`, `replay --to`, `dlq replay`, `alerts test`: at least one payload was not accepted.
    static let rejected = ExitCode(4)
    /// `test`, `replay` and `dataset diff`: something was not as expected.
    static let expectation = ExitCode(5)

    /// Says why something failed; to be thrown.
    static func failed(_ reason: String) -> ExitCode {
        Terminal.error("sluice: \(reason)")
        return failure
    }

    /// For a command that asks a running gateway and got no answer.
    static func noGateway(_ reason: String) -> ExitCode {
        failed(
            "no answer from a gateway: \(reason)\nstart one with `sluice run`, or say where it is with --endpoint")
    }
}

@main
struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice", abstract: "A telemetry gateway for AI agents.",
        discussion: """
            Exit codes: 0 done; 1 what was asked for is not there or could not be done; 2 the configuration has \
            errors; 3 the gateway could not start; 4 a payload was not accepted (send, demo, replay --to, dlq replay, \
            alerts test); 5 something was not as expected (test, replay, dataset diff); 64 wrong arguments.
            """,
        version: Version.current,
        subcommands: [
            Run.self, Validate.self, Test.self, Replay.self, Normalize.self, PrintConfig.self, Components.self,
            Reference.self, Send.self, Demo.self, QueryCommand.self, Session.self, Trace.self, Findings.self,
            Alerts.self, Dataset.self, SQL.self, Queue.self, Drops.self, Tap.self, Where.self,
            DeadLetters.self, Presets.self, ShowVersion.self,
        ], defaultSubcommand: Run.self)

    /// A SIGHUP that comes before `run` takes it must not end the process: what it asks for is about to be done.
    static func main() async {
        Terminal.fillStandardStreams()
        let first = CommandLine.arguments.dropFirst().first
        if first.map({ $0 == "run" || $0.hasPrefix("-") }) ?? true { signal(SIGHUP, SIG_IGN) }
        if let first, let meant = Sluice.meant(by: first) {
            exit(withError: ValidationError("there is no command \(first); did you mean \"\(meant)\"?"))
        }
        await main(nil)
        if Terminal.isOutputLost { Glibc.exit(Exit.failure.rawValue) }
    }
}

extension Sluice {
    /// The command that a misspelt one was meant to be. The library takes it for an argument of `run`.
    private static func meant(by word: String) -> String? {
        let known = configuration.subcommands.map { $0._commandName } + ["help"]
        guard !word.hasPrefix("-"), !known.contains(word) else { return nil }
        return Suggestion.nearest(to: word, among: known)
    }
}

/// Options that name a configuration.
struct ConfigurationOptions: ParsableArguments {
    @Option(name: .long, help: "A configuration file; repeat to lay files over each other. Default: the built-in one.")
    var config: [String] = []

    @Option(name: .long, help: "Overrides one value: --set exporters.debug.verbosity=detailed. Repeatable.")
    var set: [String] = []

    @Flag(help: "Leaves out components of types that are not here, with a warning each.")
    var skipUnknown = false

    @Option(help: ArgumentHelp("Taken from the Collector's command line, without effect.", visibility: .hidden))
    var featureGates: [String] = []

    /// Loads it, prints warnings, and ends the command when there are errors.
    func load(
        dataDirectory: String = LoadedConfiguration.dataDirectory, trial: LoadedConfiguration.Trial = .none
    ) throws -> LoadedConfiguration {
        if !featureGates.isEmpty {
            Terminal.error("sluice: warning: --feature-gates has no effect here: there are no feature gates")
        }
        let loaded = read(dataDirectory: dataDirectory, trial: trial)
        ConfigurationOptions.tell(loaded.problems)
        if loaded.problems.hasErrors { throw Exit.configuration }
        return loaded
    }

    /// Loads it as it is now.
    func read(dataDirectory: String, trial: LoadedConfiguration.Trial) -> LoadedConfiguration {
        LoadedConfiguration.load(
            files: config, overrides: set, skipsUnknown: skipUnknown, dataDirectory: dataDirectory, trial: trial)
    }

    /// Prints what is wrong with a configuration, as a compiler does.
    static func tell(_ problems: ConfigProblems) {
        if !problems.isEmpty { Terminal.error(problems.report()) }
        if let summary = problems.summary { Terminal.error(summary) }
    }
}

struct Validate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Checks a configuration and says all that is wrong.",
        discussion: """
            A folder that is not there, or that this user may not write, is a warning: it may be right for the user \
            that the gateway runs as, or on its machine.
            """)
    @OptionGroup var options: ConfigurationOptions

    @Option(help: "Folder of the journals and databases for which the configuration names no other place.")
    var dataDirectory = LoadedConfiguration.dataDirectory

    func run() throws {
        _ = try options.load(dataDirectory: dataDirectory, trial: .elsewhere)
        print("the configuration is valid")
    }
}

struct PrintConfig: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "print-config", abstract: "Prints the merged and expanded configuration, secrets masked.")
    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        let loaded = try options.load()
        let problems = loaded.problems
        let text = ConfigPrinter.print(
            loaded.tree, secretPaths: problems.secretPaths, secretURLPaths: problems.secretURLPaths)
        print(text, terminator: "")
    }
}

struct Components: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists everything a pipeline can be made of.")

    func run() {
        for kind in ComponentKind.allCases {
            let all = Registry.references.filter { $0.kind == kind }
            guard !all.isEmpty else { continue }
            print("\(kind.section):")
            for one in all {
                let names = ([one.type] + one.aliases).joined(separator: ", ")
                print("  \(names.padding(to: 24))\(one.sentence)")
            }
        }
    }
}

struct Reference: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Prints the reference of all options as Markdown.")

    func run() { print(ReferencePage.markdown(Registry.references), terminator: "") }
}

struct ShowVersion: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Prints the version.")

    func run() { print("sluice \(Version.current)") }
}

extension String {
    /// The text with spaces behind it up to a width.
    func padding(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
