import Logging
import NIOCore
import NIOHTTP1
import Telemetry

/// From a verdict or reply to the bytes of an answer, and what becomes of the connection.
extension OTLPConnection {
    /// How much of the request was read when the answer is written.
    enum ReadSoFar {
        /// The head; the body, if there is one, is still to come.
        case head
        /// All of it.
        case body
        /// It is unknown where the request ends.
        case unclear
    }

    func becomeIdle() {
        phase = .idle
        collector = nil
        ticket.release()
        if let context { clock.enter(hasBegunNext ? .head : .idle, now: context.eventLoop.now) }
        hasBegunNext = false
    }

    /// Answers a request that is not handed on or was not taken.
    func refuse(_ refusal: Refusal, bodyIsRead: Bool = false) {
        shared.countRefusal(refusal)
        let readSoFar: ReadSoFar = refusal.closes ? .unclear : bodyIsRead ? .body : .head
        send(.refusal(refusal, current.answerType), after: readSoFar)
    }

    func sendAccepted(_ type: MediaType) {
        let isUsual = current.keepsAlive && !current.isOldHTTP && current.origin == nil && !endsHere
        guard isUsual, let context else {
            let signal = current.plan?.signal ?? .traces
            return send(.success(signal, rejected: 0, message: "", type), after: .body)
        }
        shared.metrics.answered(AnswerStatus.ok)
        // A chunked one may have been of any size.
        let requestBytes = current.declared ?? LoopResources.answeredBytesMax
        becomeIdle()
        context.write(wrapOutboundOut(resources.accepted(type, by: shared.encoder)), promise: nil)
        resources.sendAfterTurn(self, requestBytes: requestBytes)
    }

    func send(_ answer: Answer, after readSoFar: ReadSoFar) {
        guard let context else { return }
        var answer = answer
        if answer.status != .noContent, let origin = current.origin, let cors = shared.check.cors {
            answer.headers += cors.headers(origin: origin)
        }
        let closes = !current.keepsAlive || endsHere || !canSkip(readSoFar)
        let bytes = shared.encoder.encode(
            answer,
            AnswerEncoder.Context(
                closes: closes, saysKeepAlive: current.isOldHTTP && !closes, omitsBody: current.isHEAD),
            date: resources.dateText)
        shared.metrics.answered(answer.status)
        guard closes else {
            becomeIdle()
            if readSoFar == .head {
                phase = .skipping
                clock.enter(.body, now: context.eventLoop.now)
            }
            context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
            return
        }
        collector = nil
        ticket.release()
        linger()
        closeOutput(context, behind: bytes)
    }

    /// Writes the last answer and ends our direction. The socket is closed later: closing it while the client still
    /// sends would make its system throw the answer away (RFC 9112, 9.6).
    private func closeOutput(_ context: ChannelHandlerContext, behind bytes: ByteBuffer) {
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(bytes)).whenComplete { _ in
            let connection = connection.value
            guard let context = connection.context else { return }
            if connection.hasInputClosed { return connection.close() }
            context.close(mode: .output, promise: nil)
            context.read()
        }
    }

    /// True when the present request is the last one of the connection.
    private var endsHere: Bool {
        isQuiescing || ((hasInputClosed || isOverflown || pendingFailure != nil) && !hasQueued)
    }

    /// True when what is left of the request is small enough to be thrown away, so that the connection can go on.
    private func canSkip(_ readSoFar: ReadSoFar) -> Bool {
        switch readSoFar {
        case .body: return true
        case .unclear: return false
        case .head:
            guard let declared = current.declared else { return false }
            return declared == 0 || (declared <= Self.skippedBytesMax && !current.mayHoldBody)
        }
    }

    /// The parser gave up: what follows on the connection cannot be understood.
    func fail(_ failure: HTTPParserError) {
        pendingFailure = nil
        switch phase {
        case .skipping, .lingering, .waiting: return close()
        case .idle: current = Current(answerType: reading.flatMap(Self.mediaType(namedIn:)) ?? .json)
        case .body: break
        }
        var refusal = Refusal(status: .badRequest, reason: .malformed, message: "", closes: true)
        switch failure {
        case .headerOverflow:
            refusal.status = .headerFieldsTooLarge
            refusal.reason = .headersTooLarge
            refusal.message = "the request's headers are too many or too large"
        case .invalidVersion:
            refusal.status = .versionNotSupported
            refusal.message = "only HTTP/2, HTTP/1.1 and HTTP/1.0 are served, the latter with CR LF at the end of lines"
        case .invalidMethod:
            if let method = reading.flatMap(Self.unknownMethod(startOf:)) { return refuse(Self.notTaken(method)) }
            refusal.message =
                "no HTTP request; is this a TLS client? tls of the receiver says whether this port speaks TLS"
        case .invalidEOFState, .closedConnection:
            refusal.message = "the request ended early"
        case .unknown:
            refusal.message =
                "malformed HTTP: Content-Length beside Transfer-Encoding, a Transfer-Encoding other than chunked, or "
                + "lines that do not end in CR LF"
        default:
            refusal.message = "malformed HTTP: \(failure)"
        }
        refuse(refusal)
    }

    /// The method of a request that starts what was read, when its first line has the form of one (RFC 9112, 3) but the
    /// parser does not know the method.
    static func unknownMethod(startOf bytes: ByteBuffer) -> String? {
        let text = bytes.readableBytesView.prefix(OTLPReceiver.headerFieldSizeMax)
            .drop { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") }
        let parts = text.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
            .split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[1].isEmpty, parts[2].starts(with: "HTTP/1.".utf8) else { return nil }
        let method = String(decoding: parts[0], as: UTF8.self)
        guard ASCII.isToken(method), case .RAW = HTTPMethod(rawValue: method) else { return nil }
        return method
    }

    /// The media type that the first head in what was read names, as far as it can be told apart: the parser that does
    /// not hand a head on tells nothing of it.
    static func mediaType(namedIn bytes: ByteBuffer) -> MediaType? {
        let lines = bytes.readableBytesView.prefix(OTLPReceiver.headerFieldSizeMax)
            .split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for line in lines.dropFirst() {
            if line.isEmpty || line.elementsEqual([UInt8(ascii: "\r")]) { return nil }
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), ASCII.equal(line[..<colon], "content-type")
            else { continue }
            let value = line[colon...].dropFirst().filter { $0 != UInt8(ascii: "\r") }
            return MediaType(contentType: String(decoding: value, as: UTF8.self))
        }
        return nil
    }

    /// The parser knows the registered methods only, and reads no further.
    private static func notTaken(_ method: String) -> Refusal {
        Refusal(
            status: .methodNotAllowed, reason: .method,
            message: "this is an OTLP/HTTP endpoint; it takes POST, not \(PlainText.shown(method))",
            headers: [Refusal.Header(name: "Allow", value: "POST")], closes: true)
    }

    func expired(_ expiry: ConnectionClock.Expiry) {
        switch expiry {
        case .idle, .linger, .write: close()
        case .head, .body:
            // Nothing was sent yet, or the request was answered before: there is nobody to explain to.
            if phase == .skipping || phase == .lingering { return close() }
            if phase == .idle { current = Current(answerType: .json) }
            refuse(expiry == .head ? .slowHead : .slowBody)
        case .reply: refuse(.noReply)
        }
    }
}
