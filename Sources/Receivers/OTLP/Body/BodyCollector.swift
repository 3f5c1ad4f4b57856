import CSupport
import NIOCore

/// Why a body is not taken.
enum BodyFault: Error, Equatable {
    /// Over `max_request_body_size`, as sent or after inflating.
    case tooLarge(inflated: Bool)
    /// The budget of bytes in flight is used up by others.
    case overBudget
    /// The request alone is larger than the budget of bytes in flight.
    case neverFits
    /// The compressed form is damaged; the text says how.
    case corrupt(String)

    /// The fault behind a refused reservation, nil when it was granted.
    init?(_ verdict: AdmissionBudget.Verdict) {
        switch verdict {
        case .granted: return nil
        case .refused: self = .overBudget
        case .neverFits: self = .neverFits
        }
    }
}

/// A whole request body as it was sent.
enum ReceivedBody {
    /// It came in one read and lies in that read's buffer.
    case read(ByteBuffer)
    /// It came in several reads and was put together; nobody else has the array.
    case gathered([UInt8])

    var count: Int {
        switch self {
        case .read(let buffer): buffer.readableBytes
        case .gathered(let bytes): bytes.count
        }
    }

    /// Lends the bytes, and the array that they lie in if there is one.
    func withBytes<Result, Fault>(
        _ work: (_ bytes: UnsafeRawBufferPointer, _ whole: [UInt8]?) throws(Fault) -> Result
    ) throws(Fault) -> Result {
        switch self {
        case .read(let buffer):
            // ByteBuffer has no form of this for typed errors.
            let result = buffer.withUnsafeReadableBytes { bytes -> Swift.Result<Result, Fault> in
                do throws(Fault) { return .success(try work(bytes, nil)) } catch { return .failure(error) }
            }
            return try result.get()
        case .gathered(let array):
            let result = array.withUnsafeBytes { bytes -> Swift.Result<Result, Fault> in
                do throws(Fault) { return .success(try work(bytes, array)) } catch { return .failure(error) }
            }
            return try result.get()
        }
    }
}

/// Gathers the parts of one request body into contiguous memory, within the size cap and the budget.
///
/// A body that arrives whole in one read, and fills the most of its buffer, is not copied at all. Otherwise each part
/// is copied while the processor's cache still has it, into an array that a pipeline keeps when it changes nothing.
/// What a body reserves doubles as it comes: a sender that announces much and sends little would else keep others out
/// with bytes that are not there.
struct BodyCollector {
    /// What is reserved before the first byte of a body has come: little, since heads alone cost a sender nothing.
    static let firstBytes = 16 << 10
    /// A body of known length gets its memory at once up to this many bytes, and by doubling beyond.
    static let roomAtOnce = 4 << 20
    /// A read buffer of so many bytes is small, however little of it a body takes.
    private static let smallBuffer = 16 << 10
    /// First memory of a chunked body, in bytes.
    static let chunkedStart = 64 << 10

    /// Most of a body that is read in one turn of an event loop.
    static let readAtOnce = 2 << 20
    /// Most that `receive` takes at once.
    static let pieceMax = 512 << 10

    private let declared: Int?
    private let sizeMax: Int
    private var whole: ByteBuffer?
    private var gathered: [UInt8] = []
    private(set) var received = 0
    /// Bytes that `receive` has taken and of which no part has told yet.
    private var ahead = 0

    /// A collector for a body of `declared` bytes, nil when it is chunked.
    init(declared: Int?, sizeMax: Int) {
        self.declared = declared
        self.sizeMax = sizeMax
    }

    /// Bytes that are still to come of a body of known length; 0 of a chunked one.
    var left: Int { declared.map { max(0, $0 - received) } ?? 0 }

    /// In how many reads the rest of a body is to be taken at once: two megabytes at most.
    static func reads(for left: Int) -> UInt {
        let size = OTLPReceiver.readSizeMax
        return UInt(clamping: max(1, (min(left, readAtOnce) + size - 1) / size))
    }

