import Glibc
import Testing

@testable import Journal

/// On the real disk, where the tests' temporary directory is.
@Suite struct SyncedWriteTests {
    private static let block = 4096

    /// Blocks of memory that a disk can read from, as many as there are bytes to fill them with.
    private func withBlocks(_ fill: [UInt8], _ body: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: fill.count * Self.block + Self.block, alignment: Self.block)
        defer { memory.deallocate() }
        for (place, byte) in fill.enumerated() {
            memory[place * Self.block..<(place + 1) * Self.block].initializeMemory(as: UInt8.self, repeating: byte)
        }
        try body(memory)
    }

    @Test(arguments: [true, false])
    func `writes all and says when it waits`(isDirect: Bool) throws {
        let directory = try ScratchDirectory()
        let path = directory.path + "/file"
        let file = try DiskFileSystem().create(path, exclusive: true, isDirect: isDirect)
        try file.allocate(16 * Self.block)
        try withBlocks(Array(1...16)) { memory in
            for start in [0, 3] {
                var waits = 0
                let part = UnsafeRawBufferPointer(rebasing: memory[start * Self.block..<16 * Self.block])
                try file.writeSynced(part, at: start * Self.block) { waits += 1 }
                #expect(waits == 1)
                let reader = try DiskFileSystem().open(path, writable: false)
                #expect(try reader.readAll(count: 1 << 20, at: start * Self.block) == Array(part))
            }
        }
    }

    @Test func `writes through the page cache from where a disk cannot read`() throws {
        let directory = try ScratchDirectory()
        let file = try DiskFileSystem().create(directory.path + "/file", exclusive: true, isDirect: true)
        try file.allocate(16 * Self.block)
        try withBlocks([7, 8]) { memory in
            let part = UnsafeRawBufferPointer(rebasing: memory[100..<Self.block + 31])
            try file.writeSynced(part, at: 5) {}
            #expect(try file.readAll(count: part.count, at: 5) == Array(part))
        }
    }

    @Test func `throws the error of the write`() throws {
        let directory = try ScratchDirectory()
        let path = directory.path + "/file"
        try DiskFileSystem().create(path, exclusive: true, isDirect: true).close()
        let file = try DiskFileSystem().open(path, writable: false)
        file.bypassCache()
        withBlocks([1]) { memory in
            let part = UnsafeRawBufferPointer(rebasing: memory[0..<Self.block])
            #expect(throws: SystemError(call: "pwrite", path: path, code: EBADF)) {
                try file.writeSynced(part, at: 0) {}
            }
        }
    }

    @Test func `threads come and go with what the system keeps for them`() throws {
        let directory = try ScratchDirectory()
        let file = try DiskFileSystem().create(directory.path + "/file", exclusive: true, isDirect: true)
        try file.allocate(100 * Self.block)
        for turn in 0..<100 {
            let thread = try DiskThread("synced write") {
                let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.block, alignment: Self.block)
                defer { memory.deallocate() }
                memory.initializeMemory(as: UInt8.self, repeating: 9)
                do {
                    try file.writeSynced(UnsafeRawBufferPointer(memory), at: turn * Self.block) {}
                } catch {
                    Issue.record(error)
                }
            }
            #expect(thread.join())
        }
        let reader = try DiskFileSystem().open(directory.path + "/file", writable: false)
        #expect(try reader.readAll(count: 1 << 20, at: 0) == [UInt8](repeating: 9, count: 100 * Self.block))
    }
}
