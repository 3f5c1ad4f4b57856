import CSupport
package import Configuration
import Glibc
import Receivers

/// The environment variables and files of the process, as the configuration may ask for them.
package enum SystemFacts {
    /// Largest file that a configuration may read.
    private static let fileSizeMax = 4 << 20

    package static let environment = ConfigEnvironment(
        variable: { name in getenv(name).map { String(cString: $0) } },
        readFile: { path throws(ConfigReadFailure) in try read(path) })

    private static func read(_ path: String) throws(ConfigReadFailure) -> [UInt8] {
        if path.hasPrefix("http://") || path.hasPrefix("https://") {
            throw ConfigReadFailure(reason: "only files are read, no URLs; fetch it into a file first")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ConfigReadFailure(reason: String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw ConfigReadFailure(reason: String(cString: strerror(errno))) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= fileSizeMax else { throw ConfigReadFailure(reason: "it is larger than 4 MiB") }
        }
    }

    /// Lets the process open as many files and connections as the system allows it at all. Many systems have a soft
    /// limit of 1,024 for the sake of select(), which is not used here.
    package static func raiseFileLimit() {
        let openFiles = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(openFiles, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(openFiles, &limit)
    }

    /// Why the gateway cannot start with as few open files as the system allows; nil when there are enough. Event loops
    /// end the process when they get none.
    package static var fileLimitProblem: String? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
        let loops = usableCores(of: Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        let needed = filesWithoutLoops + filesOfLoop * loops
        guard limit.rlim_cur < needed else { return nil }
        return "this process may have \(limit.rlim_cur) open files, and needs at least \(needed) and one for each "
            + "connection: raise the limit (`ulimit -n`, LimitNOFILE of systemd)"
    }

    /// Why a gateway that runs serves nobody for want of open files; nil when there are enough.
    package static var fileShortage: String? { DescriptorRoom.shortage }

    /// Files that a gateway has open before anybody connects, beside those of its event loops, and those of one loop.
    private static let filesWithoutLoops = 18
    private static let filesOfLoop = 3

    /// Unused memory that an arena of the allocator may keep, and how many arenas share a memory_limiter's limit.
    private static let unusedMax = 64 << 20
    private static let arenaShare = 64 << 20

    /// Makes the allocator keep memory for the next request; less of it under a memory_limiter. Before the first
    /// threads.
    package static func tuneAllocator(softLimit: Int?) {
        let limit = softLimit ?? .max
        let cores = min(usableCores(of: Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))), limit / arenaShare)
        sluice_tune_allocator(UInt32(clamping: max(2, cores)), UInt32(clamping: min(unusedMax, limit / 16)))
    }

    /// Lets go of what a start alone has needed of the program and its libraries. When it is over.
    package static func releaseCode() { sluice_release_code() }

    /// Processors of `total` that this process may run on: fewer when it is pinned to some, as by taskset or systemd.
    static func usableCores(of total: Int) -> Int {
        guard let bytes = try? read("/proc/self/status") else { return total }
        // `Cpus_allowed:` and a mask in groups of eight hex digits, one bit for each processor.
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard let mask = lines.first(where: { $0.hasPrefix("Cpus_allowed:") })?.drop(while: { $0 != ":" }) else {
            return total
        }
        let count = mask.compactMap { $0.hexDigitValue }.reduce(0) { $0 + $1.nonzeroBitCount }
        return count == 0 ? total : min(count, total)
    }

    /// Bytes of memory that the process may use: of the machine, or of its control group when that is less.
    static var memoryTotal: Int {
        var total = Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE)))
        for path in ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"] {
            guard let bytes = try? read(path) else { continue }
            let text = String(decoding: bytes, as: UTF8.self).prefix { $0.isNumber }
            if let limit = Int(text), limit > 0 { total = min(total, limit) }
        }
        return total
    }

    /// The path without links and dots; nil when there is nothing under it.
    static func resolved(_ path: String) -> String? {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Whether there is anything under this path.
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// A text that is another one when the file of this name is another one or has changed; empty when there is none.
    static func fileTraits(_ path: String) -> String {
        var status = stat()
        guard !path.isEmpty, stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return "" }
        return " \(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }

    /// Makes a folder and those above it, readable by the owner alone. Returns why it failed, nil when it is there.
    package static func makeDirectory(_ path: String) -> String? {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            made += "/" + part
            if mkdir(made, 0o700) != 0 && errno != EEXIST { return String(cString: strerror(errno)) }
        }
        return isDirectory(path) ? nil : "it is not a folder"
    }

    /// Whether it is there and no file with content, but a terminal, a pipe or the like.
    static func isDevice(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT)
    }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// CPU seconds of the process, user and system.
    static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Seconds on a clock that only goes forward.
    static var monotonicSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    static var unixNanoseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
    }
}
