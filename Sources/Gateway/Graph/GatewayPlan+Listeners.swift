import Configuration
import Receivers

extension GatewayPlan {
    /// A socket that the gateway is going to listen on.
    private struct Listener {
        var what: String
        /// Addresses that it takes; empty for all of the machine.
        var hosts: Set<String>
        var port: Int
        var place: ConfigPlace
        var path: String

        func meets(_ other: Listener) -> Bool {
            guard port == other.port, port != 0 else { return false }
            return hosts.isEmpty || other.hosts.isEmpty || !hosts.isDisjoint(with: other.hosts)
        }

        /// `localhost` is both loopback addresses.
        static func hosts(_ host: String) -> Set<String> {
            switch host {
            case "localhost": ["127.0.0.1", "::1"]
            case "0.0.0.0", "::": []
            default: [host]
            }
        }
    }

    /// Listeners of which the second could not open its port.
    func checkListeners(_ configuration: GatewayConfiguration, _ problems: inout ConfigProblems) {
        guard !problems.hasErrors else { return }
        var seen: [Listener] = []
        for listener in metricsListeners + receiverListeners(configuration) + healthListeners(configuration) {
            if let other = seen.first(where: { $0.meets(listener) }) {
                problems.error(
                    "\(listener.what) and \(other.what) listen on the same address, port \(listener.port)",
                    fix: "give each its own endpoint", at: listener.place, path: listener.path)
            }
            seen.append(listener)
        }
    }

    /// Receivers that take what anybody sends who reaches the machine.
    func warnOfOpenReceivers(_ configuration: GatewayConfiguration, _ problems: inout ConfigProblems) {
        for (id, options) in receivers {
            let (http, grpc) = (options.http, options.grpc)
            let all = [
                ("http", http?.endpoint, http?.tls != nil || http?.authenticator != nil),
                ("grpc", grpc?.endpoint, grpc?.tls != nil || grpc?.authenticator != nil),
            ]
            for (name, endpoint, isGuarded) in all {
                guard let endpoint, !isGuarded, !endpoint.isLoopback else { continue }
                let (place, path) = spot(.receiver, id, "protocols.\(name).endpoint", configuration)
                problems.warning(
                    "is open to other machines, without TLS and without authentication",
                    fix: "listen on 127.0.0.1 if all senders are on this one, or set tls or auth", at: place,
                    path: path)
            }
        }
    }

    private func receiverListeners(_ configuration: GatewayConfiguration) -> [Listener] {
        receivers.flatMap { id, options in
            [("http", options.http?.endpoint), ("grpc", options.grpc?.endpoint)].compactMap { name, endpoint in
                guard let endpoint else { return nil }
                let (place, path) = spot(.receiver, id, "protocols.\(name).endpoint", configuration)
                let hosts: Set<String> =
                    switch endpoint.host {
                    case .all: []
                    case .localhost: Listener.hosts("localhost")
                    case .named(let host): Listener.hosts(host)
                    }
                return Listener(
                    what: "receiver \(id)", hosts: hosts, port: endpoint.port, place: place, path: path)
            }
        }
    }

    private var metricsListeners: [Listener] {
        Set(telemetry.metricsAddresses).map { address in
            Listener(
                what: "service.telemetry.metrics", hosts: Listener.hosts(address.host), port: address.port,
                place: .nowhere, path: "service.telemetry.metrics")
        }
    }

    private func healthListeners(_ configuration: GatewayConfiguration) -> [Listener] {
        let checks = configuration.extensions.filter { $0.id.type.hasPrefix("health") }
        return zip(healthChecks, checks).map { check, reference in
            let (place, path) = spot(.extension, reference.id.description, "endpoint", configuration)
            return Listener(
                what: "extension \(reference.id)", hosts: Listener.hosts(check.address.host), port: check.address.port,
                place: place, path: path)
        }
    }

    /// Authenticators of receivers that do not run.
    func checkAuthenticators(_ configuration: GatewayConfiguration, _ problems: inout ConfigProblems) {
        for (id, options) in receivers {
            let named = [("http", options.http?.authenticator), ("grpc", options.grpc?.authenticator)]
            for case (let protocolName, let name?) in named
            where !authenticators.contains(where: { $0.id == name }) {
                let isDefined = configuration.components(of: .extension).contains { $0.id.description == name }
                let option = "protocols.\(protocolName).auth.authenticator"
                let (place, path) = spot(.receiver, id, option, configuration)
                problems.error(
                    "names \"\(name)\", which is no running authentication extension",
                    fix: isDefined
                        ? "add \(name) to service.extensions; it must be a bearertokenauth, basicauth with htpasswd or "
                            + "api_key"
                        : "add it under extensions and service.extensions", at: place, path: path)
            }
        }
    }

    /// Where an option of a component is written, or the component.
    func spot(
        _ kind: ComponentKind, _ name: String, _ option: String, _ configuration: GatewayConfiguration
    ) -> (place: ConfigPlace, path: String) {
        let component = (try? ComponentID(parsing: name)).flatMap { configuration.component(kind, $0) }
        let place = component?.body.place(ofOption: option) ?? component?.place ?? .nowhere
        return (place, "\(kind.section).\(name).\(option)")
    }
}
