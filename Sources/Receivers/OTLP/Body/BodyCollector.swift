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

/// Gathers the parts of one request body into contiguous memory, within the size cap and the budget.
///
/// A body of known length reserves its bytes at once, before it is read, and gets a buffer of that size; when it
/// arrives whole in one read it is not copied at all. A chunked body reserves and grows by doubling.
struct BodyCollector {
    /// First reservation and buffer of a chunked body, in bytes.
    static let chunkedStart = 64 << 10

    private let declared: Int?
    private let sizeMax: Int
    private var buffer: ByteBuffer?
    private var isPooled = false
    private(set) var received = 0

    /// A collector for a body of `declared` bytes, nil when it is chunked.
    init(declared: Int?, sizeMax: Int) {
        self.declared = declared
        self.sizeMax = sizeMax
    }

    /// Reserves what is known before the first byte. Call once.
    func reserve(_ ticket: AdmissionTicket) throws(BodyFault) {
        if let declared, declared > sizeMax { throw .tooLarge(inflated: false) }
        let first = declared ?? min(Self.chunkedStart, sizeMax)
        if let fault = BodyFault(ticket.grow(by: first)) { throw fault }
    }

    /// Takes the next part.
    mutating func append(
        _ part: ByteBuffer, ticket: AdmissionTicket, resources: LoopResources
    ) throws(BodyFault) {
        let total = received + part.readableBytes
        // The parser never delivers more than the declared length; the guard keeps the cap independent of that.
        guard total <= declared ?? sizeMax else { throw .tooLarge(inflated: false) }
        received = total
        if buffer == nil {
            if part.readableBytes == declared {
                buffer = part
                return
            }
            buffer = resources.takeBuffer(capacity: declared ?? min(Self.chunkedStart, sizeMax))
            isPooled = true
        }
        if declared == nil { try makeRoom(for: total, ticket) }
        buffer?.writeImmutableBuffer(part)
    }

    private mutating func makeRoom(for total: Int, _ ticket: AdmissionTicket) throws(BodyFault) {
        guard total > ticket.held else { return }
        let wanted = min(sizeMax, max(total, ticket.held * 2))
        if let fault = BodyFault(ticket.grow(by: wanted - ticket.held)) { throw fault }
        buffer?.reserveCapacity(wanted)
    }

    /// The whole body. Valid once the parser has told the end of the message.
    var body: ByteBuffer { buffer ?? ByteBuffer() }

    /// Gives the memory back to the loop.
    mutating func recycle(_ resources: LoopResources) {
        if isPooled, let buffer = buffer.take() { resources.give(buffer) }
        buffer = nil
        isPooled = false
    }
}
