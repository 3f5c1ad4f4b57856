import NIOHTTP1
import Pipeline
import Telemetry

/// A request whose head is in order: what its body will be.
struct RequestPlan: Equatable {
    var signal: Signal
    var mediaType: MediaType
    var coding: ContentCoding
    /// Bytes of the body as sent; nil when it is chunked.
    var contentLength: Int?
    /// The sender waits for an interim answer before it sends the body.
    var wantsContinue: Bool
    /// Whose data it is, empty when the receiver does not ask.
    var tenant = ""
    var metadata = RequestMetadata()

    /// What the way into the pipeline needs to know.
    var intake: RequestIntake.Request {
        RequestIntake.Request(
            signal: signal, encoding: mediaType.encoding, coding: coding, tenant: tenant, metadata: metadata)
    }
}

/// What to do with a request, decided on its head alone.
enum HeadVerdict: Equatable {
    case accept(RequestPlan)
    case refuse(Refusal)
    /// A CORS preflight, or another request for options: answer 204 with these headers.
    case preflight([Refusal.Header])
}

/// Judges request heads: framing, sender, path, method, media type, coding, length, in this order.
///
/// Pure and immutable, so one value serves all connections.
struct HeadCheck: Sendable {
    var paths: RequestPaths
    /// Signals that at least one pipeline takes.
    var accepted: Set<Signal>
    var bodySizeMax: Int
    var codings: CodingSet
    var cors: CORSPolicy?
    /// Who may send; everybody when nil.
    var auth: AuthCheck?
    /// Whether headers go on with the request (`include_metadata`).
    var keepsMetadata = false

    /// Whether the verdict on a head stays, and nothing of its headers goes on.
    var isOfHeadAlone: Bool { auth == nil && !keepsMetadata }

    func verdict(_ head: HTTPRequestHead, _ facts: HeaderFacts) -> HeadVerdict {
        do throws(RefusalError) {
            try checkFraming(head, facts)
            if let preflight = preflight(head, facts) { return .preflight(preflight) }
            let tenant = try checkSender(head)
            if let options = options(head) { return .preflight(options) }
            let signal = try checkTarget(head)
            let mediaType = try checkMediaType(facts)
            let coding = try checkCoding(facts)
            let wantsContinue = try checkExpectation(facts)
            let length = facts.hasOpenEnd ? nil : facts.contentLength ?? 0
            if let length, length > bodySizeMax { throw RefusalError(tooLarge(inflated: false)) }
            var plan = RequestPlan(
                signal: signal, mediaType: mediaType, coding: coding, contentLength: length,
                wantsContinue: wantsContinue && length != 0, tenant: tenant)
            if keepsMetadata { plan.metadata = RequestMetadata(head.headers, without: auth) }
            return .accept(plan)
        } catch {
            return .refuse(error.refusal)
        }
    }

    /// The media type of an answer: the request's own; for a request without a known one what it accepts, then
    /// protobuf for a POST, as OTLP/HTTP asks, and JSON for everything else, which is a person with a browser.
    static func answerType(_ method: HTTPMethod, _ facts: HeaderFacts) -> MediaType {
        if let type = facts.contentType.flatMap(MediaType.init(contentType:)) { return type }
        if let accept = facts.accept {
            for element in accept.utf8.split(separator: UInt8(ascii: ",")) {
                if let type = MediaType(contentType: String(Substring(element))) { return type }
            }
        }
        return method == .POST ? .xProtobuf : .json
    }

    /// The refusal of a body over the cap.
    func tooLarge(inflated: Bool) -> Refusal {
        Refusal(
            status: .contentTooLarge, reason: .bodyTooLarge,
            message: "the body is larger than \(bodySizeMax) bytes\(inflated ? " after inflating" : ""); "
                + "send smaller batches or raise max_request_body_size of the receiver")
    }

    private struct RefusalError: Error {
        var refusal: Refusal

        init(_ refusal: Refusal) { self.refusal = refusal }

        init(
            _ status: AnswerStatus, _ reason: RefusalReason, _ message: String, headers: [Refusal.Header] = [],
            closes: Bool = false
        ) {
            refusal = Refusal(status: status, reason: reason, message: message, headers: headers, closes: closes)
        }

        /// A head that another program on the way might read in another way (RFC 9112, 11.2).
        static func framing(_ message: String) -> RefusalError {
            RefusalError(.badRequest, .malformed, message, closes: true)
        }
    }

