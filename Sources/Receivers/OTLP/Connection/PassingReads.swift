import NIOCore

/// Memory for what is read from a socket, which lasts no longer than that: as much as the last reads brought, up to a
/// maximum.
///
/// Of an allocator that tells sizes the library keeps a buffer for each connection, of the largest size that it ever
/// had: a sender that was silent behind a request of 1 MB took 163 KB, and takes 50 with this. Memory that is freed and
/// taken again for each read is the same for all connections of an event loop, so it lies in the processor's cache.
struct PassingReads: RecvByteBufferAllocator {
    private var sizes: AdaptiveRecvByteBufferAllocator

    /// At most `maximum` bytes a read, a power of two.
    init(maximum: Int) {
        sizes = AdaptiveRecvByteBufferAllocator(minimum: 1 << 10, initial: 4 << 10, maximum: maximum)
    }

    /// `size` bytes a read, a power of two.
    init(size: Int) { sizes = AdaptiveRecvByteBufferAllocator(minimum: size, initial: size, maximum: size) }

    /// How much of a body is to be read at once, a power of two: a megabyte at most, and nothing of what follows it,
    /// since half a head would keep the memory of all that it came with. 0 when reads are as ever.
    static func size(for left: Int) -> Int {
        guard left > OTLPReceiver.readSizeMax else { return 0 }
        return 1 << (Int.bitWidth - 1 - min(left, OTLPReceiver.bodyReadSizeMax).leadingZeroBitCount)
    }

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { sizes.buffer(allocator: allocator) }

    /// Always true: a buffer that the library still has, the first, is not to be used again.
    mutating func record(actualReadBytes: Int) -> Bool {
        _ = sizes.record(actualReadBytes: actualReadBytes)
        return true
    }
}
