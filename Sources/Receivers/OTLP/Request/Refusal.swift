/// HTTP statuses that the receiver answers with. Their number bounds the labels of the request counter.
enum AnswerStatus: Int, CaseIterable {
    case ok = 200
    case noContent = 204
    case badRequest = 400
    case unauthorized = 401
    case notFound = 404
    case methodNotAllowed = 405
    case requestTimeout = 408
    case contentTooLarge = 413
    case unsupportedMediaType = 415
    case expectationFailed = 417
    case headerFieldsTooLarge = 431
    case notImplemented = 501
    case serviceUnavailable = 503
    case versionNotSupported = 505

    /// The phrase of the status line.
    var phrase: String {
        switch self {
        case .ok: "OK"
        case .noContent: "No Content"
        case .badRequest: "Bad Request"
        case .unauthorized: "Unauthorized"
        case .notFound: "Not Found"
        case .methodNotAllowed: "Method Not Allowed"
        case .requestTimeout: "Request Timeout"
        case .contentTooLarge: "Content Too Large"
        case .unsupportedMediaType: "Unsupported Media Type"
        case .expectationFailed: "Expectation Failed"
        case .headerFieldsTooLarge: "Request Header Fields Too Large"
        case .notImplemented: "Not Implemented"
        case .serviceUnavailable: "Service Unavailable"
        case .versionNotSupported: "HTTP Version Not Supported"
        }
    }

    /// The google.rpc.Code of the body.
    var rpcCode: Int32 {
        switch self {
        case .ok, .noContent: 0
        case .badRequest, .unsupportedMediaType: 3
        case .requestTimeout: 4
        case .notFound: 5
        case .contentTooLarge, .headerFieldsTooLarge: 8
        case .expectationFailed: 9
        case .methodNotAllowed, .notImplemented, .versionNotSupported: 12
        case .serviceUnavailable: 14
        case .unauthorized: 16
        }
    }
}

/// Why a request was not accepted: the label of the refusal counter.
enum RefusalReason: String, CaseIterable {
    case malformed
    case headersTooLarge = "headers_too_large"
    case path
    case noPipeline = "no_pipeline"
    case method
    case contentType = "content_type"
    case contentEncoding = "content_encoding"
    case bodyTooLarge = "body_too_large"
    case corruptBody = "corrupt_body"
    case wrongSignal = "wrong_signal"
    case unauthenticated
    case overload
    case timeout
    case connections
    /// More streams than the client may have open on an HTTP/2 connection.
    case streams
    /// The pipeline can never take the data.
    case invalidData = "invalid_data"
    /// The pipeline cannot take the data now.
    case unavailable
}

/// A request that is answered without being handed on.
struct Refusal: Error, Equatable {
    var status: AnswerStatus
    var reason: RefusalReason
    var message: String
    /// Headers beside the usual ones.
    var headers: [Header] = []
    /// Whole seconds for Retry-After.
    var retryAfter: Int?
    /// The framing is in doubt, so that nothing may be read from the connection any more.
    var closes = false

    struct Header: Equatable {
        var name: String
        var value: String
    }

    /// The head did not arrive in time.
    static let slowHead = Refusal(
        status: .requestTimeout, reason: .timeout, message: "the request did not arrive in time", closes: true)

    /// The body did not arrive in time, or came too slowly. A slow network passes, and a sender would drop the data on
    /// 408, which is none of the codes that OTLP lets it try again on.
    static let slowBody = Refusal(
        status: .serviceUnavailable, reason: .timeout, message: "the request did not arrive in time; try again",
        retryAfter: 1, closes: true)

    /// The pipeline has not replied in time.
    static let noReply = Refusal(
        status: .serviceUnavailable, reason: .timeout,
        message: "the pipeline did not reply within write_timeout; try again", retryAfter: 1, closes: true)
}
