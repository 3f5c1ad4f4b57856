/// Headers of a request, kept when a receiver has `include_metadata`. All of them last as long as the request's way to
/// its pipeline's journal; behind it there are those alone that an exporter or connector asked for, see `kept`.
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

    /// Most names that one pipeline keeps behind its journal.
    package static let keptNamesMax = 16
    /// Most bytes of names and values that are kept with one request.
    package static let keptBytesMax = 4_096

    /// The fields under these names, in lowercase, that stay with a request behind its journal: in order of the names,
    /// so that equal values are equal whatever the order of the headers, and as far as `keptBytesMax` goes.
    package func kept(_ names: [String]) -> RequestMetadata {
        var kept = RequestMetadata()
        guard !fields.isEmpty else { return kept }
        var bytes = 0
        for name in names {
            for field in fields where field.name == name {
                let size = name.utf8.count + field.value.utf8.count
                guard bytes + size <= Self.keptBytesMax, kept.fields.count < Self.keptFieldsMax else { return kept }
                bytes += size
                kept.fields.append(field)
            }
        }
        return kept
    }

    /// A header can come in many lines.
    private static let keptFieldsMax = 64

    /// The value under a name in lowercase; those of several lines are joined by semicolons, as in the Collector.
    package subscript(name: String) -> String? {
        let values = fields.filter { $0.name == name }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ";")
    }
}

/// Whose request it is, and what came with it.
package struct RequestOrigin: Sendable, Equatable {
    /// Authenticated tenant, empty when there is none.
    package var tenant: String
    package var metadata: RequestMetadata

    package init(tenant: String = "", metadata: RequestMetadata = RequestMetadata()) {
        self.tenant = tenant
        self.metadata = metadata
    }
}

extension ExportBatch {
    /// Whose it is, as far as that is kept behind the journal.
    package var origin: RequestOrigin { RequestOrigin(tenant: tenant, metadata: metadata) }
}
