import Glibc
import NIOCore

/// Turns an endpoint into socket addresses, and failures to bind into advice.
enum ListenAddresses {
    struct Candidate {
        var address: SocketAddress
        /// The receiver starts without it, for instance on a machine without IPv6.
        var isOptional = false
    }

    /// The addresses to listen on, in order. Asks the resolver for a name, which may block; call it at start only.
    static func resolve(_ endpoint: ListenEndpoint, id: String) throws(ReceiverStartFailure) -> [Candidate] {
        let port = endpoint.port
        do {
            switch endpoint.host {
            case .localhost:
                return [
                    Candidate(address: try SocketAddress(ipAddress: "127.0.0.1", port: port)),
                    Candidate(address: try SocketAddress(ipAddress: "::1", port: port), isOptional: true),
                ]
            case .all:
                let address = hasIPv6() ? "::" : "0.0.0.0"
                return [Candidate(address: try SocketAddress(ipAddress: address, port: port))]
            case .named(let host):
                if let address = try? SocketAddress(ipAddress: host, port: port) {
                    return [Candidate(address: address)]
                }
                return [Candidate(address: try SocketAddress.makeAddressResolvingHost(host, port: port))]
            }
        } catch {
            throw ReceiverStartFailure(
                description: "receiver \(id): the host of endpoint \(text(endpoint)) cannot be resolved; "
                    + "write an address such as 127.0.0.1 or 0.0.0.0")
        }
    }

    /// What to do about an address that could not be bound.
    static func failure(
        _ error: any Error, address: SocketAddress, endpoint: ListenEndpoint, option: String, id: String
    ) -> ReceiverStartFailure {
        let port = address.port ?? endpoint.port
        let place = "receiver \(id): cannot listen on \(text(endpoint))"
        let advice: String
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE:
            advice =
                "the port is taken by another process (see `ss -ltnp sport = :\(port)`); "
                + "stop it or choose another port in \(option)"
        case EACCES, EPERM:
            advice = "permission denied; use a port above 1023 in \(option)"
        case EADDRNOTAVAIL:
            advice = "this machine has no such address; use 127.0.0.1 or 0.0.0.0 in \(option)"
        case EAFNOSUPPORT:
            advice = "this machine has no IPv6; use an IPv4 address in \(option)"
        default: advice = "\(error)"
        }
        return ReceiverStartFailure(description: "\(place): \(advice)")
    }

    private static func text(_ endpoint: ListenEndpoint) -> String {
        switch endpoint.host {
        case .localhost: "localhost:\(endpoint.port)"
        case .all: ":\(endpoint.port)"
        case .named(let host): host.contains(":") ? "[\(host)]:\(endpoint.port)" : "\(host):\(endpoint.port)"
        }
    }

    private static func hasIPv6() -> Bool {
        let descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        Glibc.close(descriptor)
        return true
    }
}
