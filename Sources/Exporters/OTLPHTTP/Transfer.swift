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
    private var continuation: CheckedContinuation<HTTPResult, Never>?
    private var handle: UnsafeMutableRawPointer?
    private var answer: [UInt8] = []
    private var isTooLarge = false

    init(
        id: UInt64, body: [[UInt8]], target: CurlTarget, url: String?, cancel: CancelFlag,
        continuation: CheckedContinuation<HTTPResult, Never>
    ) {
        self.id = id
        self.body = BodyReader(body)
        self.target = target
        self.url = url
        cancelFlag = cancel
        self.continuation = continuation
    }

    var isCancelled: Bool { cancelFlag.isSet }

    /// Ties the transfer to a handle that its target has prepared.
    func attach(_ handle: UnsafeMutableRawPointer) {
        self.handle = handle
        let me = Unmanaged.passUnretained(self).toOpaque()
        _ = sluice_curl_set_pointer(handle, CURLOPT_PRIVATE, me)
        if let url { _ = sluice_curl_set_string(handle, CURLOPT_URL, url) }
        _ = sluice_curl_set_pointer(handle, CURLOPT_WRITEDATA, me)
        guard target.sendsBody else { return }
        body.attach(handle)
    }

    /// Takes the handle off, nil when there is none.
    func detach() -> UnsafeMutableRawPointer? {
        defer { handle = nil }
        return handle
    }

    /// Resumes the waiting task; later calls do nothing.
    func finish(_ result: HTTPResult) {
        continuation?.resume(returning: result)
        continuation = nil
    }

    /// What libcurl says about the finished transfer. Call before `detach`.
    func result(_ code: CURLcode) -> HTTPResult {
        guard let handle else { return .failed(reason: "no handle") }
        var status = 0
        _ = sluice_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        // Seconds in both forms of the header; libcurl turns a date into the time until then.
        var retryAfter: curl_off_t = 0
        _ = sluice_curl_get_offset(handle, CURLINFO_RETRY_AFTER, &retryAfter)
        let seconds = max(0, Int(retryAfter))
        guard code == CURLE_OK, !isTooLarge else {
            let reason = isTooLarge ? "more than 4 MiB" : String(cString: curl_easy_strerror(code))
            guard status >= 200 else { return .failed(reason: reason) }
            return .unreadable(status: status, reason: reason, retryAfterSeconds: seconds)
        }
        var type: UnsafePointer<CChar>?
        _ = sluice_curl_get_string(handle, CURLINFO_CONTENT_TYPE, &type)
        return .answered(
            status: status, body: answer, contentType: type.map { String(cString: $0) } ?? "",
            retryAfterSeconds: seconds)
    }

    private func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard answer.count + bytes.count <= CurlTarget.answerMax else {
            isTooLarge = true
            return false
        }
        answer.append(contentsOf: bytes)
        return true
    }

    /// libcurl's write callback; its context is the transfer.
    static let onBody: sluice_curl_receive = { bytes, size, count, context in
        guard let context, let bytes else { return 0 }
        let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
        let length = size &* count
        return transfer.receive(UnsafeRawBufferPointer(start: bytes, count: length)) ? length : 0
    }
}
