/// How request bodies are compressed, with the compressors.
enum BodyCompression: Sendable {
    case none
    case gzip(Gzip)
    case zstd(Zstd)

    init(_ compression: OTLPHTTPOptions.Compression, level: Int) {
        switch compression {
        case .none: self = .none
        case .gzip: self = .gzip(Gzip(level: level))
        case .zstd: self = .zstd(Zstd(level: level))
        }
    }

    /// The value of Content-Encoding, nil for none.
    var name: String? {
        switch self {
        case .none: nil
        case .gzip: "gzip"
        case .zstd: "zstd"
        }
    }

    /// The body as it is sent, nil when memory is short.
    func compress(_ bytes: [UInt8]) -> [UInt8]? {
        switch self {
        case .none: bytes
        case .gzip(let gzip): gzip.compress(bytes)
        case .zstd(let zstd): zstd.compress(bytes)
        }
    }
}