    /// Reserves for the first bytes, when there is room for all that is announced. Call once.
    func reserve(_ ticket: AdmissionTicket) throws(BodyFault) {
        if let declared, declared > sizeMax { throw .tooLarge(inflated: false) }
        let first = min(declared ?? sizeMax, Self.firstBytes)
        if let fault = BodyFault(ticket.grow(by: first, expected: declared ?? 0)) { throw fault }
    }

    /// Takes the next part.
    mutating func append(_ part: ByteBuffer, ticket: AdmissionTicket) throws(BodyFault) {
        guard ahead == 0 else {
            ahead -= min(part.readableBytes, ahead)
            return
        }
        let total = received + part.readableBytes
        // The parser never delivers more than the declared length; the guard keeps the cap independent of that.
        guard total <= declared ?? sizeMax else { throw .tooLarge(inflated: false) }
        if received == 0, part.readableBytes == declared, Self.mayStay(part) {
            if let fault = BodyFault(ticket.grow(by: total - ticket.held)) { throw fault }
            received = total
            whole = part
            return
        }
        begin()
        received = total
        try makeRoom(for: total, ticket)
        part.withUnsafeReadableBytes { gathered.append(contentsOf: $0) }
    }

    /// Takes what a socket holds of the rest of a body of known length, `pieceMax` bytes at most, without waiting.
    /// Parts of as many bytes have to follow by `append`, which does not look into them.
    ///
    /// Takes nothing when nothing is there, the socket has failed or is at its end, or there is no room: who reads the
    /// usual way then learns of it.
    mutating func receive(from socket: NIOBSDSocket.Handle, ticket: AdmissionTicket) -> Received {
        // What is reserved is what is there.
        let waiting = Int(sluice_bytes_waiting(socket))
        let wanted = min(left, waiting, Self.pieceMax)
        guard wanted > 0, ahead == 0, whole == nil else { return Received(bytes: 0, mayBeMore: false) }
        begin()
        do throws(BodyFault) {
            try makeRoom(for: received + wanted, ticket)
        } catch {
            return Received(bytes: 0, mayBeMore: false)
        }
        let before = gathered.count
        gathered.append(addingCapacity: wanted) { room in
            room.withUnsafeMutableBufferPointer { bytes, count in
                count = max(0, sluice_receive_now(socket, bytes.baseAddress, wanted))
            }
        }
        ahead = gathered.count - before
        received += ahead
        return Received(bytes: ahead, mayBeMore: ahead == Self.pieceMax)
    }

    /// What `receive` has taken.
    struct Received {
        var bytes: Int
        /// The socket may hold more of the body.
        var mayBeMore: Bool
    }

    /// Takes memory for the first bytes.
    private mutating func begin() {
        guard received == 0 else { return }
        gathered.reserveCapacity(
            declared.map { Self.room(for: min($0, Self.roomAtOnce)) } ?? min(Self.chunkedStart, sizeMax))
    }

    /// Whether a body may stay in the buffer of its read: what is reserved for it is its own bytes.
    private static func mayStay(_ part: ByteBuffer) -> Bool {
        part.storageCapacity <= max(2 * part.readableBytes, smallBuffer)
    }

    /// Room for `bytes`: up to an eighth more, so that there are few sizes and the memory of a body that is gone fits
    /// the next. Taken to the byte, bodies of nearly the same size leave twice their memory in holes.
    private static func room(for bytes: Int) -> Int {
        guard bytes >= chunkedStart else { return bytes }
        let step = (1 << (Int.bitWidth - 1 - bytes.leadingZeroBitCount)) / 8
        return (bytes + step - 1) / step * step
    }

    private mutating func makeRoom(for total: Int, _ ticket: AdmissionTicket) throws(BodyFault) {
        if total > ticket.held {
            let wanted = min(declared ?? sizeMax, max(total, ticket.held * 2))
            if let fault = BodyFault(ticket.grow(by: wanted - ticket.held)) { throw fault }
        }
        guard total > gathered.capacity else { return }
        gathered.reserveCapacity(min(declared.map(Self.room) ?? sizeMax, max(total, ticket.held)))
    }

    /// The whole body, which is then the caller's alone. Valid once the parser has told the end of the message.
    consuming func finish() -> ReceivedBody {
        if let whole { return .read(whole) }
        return .gathered(gathered)
    }
}
