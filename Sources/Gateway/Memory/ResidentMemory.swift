import Glibc

/// Tells how much of the process is in memory, through a descriptor that stays open. Safe to use from any thread.
final class ResidentMemory: Sendable {
    private let descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
    private let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Resident bytes; nil when the system does not tell.
    var bytes: Int? {
        withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
            let count = pread(descriptor, buffer.baseAddress, buffer.count, 0)
            guard count > 0 else { return nil }
            return Self.pages(UnsafeRawBufferPointer(rebasing: buffer[..<count])).map { $0 * pageBytes }
        }
    }

    /// The second number of a line such as `30721 9345 8012 ...`.
    static func pages(_ line: UnsafeRawBufferPointer) -> Int? {
        guard let space = line.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        var pages = 0
        var digits = 0
        for byte in line[(space + 1)...] {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), digits < 15 else { break }
            pages = pages * 10 + Int(byte - UInt8(ascii: "0"))
            digits += 1
        }
        return digits > 0 ? pages : nil
    }
}
