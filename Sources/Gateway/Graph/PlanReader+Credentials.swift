import Configuration
import Exporters

extension PlanReader {
    /// Most extensions that build on each other.
    private static let depthMax = 8

    /// Gives exporters the credentials of the extensions that they name.
    mutating func joinAuthenticators(_ problems: inout ConfigProblems) {
        for component in configuration.components(of: .exporter) {
            guard let authenticator = exporters[component.id]?.authenticator else { continue }
            let name = authenticator.id
            switch client(name, depth: 0) {
            case .success(let client): exporters[component.id] = authenticator.join(client)
            case .failure(let fault):
                problems.error(
                    "auth.authenticator of exporter \(component.id) names \"\(fault.name)\", which \(fault.what)",
                    fix: fault.fix, at: component.body["auth"]?["authenticator"]?.place ?? component.place,
                    path: "\(component.path).auth.authenticator")
            }
        }
    }

    private struct AuthFault: Error {
        var name: String
        var what: String
        var fix: String
    }

    private func client(_ name: String, depth: Int) -> Result<ClientAuth, AuthFault> {
        let id = try? ComponentID(parsing: name)
        guard let id, case .authenticator(_, let client)? = extensions[id] else {
            let known = extensions.filter { if case .authenticator = $0.value { true } else { false } }
            let fix = Suggestion.fix(for: name, among: known.keys.map(\.description).sorted(), noun: "extensions")
            return .failure(
                AuthFault(
                    name: name, what: "is no authenticator extension of this file",
                    fix: fix ?? "add it under extensions and service.extensions"))
        }
        guard configuration.extensions.contains(where: { $0.id == id }) else {
            return .failure(
                AuthFault(name: name, what: "does not run", fix: "add \(name) to service.extensions"))
        }
        guard var client else {
            return .failure(
                AuthFault(
                    name: name, what: "has no credentials to send",
                    fix: id.type == "basicauth"
                        ? "give it client_auth with username and password" : "use it at receivers only"))
        }
        guard let additional = client.additional else { return .success(client) }
        guard depth < Self.depthMax else {
            return .failure(AuthFault(name: name, what: "leads back to itself", fix: "remove additional_auth"))
        }
        return self.client(additional, depth: depth + 1).map { below in
            client.add(below)
            return client
        }
    }
}
