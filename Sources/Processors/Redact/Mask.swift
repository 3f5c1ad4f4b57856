import Crypto
import Telemetry

/// The Collector's `hash_function`: what blocked values and keys become instead of asterisks.
package enum HashFunction: String, CaseIterable, Sendable {
    case none
    case md5
    case sha1
    case sha3
    case hmacSHA256 = "hmac-sha256"
    case hmacSHA512 = "hmac-sha512"

    /// Whether `hmac_key` is needed.
    var isKeyed: Bool { self == .hmacSHA256 || self == .hmacSHA512 }
}

/// What a masked range becomes.
struct Mask: Sendable {
    let function: HashFunction
    /// For the keyed functions.
    private let key: SymmetricKey
    /// Finds become pseudonyms under this key.
    private let pseudonymKey: SymmetricKey?
    /// `EMAIL` for each detector, by tag.
    private let names: [[UInt8]]

    init(function: HashFunction = .none, key: [UInt8] = [], pseudonymKey: [UInt8] = []) {
        self.function = function
        self.key = SymmetricKey(data: key.isEmpty ? [0] : key)
        self.pseudonymKey = pseudonymKey.isEmpty ? nil : SymmetricKey(data: pseudonymKey)
        names = Detector.allCases.map { Array($0.rawValue.uppercased().utf8) }
    }

    /// Hexadecimal digits of a hash that follow a detector's name: enough to join equal values, too few to be the hash.
    static let pseudonymDigits = 16

    /// Appends what stands for `original`: the Collector's `****` or hash for its own options, `[REDACTED:EMAIL]` for a
    /// detector's find, with digits of the hash function when one is configured, or `[EMAIL:3f9a…]` under a key.
    ///
    /// Plain ASCII without quotes or backslashes: safe inside JSON strings.
    func append(_ tag: MatchTag, _ original: Text, to output: inout ByteColumn) {
        switch tag {
        case .blockedValue, .blockedKey: appendBlocked(original, to: &output)
        case .tooDeep: output.append("[REDACTED:TOO_DEEP]")
        case .undecided: output.append("[REDACTED:UNDECIDED]")
        default:
            guard let detector = tag.detector else { return output.append("****") }
            output.append(pseudonymKey == nil ? "[REDACTED:" : "[")
            names[Int(tag.rawValue)].withUnsafeBytes { output.append($0) }
            if let pseudonymKey {
                appendPseudonym(detector, original, pseudonymKey, to: &output)
            } else if function != .none {
                output.append(0x3A as UInt8)
                let digits = output.count
                appendHash(original, to: &output)
                output.truncate(to: min(output.count, digits + Mask.pseudonymDigits))
            }
            output.append(0x5D as UInt8)
        }
    }

    /// Tells the masks of names apart, which would otherwise be one name for several members: from the second on `#2`
    /// and so on is added. Hashes and pseudonyms differ by themselves.
    func number(_ names: inout Int, _ output: inout ByteColumn) {
        names += 1
        guard names > 1, function == .none, pseudonymKey == nil else { return }
        output.append(0x23 as UInt8)
        output.appendDecimal(Int64(names))
    }

    /// The same person in another spelling gets the same digits: letters in lower case, numbers without their signs.
    private func appendPseudonym(
        _ detector: Detector, _ original: Text, _ key: SymmetricKey, to output: inout ByteColumn
    ) {
        var plain = ByteColumn(capacity: original.count)
        switch detector {
        case .email, .ipv6, .macAddress:
            for byte in original.bytes { plain.append(ByteClass.lowered(byte)) }
        case .creditCard, .phone, .socialSecurityNumber, .iban, .brazilianCPF, .spanishDNI, .indianAadhaar:
            for byte in original.bytes where ByteClass.isAlphanumeric(byte) { plain.append(byte) }
        default: plain.append(original)
        }
        output.append(0x3A as UInt8)
        let digits = output.count
        var code = HMAC<SHA256>(key: key)
        code.update(data: plain.bytes)
        Mask.appendHex(code.finalize(), to: &output)
        output.truncate(to: digits + Mask.pseudonymDigits)
    }

    private func appendBlocked(_ original: Text, to output: inout ByteColumn) {
        if function == .none {
            output.append("****")
        } else {
            appendHash(original, to: &output)
        }
    }

    private func appendHash(_ original: Text, to output: inout ByteColumn) {
        let bytes = original.bytes
        switch function {
        case .none: break
        case .md5:
            var hash = Insecure.MD5()
            hash.update(bufferPointer: bytes)
            Mask.appendHex(hash.finalize(), to: &output)
        case .sha1:
            var hash = Insecure.SHA1()
            hash.update(bufferPointer: bytes)
            Mask.appendHex(hash.finalize(), to: &output)
        case .sha3:
            var hash = SHA3_256()
            hash.update(bufferPointer: bytes)
            Mask.appendHex(hash.finalize(), to: &output)
        case .hmacSHA256:
            var code = HMAC<SHA256>(key: key)
            code.update(data: bytes)
            Mask.appendHex(code.finalize(), to: &output)
        case .hmacSHA512:
            var code = HMAC<SHA512>(key: key)
            code.update(data: bytes)
            Mask.appendHex(code.finalize(), to: &output)
        }
    }

    /// Lower-case hexadecimal digits of a digest.
    static func appendHex(_ digest: some ContiguousBytesReadable, to output: inout ByteColumn) {
        digest.readBytes { bytes in
            for byte in bytes {
                output.append(hexDigit(byte >> 4))
                output.append(hexDigit(byte & 15))
            }
        }
    }

    @inline(__always)
    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 &+ value : 0x57 &+ value }
}

/// Digests and message codes as bytes, without Foundation's protocol for it.
protocol ContiguousBytesReadable {
    func readBytes(_ body: (UnsafeRawBufferPointer) -> Void)
}

extension Insecure.MD5.Digest: ContiguousBytesReadable {
    func readBytes(_ body: (UnsafeRawBufferPointer) -> Void) { withUnsafeBytes(body) }
}

extension Insecure.SHA1.Digest: ContiguousBytesReadable {
    func readBytes(_ body: (UnsafeRawBufferPointer) -> Void) { withUnsafeBytes(body) }
}

extension SHA256.Digest: ContiguousBytesReadable {
    func readBytes(_ body: (UnsafeRawBufferPointer) -> Void) { withUnsafeBytes(body) }
}

extension SHA3_256.Digest: ContiguousBytesReadable {
    func readBytes(_ body: (UnsafeRawBufferPointer) -> Void) { withUnsafeBytes(body) }
}

extension HashedAuthenticationCode: ContiguousBytesReadable {
    func readBytes(_ body: (UnsafeRawBufferPointer) -> Void) { withUnsafeBytes(body) }
}
