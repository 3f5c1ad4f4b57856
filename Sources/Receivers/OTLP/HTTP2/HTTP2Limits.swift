import NIOCore
import NIOHPACK
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
    /// Streams beyond the maximum that are refused in half a minute. A client of good will opens them only before it
    /// knows the maximum, and frames of all of them may be under way.
    static let refusedMax = resetsKnownMax
    /// How many of those may wait for their reset to be written, while the client reads nothing.
    static let refusedWaitingMax = 200
    /// Streams that are reset for the client, of which the library does not know yet: what is under way on them may
    /// be trailers, which it lets pass on no stream that it has reset.
    static let resetsHeldMax = 200
    /// How long it does not; the reset has reached the client then.
    static let resetHold: TimeAmount = .seconds(2)
    /// Of how many it does not beyond that, as long as the connection lives: each can take the trailers of one stream
    /// that come later. These count among `errorsMax`.
    static let resetsKeptMax = 4
    /// Streams that the library may know of besides those that the client may have open.
    private static let beyondMax = refusedWaitingMax + resetsHeldMax + resetsKeptMax
    /// Frames of DATA without a byte and without an end that may come between two heads or ends, on all streams.
    static let emptyFramesMax = 20

    /// Bytes of a frame's payload. We announce no other than the least that each side must take (RFC 9113, 6.5.2).
    static let frameMax = 16_384
    /// Frames that a head may go on in. With its first frame these are 128 KiB, the most that is held back of a
    /// connection until it is whole.
    static let continuationsMax = 7
    /// Bytes of a head's fields, counted as the client is to count them, up to which a head that is too large is read
    /// to the end and refused alone. Beyond them the connection ends.
    static let headerListSizeReadMax = 4 * OTLPReceiver.headerListSizeMax
    /// Most that is read from a connection at once: the library keeps a buffer of that size for each, and frames are
    /// small.
    static let readSizeMax = 32 << 10

    /// What the library goes by: beyond these limits it ends the connection. Within them single streams are refused.
    static func connection(streamsMax: Int) -> NIOHTTP2Handler.ConnectionConfiguration {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: streamsMax + beyondMax),
            HTTP2Setting(parameter: .maxHeaderListSize, value: headerListSizeReadMax),
            HTTP2Setting(parameter: .initialWindowSize, value: streamWindow),
        ]
        connection.targetWindowSize = connectionWindow
        connection.maximumBufferedControlFrames = 1000
        connection.maximumSequentialContinuationFrames = continuationsMax
        connection.maximumSequentialEmptyDataFrames = emptyFramesMax
        connection.maximumRecentlyResetStreams = resetsKnownMax
        // Faults of streams are counted by the half minute (`errorsMax`), not for as long as a connection lives.
        connection.maximumConnectionGlitches = .max
        return connection
    }

    /// What the client is told in place of the library's settings, by their numbers (RFC 9113, 6.5.2):
    /// SETTINGS_MAX_CONCURRENT_STREAMS and SETTINGS_MAX_HEADER_LIST_SIZE.
    static func told(streamsMax: Int) -> [UInt16: UInt32] {
        [3: UInt32(streamsMax), 6: UInt32(OTLPReceiver.headerListSizeMax)]
    }

    /// What a head has too much of; nil when it is within the limits.
    static func excess(of headers: HPACKHeaders) -> String? {
        if headers.count > OTLPReceiver.headerCountMax { return "more than \(OTLPReceiver.headerCountMax) headers" }
        let sizes = headers.lazy.map { $0.name.utf8.count + $0.value.utf8.count }
        if sizes.contains(where: { $0 > OTLPReceiver.headerFieldSizeMax }) {
            return "a header of more than \(OTLPReceiver.headerFieldSizeMax) bytes"
        }
        // As the client counts for SETTINGS_MAX_HEADER_LIST_SIZE.
        let size = sizes.reduce(0) { $0 + $1 + 32 }
        guard size > OTLPReceiver.headerListSizeMax else { return nil }
        return "headers of more than \(OTLPReceiver.headerListSizeMax) bytes, 32 for each among them"
    }

    static var stream: NIOHTTP2Handler.StreamConfiguration {
        var stream = NIOHTTP2Handler.StreamConfiguration()
        stream.targetWindowSize = streamWindow
        stream.streamResetFrameRateLimit.maximumCount = resetsMax
        stream.streamErrorRateLimit.maximumCount = errorsMax
        return stream
    }
}

/// Counts the streams of a connection that were refused, in periods of half a minute. A value without effects.
struct RefusedStreams {
    private static let period = TimeAmount.seconds(30)

    private var count = 0
    private var since: NIODeadline?

    /// Counts another one; true when they are more than a client of good will opens.
    mutating func isOneTooMany(now: NIODeadline) -> Bool {
        let isOver = since.map { now - $0 >= Self.period } ?? true
        if isOver {
            count = 0
            since = now
        }
        count += 1
        return count > HTTP2Limits.refusedMax
    }
}
