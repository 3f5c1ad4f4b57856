import Configuration
import Exporters
import Receivers
import Telemetry

extension GatewayPlan {
    /// Notes what each receiver is made from: its own options and those of its authenticators, with the state of files
    /// that they name, the signals that it takes, and how it logs.
    mutating func noteTraits(_ configuration: GatewayConfiguration) {
        for (id, options) in receivers {
            let bodies = [(ComponentKind.receiver, id)] + options.authenticators.map { (.extension, $0) }
            let texts = bodies.map { kind, name in
                let component = (try? ComponentID(parsing: name)).flatMap { configuration.component(kind, $0) }
                return component?.body.traits(scalar: SystemFacts.fileTraits) ?? ""
            }
            let log = "\(telemetry.logLevel) \(telemetry.logEncoding)"
            let taken = signals(of: id).map(\.itemName).sorted()
            receiverTraits[id] = (texts + [log] + taken).joined(separator: "\n")
        }
    }

    /// Notes where each exporter delivers to: all of its options but for those that every exporter has. One that stands
    /// before others delivers where these do.
    mutating func noteDestinations(_ configuration: GatewayConfiguration) {
        let common = Set(describeOptions(ExporterHelperOptions.self).map(\.key))
        for (id, plan) in pipelines.flatMap(\.exporters) {
            let traits = ([id] + (plan.fallback?.exporters ?? [])).map { name -> String? in
                let component = (try? ComponentID(parsing: name)).flatMap { configuration.component(.exporter, $0) }
                return component?.body.without(common).traits()
            }
            destinationTraits[id] =
                traits.contains { $0 == nil } ? nil : traits.compactMap(\.self).joined(separator: "\n")
        }
    }

    /// What the pipelines take that read from a receiver.
    func signals(of receiver: String) -> Set<Signal> {
        Set(pipelines.filter { $0.receivers.contains(receiver) }.map(\.signal.recorded))
    }
}
