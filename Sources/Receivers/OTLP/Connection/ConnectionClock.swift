import NIOCore

/// Decides when a connection has taken too long. Knows no clock: the caller passes the time.
struct ConnectionClock {
    /// What the connection waits for.
    enum Phase {
        /// The next request.
        case idle
        /// The rest of a request's head.
        case head
        /// The rest of a request's body.
        case body
        /// The pipeline's reply.
        case reply
        /// The client's end of a connection that was answered for the last time.
        case linger
    }

    /// What took too long.
    enum Expiry: Equatable {
        case idle
        case head
        /// The body stalled, or the whole request took longer than `read_timeout`.
        case body
        case reply
        case linger
        /// The client does not read its answers.
        case write
    }

    /// A body must bring `bodyBytesMin` in every `bodyWindow`, which is slower than any working network.
    static let bodyWindow: TimeAmount = .seconds(10)
    static let bodyBytesMin = 4 << 10
    /// When others found no room meanwhile, a body must bring this part of what it holds in every window.
    static let shareOfHeldMin = 32

    /// What a request holds of the memory for bodies, and how many others were refused for want of it, ever.
    struct Claim {
        var held = 0
        var refusals: UInt64 = 0
    }
    /// How long a closing connection waits for the next bytes, and in all, before it is cut.
    static let lingerPause: TimeAmount = .seconds(2)
    static let lingerMax: TimeAmount = .seconds(30)

    private let timeouts: ConnectionTimeouts
    private(set) var phase = Phase.head
    private var phaseStart: NIODeadline
    private var requestStart: NIODeadline
    private var lastBytes: NIODeadline
    private var windowStart: NIODeadline
    private var windowBytes = 0
    /// `Claim.refusals` when the window began; nil until it is known.
    private var windowRefusals: UInt64?
    private var stalledSince: NIODeadline?

    /// A connection that was just accepted.
    init(_ timeouts: ConnectionTimeouts, now: NIODeadline) {
        self.timeouts = timeouts
        phaseStart = now
        requestStart = now
        lastBytes = now
        windowStart = now
    }

    mutating func enter(_ next: Phase, now: NIODeadline) {
        switch next {
        case .head: requestStart = now
        case .body:
            if phase == .idle { requestStart = now }
            windowStart = now
            windowBytes = 0
            windowRefusals = nil
        case .idle, .reply, .linger: break
        }
        phase = next
        phaseStart = now
        lastBytes = now
    }

    /// Bytes of a body arrived, kept or not.
    mutating func received(_ bytes: Int, now: NIODeadline) {
        windowBytes += bytes
        lastBytes = now
    }

    /// Answers pile up because the client does not read, or no longer do.
    mutating func setStalled(_ isStalled: Bool, now: NIODeadline) {
        stalledSince = isStalled ? stalledSince ?? now : nil
    }

    /// What has taken too long by now, if anything. Also moves the window that a body's progress is measured in.
    mutating func expiry(now: NIODeadline, claim: Claim = Claim()) -> Expiry? {
        if let stalledSince, Self.isOver(timeouts.write, since: stalledSince, now: now) { return .write }
        switch phase {
        case .idle: return Self.isOver(timeouts.idle, since: phaseStart, now: now) ? .idle : nil
        case .head: return Self.isOver(timeouts.readHeader, since: requestStart, now: now) ? .head : nil
        case .reply: return Self.isOver(timeouts.write, since: phaseStart, now: now) ? .reply : nil
        case .linger:
            return now - lastBytes >= Self.lingerPause || now - phaseStart >= Self.lingerMax ? .linger : nil
        case .body:
            if Self.isOver(timeouts.read, since: requestStart, now: now) { return .body }
            guard now - windowStart >= Self.bodyWindow else {
                windowRefusals = windowRefusals ?? claim.refusals
                return nil
            }
            let keepsOthersOut = claim.refusals > windowRefusals ?? claim.refusals
            let least = keepsOthersOut ? max(Self.bodyBytesMin, claim.held / Self.shareOfHeldMin) : Self.bodyBytesMin
            guard windowBytes >= least else { return .body }
            windowStart = now
            windowBytes = 0
            windowRefusals = claim.refusals
            return nil
        }
    }

    /// Whether the connection has waited for a request or the rest of its head for so long.
    func isSilent(for limit: TimeAmount, now: NIODeadline) -> Bool {
        switch phase {
        case .idle: now - phaseStart >= limit
        case .head: now - requestStart >= limit
        case .body, .reply, .linger: false
        }
    }

    /// How often `expiry` has to be asked: fine enough for the shortest limit, never more than once a millisecond.
    static func period(_ timeouts: ConnectionTimeouts) -> TimeAmount {
        var period = TimeAmount.seconds(1)
        for limit in [timeouts.idle, timeouts.readHeader, timeouts.read, timeouts.write] where limit > .zero {
            period = min(period, .nanoseconds(TimeAmount(limit).nanoseconds / 4))
        }
        return max(period, .milliseconds(1))
    }

    private static func isOver(_ limit: Duration, since start: NIODeadline, now: NIODeadline) -> Bool {
        limit > .zero && now - start >= TimeAmount(limit)
    }
}
