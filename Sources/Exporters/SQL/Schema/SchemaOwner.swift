/// An exporter whose destination has Sluice's schema.
package protocol SchemaOwner: Sendable {
    /// Creates or completes the schema, whatever `create_schema` says, and closes again. Throws `ExporterStartFailure`.
    func migrate() async throws -> SchemaChange
}

/// What a migration did.
package struct SchemaChange: Sendable, Equatable {
    /// Where: a path, or host and database. Never a secret.
    package var place: String
    /// Version that was there, 0 for none.
    package var from: Int
    package var to: Int
}
