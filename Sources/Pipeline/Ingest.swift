package import Telemetry

/// Encoding of an OTLP/HTTP request, and so of its answer.
package enum WireEncoding: Sendable {
    case protobuf
    case json
}

/// One received request, already authenticated, inflated and within its size caps.
package struct IngestRequest {
    package var signal: Signal
    package var encoding: WireEncoding
    /// The plain request body. Valid only until `Ingest.ingest` returns.
    package var body: UnsafeRawBufferPointer
    /// The array that `body` is all of, when there is one: what nobody changes is kept instead of copied.
    package var whole: [UInt8]?
    /// Authenticated tenant, empty when there is none.
    package var tenant: String
    /// Headers that came with it, when the receiver keeps them.
    package var metadata: RequestMetadata

    package init(
        signal: Signal, encoding: WireEncoding, body: UnsafeRawBufferPointer, whole: [UInt8]? = nil,
        tenant: String = "", metadata: RequestMetadata = RequestMetadata()
    ) {
        self.signal = signal
        self.encoding = encoding
        self.body = body
        self.whole = whole
        self.tenant = tenant
        self.metadata = metadata
    }
}

/// What the receiver answers to the sender.
package enum IngestReply: Sendable, Equatable {
    /// All of it is as safe as the pipeline promises.
    case accepted
    /// The request is accepted but for `rejected` records; `message` says why. None rejected: a warning.
    case partial(rejected: Int64, message: String)
    /// The request can never be accepted as it is (HTTP 400).
    case invalid(message: String)
    /// The request is larger than the pipeline can ever take at once (HTTP 413); smaller ones may be taken.
    case tooLarge(message: String)
    /// A passing problem (HTTP 503): try again after the hint.
    case unavailable(message: String, retryAfter: Duration)

    /// What it says in words; empty when there is nothing to say.
    package var message: String {
        switch self {
        case .accepted: ""
        case .partial(_, let message), .invalid(let message), .tooLarge(let message), .unavailable(let message, _):
            message
        }
    }
}

/// Where receivers hand their requests: decode, processor chain, journal.
package protocol Ingest: AnyObject, Sendable {
    /// Signals that at least one pipeline takes; a receiver answers 404 for the others.
    func accepts(_ signal: Signal) -> Bool

    /// Runs to completion on the calling thread as far as the journal append. `reply` runs exactly once, possibly
    /// later and on another thread, and must not block. To be followed by `flush`, once for all requests of one turn
    /// of an event loop.
    func ingest(_ request: IngestRequest, reply: @escaping @Sendable (IngestReply) -> Void)

    /// Begins to store what was ingested, if that has not begun.
    func flush()

    /// Whether a request of this signal waits for a disk before it is with the journals, so that no event loop should
    /// bring it.
    func waitsForDisk(_ signal: Signal) -> Bool
}

extension Ingest {
    package func waitsForDisk(_ signal: Signal) -> Bool { false }
}
