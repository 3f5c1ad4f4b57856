/// Counts the beginning of a head, or of a frame, within the budget until its rest has come. Used on the connection's
/// event loop only.
///
/// A head that comes in one read is nobody's concern. What a connection waits with beyond `freeBytes` counts; up to
/// `unaskedBytes` it counts even when the budget is used up, so that it is requests which are refused then, with a
/// code, and not connections.
final class HeldHead {
    /// Bytes that are as nothing beside what a connection itself takes.
    static let freeBytes = 1 << 10
    /// As much as one frame of HTTP/2 with its head, or one field of HTTP/1.1.
    static let unaskedBytes = FrameHead.bytes + HTTP2Limits.frameMax

    private let ticket: AdmissionTicket

    init(budget: AdmissionBudget) { ticket = AdmissionTicket(budget: budget) }

    /// Counts so many bytes in place of those that counted; false when there is no room for them.
    func hold(_ bytes: Int) -> Bool {
        let wanted = bytes > Self.freeBytes ? bytes : 0
        guard wanted > ticket.held else {
            ticket.release(keeping: wanted)
            return true
        }
        let more = wanted - ticket.held
        guard wanted > Self.unaskedBytes else {
            ticket.take(more)
            return true
        }
        return ticket.grow(by: more) == .granted
    }

    func letGo() { ticket.release() }
}
