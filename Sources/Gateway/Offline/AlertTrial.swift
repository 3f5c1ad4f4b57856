import Configuration
import Connectors
package import Exporters
import FoundationEssentials
import Glibc
package import Pipeline
import Telemetry

/// Tries the alerts of a plan: which would be told for recorded telemetry, and whether the services take one.
package struct AlertTrial {
    /// A `notify` exporter of the plan.
    package struct Target: Sendable {
        package var id: String
        package var pipelines: [String]
        package var exporter: NotifyExporter
    }

    package let targets: [Target]
    private let plan: GatewayPlan

    /// `log` gets what the exporters say.
    package init(plan: GatewayPlan, log: @escaping @Sendable (LogLevel, String) -> Void) {
        self.plan = plan
        var targets: [Target] = []
        for pipeline in plan.pipelines {
            for (id, exporter) in pipeline.exporters {
                if let index = targets.firstIndex(where: { $0.id == id }) {
                    targets[index].pipelines.append(pipeline.id)
                    continue
                }
                let build = ExporterBuild(metrics: SelfMetrics(), id: id, dataDirectory: ".", log: log)
                guard let made = exporter.make(build) as? NotifyExporter else { continue }
                targets.append(Target(id: id, pipelines: [pipeline.id], exporter: made))
            }
        }
        self.targets = targets
    }

    /// The alerts that recorded telemetry raises, with the targets that would get each.
    package func alerts(_ inputs: [OfflineInput]) throws -> [(notice: AlertNotice, targets: [Target])] {
        var result: [(notice: AlertNotice, targets: [Target])] = []
        for output in try OfflineGateway(plan: plan).run(inputs) where output.signal == .logs {
            let receivers = targets.filter { $0.pipelines.contains(output.pipeline) }
            for request in output.requests {
                let batch = ExportBatch(signal: .logs, itemCount: 1, bytes: request)
                for notice in AlertNotice.read(batch)?.notices ?? [] { result.append((notice, receivers)) }
            }
        }
        return result.sorted { $0.notice.time < $1.notice.time }
    }

    /// An alert that says that it is none.
    package static func example(_ state: AlertNotice.State) -> AlertNotice {
        var notice = AlertNotice()
        notice.state = state
        notice.severity = .info
        notice.rule = "test of the notifications"
        notice.sentence = "Sluice can reach you: this is a test, nothing is wrong."
        notice.dedupKey = "sluice/test"
        notice.time = SystemFacts.unixNanoseconds
        notice.since = notice.time
        notice.metric = "findings"
        notice.aggregation = "sum"
        notice.comparison = ">"
        notice.value = 1
        notice.count = 1
        notice.windowSeconds = 300
        return notice
    }
}

/// What an operator asks of a running gateway's alerts.
package enum AlertSwitch {
    /// Stops a rule from raising alerts, for so long or without end.
    package static func pause(_ rule: String, for duration: Duration?, dataDirectory: String) throws(PayloadFile.Fault)
    {
        try change(dataDirectory) { control in
            let until = duration.map { Int(SystemFacts.unixNanoseconds / 1_000_000_000) + Int($0.components.seconds) }
            control.paused[rule] = until ?? 0
        }
    }

    package static func resume(_ rule: String, dataDirectory: String) throws(PayloadFile.Fault) {
        try change(dataDirectory) { $0.paused[rule] = nil }
    }

    /// Ends the open alerts of a rule.
    package static func resolve(_ rule: String, dataDirectory: String) throws(PayloadFile.Fault) {
        try change(dataDirectory) { $0.resolved[rule] = Int(SystemFacts.unixNanoseconds / 1_000_000) }
    }

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
