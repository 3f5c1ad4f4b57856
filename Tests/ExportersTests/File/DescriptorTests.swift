import Glibc
import Pipeline
import Testing

@Suite struct `Writing to a descriptor` {
    @Test func `writes every byte, and has nothing to do for none`() throws {
        let directory = TemporaryDirectory()
        let descriptor = open(directory.file("bytes"), O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
        #expect(Descriptor.writeAll(bytes, to: descriptor))
        #expect(Descriptor.writeAll([], to: descriptor))
        var read = [UInt8](repeating: 0, count: bytes.count + 1)
        #expect(pread(descriptor, &read, read.count, 0) == bytes.count)
        #expect(read.dropLast() == bytes[...])
    }

    @Test func `tells that the disk is full`() throws {
        let descriptor = open("/dev/full", O_WRONLY | O_CLOEXEC)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let isWritten = Descriptor.writeAll([1], to: descriptor)
        let error = errno
        #expect(!isWritten && error == ENOSPC)
    }
}
