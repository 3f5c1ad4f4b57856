import Logging
import NIOCore
import NIOHTTP2
import Synchronization

/// Says that HTTP/2 connections of a listener were ended for what their clients sent, once in half a minute, and how
/// many. Safe to use from any thread.
final class CutLog: Sendable {
    private struct State {
        var told: NIODeadline?
        var untold = 0
    }

    private static let period = TimeAmount.seconds(30)

    /// RFC 9113, 7, by their numbers.
    private static let names = [
        "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
        "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    ]

    private let log: Logger
    private let id: String
    private let state = Mutex(State())

    /// `id` is the receiver's, as in the file.
    init(log: Logger, id: String) {
        self.log = log
        self.id = id
    }

    /// A connection was ended with `error`; `why` says more when it is known.
    func cut(_ error: HTTP2ErrorCode, why: String?, address: SocketAddress?, now: NIODeadline) {
        guard let count = count(now: now) else { return }
        let code = error.networkCode
        let name = Self.names.indices.contains(code) ? Self.names[code] : String(code)
        let blame = error == .internalError ? "" : " for what its client sent"
        log.warning(
            "receiver \(id): an HTTP/2 connection was ended\(blame): \(why ?? name)",
            metadata: [
                "error": "\(name)", "address": "\(address?.ipAddress ?? "unknown")", "connections": "\(count)",
            ])
    }

    /// How many connections are to be told of now, with the one that has just been ended; nil when none is.
    func count(now: NIODeadline) -> Int? {
        state.withLock { state in
            state.untold += 1
            if let told = state.told, now - told < Self.period { return nil }
            defer { state.untold = 0 }
            state.told = now
            return state.untold
        }
    }
}
