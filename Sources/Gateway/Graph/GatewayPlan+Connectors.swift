import Configuration
import Exporters
import Pipeline

/// Warnings of options that do something else where a connector stands between.
extension GatewayPlan {
    func checkConnectors(_ configuration: GatewayConfiguration, _ problems: inout ConfigProblems) {
        checkAcknowledgements(configuration, &problems)
        var seen: Set<String> = []
        for pipeline in pipelines {
            for (connector, _, outputs) in pipeline.connectors where outputs.count > 1 {
                let names = outputs.map(\.pipeline)
                for output in pipelines where names.contains(output.id) {
                    let others = names.filter { $0 != output.id }.joined(separator: ", ")
                    for (id, plan) in output.exporters where plan.blocksAtCap && seen.insert(id).inserted {
                        warnOfCap(id, behind: connector, others: others, configuration, &problems)
                    }
                }
            }
        }
    }

    /// One that is refused waits with its batch, and with it all that comes behind.
    private func warnOfCap(
        _ exporter: String, behind connector: String, others: String, _ configuration: GatewayConfiguration,
        _ problems: inout ConfigProblems
    ) {
        let component = configuration.components(of: .exporter).first { $0.id.description == exporter }
        let queue = component?.body["sending_queue"]
        let cap = queue?["queue_size"]
        let place = (cap ?? queue?["storage"])?.place ?? component?.place ?? .nowhere
        let unset = cap == nil ? "" : "remove queue_size, "
        problems.warning(
            "while exporter \(exporter) is at its cap, connector \(connector) waits for it, and \(others) get nothing "
                + "new either",
            fix: "\(unset)set `overflow: drop_oldest` or `drop_newest`, or name the receiver in these pipelines "
                + "instead of \(connector)",
            at: place, path: "exporters.\(exporter).sending_queue.queue_size")
    }

    private func checkAcknowledgements(_ configuration: GatewayConfiguration, _ problems: inout ConfigProblems) {
        for pipeline in configuration.pipelines where pipeline.options.acknowledgement == .delivered {
            let path = "\(pipeline.path).ack"
            if let connector = pipeline.exporters.first(where: { configuration.component(.connector, $0.id) != nil }) {
                problems.warning(
                    "`ack: delivered` waits until \(connector.id) has stored a request for the pipelines behind it, "
                        + "not until their exporters have delivered it",
                    fix: "name the receiver in those pipelines instead of \(connector.id), with `ack: delivered` there",
                    at: pipeline.place, path: path)
            }
            let hasReceiver = pipeline.receivers.contains { configuration.component(.receiver, $0.id) != nil }
            if let connector = pipeline.receivers.first, !hasReceiver {
                problems.warning(
                    "`ack: delivered` has no effect behind connector \(connector.id): senders are answered before",
                    fix: "remove it, or name the receiver in this pipeline instead of \(connector.id)",
                    at: pipeline.place, path: path)
            }
        }
    }
}

extension ExporterPlan {
    /// Whether requests are refused when its backlog has reached a cap.
    fileprivate var blocksAtCap: Bool { helper.queue.capacity != nil && helper.queue.overflow == .block }
}
