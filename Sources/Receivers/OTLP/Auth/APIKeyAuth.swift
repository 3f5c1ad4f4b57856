package import Configuration
package import Logging

/// Options of the `api_key` extension.
package struct APIKeyOptions: ComponentOptions {
    let header: String
    let keys: [(tenant: String, key: Secret)]
    let file: String?

    package init(_ settings: inout Settings) {
        header = settings.string("header", default: "X-API-Key", "Header that carries the key.")
        var owners: [String: String] = [:]
        keys = settings.list("keys", "Keys that are let in, each with the tenant it belongs to.") { entry in
            let tenant = entry.requiredString("tenant", "Whose data a request with this key is.")
            let key = entry.secret("key", "The key.")
            if !entry.isDescribing, key?.reveal().isEmpty ?? true {
                entry.problem("a key is missing or empty", at: "key")
            } else if let key, let owner = owners.updateValue(tenant, forKey: key.reveal()), owner != tenant {
                entry.problem(
                    "this is the key of tenant \(owner) too, so nobody could tell whose data a request is; "
                        + "give each tenant a key of its own", at: "key")
            }
            return (tenant, key ?? Secret(""))
        }
        file = settings.optionalString(
            "file",
            "File of lines tenant:key; it is read again when it changes. One that is gone, empty or broken then leaves "
                + "the last keys in force.")
        guard !settings.isDescribing else { return }
        if !ASCII.isToken(header) { settings.problem("is no header name", at: "header") }
        if keys.isEmpty, file == nil { settings.problem("no key is given; set keys or file") }
    }
}

/// Lets in requests with a known key and tells the tenant that it belongs to.
package struct APIKeyAuth: RequestAuthenticator {
    package let headerName: String
    package let challenge: String
    private let fixed: CredentialTable
    private let file: CredentialFile?

    /// Reads the file of keys, if one is named.
    package init(_ options: APIKeyOptions, log: Logger) throws(CredentialFault) {
        headerName = ASCII.lowercased(options.header)
        challenge = "ApiKey header=\"\(options.header)\""
        var table = CredentialTable()
        for (tenant, key) in options.keys { table.add(key.reveal().utf8, tenant: tenant) }
        fixed = table
        guard let path = options.file else {
            file = nil
            return
        }
        file = try CredentialFile(path: path, option: "file", log: log) { (line) throws(CredentialFault) in
            guard let colon = line.firstIndex(of: ":"), colon != line.startIndex else {
                throw CredentialFault(description: "\(path) has a line that is not tenant:key")
            }
            let key = ASCII.trimmed(line[line.index(after: colon)...].utf8)
            guard !key.isEmpty else { throw CredentialFault(description: "\(path) has a tenant without a key") }
            var table = CredentialTable()
            table.add(key, tenant: String(line[..<colon]))
            return table
        }
    }

    package func sender(of value: String) -> RequestSender {
        let key = ASCII.trimmed(Substring(value).utf8)
        guard !key.isEmpty else { return .unknown }
        let inFile = file?.table.tenant(of: key)
        return (fixed.tenant(of: key) ?? inFile).map { .tenant($0) } ?? .unknown
    }
}
