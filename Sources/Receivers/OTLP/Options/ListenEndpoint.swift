import Configuration

/// The address a server listens on, as `endpoint` writes it.
package struct ListenEndpoint: Sendable, Equatable {
    /// Which addresses a host stands for.
    package enum Host: Sendable, Equatable {
        /// An address or a name.
        case named(String)
        /// `localhost`: both loopback addresses, so that senders that try IPv6 first reach it too.
        case localhost
        /// No host given: all addresses of the machine.
        case all
    }

    /// What to listen on.
    package var host: Host
    /// 0 lets the system choose.
    package var port: Int

    /// Why a text is no endpoint, with the fix.
    package struct Fault: Error, Equatable, CustomStringConvertible {
        package var description: String
    }

    /// Only programs on this machine reach it.
    package var isLoopback: Bool {
        switch host {
        case .localhost: true
        case .all: false
        case .named(let name): name.hasPrefix("127.") || name == "::1"
        }
    }

    package init(host: Host, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `[ipv6]:port` or `:port`.
    package init(parsing text: String) throws(Fault) {
        if text.contains("://") {
            throw Fault(description: "expects host:port without a scheme or path, such as 127.0.0.1:4318")
        }
        guard let colon = text.lastIndex(of: ":") else {
            throw Fault(description: "expects host:port, such as 127.0.0.1:4318")
        }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }),
            let port = UInt16(digits)
        else { throw Fault(description: "expects a port between 0 and 65535 behind the last colon") }
        self.port = Int(port)
        var name = text[..<colon]
        if name.hasPrefix("["), name.hasSuffix("]") {
            name = name.dropFirst().dropLast()
            guard name.contains(":") else {
                throw Fault(description: "brackets are for IPv6 addresses, such as [::1]:4318")
            }
        } else if name.contains(":") {
            throw Fault(description: "an IPv6 address needs brackets, such as [::1]:4318")
        }
        if name.hasPrefix("$") {
            throw Fault(
                description: "takes \(name) for the name of a machine; a variable is ${env:\(name.dropFirst())}")
        }
        guard !name.contains(where: { $0 == "/" || $0 == " " || $0 == "[" || $0 == "]" }) else {
            throw Fault(description: "expects host:port, such as 127.0.0.1:4318")
        }
        switch String(name) {
        case "": host = .all
        case let name where ASCII.equal(name, "localhost"): host = .localhost
        case let name: host = .named(name)
        }
    }

    /// Reads `endpoint`; the default is this port on the loopback address.
    static func read(_ settings: inout Settings, port: Int) -> ListenEndpoint {
        let text = settings.string(
            "endpoint", default: "127.0.0.1:\(port)",
            "Address to listen on, host:port; 0.0.0.0:\(port) listens on all addresses of the machine.")
        do {
            return try ListenEndpoint(parsing: text)
        } catch {
            settings.problem(error.description, at: "endpoint")
            return ListenEndpoint(host: .named("127.0.0.1"), port: port)
        }
    }
}
