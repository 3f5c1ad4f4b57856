import Configuration
import Crypto
import Glibc

/// Signs requests by AWS Signature Version 4, as "Authenticating Requests (AWS Signature Version 4)" of the Amazon S3
/// API reference describes it, with the payload's hash in the signature.
struct AWSSignature: Sendable {
    struct Credentials: Sendable {
        var accessKey: String
        var secretKey: String
        /// For temporary credentials.
        var sessionToken: String?
    }

    var credentials: Credentials
    var region: String
    var service = "s3"

    /// A request to sign. `path` and `query` are percent-encoded already; `headers` have lower-case names and include
    /// host and every x-amz one.
    struct Request {
        var method: String
        var path: String
        var query = ""
        var headers: [(name: String, value: String)]
        var payloadHash: String
    }

    /// What of a request's header lines is not to be told: the signature, and the token of temporary credentials.
    func secrets(in lines: [String]) -> [Secret] {
        let values = lines.filter { $0.lowercased().hasPrefix("authorization: ") }.map { String($0.dropFirst(15)) }
        // Of 64 digits, which servers quote by themselves.
        let signatures = values.map { String($0.suffix(64)) }
        return (values + signatures + [credentials.sessionToken].compactMap(\.self)).map { Secret($0) }
    }

    /// The value of the Authorization header. `time` is that of x-amz-date.
    func authorization(_ request: Request, time: AWSTime) -> String {
        let headers = request.headers.sorted { $0.name < $1.name }
        let names = headers.map(\.name).joined(separator: ";")
        var canonical = "\(request.method)\n\(request.path)\n\(request.query)\n"
        for header in headers { canonical += "\(header.name):\(header.value)\n" }
        canonical += "\n\(names)\n\(request.payloadHash)"
        let scope = "\(time.day)/\(region)/\(service)/aws4_request"
        let text = "AWS4-HMAC-SHA256\n\(time.text)\n\(scope)\n\(Self.hash(Array(canonical.utf8)))"
        var key = SymmetricKey(data: Array("AWS4\(credentials.secretKey)".utf8))
        for part in [time.day, region, service, "aws4_request"] { key = Self.derive(part, key) }
        let code = HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)
        return "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope),SignedHeaders=\(names),"
            + "Signature=\(Self.hex(code))"
    }

    private static func derive(_ part: String, _ key: SymmetricKey) -> SymmetricKey {
        SymmetricKey(data: Array(HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key)))
    }

    /// SHA-256 in lower-case hex.
    static func hash(_ bytes: [UInt8]) -> String { hex(SHA256.hash(data: bytes)) }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// A path with everything escaped but slashes and the unreserved characters of RFC 3986.
    static func escaped(path: String) -> String {
        var result: [UInt8] = []
        let digits = Array("0123456789ABCDEF".utf8)
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"), UInt8(ascii: "/"):
                result.append(byte)
            default: result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

/// A time as AWS writes it: `20130524T000000Z`.
struct AWSTime: Sendable, Equatable {
    let text: String
    var day: String { String(text.prefix(8)) }

    /// Unix seconds.
    init(seconds: Int) { text = Self.format(seconds, "%Y%m%dT%H%M%SZ") }

    /// A time in UTC by strftime's rules; empty for a format whose result is empty or longer than 1,000 bytes.
    static func format(_ seconds: Int, _ format: String) -> String {
        var seconds = seconds
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 1_001)
        let count = strftime(&buffer, buffer.count, format, &parts)
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
