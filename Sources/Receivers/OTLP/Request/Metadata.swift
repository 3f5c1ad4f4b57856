import Pipeline

extension RequestMetadata {
    /// The headers of a request but for pseudo headers and the credential, which is nobody's business behind the
    /// receiver.
    init(_ headers: some Swift.Sequence<(name: String, value: String)>, without auth: AuthCheck?) {
        self.init()
        let credential = auth?.authenticator.headerName
        for (name, value) in headers where !name.hasPrefix(":") {
            let name = ASCII.lowercased(name)
            if name != credential { fields.append(Field(name: name, value: ASCII.trimmed(value))) }
        }
    }
}
