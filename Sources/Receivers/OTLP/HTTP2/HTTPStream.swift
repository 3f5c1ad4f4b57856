import NIOCore
import NIOHPACK
import NIOHTTP1
import Pipeline

/// OTLP/HTTP on a stream: the same rules and answers as on HTTP/1.1.
final class HTTPStream: RequestStream {
    private let shared: ReceiverShared
    private var plan: RequestPlan?
    private var answerType = MediaType.json
    private var origin: String?
    private var isHEAD = false

    init(shared: ReceiverShared, resources: LoopResources, connection: HTTP2Connection, now: NIODeadline) {
        self.shared = shared
        super.init(
            budget: shared.budget, timeouts: shared.timeouts, resources: resources, connection: connection, now: now)
    }

    override func tooMany() { shared.metrics.refused(.streams) }

    override func refused(_ fault: BodyFault) {
        let refusal = shared.refusal(fault, wanted: Self.ownBytes, now: now)
        shared.countRefusal(refusal)
        // Without a body, which would wait for the client's window.
        send(Answer(status: refusal.status, retryAfter: refusal.retryAfter))
    }

    override func begin(_ headers: HPACKHeaders, isWhole: Bool) {
        if let excess = HTTP2Limits.excess(of: headers) {
            // Of so many only those are looked at that the answer needs.
            answerType = headers.first(name: "content-type").flatMap(MediaType.init(contentType:)) ?? .xProtobuf
            origin = headers.first(name: "origin")
            isHEAD = headers.first(name: ":method") == "HEAD"
            return refuse(
                Refusal(
                    status: .headerFieldsTooLarge, reason: .headersTooLarge, message: "the request has \(excess)"))
        }
        let head = Self.head(headers)
        let facts = HeaderFacts(head, isWhole: isWhole)
        answerType = HeadCheck.answerType(head.method, facts)
        origin = facts.origin
        isHEAD = head.method == .HEAD
        guard !headers.contains(where: { ASCII.hasOuterBlank($0.value) }) else {
            return refuse(
                Refusal(
                    status: .badRequest, reason: .malformed,
                    message: "a header's value begins or ends with a blank, which HTTP/2 does not allow"))
        }
        guard !Self.hasOtherHost(headers) else {
            return refuse(
                Refusal(
                    status: .badRequest, reason: .malformed,
                    message: "the header 'host' names another server than ':authority'; send only ':authority'"))
        }
        switch shared.check.verdict(head, facts) {
        case .accept(let plan): admit(plan, isWhole: isWhole)
        case .refuse(let refusal): refuse(refusal)
        case .preflight(let headers): send(Answer(status: .noContent, headers: headers))
        }
    }

    /// The head as HTTP/1.1 would have it (RFC 9113, 8.3.1).
    private static func head(_ headers: HPACKHeaders) -> HTTPRequestHead {
        var fields = HTTPHeaders()
        for (name, value, _) in headers where !name.hasPrefix(":") { fields.add(name: name, value: value) }
        if !fields.contains(name: "host") {
            fields.add(name: "host", value: headers.first(name: ":authority") ?? "")
        }
        return HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: headers.first(name: ":method") ?? ""),
            uri: headers.first(name: ":path") ?? "", headers: fields)
    }

    /// Whether a proxy could route by another name than the one that is read here (RFC 9113, 8.3.1).
    private static func hasOtherHost(_ headers: HPACKHeaders) -> Bool {
        guard let authority = headers.first(name: ":authority") else { return false }
        return headers.contains { name, value, _ in
            name == "host" && ASCII.lowercased(value) != ASCII.lowercased(authority)
        }
    }

    private func admit(_ plan: RequestPlan, isWhole: Bool) {
        self.plan = plan
        let collector = BodyCollector(declared: plan.contentLength, sizeMax: shared.check.bodySizeMax)
        do throws(BodyFault) {
            try collector.reserve(ticket)
        } catch {
            return refuse(shared.refusal(error, wanted: plan.contentLength ?? BodyCollector.chunkedStart, now: now))
        }
        self.collector = collector
        phase = .body
        if isWhole {
            complete()
        } else if plan.wantsContinue {
            write([":status": "100"])
            flush()
        }
    }

    override func take(_ bytes: ByteBuffer) {
        do throws(BodyFault) {
            try collector?.append(bytes, ticket: ticket)
        } catch {
            refuse(shared.refusal(error, wanted: bytes.readableBytes, now: now))
        }
    }

    override func complete() {
        guard let plan else { return }
        let wanted = collector?.received ?? 0
        do throws(RequestIntake.Fault) {
            try handOn(shared.intake, plan.intake)
        } catch {
            refuse(shared.refusal(error, plan, wanted: wanted, now: now))
        }
    }

    override func replied(_ reply: IngestReply) {
        guard let plan else { return }
        switch Answer.reply(reply, plan) {
        case .success(let answer): send(answer)
        case .failure(let refusal): refuse(refusal)
        }
    }

    override func expired(_ expiry: ConnectionClock.Expiry) {
        switch (expiry, phase) {
        case (.body, .body): refuse(.slowBody)
        case (.reply, .waiting): refuse(.noReply)
        default: break
        }
    }

    private var now: NIODeadline { context?.eventLoop.now ?? .now() }

    private func refuse(_ refusal: Refusal) {
        shared.countRefusal(refusal)
        send(.refusal(refusal, answerType))
    }

    /// Headers that HTTP/2 has no use for (RFC 9113, 8.2.2).
    private static let connectionHeaders = ["connection", "keep-alive", "proxy-connection", "upgrade", "te"]

    /// Headers that repeat what the client sent, which are not to take the room of others in the table of HPACK.
    private static let echoes = ["access-control-allow-origin", "access-control-allow-headers"]

    private func send(_ answer: Answer) {
        var headers: HPACKHeaders = [":status": String(answer.status.rawValue)]
        if let type = answer.mediaType { headers.add(name: "content-type", value: type.name) }
        if answer.status != .noContent { headers.add(name: "content-length", value: String(answer.body.count)) }
        if let seconds = answer.retryAfter { headers.add(name: "retry-after", value: String(seconds)) }
        headers.add(name: "date", value: resources.dateText)
        var extra = answer.headers
        if answer.status != .noContent, let origin, let cors = shared.check.cors {
            extra += cors.headers(origin: origin)
        }
        for header in extra + shared.encoder.headers where ASCII.isFieldValue(header.value) {
            let name = ASCII.lowercased(header.name)
            if Self.connectionHeaders.contains(name) { continue }
            let isEcho = Self.echoes.contains(name)
            headers.add(name: name, value: header.value, indexing: isEcho ? .nonIndexable : .indexable)
        }
        shared.metrics.answered(answer.status)
        let isBare = answer.body.isEmpty || isHEAD
        write(headers, ends: isBare)
        if !isBare { write(ByteBuffer(bytes: answer.body), ends: true) }
        finish()
    }
}
