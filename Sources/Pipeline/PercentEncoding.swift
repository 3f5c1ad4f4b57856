/// Text in which `%XX` stands for a byte of UTF-8, as in `grpc-message` and in lists of attributes.
package enum PercentEncoding {
    /// The text that is meant; a sign without two digits stays as it is, and broken UTF-8 becomes U+FFFD.
    package static func decoded(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        var at = 0
        while at < bytes.count {
            if bytes[at] == UInt8(ascii: "%"), at + 2 < bytes.count,
                let value = UInt8(String(decoding: bytes[(at + 1)...(at + 2)], as: UTF8.self), radix: 16)
            {
                decoded.append(value)
                at += 3
            } else {
                decoded.append(bytes[at])
                at += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}
