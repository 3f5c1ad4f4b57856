import NIOCore
import NIOHTTP1
import Pipeline

/// From a head to the pipeline.
extension OTLPConnection {
    func handle(_ part: HTTPServerRequestPart) {
        switch part {
        case .head(let head): begin(head)
        case .body(let bytes):
            guard let context else { return }
            clock.received(bytes.readableBytes, now: context.eventLoop.now)
            if phase == .body { collect(bytes) }
        case .end:
            switch phase {
            case .body: complete()
            case .skipping: becomeIdle()
            case .idle, .waiting, .lingering: break
            }
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        guard let context else { return }
        headsBegun &+= 1
        // It is whole, and in the way of its own body no longer.
        heldHead.letGo()
        let facts = HeaderFacts(head)
        clock.enter(.body, now: context.eventLoop.now)
        // The parser stops behind a request that asks for another protocol, so the connection cannot go on either.
        let leavesHTTP = facts.asksUpgrade || head.method == .CONNECT
        current = Current(
            answerType: HeadCheck.answerType(head.method, facts),
            keepsAlive: head.isKeepAlive && !facts.asksClose && shared.keepsAlive && !leavesHTTP,
            isOldHTTP: !facts.isHTTP11, isHEAD: head.method == .HEAD, origin: facts.origin,
            declared: facts.transferEncoding == nil ? facts.contentLength ?? 0 : nil,
            mayHoldBody: facts.expect != nil)
        isUsual = false
        switch shared.check.verdict(head, facts) {
        case .accept(let plan):
            isUsual =
                shared.check.isOfHeadAlone && current.keepsAlive && facts.contentLengths == 1 && facts.expect == nil
            admit(plan)
        case .refuse(let refusal): refuse(refusal)
        case .preflight(let headers):
            send(Answer(status: .noContent, headers: headers), after: .head)
        }
    }

    func beginAgain(_ usual: Current, length: Int) {
        guard let context, var plan = usual.plan else { return }
        headsBegun &+= 1
        clock.enter(.body, now: context.eventLoop.now)
        current = usual
        current.declared = length
        plan.contentLength = length
        admit(plan)
    }

    private func admit(_ plan: RequestPlan) {
        current.plan = plan
        let collector = BodyCollector(declared: plan.contentLength, sizeMax: shared.check.bodySizeMax)
        do throws(BodyFault) {
            try collector.reserve(ticket)
        } catch {
            return refuse(overload(error, wanted: plan.contentLength ?? BodyCollector.chunkedStart))
        }
        self.collector = collector
        phase = .body
        if plan.wantsContinue, let context {
            let interim = ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")
            context.writeAndFlush(wrapOutboundOut(interim), promise: nil)
            current.mayHoldBody = false
        }
    }

    /// True while the body of an accepted head arrives in chunks.
    var readsChunks: Bool { phase == .body && current.declared == nil }

    /// Answers a chunked request that has announced more than it may have.
    func refuseChunks() { refuse(shared.check.tooLarge(inflated: false)) }

    func refuseExtensions() {
        refuse(
            Refusal(
                status: .badRequest, reason: .malformed,
                message: "the extensions of the chunks are more than \(ChunkFraming.extensionBytesMax) bytes",
                closes: true))
    }

    /// Ends a connection for the rest of whose head, or trailers, there is no memory, with an answer where one is due.
    func refuseHead(wanted: Int) {
        guard !hasQueued else { return }
        switch phase {
        // Nothing is read before the reply any more.
        case .waiting: return
        case .skipping, .lingering: return close()
        case .idle: current = Current(answerType: .json)
        case .body: break
        }
        var refusal = overload(.overBudget, wanted: wanted)
        refusal.closes = true
        refuse(refusal)
    }

    private func overload(_ fault: BodyFault, wanted: Int) -> Refusal {
        shared.refusal(fault, wanted: wanted, now: context?.eventLoop.now ?? .now())
    }

    private func collect(_ bytes: ByteBuffer) {
        do throws(BodyFault) {
            try collector?.append(bytes, ticket: ticket)
        } catch {
            refuse(overload(error, wanted: bytes.readableBytes))
        }
    }

    /// The body is whole: inflates it and hands it to the pipeline.
    private func complete() {
        guard let plan = current.plan, let collector, let context else { return }
        self.collector = nil
        let wanted = collector.received
        let loop = context.eventLoop
        replyNumber &+= 1
        let number = replyNumber
        phase = .waiting
        clock.enter(.reply, now: loop.now)
        let connection = NIOLoopBound(self, eventLoop: loop)
        do throws(RequestIntake.Fault) {
            try shared.intake.take(collector.finish(), plan.intake, ticket: ticket, resources: resources) { reply in
                if loop.inEventLoop {
                    connection.value.replied(reply, number)
                } else {
                    loop.execute { connection.value.replied(reply, number) }
                }
            }
        } catch {
            refuse(shared.refusal(error, plan, wanted: wanted, now: loop.now), bodyIsRead: true)
        }
    }

    /// The pipeline's reply. One for a request that was given up meanwhile is ignored.
    private func replied(_ reply: IngestReply, _ number: UInt64) {
        guard phase == .waiting, number == replyNumber, let plan = current.plan else { return }
        if reply == .accepted {
            sendAccepted(plan.mediaType)
        } else {
            switch Answer.reply(reply, plan) {
            case .success(let answer): send(answer, after: .body)
            case .failure(let refusal): refuse(refusal, bodyIsRead: true)
            }
        }
        drain()
    }
}
