import CCurl
package import Configuration
import Glibc
package import Pipeline

/// Where and how requests are posted: everything about a request but its body.
package struct CurlTargetOptions: Sendable {
    package var url: String
    package var method = "POST"
    /// Whole header lines, already checked.
    package var headers: [String] = []
    package var userAgent = "Sluice"
    /// Zero means no limit.
    package var timeout = Duration.seconds(30)
    package var idleTimeout = Duration.seconds(90)
    /// A connection older than this is not used again; zero for no limit.
    package var maxConnectionAge = Duration.zero
    package var keepsAlive = true
    /// HTTP/2 where a https server offers it, and for a http server without asking.
    package var speaksHTTP2 = false
    /// Names in lowercase of the answer's headers and trailers that are kept.
    package var keptFields: Set<String> = []
    /// Empty for the one that the environment names, if any.
    package var proxyURL = ""
    /// Where the environment's proxies are looked up.
    var proxies = ProxyEnvironment.process
    package var tls = HTTPTLSOptions()
    /// `host:port:host:port` when the TLS name differs from the URL's host.
    package var connectTo: String?
    /// Values that are sent and must not be told when the server's answer repeats them.
    package var secrets: [Secret] = []
    /// Whether the URL's path is a credential, as that of a webhook.
    package var hidesPath = false
    /// Whether the body of a 2xx answer is data that is read, of which nothing may change.
    package var readsAnswers = false
    /// Bytes of a 2xx answer that are kept, but for data that is read; of any other answer as many as by default.
    package var keptMax = CurlTarget.keptMax

    package init(url: String) { self.url = url }
}

