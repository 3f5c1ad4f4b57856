import Logging
import NIOCore
import NIOHPACK
import OTLP
import Pipeline
import Telemetry

/// What all gRPC calls of a receiver share.
struct GRPCShared: Sendable {
    /// Signals that at least one pipeline takes.
    let accepted: Set<Signal>
    let auth: AuthCheck?
    let keepsMetadata: Bool
    let timeouts: ConnectionTimeouts
    let intake: RequestIntake
    let budget: AdmissionBudget
    let log: Logger
}

/// One unary Export call on a stream.
final class GRPCStream: RequestStream {
    private let shared: GRPCShared
    private var call: GRPCCall?
    private var coding = ContentCoding.identity
    private var framing = GRPCFraming()
    private var deadline: Scheduled<Void>?
    private var expiry: NIODeadline?

    init(shared: GRPCShared, resources: LoopResources, connection: HTTP2Connection, now: NIODeadline) {
        self.shared = shared
        super.init(
            budget: shared.budget, timeouts: shared.timeouts, resources: resources, connection: connection, now: now)
    }

    override func tooMany() { shared.intake.metrics.refused(.streams) }

    override func refused(_ fault: BodyFault) { end(status(fault, wanted: Self.ownBytes)) }

    override func begin(_ headers: HPACKHeaders, isWhole: Bool) {
        guard headers.first(name: ":method") == "POST",
            let type = headers.first(name: "content-type"), GRPCCall.isGRPC(contentType: type)
        else { return refuseHTTP(headers.first(name: ":method") == "POST" ? 415 : 405) }
        do throws(GRPCStatus) {
            let call = try GRPCCall(
                headers, accepted: shared.accepted, auth: shared.auth, keepsMetadata: shared.keepsMetadata)
            self.call = call
            if let timeout = call.timeout { watch(timeout) }
            phase = .body
            if isWhole { complete() }
        } catch {
            end(error)
        }
    }

    /// Answers what is no gRPC call at all in HTTP's own terms.
    private func refuseHTTP(_ status: Int) {
        shared.intake.metrics.refused(status == 405 ? .method : .contentType)
        write(
            [
                ":status": String(status), "content-type": "text/plain",
                "x-reason": "this port takes OTLP over gRPC; OTLP/HTTP has a port of its own (4318)",
            ], ends: true)
        finish()
    }

    /// Gives the call up when the sender has.
    private func watch(_ timeout: TimeAmount) {
        guard let context else { return }
        let stream = NIOLoopBound(self, eventLoop: context.eventLoop)
        expiry = context.eventLoop.now + timeout
        deadline = context.eventLoop.scheduleTask(in: timeout) {
            if stream.value.phase != .answered { stream.value.giveUp() }
        }
    }

    private func giveUp() {
        end(GRPCStatus(.deadlineExceeded, .timeout, "the call took longer than its grpc-timeout"))
    }

    override func take(_ bytes: ByteBuffer) {
        var bytes = bytes
        do throws(GRPCStatus) {
            while phase == .body, let piece = try framing.next(&bytes) {
                switch piece {
                case .prefix(let length, let isCompressed): try admit(length, isCompressed)
                case .content(let content): try append(content)
                }
            }
        } catch {
            end(error)
        }
    }

    /// Reserves the memory of a message before it is read.
    private func admit(_ length: Int, _ isCompressed: Bool) throws(GRPCStatus) {
        guard let call else { return }
        if isCompressed {
            guard call.coding != .identity else {
                throw GRPCStatus(
                    .internal, .malformed,
                    "the message is flagged as compressed, but the call names no coding; set grpc-encoding, "
                        + "or leave the flag away")
            }
            guard let known = call.coding else {
                throw GRPCStatus(
                    .unimplemented, .contentEncoding,
                    "grpc-encoding \(PlainText.shown(call.codingName)) is not supported; supported: "
                        + GRPCCall.acceptedCodings)
            }
            coding = known
        }
        let collector = BodyCollector(declared: length, sizeMax: shared.intake.bodySizeMax)
        do throws(BodyFault) {
            try collector.reserve(ticket)
        } catch {
            throw status(error, wanted: length)
        }
        self.collector = collector
    }

    private func append(_ content: ByteBuffer) throws(GRPCStatus) {
        do throws(BodyFault) {
            try collector?.append(content, ticket: ticket)
        } catch {
            throw status(error, wanted: content.readableBytes)
        }
    }

