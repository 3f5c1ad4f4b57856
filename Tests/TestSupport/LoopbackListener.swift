import Foundation
import Synchronization

/// A listener on a free port of the loopback interface that serves each connection on a thread of its own.
package final class LoopbackListener: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    package let port: Int
    private let descriptor: Int32
    private let isOpen = OpenFlag()

    /// Held while the number is closed or shut down: it may be another's right behind that.
    private final class OpenFlag: Sendable { let value = Mutex(true) }

    /// `serve` gets the descriptor of a connection, which is closed behind it.
    package init(serve: @escaping @Sendable (Int32) -> Void) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x0100_007F)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = descriptor
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else {
            close(listener)
            throw Failure(description: "no free port on the loopback interface")
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        let isOpen = isOpen
        Thread.detachNewThread {
            defer {
                isOpen.value.withLock { isOpen in
                    close(listener)
                    isOpen = false
                }
            }
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                Thread.detachNewThread {
                    defer { close(connection) }
                    serve(connection)
                }
            }
        }
    }

    /// Wakes the accepting thread, which closes the listener: closed here, its number could be another's by the time
    /// that thread accepts again.
    package func stop() { isOpen.value.withLock { if $0 { shutdown(descriptor, Int32(SHUT_RDWR)) } } }
}
