import Foundation
import Synchronization

/// Ports on loopback for servers that cannot tell theirs.
package enum FreePort {
    private static let given = Mutex<Set<Int>>([])

    /// A port that nobody listens on and that no call gave before.
    ///
    /// It lies below the range from which the kernel takes ports for clients (from 32,768 on): a client could hold it
    /// when the server starts, or a client that tries again and again while the server is away could connect to itself.
    package static func next() -> Int {
        while true {
            let port = Int.random(in: 10_000..<32_000)
            if given.withLock({ $0.insert(port).inserted }), isFree(port) { return port }
        }
    }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = in_addr_t(0x0100_007F)
        return withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
