import Crypto
import CryptoExtras
import FoundationEssentials
import Pipeline

/// Makes the tokens of key-pair authentication (Snowflake, "Authenticating to the server", JSON Web Tokens): RS256 over
/// `iss` = ACCOUNT.USER.SHA256:fingerprint of the public key, `sub` = ACCOUNT.USER, `iat`, `exp`.
struct SnowflakeSigner: Sendable {
    /// The server takes no token that is valid for longer than an hour.
    static let lifetime = 59 * 60

    private let key: _RSA.Signing.PrivateKey
    private let subject: String
    private let fingerprint: String

    /// `place` names where the key comes from; errors never hold the key.
    init(account: String, user: String, pem: String, place: String) throws(ExporterStartFailure) {
        if pem.contains("ENCRYPTED") {
            throw ExporterStartFailure(
                "\(place) is encrypted: decrypt it with `openssl pkcs8 -in KEY -out PLAIN` into a file of mode 0600")
        }
        do { key = try _RSA.Signing.PrivateKey(pemRepresentation: pem) } catch {
            throw ExporterStartFailure(
                "\(place) is no RSA private key of 2048 bits or more in PEM form: make one with "
                    + "`openssl genrsa 2048 | openssl pkcs8 -topk8 -nocrypt`")
        }
        subject = "\(Self.name(of: account)).\(user.uppercased())"
        let hash = Data(SHA256.hash(data: key.publicKey.derRepresentation))
        fingerprint = "SHA256:" + hash.base64EncodedString()
    }

    /// The account without region and cloud, which tokens leave out.
    static func name(of account: String) -> String {
        let end: Character = account.contains(".global") ? "-" : "."
        return account.prefix { $0 != end }.uppercased()
    }

    /// A token that is valid from `now`, in Unix seconds.
    func token(now: Int) throws(ExporterStartFailure) -> String {
        let claims =
            #"{"iss":"\#(subject).\#(fingerprint)","sub":"\#(subject)","iat":\#(now),"exp":\#(now + Self.lifetime)}"#
        let text = Self.encoded(Data(#"{"alg":"RS256","typ":"JWT"}"#.utf8)) + "." + Self.encoded(Data(claims.utf8))
        do {
            // RS256 is PKCS #1 1.5 over SHA-256 (RFC 7518, section 3.3).
            let signature = try key.signature(for: Data(text.utf8), padding: .insecurePKCS1v1_5)
            return text + "." + Self.encoded(signature.rawRepresentation)
        } catch { throw ExporterStartFailure("the private key cannot sign: \(error)") }
    }

    /// Base64 for URLs, without padding.
    private static func encoded(_ data: Data) -> String {
        String(
            data.base64EncodedString().compactMap { character -> Character? in
                switch character {
                case "+": "-"
                case "/": "_"
                case "=": nil
                default: character
                }
            })
    }
}

/// Reading of keys from files.
enum KeyFile {
    private static let sizeMax = 64 << 10

    static func read(_ path: String, place: String) throws(ExporterStartFailure) -> String {
        guard let data = FileManager.default.contents(atPath: path), data.count <= sizeMax else {
            throw ExporterStartFailure("\(place) cannot be read: check path and owner")
        }
        return String(decoding: data, as: UTF8.self)
    }
}