/// A prepared destination. Handles and header lists are made once and used for every request.
package final class CurlTarget: Sendable {
    /// Largest answer that is read, as OTLP/HTTP asks of clients.
    package static let answerMax = 4 << 20
    /// Bytes that are kept of an answer of which only the beginning is looked at: a message, a count of refused
    /// records.
    package static let keptMax = 64 << 10
    /// Longest time to connect, TLS included; the request's own timeout may be shorter.
    static let connectTimeout = Duration.seconds(10)

    /// How long an address is used for further connections.
    private static let addressSeconds = 1

    /// Bytes that libcurl takes of a body at a time.
    static let uploadBufferSize = 512 << 10

    private let options: CurlTargetOptions
    private let engine: CurlEngine
    /// Empty for none.
    private let proxy: String
    let pool = HandlePool()
    private let echoes: EchoMask
    // libcurl only reads these lists; they are freed when the last transfer that refers to the target has ended.
    nonisolated(unsafe) private let headers: UnsafeMutablePointer<curl_slist>?
    nonisolated(unsafe) private let connectTo: UnsafeMutablePointer<curl_slist>?

    /// Prepares a first handle, so that settings which this libcurl does not take are found at start.
    package init(_ options: CurlTargetOptions, engine: CurlEngine) throws(ExporterStartFailure) {
        self.options = options
        self.engine = engine
        proxy = Self.proxy(options)
        echoes = EchoMask(options.secrets, url: options.url, hidesPath: options.hidesPath)
        headers = Self.list(["Expect:"] + options.headers)
        connectTo = Self.list(options.connectTo.map { [$0] } ?? [])
        guard let handle = curl_easy_init() else { throw ExporterStartFailure("libcurl is out of memory") }
        defer { curl_easy_cleanup(handle) }
        if let problem = configure(handle) { throw ExporterStartFailure(problem) }
    }

    deinit {
        engine.release(pool)
        curl_slist_free_all(headers)
        curl_slist_free_all(connectTo)
    }

    var speaksHTTP2: Bool { options.speaksHTTP2 }

    /// Names of the answer's headers that are kept.
    var keptFields: Set<String> { options.keptFields }

    /// A GET has no body; setting even an empty one would make it a POST.
    var sendsBody: Bool { options.method != "GET" }

    /// The body of an answer without secrets of the request, but for data that is read.
    func told(_ answer: [UInt8], status: Int) -> [UInt8] {
        options.readsAnswers && status < 300 ? answer : echoes.masked(answer)
    }

    /// Bytes of an answer that are kept.
    func keptMax(status: Int) -> Int {
        guard (200...299).contains(status) else { return Self.keptMax }
        return options.readsAnswers ? Self.answerMax : options.keptMax
    }

    /// What a proxy answered that opens no way to the server.
    func told(proxyStatus status: Int) -> String {
        let advice = status == 407 ? " (check the credentials in proxy_url)" : ""
        return "the proxy \(URLMask.mask(in: proxy)) opens no way to the endpoint: HTTP \(status)\(advice)"
    }

    /// A field of an answer's head or trailers, without secrets of the request.
    func told(field value: [UInt8]) -> String { String(decoding: echoes.masked(value), as: UTF8.self) }

    private static func list(_ lines: [String]) -> UnsafeMutablePointer<curl_slist>? {
        lines.reduce(nil) { curl_slist_append($0, $1) ?? $0 }
    }

    /// Sets everything that all requests have in common. Returns what libcurl refused.
    func configure(_ handle: UnsafeMutableRawPointer) -> String? {
        var setter = OptionSetter(handle: handle)
        setter.set(CURLOPT_PROTOCOLS_STR, "http,https", "protocols")
        setter.set(CURLOPT_URL, options.url, "endpoint")
        if options.method == "GET" {
            setter.set(CURLOPT_HTTPGET, 1, "GET")
        } else {
            setter.set(CURLOPT_POST, 1, "POST")
            if options.method != "POST" { setter.set(CURLOPT_CUSTOMREQUEST, options.method, "method") }
        }
        setter.set(CURLOPT_NOSIGNAL, 1, "NOSIGNAL")
        setter.set(CURLOPT_FOLLOWLOCATION, 0, "redirects")
        setVersion(&setter)
        setter.set(CURLOPT_TCP_KEEPALIVE, 1, "TCP keep-alive")
        setter.note(sluice_curl_set_opener(handle), "sockets")
        let keeps = options.keepsAlive && !opensConnections
        setter.set(CURLOPT_FORBID_REUSE, keeps ? 0 : 1, "disable_keep_alives")
        setter.set(CURLOPT_FRESH_CONNECT, opensConnections ? 1 : 0, "disable_keep_alives")
        setter.set(CURLOPT_MAXAGE_CONN, max(1, options.idleTimeout.wholeSeconds), "idle_conn_timeout")
        // Bodies go to the socket by this much at a time; the default of 64 KiB is sixteen rounds for a usual batch.
        setter.set(CURLOPT_UPLOAD_BUFFERSIZE, Self.uploadBufferSize, "upload buffer")
        setter.set(CURLOPT_MAXLIFETIME_CONN, options.maxConnectionAge.wholeSeconds, "max_connection_age")
        // A name is looked up for each new connection, but for those that are opened at once; by default libcurl uses
        // an address for a minute, whatever the connections' age.
        setter.set(CURLOPT_DNS_CACHE_TIMEOUT, Self.addressSeconds, "DNS cache")
        setter.set(CURLOPT_USERAGENT, options.userAgent, "user agent")
        setter.set(CURLOPT_TIMEOUT_MS, options.timeout.wholeMilliseconds, "timeout")
        let connect = options.timeout == .zero ? Self.connectTimeout : min(options.timeout, Self.connectTimeout)
        setter.set(CURLOPT_CONNECTTIMEOUT_MS, max(1, connect.wholeMilliseconds), "connect timeout")
        // Set even when empty: libcurl's own look into the environment has other rules, such as no HTTP_PROXY.
        setter.set(CURLOPT_PROXY, proxy, "proxy_url")
        setter.set(CURLOPT_NOPROXY, "", "no proxy list")
        // Proxies take HTTP/2 without TLS for a tunnel only.
        if options.speaksHTTP2, isPlain, !proxy.isEmpty { setter.set(CURLOPT_HTTPPROXYTUNNEL, 1, "proxy_url") }
        setter.set(CURLOPT_HTTPHEADER, pointer: headers, "headers")
        if let connectTo { setter.set(CURLOPT_CONNECT_TO, pointer: connectTo, "tls.server_name_override") }
        options.tls.apply(&setter)
        setter.note(sluice_curl_set_receiver(handle, CURLOPT_WRITEFUNCTION, Transfer.onBody), "answers")
        setter.note(sluice_curl_set_receiver(handle, CURLOPT_HEADERFUNCTION, Transfer.onHeader), "answers")
        return setter.problem
    }

    /// The proxy of the options or else of the environment. gRPC goes by HTTPS_PROXY with and without TLS, as in Go.
    private static func proxy(_ options: CurlTargetOptions) -> String {
        guard options.proxyURL.isEmpty else { return options.proxyURL }
        let isGRPC = options.speaksHTTP2 && options.url.hasPrefix("http://")
        let url = isGRPC ? "https" + options.url.dropFirst(4) : options.url
        return (try? HTTPEndpoint(url)).map { options.proxies.proxy(for: $0) } ?? ""
    }

    private func setVersion(_ setter: inout OptionSetter) {
        let version =
            if !options.speaksHTTP2 {
                CURL_HTTP_VERSION_1_1
            } else if isPlain {
                CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
            } else {
                CURL_HTTP_VERSION_2TLS
            }
        setter.set(CURLOPT_HTTP_VERSION, Int(version), "http_version")
        // With HTTP/2 a request waits for the first connection instead of opening one of its own.
        setter.set(CURLOPT_PIPEWAIT, options.speaksHTTP2 && !opensConnections ? 1 : 0, "http_version")
    }

    private var isPlain: Bool { options.url.hasPrefix("http://") }

    /// Whether each request needs a connection of its own: libcurl 7.88.0 and 7.88.1 send the preface of HTTP/2 again
    /// with each request over a connection without TLS (curl issue 10634), which servers take for an attack.
    private var opensConnections: Bool { options.speaksHTTP2 && isPlain && Self.repeatsPreface }

    private static let repeatsPreface: Bool = {
        let version = curl_version_info(CURLVERSION_FIRST)?.pointee.version_num ?? 0
        return (0x075800...0x075801).contains(version)
    }()

    /// Handles of one target that are not in use. Unchecked: only the engine's thread touches it.
    final class HandlePool: @unchecked Sendable {
        private var idle: [UnsafeMutableRawPointer] = []

        func take(_ target: CurlTarget) -> UnsafeMutableRawPointer? {
            if let handle = idle.popLast() { return handle }
            guard let handle = curl_easy_init() else { return nil }
            _ = target.configure(handle)
            return handle
        }

        func give(back handle: UnsafeMutableRawPointer) { idle.append(handle) }

        func closeAll() {
            for handle in idle { curl_easy_cleanup(handle) }
            idle = []
        }
    }
}

