import Configuration
import Processors

/// Warnings of chains that work and most likely do not do what is meant.
struct ChainLints {
    let configuration: GatewayConfiguration
    let processors: [ComponentID: ProcessorRole]
    /// Processors of each exporter's own chain.
    let ownChains: [ComponentID: [ComponentID]]

    func run(_ problems: inout ConfigProblems) {
        checkLimits(&problems)
        for pipeline in configuration.pipelines {
            checkLimiter(pipeline, &problems)
            checkNormalizer(pipeline, &problems)
            checkPolicies(pipeline, &problems)
            checkSinks(pipeline, &problems)
            checkQueues(pipeline, &problems)
        }
        for exporter in configuration.components(of: .exporter) { checkOwnChain(exporter.id, &problems) }
    }

    /// A limit below what the gateway takes by itself.
    private func checkLimits(_ problems: inout ConfigProblems) {
        let used = configuration.pipelines.flatMap(\.processors).map(\.id)
        for component in configuration.components(of: .processor) where used.contains(component.id) {
            guard case .memoryLimiter(let options)? = processors[component.id], !problems.hasErrors(at: component.path)
            else { continue }
            let soft = options.softLimit(ofTotal: SystemFacts.memoryTotal)
            guard soft < MemoryShares.leastSoft else { continue }
            let least = MemoryShares.leastSoft >> 20
            problems.warning(
                "\(component.id) refuses requests from \(soft >> 20) MiB on, and the gateway takes about "
                    + "\((MemoryShares.leastSoft - MemoryShares.usefulBytes) >> 20) MiB without any",
                fix: "set limit_mib to \(least * 5 / 4) or more: \(least) MiB are left without those for bursts",
                at: component.place, path: "processors.\(component.id)")
        }
    }

    private func checkLimiter(_ pipeline: GatewayConfiguration.Pipeline, _ problems: inout ConfigProblems) {
        for reference in pipeline.processors.dropFirst() {
            guard case .memoryLimiter? = processors[reference.id] else { continue }
            problems.warning(
                "\(reference.id) is not the first processor of \(pipeline.id)",
                fix: "name it first: it refuses requests before any other work is done on them", at: reference.place,
                path: pipeline.path)
        }
    }

    /// What a dialect calls a prompt is known to redaction by its key only after normalization, and a masked value may
    /// no longer be readable as messages.
    private func checkNormalizer(_ pipeline: GatewayConfiguration.Pipeline, _ problems: inout ConfigProblems) {
        guard let normalizer = pipeline.processors.firstIndex(where: { $0.id.type == "gen_ai_normalizer" }) else {
            return
        }
        let earlier = pipeline.processors[..<normalizer].first(where: isRedaction)
        let upstream = earlier == nil ? redactedFeeder(of: pipeline) : nil
        guard let place = earlier.map({ "processor \($0.id)" }) ?? upstream.map({ "pipeline \($0.id)" }) else {
            return
        }
        problems.warning(
            "\(pipeline.processors[normalizer].id) comes after the redaction in \(place)",
            fix: "normalize first, then redact: keys that redaction allows or blocks are those of the conventions",
            at: pipeline.processors[normalizer].place, path: pipeline.path)
    }

    /// The same for the chain of one exporter, behind all pipelines that lead to it.
    private func checkOwnChain(_ exporter: ComponentID, _ problems: inout ConfigProblems) {
        guard let chain = ownChains[exporter],
            let normalizer = chain.firstIndex(where: { $0.type == "gen_ai_normalizer" })
        else { return }
        let own = chain[..<normalizer].first(where: masks)
        for pipeline in configuration.pipelines {
            guard let sink = pipeline.exporters.first(where: { $0.id == exporter }) else { continue }
            let earlier = ([pipeline] + feeders(of: pipeline)).flatMap(\.processors)
            if earlier.contains(where: { $0.id.type == "gen_ai_normalizer" }) { continue }
            guard let redaction = earlier.first(where: isRedaction)?.id ?? own else { continue }
            problems.warning(
                "\(chain[normalizer]) in `process:` of \(exporter) comes after the redaction in processor \(redaction)",
                fix: "normalize first, then redact: keys that redaction allows or blocks are those of the conventions",
                at: sink.place, path: "exporters.\(exporter).process")
            return
        }
    }

    /// Policies for agents look at names of the conventions, which other dialects have only after normalization.
    private func checkPolicies(_ pipeline: GatewayConfiguration.Pipeline, _ problems: inout ConfigProblems) {
        let feeders = feeders(of: pipeline).flatMap(\.processors)
        for (index, reference) in pipeline.processors.enumerated() where reference.id.type == "tail_sampling" {
            let earlier = feeders + pipeline.processors[..<index]
            guard !earlier.contains(where: { $0.id.type == "gen_ai_normalizer" }),
                let body = configuration.component(.processor, reference.id)?.body,
                let policy = conventionPolicy(in: body)
            else { continue }
            problems.warning(
                "policy \(policy.type.rawValue) of \(reference.id) sees only spans that use the GenAI conventions",
                fix: "name gen_ai_normalizer before it in \(pipeline.id), unless all senders write gen_ai.* attributes",
                at: policy.place, path: "processors.\(reference.id)")
        }
    }

