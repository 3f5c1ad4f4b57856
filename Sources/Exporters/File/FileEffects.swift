import Glibc

/// The system calls of the file exporter that tests let fail, and its clock.
package struct FileEffects: Sendable {
    /// As write(2): how many bytes were taken, or -1 with the error number.
    package var write: @Sendable (Int32, UnsafeRawBufferPointer) -> (count: Int, error: Int32)
    /// As fdatasync(2): 0 or the error number.
    package var sync: @Sendable (Int32) -> Int32
    /// Milliseconds since 1970.
    package var wallClock: @Sendable () -> Int64
    /// How long an end waits for what goes on in the background: a reload waits as long.
    package var graceMilliseconds: Int

    package init(
        write: @escaping @Sendable (Int32, UnsafeRawBufferPointer) -> (count: Int, error: Int32),
        sync: @escaping @Sendable (Int32) -> Int32, wallClock: @escaping @Sendable () -> Int64,
        graceMilliseconds: Int = 200
    ) {
        self.write = write
        self.sync = sync
        self.wallClock = wallClock
        self.graceMilliseconds = graceMilliseconds
    }

    /// The real calls.
    package static let system = FileEffects(
        write: { descriptor, bytes in
            let count = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
            return (count, count < 0 ? errno : 0)
        },
        sync: { fdatasync($0) == 0 ? 0 : errno },
        wallClock: {
            var now = timespec()
            clock_gettime(CLOCK_REALTIME, &now)
            return FileEffects.milliseconds(now)
        })

    /// Milliseconds since 1970. File systems keep times that are too far away for that: those are the farthest ones.
    static func milliseconds(_ time: timespec) -> Int64 {
        let most = Int64.max / 1_000 - 1
        return min(max(Int64(time.tv_sec), -most), most) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}

/// A system call that failed, in words.
struct FileFailure: Error, Equatable, CustomStringConvertible {
    var description: String
    /// The system's error, 0 for none.
    private var code: Int32 = 0

    /// The disk or the system is short of something, for now.
    var isPassing: Bool { [ENOSPC, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM].contains(code) }

    init(_ description: String) { self.description = description }

    /// What was tried, on which file, and the system's error.
    init(_ what: String, _ path: String, _ error: Int32) {
        let hint: String =
            switch error {
            case ENOSPC, EDQUOT: "; free space on that disk"
            case EACCES, EPERM: "; give the gateway's user the right to write there"
            case EROFS: "; the file system is read-only"
            case ENOENT: "; create the directory, or set create_directory: true"
            default: ""
            }
        description = "\(what) \(path): \(String(cString: strerror(error)))\(hint)"
        code = error
    }
}
