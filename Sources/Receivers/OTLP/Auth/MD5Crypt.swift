import Crypto

/// The password hashes that `htpasswd` writes unless told otherwise, `$apr1$SALT$HASH`, and their older form `$1$`: a
/// thousand rounds of MD5 (crypt(3) of FreeBSD, 1994). They take less than a millisecond and are no good protection of
/// a file that leaks; bcrypt is.
struct MD5Crypt: Equatable {
    /// Longer passwords match none: `htpasswd` takes 255 bytes, and each round hashes the password.
    static let passwordBytesMax = 512
    private static let rounds = 1000

    private let magic: String
    private let salt: String

    /// Reads a stored hash; nil when it is in another form.
    init?(hash: Substring) {
        let parts = hash.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0].isEmpty, parts[1] == "apr1" || parts[1] == "1",
            (1...8).contains(parts[2].utf8.count), parts[3].utf8.count == 22
        else { return nil }
        magic = "$\(parts[1])$"
        salt = String(parts[2])
    }

    /// The stored form that a password has with this salt.
    func stored(_ password: [UInt8]) -> String {
        let (magic, salt) = (Array(self.magic.utf8), Array(self.salt.utf8))
        var digest = first(password, magic, salt)
        for round in 0..<Self.rounds {
            let isOdd = round % 2 == 1
            var bytes = isOdd ? password : digest
            if round % 3 != 0 { bytes += salt }
            if round % 7 != 0 { bytes += password }
            bytes += isOdd ? digest : password
            digest = Self.md5(bytes)
        }
        return "\(self.magic)\(self.salt)$\(Self.text(of: digest))"
    }

    /// The digest that the rounds begin with.
    private func first(_ password: [UInt8], _ magic: [UInt8], _ salt: [UInt8]) -> [UInt8] {
        let inner = Self.md5(password + salt + password)
        var bytes = password + magic + salt
        for index in 0..<password.count { bytes.append(inner[index % 16]) }
        var length = password.count
        while length > 0 {
            bytes.append(length % 2 == 1 ? 0 : password[0])
            length /= 2
        }
        return Self.md5(bytes)
    }

    private static func md5(_ bytes: [UInt8]) -> [UInt8] { Array(Insecure.MD5.hash(data: bytes)) }

    /// Sixteen bytes in crypt's own order and its own base 64, lowest bits first.
    private static func text(of digest: [UInt8]) -> String {
        let digits = Array("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
        var text: [UInt8] = []
        func append(_ value: Int, count: Int) {
            for place in 0..<count { text.append(digits[value >> (6 * place) & 63]) }
        }
        for (high, middle, low) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
            append(Int(digest[high]) << 16 | Int(digest[middle]) << 8 | Int(digest[low]), count: 4)
        }
        append(Int(digest[11]), count: 2)
        return String(decoding: text, as: UTF8.self)
    }
}
