import Glibc

/// Tells when the process is about to run out of descriptors.
enum DescriptorRoom {
    /// Kept for journals, exporters and the runtime: its pool of threads ends the process when it cannot open a file.
    static let kept = 16

    /// What becomes of a connection that was just accepted.
    static var admission: ConnectionRegistry.Admission {
        let next = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard next >= 0 else { return .close }
        close(next)
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .serve }
        // A new descriptor has the lowest number that is free, so about as many are open.
        return admission(left: Int(clamping: limit.rlim_cur) - Int(next))
    }

    static func admission(left: Int) -> ConnectionRegistry.Admission {
        // One that is told stays until its peer has read that.
        left >= kept ? .serve : left >= kept * 3 / 4 ? .turnAway : .close
    }
}
