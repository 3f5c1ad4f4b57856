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

    /// The alerts that recorded telemetry raises, with the targets that would get each. Throws what was refused.
    package func alerts(_ inputs: [OfflineInput]) throws -> [(notice: AlertNotice, targets: [Target])] {
        var result: [(notice: AlertNotice, targets: [Target])] = []
        for output in try OfflineGateway(plan: plan).accepted(inputs) where output.signal == .logs {
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
