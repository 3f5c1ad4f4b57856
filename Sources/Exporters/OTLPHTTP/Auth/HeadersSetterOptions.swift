package import Configuration
import Pipeline

/// One action of the `headers_setter` extension.
struct HeaderAction: Sendable {
    enum Kind: String, CaseIterable, Sendable { case insert, update, upsert, delete }

    enum Source: Sendable {
        case none
        case credential(HTTPCredential)
        /// A header of the received request, in lowercase.
        case metadata(String)
        case tenant
    }

    var kind: Kind
    var key: String
    var source = Source.none
    var fallback: Secret?

    /// The request header that it reads.
    var metadataKey: String? { if case .metadata(let name) = source { name } else { nil } }

    /// Whether the value differs from request to request.
    var isDynamic: Bool {
        switch source {
        case .metadata, .tenant: true
        case .none, .credential: false
        }
    }

    /// The value that its source has for requests of this origin.
    private func found(_ origin: RequestOrigin) -> String? {
        let text: String? =
            switch source {
            case .none: nil
            case .credential(let credential): try? credential.value().get()
            case .metadata(let name): origin.metadata[name]
            case .tenant: origin.tenant
            }
        // What came from outside may hold what would end the header line.
        return text.flatMap { $0.isEmpty || HTTPHeaderCheck.holdsControl($0) ? nil : $0 }
    }

    /// Changes the headers of a request. `encodesBinary` says that they are metadata of gRPC: what came as such goes on
    /// in the base64 that it came in, and what is none, as over HTTP, in base64.
    func apply(to headers: inout [(name: String, value: String)], _ origin: RequestOrigin, encodesBinary: Bool) {
        let name = key.lowercased()
        let isPresent = headers.contains { $0.name.lowercased() == name }
        if kind == .delete { return headers.removeAll { $0.name.lowercased() == name } }
        let found = found(origin)
        // Without a value nothing is set.
        guard let value = found ?? fallback?.reveal(), kind == .upsert || isPresent == (kind == .update) else { return }
        headers.removeAll { $0.name.lowercased() == name }
        let cameAsBinary = found != nil && metadataKey.map(BinaryMetadata.isName) == true
        let isEncoded = cameAsBinary && BinaryMetadata.decoded(value) != nil
        headers.append((key, encodesBinary && !isEncoded ? BinaryMetadata.encoded(value, of: key) : value))
    }
}

/// Options of the `headers_setter` extension, named as the Collector's.
package struct HeadersSetterOptions: ComponentOptions {
    var actions: [HeaderAction]
    package var additional: String?

    package init(_ settings: inout Settings) {
        actions = settings.list("headers", "What is done to the headers of requests, in order.") { Self.action(&$0) }
        additional = settings.optionalString(
            "additional_auth", "Id of another authenticator extension whose credentials are sent too.")
        if actions.isEmpty, !settings.isDescribing { settings.problem("needs at least one action", at: "headers") }
    }

    private static let sources = ["value", "value_file", "from_context", "from_attribute"]

    private static func action(_ settings: inout Settings) -> HeaderAction {
        let kind = settings.choice(
            "action", default: HeaderAction.Kind.upsert,
            "insert sets a header that is not there, update one that is, upsert any; delete removes it.")
        let key = settings.requiredString("key", "Name of the header.")
        let value = settings.secret("value", "Its value.")
        let file = settings.optionalString("value_file", "File that holds the value.")
        let context = settings.optionalString(
            "from_context",
            "Header of the received request that has the value; the receiver needs include_metadata. auth.tenant is "
                + "the sender's tenant.")
        let attribute = settings.optionalString(
            "from_attribute", "Fact about the authenticated sender: tenant, username or subject, which are the same.")
        var action = HeaderAction(kind: kind, key: key)
        action.fallback = settings.secret("default_value", "Value where the request has none.")
        guard !settings.isDescribing else { return action }
        if !HTTPHeaderCheck.isToken(key) { settings.problem("is no name of a header", at: "key") }
        let count = sources.count(where: settings.isPresent)
        if kind == .delete ? count > 0 : count != 1 {
            settings.problem(
                kind == .delete ? "delete takes no value" : "give exactly one of \(sources.joined(separator: ", "))")
        }
        if let value { action.source = .credential(HTTPCredential(name: key, source: .text(value))) }
        if let file { action.source = .credential(HTTPCredential(name: key, source: .file(file))) }
        if let context { action.source = source(context: context) }
        if let attribute {
            action.source = .tenant
            if !["tenant", "username", "subject"].contains(attribute) {
                settings.problem("is not known: of senders, the tenant is kept", at: "from_attribute")
            }
        }
        return action
    }

    private static func source(context: String) -> HeaderAction.Source {
        let name = context.lowercased()
        return ["auth.tenant", "auth.username", "auth.subject"].contains(name) ? .tenant : .metadata(name)
    }
}