    override func complete() {
        guard let call, framing.isWhole else {
            let what = framing.isEmpty ? "the call has no message" : "the message is cut short"
            return end(GRPCStatus(.internal, .malformed, what))
        }
        // What came in one read with its head is here before the timer could fire.
        if let expiry, let context, context.eventLoop.now >= expiry { return giveUp() }
        let wanted = collector?.received ?? 0
        do throws(RequestIntake.Fault) {
            try handOn(
                shared.intake,
                RequestIntake.Request(
                    signal: call.signal, encoding: .protobuf, coding: coding, tenant: call.tenant,
                    metadata: call.metadata))
        } catch {
            switch error {
            case .body(let fault): end(status(fault, wanted: wanted))
            case .wrongSignal(let found):
                end(
                    GRPCStatus(
                        .invalidArgument, .wrongSignal,
                        "this service takes \(call.signal), but the request holds \(found); "
                            + "call \(GRPCCall.path(found))"
                    ))
            }
        }
    }

    override func replied(_ reply: IngestReply) {
        guard let signal = call?.signal else { return }
        switch reply {
        case .accepted: succeed([])
        case .partial(let rejected, let message):
            succeed(ControlMessages.exportResponse(signal: signal, rejected: rejected, message: message, json: false))
        case .invalid(let message): end(GRPCStatus(.invalidArgument, .invalidData, message))
        // Without RetryInfo, which would make it retryable (OTLP specification, "Failures").
        case .tooLarge(let message): end(GRPCStatus(.resourceExhausted, .bodyTooLarge, message))
        case .unavailable(let message, let hint):
            end(GRPCStatus(.unavailable, .unavailable, message, retrySeconds: Answer.retrySeconds(hint)))
        }
    }

    override func expired(_ expiry: ConnectionClock.Expiry) {
        switch (expiry, phase) {
        // Senders may try again on it.
        case (.body, .body): end(GRPCStatus(.deadlineExceeded, .timeout, "the request did not arrive in time"))
        case (.reply, .waiting):
            end(
                GRPCStatus(
                    .unavailable, .timeout, "the pipeline did not reply within write_timeout; try again",
                    retrySeconds: 1))
        default: break
        }
    }

    override func ended() { deadline?.cancel() }

    private func status(_ fault: BodyFault, wanted: Int) -> GRPCStatus {
        switch fault {
        case .tooLarge(let inflated):
            return GRPCStatus(
                .resourceExhausted, .bodyTooLarge,
                "the message is larger than \(shared.intake.bodySizeMax) bytes\(inflated ? " after inflating" : ""); "
                    + "send smaller batches or raise max_recv_msg_size_mib of the receiver")
        case .overBudget:
            let now = context?.eventLoop.now ?? .now()
            return GRPCStatus(
                .unavailable, .overload, "too many bytes of requests are in memory already; try again",
                retrySeconds: shared.budget.drainRate.seconds(wanted: wanted, budget: shared.budget, now: now))
        case .neverFits:
            return GRPCStatus(
                .resourceExhausted, .bodyTooLarge,
                "the message needs more memory than the gateway may use for requests in flight "
                    + "(\(shared.budget.limit) bytes); send smaller batches or raise the memory limit")
        case .corrupt(let what):
            return GRPCStatus(.invalidArgument, .corruptBody, "the compressed message: \(what)")
        }
    }

    // MARK: Answers

    private static let head: HPACKHeaders = [
        ":status": "200", "content-type": "application/grpc", "grpc-accept-encoding": GRPCCall.acceptedCodings,
    ]

    /// Answers with a message: the length-prefixed response, then the status.
    private func succeed(_ message: [UInt8]) {
        deadline?.cancel()
        shared.intake.metrics.answered(GRPCCode.ok)
        write(Self.head)
        var bytes = ByteBufferAllocator().buffer(capacity: GRPCFraming.prefixSize + message.count)
        bytes.writeInteger(UInt8(0))
        bytes.writeInteger(UInt32(message.count))
        bytes.writeBytes(message)
        write(bytes, ends: false)
        var trailers = HPACKHeaders()
        GRPCStatus.ok.add(to: &trailers)
        write(trailers, ends: true)
        finish()
    }

    /// Answers without a message: the status in the only headers there are ("Trailers-Only").
    private func end(_ status: GRPCStatus) {
        deadline?.cancel()
        if let reason = status.reason { shared.intake.metrics.refused(reason) }
        shared.intake.metrics.answered(status.code)
        shared.log.debug("call refused", metadata: ["status": "\(status.code.name)"])
        var headers = Self.head
        status.add(to: &headers)
        write(headers, ends: true)
        finish()
    }
}
