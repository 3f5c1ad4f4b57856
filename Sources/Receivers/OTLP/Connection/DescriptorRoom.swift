import Glibc
package import NIOCore

/// Tells when the process is about to run out of descriptors.
package enum DescriptorRoom {
    /// Kept for journals, exporters and the runtime: its pool of threads ends the process when it cannot open a file.
    static let kept = 16

    /// Whether a listener may take one more descriptor, be it only to close it: leaves half of those that are kept.
    static var letsAccept: Bool { lowestFree().map { limit - $0 > kept / 2 } ?? false }

    /// Why no connection is served with as many files as are open now; nil while there is room.
    package static var shortage: String? { shortage(left: lowestFree().map { limit - $0 } ?? 0, of: limit) }

    static func shortage(left: Int, of limit: Int) -> String? {
        guard admission(left: left - 1) != .serve else { return nil }
        return "no connection is served: of the \(limit) files that this process may have open \(left) are left, and "
            + "\(kept) are kept for journals and exporters; raise the limit (`ulimit -n`, LimitNOFILE of systemd)"
    }

    /// Whether there is room to serve a connection. On its event loop.
    package static func hasRoom(for channel: any Channel) -> Bool { admission(channel) == .serve }

    /// What becomes of a connection that was just accepted. On its event loop.
    ///
    /// Its own descriptor tells: it had the lowest number that was free, so about as many were open. One that has none,
    /// as in a test, needs no room.
    static func admission(_ channel: any Channel) -> ConnectionRegistry.Admission {
        do {
            let operations = channel.pipeline.syncOperations
            let number = try operations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { Int($0) }
            return number.map { admission(left: limit - $0 - 1) } ?? .serve
        } catch {
            // Closed already.
            return .close
        }
    }

    /// As it is when the first connection comes: the process raises its limit before that, and not again.
    private static let limit: Int = {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
        return Int(clamping: limit.rlim_cur)
    }()

    /// The number of the next descriptor; nil when there is none.
    private static func lowestFree() -> Int? {
        var next = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
        // A process without that descriptor.
        if next < 0, errno == EBADF { next = open("/dev/null", O_RDONLY | O_CLOEXEC) }
        guard next >= 0 else { return nil }
        close(next)
        return Int(next)
    }

    static func admission(left: Int) -> ConnectionRegistry.Admission {
        // One that is told stays until its peer has read that.
        left >= kept ? .serve : left >= kept * 3 / 4 ? .turnAway : .close
    }
}