/// Sets options on one handle and remembers the first that failed.
struct OptionSetter {
    let handle: UnsafeMutableRawPointer
    private(set) var problem: String?

    init(handle: UnsafeMutableRawPointer) { self.handle = handle }

    mutating func set(_ option: CURLoption, _ value: Int, _ name: String) {
        note(sluice_curl_set_long(handle, option, value), name)
    }

    mutating func set(_ option: CURLoption, _ value: String, _ name: String) {
        note(sluice_curl_set_string(handle, option, value), name)
    }

    mutating func set(_ option: CURLoption, pointer: UnsafeRawPointer?, _ name: String) {
        note(sluice_curl_set_pointer(handle, option, pointer), name)
    }

    /// Sets an option to a text that libcurl keeps a copy of, such as a certificate.
    mutating func set(_ option: CURLoption, blob: Secret, _ name: String) {
        let bytes = Array(blob.reveal().utf8)
        note(sluice_curl_set_blob(handle, option, bytes, bytes.count), name)
    }

    mutating func note(_ code: CURLcode, _ name: String) {
        if code != CURLE_OK && problem == nil {
            problem = "libcurl does not take the setting for \(name): \(String(cString: curl_easy_strerror(code)))"
        }
    }
}

extension Duration {
    /// Milliseconds, rounded up, within what an Int32 holds.
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        guard seconds < 2_000_000 else { return 2_000_000_000 }
        return Int(seconds) * 1_000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }

    /// Seconds, rounded up.
    var wholeSeconds: Int { (wholeMilliseconds + 999) / 1_000 }
}
