import Configuration
import Telemetry

/// A checked http or https URL.
struct HTTPEndpoint: Equatable, Sendable {
    let scheme: String
    let host: String
    let port: Int
    /// Path and query, beginning with a slash, or empty.
    let path: String

    /// What is wrong with a URL, with the fix.
    struct Fault: Error, Equatable {
        var message: String
    }

    init(_ text: String) throws(Fault) {
        guard let separator = text.range(of: "://") else {
            // The text itself may be a credential, as that of a webhook.
            throw Fault(message: "needs a scheme: write http:// or https:// in front of it")
        }
        scheme = text[..<separator.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else {
            let shown = scheme.utf8.count <= 10 ? Self.shown(scheme) : "…"
            throw Fault(message: "has the scheme \(shown): only http and https are spoken")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Fault(message: "holds a space, a control character or a letter outside ASCII: percent-encode it")
        }
        let rest = text[separator.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@") else {
            throw Fault(message: "holds a user or password: put credentials into headers, where they are not printed")
        }
        guard !rest.contains("#") else {
            throw Fault(message: "holds a fragment (#…), which is never sent: remove it")
        }
        path = Self.resolved(rest.dropFirst(authority.count))
        (host, port) = try Self.split(authority, scheme: scheme)
    }

    /// A path without `.` and `..` between its slashes (RFC 3986, 5.2.4), as libcurl sends it: what is signed is what
    /// is sent.
    private static func resolved(_ path: Substring) -> String {
        let end = path.firstIndex(of: "?") ?? path.endIndex
        let parts = path[..<end].split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard parts.contains(where: { $0 == "." || $0 == ".." }) else { return String(path) }
        var kept: [Substring] = []
        for part in parts {
            switch part {
            case ".": continue
            case "..": _ = kept.popLast()
            default: kept.append(part)
            }
        }
        // What ends in dots is a folder.
        if parts.last == "." || parts.last == ".." { kept.append("") }
        return "/" + kept.joined(separator: "/") + path[end...]
    }

    private static func split(_ authority: Substring, scheme: String) throws(Fault) -> (String, Int) {
        var host = authority
        var port = scheme == "https" ? 443 : 80
        let afterBracket = authority.lastIndex(of: "]") ?? authority.startIndex
        if let colon = authority.lastIndex(of: ":"), colon >= afterBracket {
            host = authority[..<colon]
            guard let number = Int(authority[authority.index(after: colon)...]), (1...65_535).contains(number) else {
                throw Fault(message: "has no port number from 1 to 65535 after the colon")
            }
            port = number
        }
        guard !host.isEmpty else { throw Fault(message: "has no host") }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        guard isBracketed || !host.contains(":") else {
            throw Fault(message: "holds an IPv6 address without brackets: write [\(host)]")
        }
        return (String(host), port)
    }

    /// The text to use in a message: short, without control characters.
    private static func shown(_ text: String) -> String { EscapedText.make(text, limit: 60) }

    var url: String { "\(scheme)://\(authority)\(path)" }

    /// Host, and the port when it is not the scheme's own: what goes into the Host header.
    var authority: String {
        let isDefault = port == (scheme == "https" ? 443 : 80)
        return isDefault ? host : "\(host):\(port)"
    }

    /// Whether the host can only be this machine.
    var isLoopback: Bool {
        let name = host.lowercased()
        return name == "localhost" || name.hasSuffix(".localhost") || name == "[::1]"
            || (name.hasPrefix("127.") && name.allSatisfy { $0.isNumber || $0 == "." })
    }

    /// Warns where it stands for sending unencrypted to another machine.
    func warnOfPlain(at key: String, _ settings: inout Settings) {
        guard scheme == "http", !isLoopback else { return }
        settings.warning(
            "data and credentials go to \(host) unencrypted",
            fix: "write https://, or keep it if nobody else is on that network", at: key)
    }

    /// The signal's own URL below a base URL.
    static func below(_ base: String, signal: Signal) -> String {
        base + (base.hasSuffix("/") ? "" : "/") + "v1/\(signal)"
    }

    /// What libcurl has to be told so that TLS names `name` while the connection goes to this host.
    func override(name: String) -> (url: String, connectTo: String, hostHeader: String) {
        ("\(scheme)://\(name):\(port)\(path)", "\(name):\(port):\(host):\(port)", "Host: \(authority)")
    }
}

extension String {
    /// The first place of a text, without Foundation.
    fileprivate func range(of text: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }
}
