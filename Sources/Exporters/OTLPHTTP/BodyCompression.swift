import Pipeline

/// How request bodies are compressed, with the compressors.
enum BodyCompression: Sendable {
    case none
    case gzip(Deflate)
    case zstd(Zstd)
    case snappy(isFramed: Bool)
    case lz4(LZ4)
    /// The zlib format, which HTTP calls deflate and some call by its own name.
    case zlib(Deflate, name: String)

    init(_ compression: OTLPHTTPOptions.Compression, level: Int) {
        switch compression {
        case .none: self = .none
        case .gzip: self = .gzip(Deflate(.gzip, level: level))
        case .zstd: self = .zstd(Zstd(level: level))
        case .snappy: self = .snappy(isFramed: false)
        case .framedSnappy: self = .snappy(isFramed: true)
        case .lz4: self = .lz4(LZ4())
        case .zlib, .deflate: self = .zlib(Deflate(.zlib, level: level), name: compression.rawValue)
        }
    }

    /// The value of Content-Encoding, nil for none.
    var name: String? {
        switch self {
        case .none: nil
        case .gzip: "gzip"
        case .zstd: "zstd"
        case .snappy(let isFramed): isFramed ? "x-snappy-framed" : "snappy"
        case .lz4: "lz4"
        case .zlib(_, let name): name
        }
    }

    /// A body of several pieces as it is sent, nil when memory is short. Only what is not compressed stays in pieces.
    func compress(_ pieces: [[UInt8]]) -> [[UInt8]]? {
        if case .none = self { return pieces }
        return compress(pieces.joinedBytes).map { [$0] }
    }

    /// The body as it is sent, nil when memory is short.
    func compress(_ bytes: [UInt8]) -> [UInt8]? {
        switch self {
        case .none: bytes
        case .gzip(let gzip): gzip.compress(bytes)
        case .zstd(let zstd): zstd.compress(bytes)
        case .snappy(let isFramed): isFramed ? Snappy.frames(bytes) : Snappy.block(bytes)
        case .lz4(let lz4): lz4.compress(bytes)
        case .zlib(let zlib, _): zlib.compress(bytes)
        }
    }
}
