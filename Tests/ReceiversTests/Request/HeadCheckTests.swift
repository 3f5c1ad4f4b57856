import NIOHTTP1
import Pipeline
import Telemetry
import Testing

@testable import Receivers

@Suite struct HeadCheckTests {
    private let check = HeadCheck(
        paths: RequestPaths(), accepted: [.traces, .logs], bodySizeMax: 1000, codings: .all, cors: nil)

    private func verdict(
        _ headers: [(String, String)] = [("Content-Length", "10")], uri: String = "/v1/traces",
        method: HTTPMethod = .POST, version: HTTPVersion = .http1_1, type: String? = "application/json",
        host: String? = "a"
    ) -> HeadVerdict {
        var all = HTTPHeaders(headers)
        if let type { all.add(name: "Content-Type", value: type) }
        if let host { all.add(name: "Host", value: host) }
        let head = HTTPRequestHead(version: version, method: method, uri: uri, headers: all)
        return check.verdict(head, HeaderFacts(head))
    }

    private func status(_ verdict: HeadVerdict) -> Int {
        switch verdict {
        case .accept: 200
        case .preflight: 204
        case .refuse(let refusal): refusal.status.rawValue
        }
    }

    private func plan(_ verdict: HeadVerdict) -> RequestPlan? {
        if case .accept(let plan) = verdict { return plan }
        return nil
    }

