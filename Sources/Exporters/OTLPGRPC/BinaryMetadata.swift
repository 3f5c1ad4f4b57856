import FoundationEssentials

/// Metadata of gRPC whose name ends in `-bin`: its values are bytes and travel in base64 (gRPC over HTTP/2,
/// "Custom-Metadata").
enum BinaryMetadata {
    static func isName(_ name: String) -> Bool { name.lowercased().hasSuffix("-bin") }

    /// The value of a header as it is sent: in base64 without padding, as gRPC's libraries do, if the name says so.
    static func encoded(_ value: String, of name: String) -> String {
        guard isName(name) else { return value }
        return String(Data(value.utf8).base64EncodedString().prefix { $0 != "=" })
    }
}
