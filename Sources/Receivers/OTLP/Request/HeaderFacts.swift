import NIOHTTP1

/// What the headers of a request say as far as the receiver cares, gathered in one pass.
struct HeaderFacts: Equatable {
    var hosts = 0
    /// A Host holds what no host and port are made of (RFC 9110, 7.2).
    var hasBadHost = false
    var contentLengths = 0
    /// Nil when there is no Content-Length or it is not a plain number that fits.
    var contentLength: Int?
    /// All Transfer-Encoding lines joined; nil when there is none.
    var transferEncoding: String?
    var contentTypes = 0
    var contentType: String?
    /// All Content-Encoding lines joined.
    var contentEncoding = ""
    var expect: String?
    var accept: String?
    var origin: String?
    var preflightMethod: String?
    var preflightHeaders: String?
    var asksUpgrade = false
    /// The connection is to end behind the answer; the parser does not see that with a tab behind it.
    var asksClose = false
    /// A value holds a control character, such as a folded line (RFC 9112, 5.2).
    var hasControlCharacter = false

    /// Requests of HTTP/1.0 have fewer ways to end.
    let isHTTP11: Bool
    /// A body follows whose length shows only at its end.
    private(set) var hasOpenEnd = false

    /// - Parameter isWhole: whether the request ends with its head, which only HTTP/2 tells; nil for HTTP/1.
    init(_ head: HTTPRequestHead, isWhole: Bool? = nil) {
        isHTTP11 = head.version.major == 1 && head.version.minor >= 1
        for (name, value) in head.headers {
            if !ASCII.isFieldValue(value) { hasControlCharacter = true }
            read(name, value)
        }
        hasOpenEnd = isWhole.map { !$0 && contentLengths == 0 } ?? (transferEncoding != nil)
    }

    // The length sorts out almost every name before its letters are compared.
    private mutating func read(_ name: String, _ value: String) {
        switch name.utf8.count {
        case 4 where ASCII.equal(name, "host"):
            hosts += 1
            if !ASCII.isAuthority(ASCII.trimmed(Substring(value).utf8)) { hasBadHost = true }
        case 6 where ASCII.equal(name, "expect"):
            expect = Self.joined(expect, ASCII.trimmed(value))
        case 6 where ASCII.equal(name, "accept"): accept = Self.joined(accept, value)
        case 6 where ASCII.equal(name, "origin"): origin = ASCII.trimmed(value)
        case 7 where ASCII.equal(name, "upgrade"): asksUpgrade = true
        case 10 where ASCII.equal(name, "connection"): if ASCII.list(value, contains: "close") { asksClose = true }
        case 12 where ASCII.equal(name, "content-type"):
            contentTypes += 1
            // A second one is refused, in the coding that the first one names.
            contentType = contentType ?? value
        case 14 where ASCII.equal(name, "content-length"):
            contentLengths += 1
            contentLength = Self.length(value)
        case 16 where ASCII.equal(name, "content-encoding"):
            contentEncoding = contentEncoding.isEmpty ? value : contentEncoding + "," + value
        case 17 where ASCII.equal(name, "transfer-encoding"):
            transferEncoding = Self.joined(transferEncoding, value)
        case 29 where ASCII.equal(name, "access-control-request-method"): preflightMethod = value
        case 30 where ASCII.equal(name, "access-control-request-headers"):
            preflightHeaders = Self.joined(preflightHeaders, value)
        default: break
        }
    }

    private static func joined(_ old: String?, _ new: String) -> String { old.map { $0 + "," + new } ?? new }

    /// Digits only: no sign, no blank between them, no list.
    private static func length(_ text: String) -> Int? {
        let digits = ASCII.trimmed(Substring(text).utf8)
        guard !digits.isEmpty, digits.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") })
        else { return nil }
        return Int(Substring(digits))
    }
}
