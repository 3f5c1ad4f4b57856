/// The configuration with its Collector-shaped top level read: components with their unread bodies, pipelines, and
/// the gateway's own telemetry.
package struct GatewayConfiguration: Sendable {
    /// One defined component with its body, which the registry reads.
    package struct Component: Sendable {
        /// The section it is defined in.
        package let kind: ComponentKind
        /// Its id.
        package let id: ComponentID
        /// The body; null when there is none.
        package let body: ConfigNode
        /// Where its id is written.
        package let place: ConfigPlace

        /// The dotted path of the body: `exporters.otlp_http/backup`.
        package var path: String { "\(kind.section).\(id)" }
    }

    /// A component's id where a pipeline or the service names it.
    package struct Reference: Sendable {
        /// The id.
        package let id: ComponentID
        /// Where it is named.
        package let place: ConfigPlace
    }

    /// One pipeline.
    package struct Pipeline: Sendable {
        /// The signal; one of `PipelineSignal`.
        package let signal: PipelineSignal
        /// The id, such as `traces/agents`.
        package let id: ComponentID
        /// Where its id is written.
        package let place: ConfigPlace
        /// Receivers and connectors it reads from; no id twice.
        package let receivers: [Reference]
        /// Processors in order; no id twice.
        package let processors: [Reference]
        /// Exporters and connectors it writes to; no id twice.
        package let exporters: [Reference]
        /// What it has beside these lists.
        package let options: PipelineOptions

        /// The dotted path: `service.pipelines.traces/agents`.
        package var path: String { "service.pipelines.\(id)" }
    }

    /// The signals a pipeline may carry.
    package enum PipelineSignal: String, Sendable, CaseIterable {
        case traces
        case logs
        case metrics
    }

    /// All components in the order of the file, section by section.
    package internal(set) var components: [Component] = []
    /// The pipelines in the order of the file.
    package internal(set) var pipelines: [Pipeline] = []
    /// The extensions that are to run, in order.
    package internal(set) var extensions: [Reference] = []
    /// The gateway's own telemetry.
    package internal(set) var telemetry: TelemetryConfiguration

    /// What to write instead of a component type that is not here, in words for the user.
    package typealias Advice = (_ type: String, _ kind: ComponentKind) -> String?

    /// Reads the top level of a merged and expanded tree; all faults are collected, and the result holds what is good.
    package init(_ tree: ConfigNode, advice: Advice = { _, _ in nil }, problems: inout ConfigProblems) {
        telemetry = TelemetryConfiguration(tree["service"]?["telemetry"], problems: &problems)
        var reader = GatewayReader(problems: problems)
        reader.read(tree, into: &self)
        GatewayChecks.run(on: self, at: tree, advice: advice, problems: &reader.problems)
        problems = reader.problems
    }

    /// The components of one section in the order of the file.
    package func components(of kind: ComponentKind) -> [Component] {
        components.filter { $0.kind == kind }
    }

    /// The component of a section with an id, or nil.
    package func component(_ kind: ComponentKind, _ id: ComponentID) -> Component? {
        components.first { $0.kind == kind && $0.id == id }
    }
}