    /// The first such policy, also within others.
    private func conventionPolicy(in node: ConfigNode) -> (type: PolicyType, place: ConfigPlace)? {
        if let type = node["type"], let text = type.scalar?.text, let policy = PolicyType(rawValue: text),
            policy.readsConventions
        {
            return (policy, type.place)
        }
        let children = node.list ?? node.map?.map(\.value) ?? []
        return children.lazy.compactMap(conventionPolicy).first
    }

    /// One sink gets masked content, another the same content as it came.
    private func checkSinks(_ pipeline: GatewayConfiguration.Pipeline, _ problems: inout ConfigProblems) {
        guard !isRedacted(pipeline) else { return }
        let others = configuration.pipelines.filter {
            $0.signal == pipeline.signal && !roots(of: $0).isDisjoint(with: roots(of: pipeline))
        }
        let masked = others.lazy.flatMap { other in
            sinks(of: other).filter { isRedacted(other) || isRedactedAlone($0.id) }
        }.first
        guard let masked else { return }
        for sink in sinks(of: pipeline) where !isRedactedAlone(sink.id) && sink.id.type != "nop" {
            problems.warning(
                "exporter \(sink.id) gets content that no redaction has seen, while \(masked.id) gets it redacted",
                fix: "name a redaction without dry_run in \(pipeline.id) or in `process:` of \(sink.id), unless that "
                    + "is meant",
                at: sink.place, path: pipeline.path)
        }
    }

    /// The Collector answers senders of an exporter without a queue after the export, unless something gathers first.
    private func checkQueues(_ pipeline: GatewayConfiguration.Pipeline, _ problems: inout ConfigProblems) {
        let gathers = pipeline.processors.contains { reference in
            switch processors[reference.id] {
            case .traceStep?, .batch?: true
            default: false
            }
        }
        guard pipeline.options.acknowledgement != .delivered, !gathers,
            pipeline.receivers.contains(where: { configuration.component(.receiver, $0.id) != nil })
        else { return }
        for sink in sinks(of: pipeline) {
            let flag = configuration.component(.exporter, sink.id)?.body["sending_queue"]?["enabled"]
            guard let flag, case .bool(false)? = flag.scalar?.value else { continue }
            problems.warning(
                "senders are answered when the journal is synced, before the delivery",
                fix: "write `ack: delivered` in the pipelines of \(sink.id) to answer after it, as the Collector does",
                at: flag.place, path: "exporters.\(sink.id).sending_queue.enabled")
        }
    }

    private func sinks(of pipeline: GatewayConfiguration.Pipeline) -> [GatewayConfiguration.Reference] {
        pipeline.exporters.filter { configuration.component(.exporter, $0.id) != nil }
    }

    private func isRedaction(_ reference: GatewayConfiguration.Reference) -> Bool { masks(reference.id) }

    /// Whether a processor is a redaction that changes anything: one with `dry_run` only counts.
    private func masks(_ processor: ComponentID) -> Bool {
        guard processor.type == "redaction" else { return false }
        let isDry = configuration.component(.processor, processor)?.body["dry_run"]?.scalar?.text.lowercased() == "true"
        return !isDry
    }

    private func isRedactedAlone(_ exporter: ComponentID) -> Bool {
        ownChains[exporter]?.contains(where: masks) ?? false
    }

    private func isRedacted(_ pipeline: GatewayConfiguration.Pipeline) -> Bool {
        pipeline.processors.contains(where: isRedaction) || redactedFeeder(of: pipeline) != nil
    }

    /// A pipeline in front of this one that redacts.
    private func redactedFeeder(of pipeline: GatewayConfiguration.Pipeline) -> GatewayConfiguration.Pipeline? {
        feeders(of: pipeline).first { $0.processors.contains(where: isRedaction) }
    }

    /// All pipelines of the same signal that feed this one through connectors. Circles were refused before; the set of
    /// what was seen ends the loop on one all the same.
    private func feeders(of pipeline: GatewayConfiguration.Pipeline) -> [GatewayConfiguration.Pipeline] {
        var found: [GatewayConfiguration.Pipeline] = []
        var waiting = [pipeline]
        while let next = waiting.popLast() {
            for other in configuration.pipelines where other.signal == pipeline.signal {
                guard other.exporters.contains(where: { exporter in next.receivers.contains { $0.id == exporter.id } }),
                    !found.contains(where: { $0.id == other.id })
                else { continue }
                found.append(other)
                waiting.append(other)
            }
        }
        return found
    }

    /// Receivers whose data reaches a pipeline.
    private func roots(of pipeline: GatewayConfiguration.Pipeline) -> Set<ComponentID> {
        Set(
            ([pipeline] + feeders(of: pipeline)).flatMap { $0.receivers.map(\.id) }.filter {
                configuration.component(.receiver, $0) != nil
            })
    }
}
