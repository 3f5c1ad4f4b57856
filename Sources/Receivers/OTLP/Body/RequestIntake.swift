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
    /// Runs on the event loop that `resources` belongs to; `body` is free to be used again afterwards.
    func take(
        _ body: ByteBuffer, _ request: Request, ticket: AdmissionTicket, resources: LoopResources,
        reply: @escaping @Sendable (IngestReply) -> Void
    ) throws(Fault) {
        metrics.wireBytes.add(body.readableBytes)
        guard request.coding != .identity else { return try handOn(body, request, reply) }
        let plain: ByteBuffer
        do throws(BodyFault) {
            plain = try inflated(body, request.coding, ticket, resources)
        } catch {
            throw .body(error)
        }
        do throws(Fault) {
            try handOn(plain, request, reply)
        } catch {
            resources.give(plain)
            throw error
        }
        resources.give(plain)
    }

    private func inflated(
        _ body: ByteBuffer, _ coding: ContentCoding, _ ticket: AdmissionTicket, _ resources: LoopResources
    ) throws(BodyFault) -> ByteBuffer {
        let result: Result<ByteBuffer, BodyFault> = body.withUnsafeReadableBytes { bytes in
            do throws(BodyFault) {
                return .success(
                    try resources.inflater.inflate(
                        bytes, coding: coding, sizeMax: bodySizeMax, ticket: ticket, resources: resources))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func handOn(
        _ body: ByteBuffer, _ request: Request, _ reply: @escaping @Sendable (IngestReply) -> Void
    ) throws(Fault) {
        let other = body.withUnsafeReadableBytes {
            WrongSignal.found(in: $0, sentAs: request.signal, encoding: request.encoding)
        }
        if let other { throw .wrongSignal(other) }
        metrics.bodyBytes.add(body.readableBytes)
        body.withUnsafeReadableBytes { bytes in
            ingest.ingest(
                IngestRequest(
                    signal: request.signal, encoding: request.encoding, body: bytes, tenant: request.tenant,
                    metadata: request.metadata),
                reply: reply)
        }
    }
}
