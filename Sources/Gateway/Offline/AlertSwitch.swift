import Connectors
import Glibc
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
        try requireReadable(dataDirectory)
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
        try requireReadable(dataDirectory)
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

    /// What may not be read must not pass for nothing.
    private static func requireReadable(_ dataDirectory: String) throws(PayloadFile.Fault) {
        for path in [dataDirectory, AlertControl.path(dataDirectory)] {
            if let refusal = PathCheck.refusal(toRead: path) { throw PayloadFile.Fault(description: refusal) }
        }
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
        guard replace(path, in: folder, by: control.bytes) else {
            throw PayloadFile.Fault(description: "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
    }

    /// Puts a file in the place of another one. Its owner alone may read it: the gateway's user, to whom the folder
    /// belongs, also when root pauses a rule.
    private static func replace(_ path: String, in folder: String, by bytes: [UInt8]) -> Bool {
        let fresh = path + ".new"
        _ = unlink(fresh)
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var facts = stat()
        if geteuid() == 0, stat(folder, &facts) == 0 { _ = fchown(descriptor, facts.st_uid, facts.st_gid) }
        return Descriptor.writeAll(bytes, to: descriptor) && fsync(descriptor) == 0 && rename(fresh, path) == 0
    }
}
