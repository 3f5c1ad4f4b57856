import ArgumentParser
import Configuration
import Exporters
import Gateway
import Pipeline

struct Alerts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tries alerts, and pauses or ends them in a running gateway.",
        subcommands: [TestAlerts.self, PauseAlerts.self, ResumeAlerts.self, ResolveAlerts.self])
}

struct TestAlerts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Sends a test alert to every notify exporter, or tries rules on recordings.",
        discussion: """
            Without files, every `notify` exporter of the configuration gets an alert that says it is a test, and its \
            end; exit code 4 when one is not taken. With files, they run through the configuration as in \
            `sluice replay`, at the time of their records, and the alerts that they raise are printed; nothing is \
            sent unless --send is given.
            """)
    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "Also sends the alerts that the files raise.")
    var send = false

    @Argument(help: "Files with recorded telemetry.")
    var files: [String] = []

    func run() async throws {
        let trial = AlertTrial(plan: try options.load(trial: .chains).plan) { Terminal.error("\($0.rawValue): \($1)") }
        if files.isEmpty || send { try await start(trial) }
        guard !files.isEmpty else { return try await tryServices(trial) }
        let inputs = try Recordings.read(files)
        let alerts: [(notice: AlertNotice, targets: [AlertTrial.Target])]
        do { alerts = try trial.alerts(inputs) } catch { throw Exit.failed("\(error)") }
        var isTaken = true
        for (notice, targets) in alerts {
            let names = targets.isEmpty ? "nobody" : targets.map(\.id).joined(separator: ", ")
            let head = "[\(notice.state.rawValue)] [\(notice.severity.rawValue)]"
            print(EscapedText.make("\(head) \(notice.sentence) -> \(names)"))
            for target in targets where send { isTaken = await deliver(notice, target) && isTaken }
        }
        print(alerts.count.of("alert"))
        if !isTaken { throw Exit.rejected }
    }

    private func start(_ trial: AlertTrial) async throws {
        for target in trial.targets {
            do { try await target.exporter.start() } catch {
                throw Exit.failed("exporter \(target.id): \(error)")
            }
        }
    }

    private func tryServices(_ trial: AlertTrial) async throws {
        guard !trial.targets.isEmpty else {
            Terminal.error("the configuration has no notify exporter in a pipeline of logs")
            throw Exit.configuration
        }
        var isTaken = true
        for target in trial.targets {
            for state in [AlertNotice.State.open, .resolved] {
                isTaken = await deliver(AlertTrial.example(state), target) && isTaken
            }
        }
        if !isTaken { throw Exit.rejected }
    }

    private func deliver(_ notice: AlertNotice, _ target: AlertTrial.Target) async -> Bool {
        let outcome = await target.exporter.send(notice)
        switch outcome {
        case .delivered, .partial, .committed:
            print("\(target.id): took the alert (\(notice.state.rawValue))")
            return true
        case .retry(let reason, _), .permanent(let reason), .tooLarge(let reason), .refused(_, let reason, _),
            .refusedTogether(let reason), .unprocessed(let reason), .notYet(let reason, _):
            Terminal.error("\(target.id): did not take the alert (\(notice.state.rawValue)): \(reason)")
            return false
        }
    }
}

/// A rule of a running gateway.
struct AlertRuleChoice: ParsableArguments {
    @Option(help: "A configuration whose rules are known beside those that a gateway left in its folder. Repeatable.")
    var config: [String] = []

    @Option(help: "Folder in which the gateway keeps its data.")
    var dataDirectory = LoadedConfiguration.dataDirectory

    @Argument(help: "Name of the rule.")
    var rule: String

    /// Does what was asked, and says what that was; a rule that nobody knows ends the command.
    func tell(_ change: (GatewayPlan?) throws(PayloadFile.Fault) -> String) throws {
        var plan: GatewayPlan?
        if !config.isEmpty {
            let loaded = LoadedConfiguration.load(files: config, overrides: [], dataDirectory: dataDirectory)
            if loaded.problems.hasErrors {
                Terminal.error(loaded.problems.report())
                throw Exit.configuration
            }
            plan = loaded.plan
        }
        do { print(EscapedText.make(try change(plan))) } catch {
            throw Exit.failed(EscapedText.make("\(error)"))
        }
    }
}

struct PauseAlerts: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Ends the open alerts of a rule and keeps it from raising others; it goes on measuring.",
        discussion: "Exit code 1 when neither the data directory nor the configuration knows the rule.")
    @OptionGroup var choice: AlertRuleChoice

    @Option(name: .customLong("for"), help: "For how long, such as 2h; without end when absent.")
    var duration: String?

    func run() throws {
        var length: Duration?
        if let duration {
            guard let parsed = DurationText.parse(duration), parsed > .zero else {
                throw ValidationError("--for takes a duration such as 30m or 2h, not \(duration)")
            }
            length = parsed
        }
        let wanted = length
        try choice.tell { plan throws(PayloadFile.Fault) in
            try AlertSwitch.pause(choice.rule, for: wanted, plan: plan, dataDirectory: choice.dataDirectory)
        }
    }
}

struct ResumeAlerts: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "resume", abstract: "Ends a pause.")
    @OptionGroup var choice: AlertRuleChoice

    func run() throws {
        try choice.tell { plan throws(PayloadFile.Fault) in
            try AlertSwitch.resume(choice.rule, plan: plan, dataDirectory: choice.dataDirectory)
        }
    }
}

struct ResolveAlerts: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resolve", abstract: "Ends the open alerts of a rule and empties their windows.")
    @OptionGroup var choice: AlertRuleChoice

    func run() throws {
        try choice.tell { plan throws(PayloadFile.Fault) in
            try AlertSwitch.resolve(choice.rule, plan: plan, dataDirectory: choice.dataDirectory)
        }
    }
}
