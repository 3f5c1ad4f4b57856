import Connectors
import FoundationEssentials
import Pipeline

/// What an operator asks of a running gateway's alerts. Each call says what was done.
package enum AlertSwitch {
    /// Ends the open alerts of a rule and keeps it from raising others, for so long or without end.
    package static func pause(
        _ rule: String, for duration: Duration?, plan: GatewayPlan? = nil, dataDirectory: String
    ) throws(PayloadFile.Fault) -> String {
        try require(rule, plan, dataDirectory)
        let until = duration.map { Int(SystemFacts.unixNanoseconds / 1_000_000_000) + Int($0.components.seconds) }
        try change(dataDirectory) { $0.paused[rule] = until ?? 0 }
        let end = until.map { "until \(GatewayLogHandler.timestamp(seconds: $0))" } ?? "without end"
        return "paused \(rule) \(end), in \(dataDirectory): the gateway there ends its open alerts and opens none"
    }

    /// Ends a pause.
    package static func resume(
        _ rule: String, plan: GatewayPlan? = nil, dataDirectory: String
    ) throws(PayloadFile.Fault) -> String {
        let control = AlertControl.read(dataDirectory)
        // A rule that is gone may still be paused.
        if control.paused[rule] == nil { try require(rule, plan, dataDirectory) }
        guard control.pausedRules(at: SystemFacts.unixNanoseconds).contains(rule) else {
            return "\(rule) is not paused in \(dataDirectory)"
        }
        try change(dataDirectory) { $0.paused[rule] = nil }
        return "resumed \(rule), in \(dataDirectory)"
    }

    /// Ends the open alerts of a rule.
    package static func resolve(
        _ rule: String, plan: GatewayPlan? = nil, dataDirectory: String
    ) throws(PayloadFile.Fault) -> String {
        try require(rule, plan, dataDirectory)
        try change(dataDirectory) { $0.resolved[rule] = Int(SystemFacts.unixNanoseconds / 1_000_000) }
        return "the gateway in \(dataDirectory) ends the open alerts of \(rule) and empties its windows"
    }

    // MARK: Which rules there are

    /// The rules that a gateway left in its data directory, and those of a configuration.
    package static func rules(_ plan: GatewayPlan?, dataDirectory: String) -> Set<String> {
        var rules = AlertDirectory.rules(dataDirectory)
        for pipeline in plan?.pipelines ?? [] {
            for (id, connector, outputs) in pipeline.connectors {
                let build = ConnectorBuild(
                    metrics: SelfMetrics(), id: id, input: pipeline.id, inputSignal: pipeline.signal.recorded,
                    outputs: outputs, now: { 0 })
                rules.formUnion((try? connector.make(build) as? AlertsConnector)?.ruleNames ?? [])
            }
        }
        return rules
    }

    private static func require(
        _ rule: String, _ plan: GatewayPlan?, _ dataDirectory: String
    ) throws(PayloadFile.Fault) {
        let rules = rules(plan, dataDirectory: dataDirectory)
        if rules.contains(rule) { return }
        if rules.isEmpty {
            throw PayloadFile.Fault(
                description: "no gateway with alert rules has run in \(dataDirectory): name its folder with "
                    + "--data-directory, or its configuration with --config")
        }
        throw PayloadFile.Fault(
            description: "there is no alert rule \(rule) in \(dataDirectory), but "
                + rules.sorted().joined(separator: ", "))
    }

    // MARK: The wishes

    private static func change(
        _ dataDirectory: String, _ body: (inout AlertControl) -> Void
    ) throws(PayloadFile.Fault) {
        var control = AlertControl.read(dataDirectory)
        body(&control)
        let path = AlertControl.path(dataDirectory)
        let folder = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
        if let failure = SystemFacts.makeDirectory(folder) {
            throw PayloadFile.Fault(description: "\(folder) cannot be made: \(failure)")
        }
        do { try Data(control.bytes).write(to: URL(fileURLWithPath: path), options: .atomic) } catch {
            throw PayloadFile.Fault(description: "\(path) cannot be written")
        }
    }
}
