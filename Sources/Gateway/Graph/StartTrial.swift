import Configuration
import Exporters
import Logging
import Pipeline
import Processors
import Receivers
import Telemetry

/// Makes every part of a plan once and throws it away: what would keep the gateway from starting is then a problem of
/// the file, with its place. Sends nothing, opens no port and changes nothing on disk.
struct StartTrial {
    let configuration: GatewayConfiguration
    let plan: GatewayPlan
    let dataDirectory: String
    private let metrics = SelfMetrics()
    /// Whether the gateway runs here, so that what this machine's folders do not allow keeps it from starting.
    private var isHere = true

    init(_ configuration: GatewayConfiguration, _ plan: GatewayPlan, dataDirectory: String) {
        self.configuration = configuration
        self.plan = plan
        self.dataDirectory = dataDirectory
    }

    /// The same for a gateway that may run on another machine, or as another user.
    var elsewhere: StartTrial {
        var trial = self
        trial.isHere = false
        return trial
    }

    /// Processors and connectors alone; the other parts may belong to another machine.
    func runChains(_ problems: inout ConfigProblems) {
        SharedTypes.prepare()
        for pipeline in plan.pipelines {
            for (id, role) in pipeline.steps { tryStep(id, role, pipeline, &problems) }
            for (exporter, steps) in pipeline.ownSteps.sorted(by: { $0.key < $1.key }) {
                var own = pipeline
                own.id = "\(pipeline.id) > \(exporter)"
                for (id, role) in steps { tryStep(id, role, own, &problems) }
            }
            for (id, connector, outputs) in pipeline.connectors {
                let build = ConnectorBuild(
                    metrics: metrics, id: id, input: pipeline.id, inputSignal: pipeline.signal.recorded,
                    outputs: outputs, now: { SystemFacts.unixNanoseconds })
                attempt(.connector, id, &problems) { _ = try connector.make(build) }
            }
        }
    }

    /// All parts.
    func run(_ problems: inout ConfigProblems) {
        runChains(&problems)
        let quiet = Logger(label: "sluice", factory: { _ in SwiftLogNoOpLogHandler() })
        for (id, make) in plan.authenticators { attempt(.extension, id, &problems) { _ = try make(quiet) } }
        for (id, options) in plan.receivers {
            attempt(.receiver, id, &problems) { try OTLPReceiver.check(options, id: id) }
        }
        for pipeline in plan.pipelines {
            for (id, exporter) in pipeline.exporters {
                let build = ExporterBuild(metrics: metrics, id: id, dataDirectory: dataDirectory, log: { _, _ in })
                attempt(.exporter, id, &problems) { try exporter.make(build).check() }
            }
        }
    }

    private func tryStep(
        _ id: String, _ role: ProcessorRole, _ pipeline: GatewayPlan.PipelinePlan, _ problems: inout ConfigProblems
    ) {
        attempt(.processor, id, &problems) {
            var build = ProcessorBuild(
                keys: KeyTable.Builder(), metrics: metrics, id: id, pipeline: pipeline.id,
                signal: pipeline.signal.recorded, isTrial: true)
            _ = try StepMaker.step(role, &build)
        }
    }

    /// Makes one part; that it cannot be made is a problem at the option that is why, or at the component.
    private func attempt(
        _ kind: ComponentKind, _ name: String, _ problems: inout ConfigProblems, _ make: () throws -> Void
    ) {
        do {
            try make()
        } catch {
            let fault = error as? any StartFault
            let component = (try? ComponentID(parsing: name)).flatMap { configuration.component(kind, $0) }
            let option = fault?.option
            let place = option.flatMap { component?.body.place(ofOption: $0) } ?? component?.place ?? .nowhere
            let path = component?.path ?? "\(kind.section).\(name)"
            let isOther = !isHere && fault?.isOfMachine == true
            problems.add(
                ConfigProblem(
                    isOther ? .warning : .error, String(describing: error), fix: fault?.fix, place: place,
                    path: option.map { "\(path).\($0)" } ?? path))
        }
    }
}