    /// Rules of RFC 9112 (3.2, 6.1, 6.3) that keep a request from being read in two ways.
    private func checkFraming(_ head: HTTPRequestHead, _ facts: HeaderFacts) throws(RefusalError) {
        if facts.hasControlCharacter { throw .framing("a header value holds a control character or a folded line") }
        if facts.contentLengths > 1 { throw .framing("more than one Content-Length") }
        if facts.contentLengths == 1, facts.contentLength == nil {
            throw .framing("the Content-Length is no plain decimal number")
        }
        if let coding = facts.transferEncoding {
            if facts.contentLengths > 0 { throw .framing("Content-Length and Transfer-Encoding exclude each other") }
            if !facts.isHTTP11 { throw .framing("HTTP/1.0 has no Transfer-Encoding") }
            if !ASCII.equal(coding, "chunked") {
                throw RefusalError(
                    .notImplemented, .malformed,
                    "Transfer-Encoding \"\(PlainText.shown(coding))\" is not supported; use chunked", closes: true)
            }
        }
        if facts.hosts > 1 { throw .framing("more than one Host header") }
        if facts.hosts == 0, facts.isHTTP11 { throw .framing("the Host header is missing") }
        if facts.hasBadHost { throw .framing("the Host header is no host, with or without a port") }
        if facts.contentTypes > 1 { throw .framing("more than one Content-Type") }
    }

    private func preflight(_ head: HTTPRequestHead, _ facts: HeaderFacts) -> [Refusal.Header]? {
        guard let cors, head.method == .OPTIONS, let origin = facts.origin, let method = facts.preflightMethod,
            paths.signal(target: head.uri) != nil
        else { return nil }
        return cors.preflight(origin: origin, method: method, headers: facts.preflightHeaders)
    }

    /// What a served path takes, for a request for its options that is no preflight (RFC 9110, 9.3.7).
    private func options(_ head: HTTPRequestHead) -> [Refusal.Header]? {
        guard cors != nil, head.method == .OPTIONS, paths.signal(target: head.uri) != nil else { return nil }
        return [Self.allowed(cors)]
    }

    private static func allowed(_ cors: CORSPolicy?) -> Refusal.Header {
        Refusal.Header(name: "Allow", value: cors == nil ? "POST" : "POST, OPTIONS")
    }

    /// The tenant of the sender. What is not let in learns nothing about paths and methods.
    private func checkSender(_ head: HTTPRequestHead) throws(RefusalError) -> String {
        guard let auth else { return "" }
        switch auth.verdict(head.headers[auth.authenticator.headerName]) {
        case .tenant(let tenant): return tenant
        case .refused(let why):
            throw RefusalError(
                .unauthorized, .unauthenticated, why,
                headers: [Refusal.Header(name: "WWW-Authenticate", value: auth.authenticator.challenge)])
        case .later(let why):
            throw RefusalError(
                Refusal(status: .serviceUnavailable, reason: .overload, message: why, retryAfter: 1))
        }
    }

    private func checkTarget(_ head: HTTPRequestHead) throws(RefusalError) -> Signal {
        guard let signal = paths.signal(target: head.uri) else {
            throw RefusalError(
                .notFound, .path, "nothing is served at \"\(PlainText.shown(head.uri))\"; \(paths.directions)")
        }
        guard head.method == .POST else {
            throw RefusalError(
                .methodNotAllowed, .method,
                "this is an OTLP/HTTP endpoint for \(signal); it takes POST, "
                    + "not \(PlainText.shown(head.method.rawValue))",
                headers: [Self.allowed(cors)])
        }
        guard accepted.contains(signal) else {
            throw RefusalError(
                .notFound, .noPipeline,
                "no pipeline takes \(signal): add a pipeline of that kind with this receiver under service.pipelines, "
                    + "or stop sending \(signal)")
        }
        return signal
    }

    private func checkMediaType(_ facts: HeaderFacts) throws(RefusalError) -> MediaType {
        if let type = facts.contentType.flatMap(MediaType.init(contentType:)) { return type }
        let given = facts.contentType.map { "\"\(PlainText.shown($0))\" is not taken" } ?? "is missing"
        throw RefusalError(
            .unsupportedMediaType, .contentType,
            "the Content-Type \(given); use application/x-protobuf or application/json in UTF-8",
            headers: [Refusal.Header(name: "Accept", value: "application/x-protobuf, application/json")])
    }

    private func checkCoding(_ facts: HeaderFacts) throws(RefusalError) -> ContentCoding {
        let problem: String
        do throws(ContentCoding.Fault) {
            let coding = try ContentCoding(contentEncoding: facts.contentEncoding)
            if codings.contains(coding) { return coding }
            problem = "\(coding.name) is not let in by compression_algorithms of the receiver"
        } catch {
            switch error {
            case .unknown(let name): problem = "\"\(name)\" is not supported"
            case .nested: problem = "only one coding may be applied"
            }
        }
        throw RefusalError(
            .unsupportedMediaType, .contentEncoding, "Content-Encoding: \(problem); supported: \(codings.names)",
            headers: [Refusal.Header(name: "Accept-Encoding", value: codings.names)])
    }

    /// True when the sender asked for an interim answer (RFC 9110, 10.1.1).
    private func checkExpectation(_ facts: HeaderFacts) throws(RefusalError) -> Bool {
        guard let expect = facts.expect, facts.isHTTP11 else { return false }
        guard ASCII.equal(expect, "100-continue") else {
            throw RefusalError(
                .expectationFailed, .malformed,
                "Expect: \"\(PlainText.shown(expect))\" cannot be met; only 100-continue is known", closes: true)
        }
        return true
    }
}
