/// Content codings that the receiver can undo.
enum ContentCoding: UInt8, CaseIterable {
    case identity
    case gzip
    /// RFC 1950 data, which HTTP calls `deflate`.
    case zlib
    case zstd
    /// One block without framing.
    case snappy
    case snappyFramed
    /// The frame format.
    case lz4

    /// As messages name it.
    var name: String {
        switch self {
        case .identity: "identity"
        case .gzip: "gzip"
        case .zlib: "deflate"
        case .zstd: "zstd"
        case .snappy: "snappy"
        case .snappyFramed: "x-snappy-framed"
        case .lz4: "lz4"
        }
    }

    /// Names in headers and in `compression_algorithms`; the empty name stands for an uncompressed body.
    static let names: [(name: String, coding: ContentCoding)] = [
        ("", .identity), ("identity", .identity), ("gzip", .gzip), ("x-gzip", .gzip), ("deflate", .zlib),
        ("zlib", .zlib), ("zstd", .zstd), ("snappy", .snappy), ("x-snappy-framed", .snappyFramed), ("lz4", .lz4),
    ]

    /// Why a Content-Encoding cannot be undone.
    enum Fault: Error, Equatable {
        case unknown(String)
        /// More than one coding was applied; each layer could be a bomb in a bomb.
        case nested
    }

    /// The coding of a Content-Encoding header (RFC 9110, 8.4): letter case does not matter, `identity` and empty
    /// elements count as nothing.
    init(contentEncoding: String) throws(Fault) {
        var found = ContentCoding.identity
        for element in contentEncoding.utf8.split(separator: UInt8(ascii: ",")) {
            let text = ASCII.trimmed(element)
            guard let known = Self.names.first(where: { ASCII.equal(text, $0.name) }) else {
                throw .unknown(PlainText.shown(String(Substring(text))))
            }
            if known.coding == .identity { continue }
            guard found == .identity else { throw .nested }
            found = known.coding
        }
        self = found
    }
}

/// Which codings are let in.
struct CodingSet: Sendable, Equatable {
    private var bits: UInt8 = 0

    init(_ codings: some Sequence<ContentCoding>) {
        for coding in codings { bits |= 1 << coding.rawValue }
    }

    /// All that the receiver can undo.
    static let all = CodingSet(ContentCoding.allCases)

    func contains(_ coding: ContentCoding) -> Bool { bits & 1 << coding.rawValue != 0 }

    /// For an Accept-Encoding header and for messages.
    var names: String {
        let names = ContentCoding.allCases.filter { contains($0) && $0 != .identity }.map(\.name)
        let all = names + (contains(.identity) ? ["identity"] : [])
        return all.isEmpty ? "none" : all.joined(separator: ", ")
    }
}
