import CCurl
import Synchronization

/// Says that the task behind a transfer is cancelled.
final class CancelFlag: Sendable {
    private let storage = Atomic<Bool>(false)

    func set() { storage.store(true, ordering: .releasing) }
    var isSet: Bool { storage.load(ordering: .acquiring) }
}

/// One POST on its way: keeps the body alive, collects the answer, resumes the waiting task once.
///
// Unchecked: made by the posting task, then only touched by the engine's thread; the hand-over goes through the
// engine's mutex.
final class Transfer: @unchecked Sendable {
    let id: UInt64
    let target: CurlTarget
    private let body: BodyReader
    private let url: String?
    private let cancelFlag: CancelFlag
    private var continuation: CheckedContinuation<HTTPExchange, Never>?
    private var handle: UnsafeMutableRawPointer?
    private var answer: [UInt8] = []
    /// Bytes of the answer's body so far, kept or not.
    private var answerCount = 0
    private var isTooLarge = false
    /// Whether the last head that began, which may be one of several, has come to its end.
    private var isHeadWhole = false
    private var fields: [String: String] = [:]
    /// What libcurl has to say beside the name of an error; only of HTTP/2.
    private var complaint: UnsafeMutablePointer<CChar>?
    private var isCutShort = false

    init(
        id: UInt64, body: [[UInt8]], target: CurlTarget, url: String?, cancel: CancelFlag,
        continuation: CheckedContinuation<HTTPExchange, Never>
    ) {
        self.id = id
        self.body = BodyReader(body)
        self.target = target
        self.url = url
        cancelFlag = cancel
        self.continuation = continuation
    }

    deinit { complaint?.deallocate() }

    var isCancelled: Bool { cancelFlag.isSet }

    /// Ties the transfer to a handle that its target has prepared.
    func attach(_ handle: UnsafeMutableRawPointer) {
        self.handle = handle
        let me = Unmanaged.passUnretained(self).toOpaque()
        _ = sluice_curl_set_pointer(handle, CURLOPT_PRIVATE, me)
        if let url { _ = sluice_curl_set_string(handle, CURLOPT_URL, url) }
        if target.speaksHTTP2 {
            let text = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
            text.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
            complaint = text
            _ = sluice_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, text)
        }
        _ = sluice_curl_set_pointer(handle, CURLOPT_WRITEDATA, me)
        _ = sluice_curl_set_pointer(handle, CURLOPT_HEADERDATA, me)
        guard target.sendsBody else { return }
        body.attach(handle)
    }

    /// Takes the handle off, nil when there is none.
    func detach() -> UnsafeMutableRawPointer? {
        defer { handle = nil }
        if let handle, complaint != nil { _ = sluice_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, nil) }
        return handle
    }

    /// Resumes the waiting task; later calls do nothing.
    func finish(_ result: HTTPResult) {
        continuation?.resume(returning: HTTPExchange(result: result, fields: fields, isCutShort: isCutShort))
        continuation = nil
    }

    /// What libcurl says about the finished transfer. Call before `detach`.
    func result(_ code: CURLcode) -> HTTPResult {
        guard let handle else { return .failed(reason: "no handle") }
        let status = number(CURLINFO_RESPONSE_CODE)
        // A server that dies within its head has told nothing, whatever stands in the first line.
        guard status >= 200, isHeadWhole else {
            // Of a stream that ended by an error, or without an answer, there is more to say.
            isCutShort = code == CURLE_HTTP2_STREAM && complaint?.pointee == 0
            return .failed(reason: failure(code))
        }
        // Seconds in both forms of the header; libcurl turns a date into the time until then.
        var retryAfter: curl_off_t = 0
        _ = sluice_curl_get_offset(handle, CURLINFO_RETRY_AFTER, &retryAfter)
        let seconds = retryAfter > 0 ? Int(retryAfter) : Self.endless(sluice_curl_get_header(handle, "Retry-After"))
        guard code == CURLE_OK, !isTooLarge else {
            let reason = isTooLarge ? "more than 4 MiB" : String(cString: curl_easy_strerror(code))
            return .unreadable(status: status, reason: reason, retryAfterSeconds: seconds)
        }
        var type: UnsafePointer<CChar>?
        _ = sluice_curl_get_string(handle, CURLINFO_CONTENT_TYPE, &type)
        return .answered(
            status: status, body: target.told(answer, status: status),
            contentType: type.map { String(cString: $0) } ?? "",
            retryAfterSeconds: seconds)
    }

    /// What libcurl knows of the transfer under this name, zero for nothing.
    private func number(_ name: CURLINFO) -> Int {
        var value = 0
        if let handle { _ = sluice_curl_get_long(handle, name, &value) }
        return value
    }

    /// Why there is no answer.
    private func failure(_ code: CURLcode) -> String {
        // libcurl calls it a failure of the network when a proxy opens no tunnel.
        let proxyStatus = number(CURLINFO_HTTP_CONNECTCODE)
        if proxyStatus >= 300 { return target.told(proxyStatus: proxyStatus) }
        return code == CURLE_OK ? "the answer broke off in its head" : String(cString: curl_easy_strerror(code))
    }

    /// A number of seconds that libcurl cannot hold, and then as many as we can; zero for anything else.
    private static func endless(_ text: UnsafePointer<CChar>?) -> Int {
        guard let text else { return 0 }
        let digits = String(cString: text)
        let isLong = digits.utf8.count > 18 && digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
        return isLong && digits.utf8.contains { $0 != 0x30 } ? .max : 0
    }

    private func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        answerCount += bytes.count
        guard answerCount <= CurlTarget.answerMax else {
            isTooLarge = true
            return false
        }
        // The rest is read, so that the connection can be used again, and forgotten: what all exporters hold of answers
        // is within no other limit.
        let room = target.keptMax(status: number(CURLINFO_RESPONSE_CODE)) - answer.count
        if room > 0 { answer.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes.prefix(room))) }
        return true
    }

    /// Keeps a line of the head or the trailers, when it is of those that the target wants.
    private func receive(headerLine line: UnsafeRawBufferPointer) {
        if line.starts(with: "HTTP/".utf8) {
            isHeadWhole = false
        } else if line.first == UInt8(ascii: "\r") || line.first == UInt8(ascii: "\n") {
            isHeadWhole = true
        }
        guard !target.keptFields.isEmpty, line.count <= Self.fieldMax,
            let colon = line.firstIndex(of: UInt8(ascii: ":"))
        else { return }
        let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
        guard target.keptFields.contains(name) else { return }
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D || $0 == 0x0A }
        let value = line[(colon + 1)...].drop(while: isSpace)
        let end = value.lastIndex { !isSpace($0) }.map { $0 + 1 } ?? value.startIndex
        fields[name] = target.told(field: [UInt8](value[..<end]))
    }

    /// Longest header line that is read.
    private static let fieldMax = 64 << 10

    /// libcurl's header callback, also called for trailers; its context is the transfer.
    static let onHeader: sluice_curl_receive = { bytes, size, count, context in
        let length = size &* count
        guard let context, let bytes else { return length }
        let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        transfer.receive(headerLine: UnsafeRawBufferPointer(start: bytes, count: length))
        return length
    }

    /// libcurl's write callback; its context is the transfer.
    static let onBody: sluice_curl_receive = { bytes, size, count, context in
        guard let context, let bytes else { return 0 }
        let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        let length = size &* count
        return transfer.receive(UnsafeRawBufferPointer(start: bytes, count: length)) ? length : 0
    }
}
