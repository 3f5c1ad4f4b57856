import NIOCore
import NIOHTTP2

/// How long an HTTP/2 connection may live, and how it is watched. Zero switches a limit off.
package struct HTTP2Lifetime: Sendable, Equatable {
    /// Without a stream.
    var idle: Duration = .seconds(60)
    /// In all; the connection ends behind the streams that are open then.
    var age: Duration = .zero
    /// How long those streams may still take.
    var ageGrace: Duration = .zero
    /// Silence after which the client is asked for a sign of life, and how long it has for that.
    var ping: Duration = .seconds(7200)
    var pingTimeout: Duration = .seconds(20)
}

/// What one HTTP/2 connection may cost. The library counts resets, control frames, continuations and empty frames, and
/// closes the connection of a client that floods (CVE-2023-44487, CVE-2024-30255, CVE-2019-9512 to 9518).
enum HTTP2Limits {
    static let streamsMax = 100
    /// Bytes that a stream, and a connection, may send before we have taken what came.
    static let streamWindow = 1 << 20
    static let connectionWindow = 4 << 20
    /// Resets by the client in half a minute. libcurl resets every stream, answered ones too, so this is also what
    /// such a client may send; a stream that is reset before its body is whole has cost next to nothing.
    static let resetsMax = 20_000
    /// Streams that we had to reset in half a minute.
    static let errorsMax = 200
    /// Streams that we reset of which frames may still be under way: those are let pass (RFC 9113, 5.1).
    static let resetsKnownMax = 1_000

    /// Bytes of a frame's payload. We announce no other than the least that each side must take (RFC 9113, 6.5.2).
    static let frameMax = 16_384
    /// Frames that a head may go on in.
    static let continuationsMax = 5
    /// Most that is read from a connection at once: the library keeps a buffer of that size for each, and frames are
    /// small.
    static let readSizeMax = 32 << 10

    static func connection(streamsMax: Int) -> NIOHTTP2Handler.ConnectionConfiguration {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: streamsMax),
            HTTP2Setting(parameter: .maxHeaderListSize, value: OTLPReceiver.headerListSizeMax),
            HTTP2Setting(parameter: .initialWindowSize, value: streamWindow),
        ]
        connection.targetWindowSize = connectionWindow
        connection.maximumBufferedControlFrames = 1000
        connection.maximumSequentialContinuationFrames = continuationsMax
        connection.maximumRecentlyResetStreams = max(
            connection.maximumRecentlyResetStreams, min(streamsMax, resetsKnownMax))
        return connection
    }

    static var stream: NIOHTTP2Handler.StreamConfiguration {
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.targetWindowSize = streamWindow
        stream.streamResetFrameRateLimit.maximumCount = resetsMax
        stream.streamErrorRateLimit.maximumCount = errorsMax
        return stream
    }
}
