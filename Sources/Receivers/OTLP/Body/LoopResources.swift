import NIOCore
import Pipeline

/// What the connections of one event loop share: spare body buffers and the decompressor. Never leaves its loop.
final class LoopResources {
    let inflater: Inflater
    private let loop: any EventLoop
    /// Has requests of this turn of the loop.
    private var unflushed: (any Ingest)?
    private var spare: [ByteBuffer] = []
    private let allocator = ByteBufferAllocator()

    /// Spare buffers kept per loop.
    static let spareMax = 8
    /// Larger buffers go back to the system after use, so that one large request does not cost memory for good.
    static let spareBytesMax = 4 << 20

    init(of loop: any EventLoop) {
        self.loop = loop
        inflater = Inflater()
    }

    /// Flushes `ingest` when the loop has gone over all connections that had something to read. What came in at the
    /// same time is stored together then, and the thread that stores it does not interrupt this one for the first.
    func flushAfterTurn(_ ingest: any Ingest) {
        if let unflushed {
            if unflushed === ingest { return }
            unflushed.flush()
            self.unflushed = ingest
            return
        }
        unflushed = ingest
        loop.assumeIsolated().execute {
            self.unflushed?.flush()
            self.unflushed = nil
        }
    }

    /// An empty buffer with room for `capacity` bytes, a used one when there is a fitting one.
    func takeBuffer(capacity: Int) -> ByteBuffer {
        if let index = spare.lastIndex(where: { $0.capacity >= capacity }) {
            return spare.remove(at: index)
        }
        // The last spare grows rather than a new one appearing, so that the pool follows the sizes that occur.
        if spare.count == Self.spareMax, var last = spare.popLast() {
            last.reserveCapacity(capacity)
            return last
        }
        return allocator.buffer(capacity: capacity)
    }

    /// Takes a buffer back. Its bytes are gone for the caller.
    func give(_ buffer: consuming ByteBuffer) {
        guard buffer.capacity > 0, buffer.capacity <= Self.spareBytesMax, spare.count < Self.spareMax else { return }
        buffer.clear()
        spare.append(buffer)
    }
}
