import NIOCore

/// The memory that one body is inflated into: it grows within the size cap, and what it takes is reserved first.
struct InflateTarget {
    /// Factor by which the room grows.
    static let growth = 4

    private(set) var buffer: ByteBuffer
    private var room: Int
    private let sizeMax: Int
    private let ticket: AdmissionTicket

    /// Room for `first` bytes, or for `sizeMax` when that is less.
    init(
        first: Int, sizeMax: Int, ticket: AdmissionTicket, resources: LoopResources
    ) throws(BodyFault) {
        room = min(sizeMax, max(first, 1))
        if let fault = BodyFault(ticket.grow(by: room)) { throw fault }
        buffer = resources.takeBuffer(capacity: room)
        self.sizeMax = sizeMax
        self.ticket = ticket
    }

    /// Bytes that can be written before the target has to grow.
    var free: Int { room - buffer.readableBytes }

    /// Makes room for more; the body is too large when the cap is reached.
    mutating func grow() throws(BodyFault) {
        guard room < sizeMax else { throw .tooLarge(inflated: true) }
        let (grown, overflows) = room.multipliedReportingOverflow(by: Self.growth)
        let next = overflows ? sizeMax : min(sizeMax, grown)
        if let fault = BodyFault(ticket.grow(by: next - room)) { throw fault }
        room = next
        buffer.reserveCapacity(room)
    }

    /// Lends the free room to `body`, which tells how many bytes it wrote. The address is never nil.
    mutating func write(_ body: (_ target: UnsafeMutableRawPointer, _ free: Int) -> Int) {
        let free = free
        // At least one byte, since a zero-length target would have no address.
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: max(free, 1)) { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            return min(max(body(base, free), 0), free)
        }
    }
}