    @Test func `accepts a plain POST and plans its body`() {
        #expect(
            plan(verdict())
                == RequestPlan(
                    signal: .traces, mediaType: .json, coding: .identity, contentLength: 10, wantsContinue: false))
    }

    @Test func `a request without a length has no body`() { #expect(plan(verdict([]))?.contentLength == 0) }

    @Test func `a chunked body has no length`() {
        let plan = plan(verdict([("Transfer-Encoding", "Chunked")]))
        #expect(plan != nil)
        #expect(plan?.contentLength == nil)
    }

    @Test(arguments: [
        "/v1/traces", "/v1/traces?x=1", "http://host/v1/traces", "HTTP://host:1/v1/traces?y", "https://h/v1/traces",
    ])
    func `takes every form of target that names a served path`(uri: String) {
        #expect(plan(verdict(uri: uri))?.signal == .traces)
    }

    @Test(arguments: [
        "/", "/v1/trace", "/v1/traces/", "/V1/traces", "*", "host:80", "http://host", "ftp://h/v1/traces", "",
        "/v1/traces#x", "/v1/traces?x#y", "http://u:p@host/v1/traces", "http://host?/v1/traces", "http://h:x/v1/traces",
    ])
    func `other targets are not found`(uri: String) {
        guard case .refuse(let refusal) = verdict(uri: uri) else { return #expect(Bool(false)) }
        #expect(refusal.status == .notFound)
        #expect(refusal.message.contains("/v1/traces"))
    }

    @Test func `profiles have no path, and the answer names those that there are`() {
        guard case .refuse(let refusal) = verdict(uri: "/v1development/profiles") else { return #expect(Bool(false)) }
        #expect(refusal.status == .notFound)
        #expect(refusal.message.contains("/v1/traces") && refusal.message.contains("/v1/logs"))
    }

    @Test func `a signal without a pipeline is not found and the answer says so`() {
        guard case .refuse(let refusal) = verdict(uri: "/v1/metrics") else { return #expect(Bool(false)) }
        #expect(refusal.status == .notFound)
        #expect(refusal.reason == .noPipeline)
        #expect(refusal.message.contains("no pipeline takes metrics"))
    }

    @Test func `the path decides before the method`() {
        #expect(status(verdict(uri: "/x", method: .GET)) == 404)
        #expect(status(verdict(method: .GET)) == 405)
    }

    @Test(arguments: [
        [("Content-Length", "1"), ("Transfer-Encoding", "chunked")],
        [("Content-Length", "1"), ("Content-Length", "1")],
    ])
    func `two ways to tell the length are refused and end the connection`(headers: [(String, String)]) {
        guard case .refuse(let refusal) = verdict(headers) else { return #expect(Bool(false)) }
        #expect(refusal.status == .badRequest)
        #expect(refusal.closes)
    }

    @Test(arguments: ["+1", "-1", "0x10", "1,1", " 1 1", "", "99999999999999999999999"])
    func `a Content-Length that is no plain number is refused`(value: String) {
        #expect(status(verdict([("Content-Length", value)])) == 400)
    }

    @Test(arguments: ["gzip, chunked", "chunked, chunked", "identity", "xchunked"])
    func `other transfer codings are refused`(value: String) {
        guard case .refuse(let refusal) = verdict([("Transfer-Encoding", value)]) else { return #expect(Bool(false)) }
        #expect(refusal.status == .notImplemented)
        #expect(refusal.closes)
    }

    @Test func `HTTP 1.0 has no transfer codings and needs no host`() {
        #expect(status(verdict([("Transfer-Encoding", "chunked")], version: .http1_0)) == 400)
        #expect(status(verdict(version: .http1_0, host: nil)) == 200)
    }

    @Test func `the host is required once in HTTP 1.1`() {
        #expect(status(verdict(host: nil)) == 400)
        #expect(status(verdict([("Host", "b")])) == 400)
    }

    @Test(arguments: [
        "a b", "a/b", "a, b", "u@a", "a?b", "a#b", "<a>", "a\\b", "a:b", "a:1:2", "::1", "[::1", "[::1]x", "a]",
    ])
    func `a host with what no host is made of is refused`(host: String) {
        #expect(status(verdict(host: host)) == 400)
    }

    @Test(arguments: ["", "a.example:4318", "a:", "[::1]", "[::1]:4318", "127.0.0.1", "xn--a-b_c", " a "])
    func `every form of a host is taken`(host: String) { #expect(status(verdict(host: host)) == 200) }

    @Test func `blanks behind a value are no part of it`() {
        let headers: HTTPHeaders = ["Origin": "https://a.example \t", "X-Foo": "a b\t "]
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/v1/traces", headers: headers)
        #expect(HeaderFacts(head).origin == "https://a.example")
        #expect(RequestMetadata(headers, without: nil)["x-foo"] == "a b")
    }

    @Test func `a request for options is answered where preflights are`() {
        var check = check
        let head = HTTPRequestHead(version: .http1_1, method: .OPTIONS, uri: "/v1/traces", headers: ["Host": "a"])
        #expect(status(check.verdict(head, HeaderFacts(head))) == 405)
        check.cors = CORSPolicy(allowedOrigins: ["*"])
        let allow = Refusal.Header(name: "Allow", value: "POST, OPTIONS")
        #expect(check.verdict(head, HeaderFacts(head)) == .preflight([allow]))
    }

    @Test(arguments: ["10 ", " 10", "10 \t"])
    func `blanks around a Content-Length are no part of it`(length: String) {
        #expect(plan(verdict([("Content-Length", length)]))?.contentLength == 10)
    }

    @Test func `control characters in a value are refused`() {
        #expect(status(verdict([("X-Note", "a\r\n b")])) == 400)
        #expect(status(verdict([("X-Note", "a\u{0}b")])) == 400)
        #expect(status(verdict([("X-Note", "a\tb")])) == 200)
    }

    @Test(arguments: [
        nil, "text/plain", "application/xml", "application/jsonx", "", "application/json; charset=latin1",
    ])
    func `other or missing media types are refused`(type: String?) {
        #expect(status(verdict(type: type)) == 415)
    }

    @Test func `unknown and nested codings are refused and the supported ones named`() {
        for value in ["br", "compress", "gzip, gzip", "gzip,deflate", "zstd, gzip"] {
            guard case .refuse(let refusal) = verdict([("Content-Encoding", value)]) else {
                return #expect(Bool(false))
            }
            #expect(refusal.status == .unsupportedMediaType)
            #expect(refusal.headers.contains { $0.name == "Accept-Encoding" && $0.value.contains("gzip") })
        }
    }

    @Test(arguments: [
        ("gzip", ContentCoding.gzip), ("GZIP", .gzip), ("x-gzip", .gzip), ("identity", .identity), ("", .identity),
        ("identity, gzip", .gzip), ("deflate", .zlib), ("Zlib", .zlib),
        ("ZSTD", .zstd), ("snappy", .snappy), ("x-snappy-framed", .snappyFramed), ("lz4", .lz4),
    ])
    func `knows codings in any letter case`(value: String, coding: ContentCoding) {
        #expect(plan(verdict([("Content-Encoding", value)]))?.coding == coding)
    }

    @Test func `a coding that is not let in is refused`() {
        var check = check
        check.codings = CodingSet([.identity, .zstd])
        let headers = HTTPHeaders([
            ("Host", "a"), ("Content-Type", "application/json"), ("Content-Encoding", "gzip"),
        ])
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: "/v1/logs", headers: headers)
        #expect(status(check.verdict(head, HeaderFacts(head))) == 415)
    }

    @Test func `a length over the cap is refused before the body`() {
        #expect(status(verdict([("Content-Length", "1000")])) == 200)
        #expect(status(verdict([("Content-Length", "1001")])) == 413)
        #expect(status(verdict([("Content-Length", "9223372036854775807")])) == 413)
    }

    @Test func `an interim answer is planned only for a body that is wanted`() {
        #expect(plan(verdict([("Expect", "100-Continue"), ("Content-Length", "5")]))?.wantsContinue == true)
        #expect(plan(verdict([("Expect", "100-continue"), ("Content-Length", "0")]))?.wantsContinue == false)
        #expect(status(verdict([("Expect", "100-continue"), ("Content-Length", "1001")])) == 413)
        #expect(status(verdict([("Expect", "a miracle")])) == 417)
    }

    @Test(arguments: [
        (HTTPMethod.POST, "application/json; charset=utf-8", nil as String?, MediaType.json),
        (.POST, "Application/X-Protobuf", "application/json", .xProtobuf),
        (.POST, "application/protobuf", nil, .protobuf),
        (.POST, "text/plain", "application/json, */*", .json), (.POST, "text/plain", "*/*", .xProtobuf),
        (.GET, "", "text/html", .json), (.GET, "", "application/x-protobuf", .xProtobuf),
    ])
    func `an answer speaks the language of its request`(
        method: HTTPMethod, type: String, accept: String?, expected: MediaType
    ) {
        var headers = HTTPHeaders([("Content-Type", type)])
        if let accept { headers.add(name: "Accept", value: accept) }
        let head = HTTPRequestHead(version: .http1_1, method: method, uri: "/", headers: headers)
        #expect(HeadCheck.answerType(method, HeaderFacts(head)) == expected)
    }

    @Test(arguments: [
        "application/json", "APPLICATION/JSON ; Charset=UTF-8", "application/json;charset=\"utf-8\"",
        "application/json;",
        "application/json; profile=x",
    ])
    func `the JSON media type may carry parameters`(type: String) { #expect(MediaType(contentType: type) == .json) }

    @Test func `text of a client is quoted without control characters and cut`() {
        #expect(PlainText.shown("a\u{1B}[31m\nb\u{202E}é") == "a?[31m?b??")
        #expect(PlainText.shown(String(repeating: "x", count: 200)).count == PlainText.shownMax + 1)
    }
}
