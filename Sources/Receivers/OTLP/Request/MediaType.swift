import Pipeline

/// The media types of OTLP/HTTP bodies. An answer carries the type of its request.
enum MediaType: UInt8, CaseIterable {
    case xProtobuf
    /// The name for protobuf without the prefix, which some senders use.
    case protobuf
    case json

    /// As written in a header.
    var name: String {
        switch self {
        case .xProtobuf: "application/x-protobuf"
        case .protobuf: "application/protobuf"
        case .json: "application/json"
        }
    }

    /// The encoding of the body.
    var encoding: WireEncoding { self == .json ? .json : .protobuf }

    /// The type that a Content-Type header names (RFC 9110, 8.3.1: letter case and parameters do not matter), nil for
    /// any other and for JSON in another character set than UTF-8.
    init?(contentType: String) {
        // As nearly all senders write it.
        if contentType == "application/x-protobuf" {
            self = .xProtobuf
            return
        }
        let parts = contentType.utf8.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
        guard let first = parts.first,
            let type = Self.allCases.first(where: { ASCII.equal(ASCII.trimmed(first), $0.name) })
        else { return nil }
        if type == .json, !parts.dropFirst().allSatisfy({ Self.isUTF8($0) }) { return nil }
        self = type
    }

    /// True for a parameter that does not name a character set other than UTF-8.
    private static func isUTF8(_ parameter: Substring.UTF8View.SubSequence) -> Bool {
        let pair = parameter.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        guard pair.count == 2, ASCII.equal(ASCII.trimmed(pair[0]), "charset") else { return true }
        var value = ASCII.trimmed(pair[1])
        if value.count >= 2, value.first == UInt8(ascii: "\""), value.last == UInt8(ascii: "\"") {
            value = value.dropFirst().dropLast()
        }
        return ASCII.equal(value, "utf-8") || ASCII.equal(value, "utf8")
    }
}
