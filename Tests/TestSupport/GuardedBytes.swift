import Glibc

/// Bytes that end where the address space does: reading one byte behind them ends the process.
package final class GuardedBytes {
    private let base: UnsafeMutableRawPointer
    private let room: Int
    private let page: Int
    package let capacity: Int

    /// Room for `capacity` bytes; nil when the system gives none.
    package init?(capacity: Int) {
        page = Int(sysconf(Int32(_SC_PAGESIZE)))
        room = (capacity + page - 1) / page * page
        guard
            let base = mmap(nil, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            base != MAP_FAILED
        else { return nil }
        self.base = base
        self.capacity = room
        guard mprotect(base + room, page, PROT_NONE) == 0 else { return nil }
    }

    deinit { munmap(base, room + page) }

    /// Runs `body` on a copy of `bytes`, which must fit, whose last byte is the last that can be read.
    package func with<Result>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        precondition(bytes.count <= capacity)
        let start = base + (room - bytes.count)
        bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(start: start, count: bytes.count).copyMemory(from: $0) }
        return body(UnsafeRawBufferPointer(start: start, count: bytes.count))
    }
}
