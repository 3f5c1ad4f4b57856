import NIOCore
import Pipeline

/// What the connections of one event loop share: spare body buffers and the decompressor. Never leaves its loop.
final class LoopResources {
    let inflater: Inflater
    private let loop: any EventLoop
    /// Has requests of this turn of the loop.
    private var unflushed: (any Ingest)?
    /// Have answers of this turn that are not sent yet; emptied by turns with `sending`.
    private var answered: [OTLPConnection] = []
    private var sending: [OTLPConnection] = []
    /// Of the requests that they answer.
    private var answeredBytes = 0
    private var spare: [ByteBuffer] = []
    private let allocator = ByteBufferAllocator()
    private var date = DateText()
    private var usualAnswers = UsualAnswers()

    /// Answers that wait for the end of a turn, and bytes of the requests that they answer: so much work, half a
    /// millisecond of it, keeps no client waiting that could go on.
    static let answersMax = 64
    static let answeredBytesMax = 256 << 10
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

    /// Sends what a connection has written when the loop has gone over all connections that had something to read, or
    /// when there are many. A client that waits for several answers is woken once: where waking another processor costs
    /// as much as a small request, answers one by one take a third more (Benchmarks/README.md).
    func sendAfterTurn(_ connection: OTLPConnection, requestBytes: Int) {
        if answered.isEmpty { loop.assumeIsolated().execute { self.sendAnswers() } }
        answered.append(connection)
        answeredBytes += requestBytes
        if answered.count >= Self.answersMax || answeredBytes >= Self.answeredBytesMax { sendAnswers() }
    }

    private func sendAnswers() {
        guard sending.isEmpty else { return }
        swap(&answered, &sending)
        answeredBytes = 0
        for connection in sending { connection.context?.flush() }
        sending.removeAll(keepingCapacity: true)
    }

    /// The value of a Date header for an answer of now.
    var dateText: String { date.value() }

    /// The answer to a request that was accepted whole.
    func accepted(_ type: MediaType, by encoder: AnswerEncoder) -> ByteBuffer {
        usualAnswers.accepted(type, by: encoder, &date)
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
