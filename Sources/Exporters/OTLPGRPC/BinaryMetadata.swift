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

    /// The text behind base64, with or without padding; nil when the value is none. Bytes that are no UTF-8 become
    /// replacement characters.
    static func decoded(_ value: String) -> String? {
        let bare = value.prefix { $0 != "=" }
        let padding = String(repeating: "=", count: (4 - bare.utf8.count % 4) % 4)
        guard padding.count < 3, value.utf8.count - bare.utf8.count <= padding.count,
            let data = Data(base64Encoded: bare + padding)
        else { return nil }
        return String(decoding: data, as: UTF8.self)
    }
}
