/// Headers of a request that processors may use, kept when a receiver has `include_metadata`. They last as long as the
/// request's way to its pipeline's journal; processors that look at whole traces run behind it and see none.
package struct RequestMetadata: Sendable, Equatable {
    /// One header line; the name is in lowercase.
    package struct Field: Sendable, Equatable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package var fields: [Field]

    package init(_ fields: [Field] = []) { self.fields = fields }

    /// The value under a name in lowercase; those of several lines are joined by semicolons, as in the Collector.
    package subscript(name: String) -> String? {
        let values = fields.filter { $0.name == name }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ";")
    }
}

/// Whose request it is, and what came with it.
package struct RequestOrigin: Sendable {
    /// Authenticated tenant, empty when there is none.
    package var tenant: String
    package var metadata: RequestMetadata

    package init(tenant: String = "", metadata: RequestMetadata = RequestMetadata()) {
        self.tenant = tenant
        self.metadata = metadata
    }
}
