import NIOCore
import Pipeline
import Telemetry

/// The way of a whole body into the pipeline, the same for HTTP/1.1, HTTP/2 and gRPC.
struct RequestIntake: Sendable {
    let ingest: any Ingest
    /// Bytes of one body after inflating.
    let bodySizeMax: Int
    let metrics: ReceiverMetrics

    /// What is known of a body before it is read.
    struct Request {
        var signal: Signal
        var encoding: WireEncoding
        var coding: ContentCoding
        var tenant: String
        var metadata = RequestMetadata()
    }

    /// Why a body is not handed on.
    enum Fault: Error, Equatable {
        case body(BodyFault)
        /// It holds another signal than the one it was sent as.
        case wrongSignal(Signal)
    }

    /// Inflates a body and hands it to the pipeline, whose reply goes to `reply` once, from any thread. Throws when it
    /// is not handed on; `reply` does not run then.
    ///
    /// Runs on the event loop that `resources` belongs to.
    func take(
        _ body: ReceivedBody, _ request: Request, ticket: AdmissionTicket, resources: LoopResources,
        reply: @escaping @Sendable (IngestReply) -> Void
    ) throws(Fault) {
        metrics.wireBytes.add(body.count)
        guard request.coding != .identity else {
            return try body.withBytes { (bytes, whole) throws(Fault) in
                try handOn(bytes, whole, request, resources, reply)
            }
        }
        let plain = try inflated(body, request.coding, ticket, resources)
        defer { resources.give(plain) }
        try ReceivedBody.read(plain).withBytes { (bytes, _) throws(Fault) in
            try handOn(bytes, nil, request, resources, reply)
        }
    }

    private func inflated(
        _ body: ReceivedBody, _ coding: ContentCoding, _ ticket: AdmissionTicket, _ resources: LoopResources
    ) throws(Fault) -> ByteBuffer {
        try body.withBytes { (bytes, _) throws(Fault) in
            do throws(BodyFault) {
                return try resources.inflater.inflate(
                    bytes, coding: coding, sizeMax: bodySizeMax, ticket: ticket, resources: resources)
            } catch {
                throw .body(error)
            }
        }
    }

    private func handOn(
        _ bytes: UnsafeRawBufferPointer, _ whole: [UInt8]?, _ request: Request, _ resources: LoopResources,
        _ reply: @escaping @Sendable (IngestReply) -> Void
    ) throws(Fault) {
        let other = WrongSignal.found(in: bytes, sentAs: request.signal, encoding: request.encoding)
        if let other { throw .wrongSignal(other) }
        metrics.bodyBytes.add(bytes.count)
        ingest.ingest(
            IngestRequest(
                signal: request.signal, encoding: request.encoding, body: bytes, whole: whole, tenant: request.tenant,
                metadata: request.metadata),
            reply: reply)
        resources.flushAfterTurn(ingest)
    }
}
