import Glibc

/// The proxy that the environment names for a destination, by the rules of Go's `ProxyFromEnvironment`, which the
/// Collector follows: HTTPS_PROXY for https, HTTP_PROXY for http, each in lower case too, except for this machine and
/// what NO_PROXY lists.
struct ProxyEnvironment: Sendable {
    private let variable: @Sendable (String) -> String?

    init(variable: @escaping @Sendable (String) -> String?) { self.variable = variable }

    /// The process's own.
    static let process = ProxyEnvironment { name in getenv(name).map { String(cString: $0) } }

    /// URL of the proxy, empty for none.
    func proxy(for endpoint: HTTPEndpoint) -> String {
        guard let proxy = value(endpoint.scheme == "https" ? "HTTPS_PROXY" : "HTTP_PROXY") else { return "" }
        if endpoint.isLoopback || isListed(endpoint) { return "" }
        return proxy
    }

    private func value(_ name: String) -> String? {
        [name, name.lowercased()].compactMap { variable($0) }.first { !$0.isEmpty }
    }

    // MARK: NO_PROXY

    private func isListed(_ endpoint: HTTPEndpoint) -> Bool {
        var host = endpoint.host.lowercased()[...]
        if host.hasPrefix("[") { host = host.dropFirst().dropLast() }
        while host.hasSuffix(".") { host.removeLast() }
        let address = NetworkAddress(host)
        for part in value("NO_PROXY")?.lowercased().split(separator: ",") ?? [] {
            let entry = ProxyEnvironment.trimmed(part)
            if entry == "*" { return true }
            if let network = NetworkRange(entry) {
                if let address, network.contains(address) { return true }
                continue
            }
            let (name, port) = ProxyEnvironment.split(entry)
            if name.isEmpty || port.map({ $0 != endpoint.port }) == true { continue }
            if let listed = NetworkAddress(name) {
                if address == listed { return true }
            } else if ProxyEnvironment.matches(host, name) {
                return true
            }
        }
        return false
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }

    /// Host and port of an entry; an IPv6 address with a port stands in brackets.
    private static func split(_ entry: Substring) -> (Substring, Int?) {
        if entry.hasPrefix("["), let end = entry.firstIndex(of: "]") {
            let rest = entry[entry.index(after: end)...]
            return (
                entry[entry.index(after: entry.startIndex)..<end], rest.hasPrefix(":") ? Int(rest.dropFirst()) : nil
            )
        }
        guard let colon = entry.firstIndex(of: ":"), entry.lastIndex(of: ":") == colon else { return (entry, nil) }
        return (entry[..<colon], Int(entry[entry.index(after: colon)...]))
    }

    /// `foo.com` is the host and all below it; `.foo.com` and `*.foo.com` only what is below.
    private static func matches(_ host: Substring, _ name: Substring) -> Bool {
        let name = name.hasPrefix("*.") ? name.dropFirst() : name
        return name.hasPrefix(".") ? host.hasSuffix(name) : host == name || host.hasSuffix("." + name)
    }
}

/// The bytes of an IPv4 or IPv6 address.
private struct NetworkAddress: Equatable {
    var bytes: [UInt8]

    init?(_ text: Substring) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, String(text), &four) == 1 {
            bytes = withUnsafeBytes(of: four) { Array($0) }
        } else if inet_pton(AF_INET6, String(text), &six) == 1 {
            bytes = withUnsafeBytes(of: six) { Array($0) }
        } else {
            return nil
        }
    }
}

/// A network in the form `10.0.0.0/8`.
private struct NetworkRange {
    private var base: NetworkAddress
    private var bits: Int

    init?(_ text: Substring) {
        guard let slash = text.firstIndex(of: "/"), let base = NetworkAddress(text[..<slash]),
            let bits = Int(text[text.index(after: slash)...]), (0...base.bytes.count * 8).contains(bits)
        else { return nil }
        self.base = base
        self.bits = bits
    }

    func contains(_ address: NetworkAddress) -> Bool {
        guard address.bytes.count == base.bytes.count else { return false }
        for (index, byte) in base.bytes.enumerated() {
            let width = min(8, bits - index * 8)
            if width <= 0 { return true }
            let mask = UInt8(truncatingIfNeeded: 0xFF << (8 - width))
            if byte & mask != address.bytes[index] & mask { return false }
        }
        return true
    }
}
