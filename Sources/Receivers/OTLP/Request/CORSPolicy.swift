/// Which web pages may send telemetry from a browser (Fetch Standard, CORS protocol). Without a policy none may.
///
/// Credentials are never allowed: the receiver has no use for cookies.
package struct CORSPolicy: Sendable, Equatable {
    /// Origins such as `https://app.example.com`; `*` stands for any text, alone for any origin.
    package var allowedOrigins: [String]
    /// Request headers beyond those a browser may always send; `*` allows any.
    package var allowedHeaders: [String]
    /// Seconds a browser may remember a preflight; 0 leaves it to the browser.
    package var maxAge: Int
    /// Headers of answers that a page may read; `*` stands for all.
    package var exposedHeaders: [String] = []

    /// Headers that are allowed without being listed, since exporters in browsers send them.
    static let standardHeaders = ["accept", "content-type", "content-encoding", "origin", "x-requested-with"]

    /// Bytes of the longest origin, and of the longest list of headers, that are allowed: an answer repeats them, and
    /// over HTTP/2 its head is to fit into one frame. A name of a host has 253 bytes at the most.
    static let originSizeMax = 1 << 10
    static let headersSizeMax = 4 << 10

    package init(allowedOrigins: [String], allowedHeaders: [String] = [], maxAge: Int = 0) {
        self.allowedOrigins = allowedOrigins.map { ASCII.lowercased($0) }
        self.allowedHeaders = allowedHeaders.map { ASCII.lowercased($0) }
        self.maxAge = maxAge
    }

    /// Headers of the answer to a preflight. An origin, method or header that is not allowed gets no permission,
    /// which makes the browser refuse.
    func preflight(origin: String, method: String, headers: String?) -> [Refusal.Header] {
        var answer = [
            Refusal.Header(
                name: "Vary", value: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
        ]
        let asked = (headers ?? "").split(separator: ",").map { ASCII.lowercased(String($0.filter { $0 != " " })) }
        let repeated = asked.joined(separator: ", ")
        guard let allowed = allowedOrigin(origin), method == "POST", repeated.utf8.count <= Self.headersSizeMax,
            asked.allSatisfy({ allowsHeader($0) })
        else { return answer }
        answer.append(Refusal.Header(name: "Access-Control-Allow-Origin", value: allowed))
        answer.append(Refusal.Header(name: "Access-Control-Allow-Methods", value: "POST"))
        if !asked.isEmpty { answer.append(Refusal.Header(name: "Access-Control-Allow-Headers", value: repeated)) }
        if maxAge > 0 { answer.append(Refusal.Header(name: "Access-Control-Max-Age", value: String(maxAge))) }
        return answer
    }

    /// Headers of every other answer to a request that names an origin.
    func headers(origin: String) -> [Refusal.Header] {
        var answer = [Refusal.Header(name: "Vary", value: "Origin")]
        if let allowed = allowedOrigin(origin) {
            answer.append(Refusal.Header(name: "Access-Control-Allow-Origin", value: allowed))
            if !exposedHeaders.isEmpty {
                let names = exposedHeaders.joined(separator: ", ")
                answer.append(Refusal.Header(name: "Access-Control-Expose-Headers", value: names))
            }
        }
        return answer
    }

    /// The value of Access-Control-Allow-Origin, nil when the origin is not allowed.
    func allowedOrigin(_ origin: String) -> String? {
        if allowedOrigins.contains("*") { return "*" }
        guard origin.utf8.count <= Self.originSizeMax, ASCII.isFieldValue(origin) else { return nil }
        let lower = ASCII.lowercased(origin)
        return allowedOrigins.contains { Self.matches(lower, pattern: $0) } ? origin : nil
    }

    private func allowsHeader(_ name: String) -> Bool {
        guard ASCII.isToken(name) else { return false }
        return Self.standardHeaders.contains(name) || allowedHeaders.contains(name) || allowedHeaders.contains("*")
    }

    /// True when the text matches a pattern in which one `*` stands for any text.
    private static func matches(_ text: String, pattern: String) -> Bool {
        guard let star = pattern.firstIndex(of: "*") else { return text == pattern }
        let head = pattern[..<star]
        let tail = pattern[pattern.index(after: star)...]
        return text.utf8.count >= head.utf8.count + tail.utf8.count && text.hasPrefix(head) && text.hasSuffix(tail)
    }
}
